import { madeFor } from '../../../lib/base/maps'
import { KeyedQueue } from '../../../lib/store/keyed-queue'
import { deferred } from '../../helpers/app'

const FIRST = { name: 'first' }
const SECOND = { name: 'second' }

describe('turns', () => {
  it('are taken one after the other, whatever became of the one before', async () => {
    const queue = new KeyedQueue(1000)
    const first = deferred()
    const order: string[] = []
    const failing = queue.take('a', () => first.promise.then(() => Promise.reject(new Error('first'))))
    const others = ['b', 'c'].map((name) => queue.take('a', async () => order.push(name)))
    await queue.take('other', async () => order.push('a'))
    first.resolve()
    await expect(failing).rejects.toThrow('first')
    await Promise.all(others)
    expect(order).toEqual(['a', 'b', 'c'])
    // Nothing to wait for any more.
    expect(queue.take('a', () => 'at once')).toBe('at once')
  })

  it('are waited for without end where order counts', async () => {
    const queue = new KeyedQueue()
    const first = deferred()
    let ended = false
    void queue.take('a', () => first.promise.then(() => (ended = true)))
    const next = queue.take('a', async () => ended)
    first.resolve()
    expect(await next).toBe(true)
  })

  it('begin behind one that never ends, and those behind them follow in order', async () => {
    const queue = new KeyedQueue(1)
    void queue.take('a', () => new Promise(() => undefined))
    const order: string[] = []
    await Promise.all(['b', 'c', 'd'].map((name) => queue.take('a', async () => order.push(name))))
    expect(order).toEqual(['b', 'c', 'd'])
  })

  it('begin at once behind one that has outlasted the patience, and neither wait for its end nor follow it', async () => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate'] })
    const queue = new KeyedQueue(1000)
    const [first, second] = [deferred(), deferred()]
    const began: string[] = []
    void queue.take('a', () => first.promise)
    jest.advanceTimersByTime(1000)
    await new Promise(setImmediate)
    const next = (name: string) => queue.take('a', () => (began.push(name), second.promise))
    void next('b')
    void next('c')
    expect(began).toEqual(['b'])
    first.resolve()
    await new Promise(setImmediate)
    expect(began).toEqual(['b'])
    second.resolve()
    await new Promise(setImmediate)
    expect(began).toEqual(['b', 'c'])
    jest.useRealTimers()
  })

  it('are passed on once where one ends just as the patience with it does', async () => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate'] })
    const queue = new KeyedQueue(1000)
    const first = deferred()
    const began: string[] = []
    void queue.take('a', () => first.promise)
    for (const name of ['b', 'c']) void queue.take('a', () => new Promise(() => began.push(name)))
    jest.advanceTimersByTime(1000)
    first.resolve()
    for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate)
    expect(began).toEqual(['b'])
    jest.useRealTimers()
  })

  it('are done at once where nothing is waited for, and leave nothing to wait for', () => {
    const queue = new KeyedQueue()
    expect(queue.take('a', () => 1)).toBe(1)
    expect(() =>
      queue.take('a', () => {
        throw new Error('no')
      })
    ).toThrow('no')
    expect(queue.take('a', () => 2)).toBe(2)
  })

  // One turn is under way: whether the next one begins at once, when the first ends, or when patience ends.
  it.each<[string, { key: string; store: object; patience: number | undefined }, begins: string]>([
    ['of the same thing', { key: 'a', store: FIRST, patience: undefined }, 'after the first'],
    ['of the same thing, with patience', { key: 'a', store: FIRST, patience: 1000 }, 'after the patience'],
    ['of another thing', { key: 'b', store: FIRST, patience: undefined }, 'at once'],
    ['of the same thing in another store', { key: 'a', store: SECOND, patience: undefined }, 'at once']
  ])('begin %s as they should', async (_what, { key, store, patience }, begins) => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate'] })
    const queueOf = madeFor((_store: object, span: number | undefined) => new KeyedQueue(span))
    const first = deferred()
    let began = false
    void queueOf(FIRST, patience).take('a', () => first.promise)
    void queueOf(store, patience).take(key, async () => (began = true))
    await jest.advanceTimersByTimeAsync(999)
    expect(began).toBe(begins === 'at once')
    await jest.advanceTimersByTimeAsync(1)
    await new Promise(setImmediate)
    expect(began).toBe(begins !== 'after the first')
    first.resolve()
    await jest.advanceTimersByTimeAsync(0)
    expect(began).toBe(true)
    expect(queueOf(FIRST, patience).take('a', () => 'at once')).toBe('at once')
    jest.useRealTimers()
  })
})
