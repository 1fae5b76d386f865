import { Turns } from '../../../lib/store/turns'
import { deferred } from '../../helpers/app'

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
