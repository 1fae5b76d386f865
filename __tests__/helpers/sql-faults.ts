import { Backend } from '../../lib/store/backend'
import type { Database } from './servers'
import { until } from './redis-server'
import { lifeFor, powersOf, textOf } from './sql-suite'

/** What a database's test says of how it can be made to fail. */
export interface FaultyGround {
  /** A store on a pool of four connections of its own; `whole`: all of them are free, and work. */
  open(options?: object): Promise<{ store: any; whole(): Promise<boolean> }>
  server(): Database
  beside(sql: string): Promise<any[]>
  readOnly(on: boolean): string
  endConnections: string
  /** What the server calls a write that it does not take. */
  readOnlyCode: string
}

const STORE_TIMEOUT = 1000

/** Every fault is an error in time, nothing is half written, and the pool is whole afterwards. */
export function describeSqlFaults(ground: FaultyGround): void {
  const fault = expect.objectContaining({ code: expect.stringMatching(/^ERR_SESSION_STORE/) })
  let store: any
  let whole: () => Promise<boolean>

  beforeEach(async () => {
    ;({ store, whole } = await ground.open({ timeout: 2 * STORE_TIMEOUT }))
    await store.set('a', { cookie: {}, n: 1 })
  })

  afterEach(() => store.close())

  it('says so while the server is gone, and goes on when it is back', async () => {
    await ground.server().kill()
    await expect(store.get('a')).rejects.toMatchObject({ code: 'ERR_SESSION_STORE', status: 503 })
    await expect(store.set('a', { cookie: {}, n: 2 })).rejects.toEqual(fault)
    await expect(store.destroy('a')).rejects.toEqual(fault)
    await ground.server().restart()
    expect(await store.get('a')).toEqual({ cookie: {}, n: 1 })
    await until(whole, 'the pool is whole')
  }, 60_000)

  it('says so within storeTimeout while the server hangs, and gives back every connection', async () => {
    const backend = new Backend(store, { storeTimeout: STORE_TIMEOUT, hashIds: false })
    const text = textOf({ n: 2 })
    await Promise.all([1, 2, 3, 4].map(() => store.get('a')))
    ground.server().pause()
    try {
      const started = performance.now()
      const asked = Array.from({ length: 12 }, (_, i) =>
        Promise.resolve(backend.read(`id${i}`)).catch((err) => err.code)
      )
      asked.push(
        Promise.resolve(backend.write({ id: 'b', text, expected: null, life: lifeFor() })).catch((err) => err.code)
      )
      expect(await Promise.all(asked)).toEqual(Array(13).fill('ERR_SESSION_STORE_TIMEOUT'))
      expect(performance.now() - started).toBeLessThan(3 * STORE_TIMEOUT)
    } finally {
      ground.server().resume()
    }
    await until(async () => (await store.get('a').catch(() => undefined))?.n === 1, 'it answers')
    await until(whole, 'the pool is whole')
    // Written as a whole, later, or not at all.
    expect([null, text]).toContain((await powersOf(store).read('b'))?.text ?? null)
  }, 60_000)

  it('says so where the server takes no writes, and reads on', async () => {
    await ground.beside(ground.readOnly(true))
    const { store: limited, whole: limitedWhole } = await ground.open({ createTable: false })
    try {
      expect(await limited.get('a')).toEqual({ cookie: {}, n: 1 })
      const refused = { code: 'ERR_SESSION_STORE', status: 503, cause: { code: ground.readOnlyCode } }
      await expect(limited.set('a', { cookie: {}, n: 2 })).rejects.toMatchObject(refused)
      await expect(limited.destroy('a')).rejects.toMatchObject(refused)
    } finally {
      await ground.beside('SET default_transaction_read_only = off').catch(() => undefined)
      await ground.beside(ground.readOnly(false))
    }
    expect(await store.get('a')).toEqual({ cookie: {}, n: 1 })
    await until(limitedWhole, 'the pool is whole')
    await limited.close()
  })

  it('survives connections that the server ends, idle or at work', async () => {
    await Promise.all([1, 2, 3, 4].map(() => store.get('a')))
    await ground.beside(ground.endConnections).catch(() => undefined)
    await until(async () => (await store.get('a').catch(() => undefined))?.n === 1, 'it answers')
    const busy = Array.from({ length: 40 }, () => store.get('a').catch((err: any) => err.code))
    await ground.beside(ground.endConnections).catch(() => undefined)
    for (const answer of await Promise.all(busy)) {
      expect([JSON.stringify({ cookie: {}, n: 1 }), '"ERR_SESSION_STORE"']).toContain(JSON.stringify(answer))
    }
    await until(whole, 'the pool is whole')
  })
}
