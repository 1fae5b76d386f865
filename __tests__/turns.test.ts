import { sessions } from '../lib/index'
import { KeyRing } from '../lib/cookie/keys'
import { PATIENCE, Turns } from '../lib/store/turns'
import { deferred, secret } from './helpers/app'

describe('turns', () => {
  it('are taken one after the other, whatever became of the one before', async () => {
    const turns = new Turns(1000)
    const first = deferred()
    const order: string[] = []
    const failing = turns.take('a', () => first.promise.then(() => Promise.reject(new Error('first'))))
    const others = ['b', 'c'].map((name) => turns.take('a', async () => order.push(name)))
    await turns.take('other', async () => order.push('a'))
    first.resolve()
    await expect(failing).rejects.toThrow('first')
    await Promise.all(others)
    expect(order).toEqual(['a', 'b', 'c'])
    // Nothing to wait for any more.
    expect(turns.take('a', () => 'at once')).toBe('at once')
  })

  it('are waited for without end where order counts', async () => {
    const turns = new Turns()
    const first = deferred()
    let ended = false
    void turns.take('a', () => first.promise.then(() => (ended = true)))
    const next = turns.take('a', async () => ended)
    first.resolve()
    expect(await next).toBe(true)
  })

  it('begin behind one that never ends, and those behind them follow in order', async () => {
    const turns = new Turns(1)
    void turns.take('a', () => new Promise(() => undefined))
    const order: string[] = []
    await Promise.all(['b', 'c', 'd'].map((name) => turns.take('a', async () => order.push(name))))
    expect(order).toEqual(['b', 'c', 'd'])
  })
})

describe('session.update()', () => {
  beforeEach(() => {
    jest.useFakeTimers({ now: Date.now(), doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask', 'performance'] })
  })
  afterEach(() => {
    jest.useRealTimers()
  })

  async function begun() {
    const auth = sessions<any>({ secret })
    const session = await auth.open({ headers: {} })
    session.n = 1
    await session.save()
    return { auth, session }
  }

  it('inside another one of the same session does not hang', async () => {
    const { auth, session } = await begun()
    const updated = session.update(async (outer: any) => {
      outer.a = 1
      await outer.update((inner: any) => (inner.n += 1))
    })
    await jest.advanceTimersByTimeAsync(PATIENCE)
    await updated
    expect((await auth.get(session.id))!.data).toEqual({ n: 2, a: 1 })
  })

  it('whose function never ends holds up no other writer for ever', async () => {
    const { auth, session } = await begun()
    const inFn = deferred()
    void session.update(() => {
      inFn.resolve()
      return new Promise(() => undefined)
    })
    await inFn.promise
    const other = await auth.open({ headers: { cookie: `sid=${new KeyRing(secret).signBound('sid', session.id)}` } })
    const updated = other.update((data: any) => (data.n += 1))
    await jest.advanceTimersByTimeAsync(PATIENCE)
    expect(await updated).toBe(2)
    expect((await auth.get(session.id))!.data).toEqual({ n: 2 })
  })
})
