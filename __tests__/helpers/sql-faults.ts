import { randomBytes } from 'node:crypto'
import { sessions } from '../../lib/index'
import { secret } from './app'
import type { Database } from './servers'
import { until } from './redis-server'

/** What a database's test says of how it can be made to fail. */
export interface FaultyGround {
  /** A store on a pool of its own. `options.session`: settings of the server for each of its connections. */
  open(options?: object): Promise<Opened>
  server(): Database
  beside(sql: string): Promise<any[]>
  readOnly(on: boolean): string
  endConnections(): Promise<unknown>
  /** What the server calls a write that it does not take. */
  readOnlyCode: string
  /** The same on a disk that is soon full, and how to make room on it. */
  full(): Promise<Opened & { makeRoom(): unknown; end(): unknown }>
  fullCode: string
  /** Statements that are given up while somebody else holds a row: by these settings, as this error. */
  waits: [name: string, session: Record<string, number>, cause: object, message: RegExp][]
  /** Options of a pool that does not wait for a connection, or not for long. */
  patience: object
  /** Holds a row until it is let go. */
  holdRow(table: string, id: string): Promise<() => Promise<unknown>>
}

export interface Opened {
  store: any
  /** All four connections of the pool are free, and work. */
  whole(): Promise<boolean>
  /** Takes every connection of the pool, as an application does that keeps them. */
  takeAll(): Promise<() => void>
}

/** Short, for those who are to wait until it is over. */
const SOON = 250

/** Waits until it does: what is short may be too short once, on a machine that stalls. */
function answers(store: any, n = 1): Promise<void> {
  return until(async () => (await store.get('a').catch(() => undefined))?.n === n, 'it answers')
}

/** Every fault is an error in time, nothing is half written, and the pool is whole afterwards. */
export function describeSqlFaults(ground: FaultyGround): void {
  const fault = expect.objectContaining({ code: expect.stringMatching(/^ERR_SESSION_STORE/) })
  let store: any
  let whole: () => Promise<boolean>

  beforeEach(async () => {
    ;({ store, whole } = await ground.open())
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
  })

  it('says so within storeTimeout while the server hangs, and gives back every connection', async () => {
    const auth: any = sessions({ secret, store, storeTimeout: SOON })
    await Promise.all([1, 2, 3, 4].map(() => store.get('a')))
    ground.server().pause()
    try {
      const asked = Array.from({ length: 12 }, (_, i) => auth.get(`id${i}`).catch((err: any) => err.code))
      asked.push(auth.create({ user: 'ann' }).catch((err: any) => err.code))
      expect(await Promise.all(asked)).toEqual(Array(13).fill('ERR_SESSION_STORE_TIMEOUT'))
    } finally {
      ground.server().resume()
    }
    await answers(store)
    await until(whole, 'the pool is whole')
    // What was sent all the same is there as a whole, or not at all.
    for (const record of Object.values<any>(await store.all())) expect([1, 'ann']).toContain(record.n ?? record.user)
  })

  it('gives up a statement that takes longer than timeout, and its connection', async () => {
    const { store: quick, whole: quickWhole } = await ground.open({ timeout: SOON })
    await answers(quick)
    ground.server().pause()
    try {
      await expect(quick.get('a')).rejects.toMatchObject({ code: 'ERR_SESSION_STORE', status: 503 })
    } finally {
      ground.server().resume()
    }
    await answers(quick)
    await until(quickWhole, 'the pool is whole')
    await quick.close()
  })

  it.each(ground.waits)('gives up what waits for a row for too long (%s)', async (_name, session, cause, message) => {
    const { store: waiting, whole: waitingWhole } = await ground.open({ session })
    await answers(waiting)
    const letGo = await ground.holdRow('faults', 'a')
    try {
      const refused = { code: 'ERR_SESSION_STORE', status: 503, message: expect.stringMatching(message), cause }
      await expect(waiting.set('a', { cookie: {}, n: 2 })).rejects.toMatchObject(refused)
      await expect(waiting.destroy('a')).rejects.toMatchObject(refused)
      await answers(waiting)
    } finally {
      await letGo()
    }
    const written = () =>
      waiting.set('a', { cookie: {}, n: 3 }).then(
        () => true,
        () => false
      )
    await until(written, 'it is written')
    expect(await store.get('a')).toEqual({ cookie: {}, n: 3 })
    await until(waitingWhole, 'the pool is whole')
    await waiting.close()
  })

  it('says so within storeTimeout while every connection of the pool is taken', async () => {
    const { store: starved, whole: starvedWhole, takeAll } = await ground.open()
    const { id } = await sessions<any>({ secret, store: starved }).create({ user: 'ann' })
    const auth: any = sessions({ secret, store: starved, storeTimeout: SOON })
    const letGo = await takeAll()
    const asked = [auth.get(id), auth.destroy(id), auth.create({ user: 'bob' })]
    const codes = asked.map((answer) => answer.catch((err: any) => [err.code, err.status]))
    const tooLate = ['ERR_SESSION_STORE_TIMEOUT', 503]
    expect(await Promise.all(codes)).toEqual([tooLate, tooLate, tooLate])
    letGo()
    await until(starvedWhole, 'the pool is whole')
    const kept = await starved.all()
    // What was asked for is done or not; nothing else is.
    for (const record of Object.values<any>(kept)) expect(['ann', 'bob', undefined]).toContain(record.user)
    await starved.close()
  })

  it('tells of a pool that has no connection to give', async () => {
    const { store: starved, whole: starvedWhole, takeAll } = await ground.open({ pool: ground.patience })
    await answers(starved)
    const letGo = await takeAll()
    const refused = await Promise.all([1, 2].map((n) => starved.set('a', { cookie: {}, n }).catch((err: any) => err)))
    expect(refused).toContainEqual(expect.objectContaining({ code: 'ERR_SESSION_STORE', status: 503 }))
    letGo()
    await until(starvedWhole, 'the pool is whole')
    await starved.close()
  })

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
    // No connection is left that would take no writes for ever.
    await limited.set('a', { cookie: {}, n: 2 })
    await until(limitedWhole, 'the pool is whole')
    await limited.close()
  })

  it('says so where the disk is full, and neither loses what it has confirmed nor halves a write', async () => {
    const { store: filling, whole: fillingWhole, makeRoom, end } = await ground.full()
    try {
      let kept = 0
      const keep = (n: number) =>
        filling.set(`id${n}`, { cookie: {}, n, large: randomBytes(750_000).toString('base64') })
      const refused = await (async () => {
        for (; kept < 100; kept++) await keep(kept)
      })().catch((err) => err)
      expect(refused).toMatchObject({ code: 'ERR_SESSION_STORE', status: 503, cause: { code: ground.fullCode } })
      expect(kept).toBeGreaterThan(1)
      // A change is all there or not at all; one that is as long as what it replaces needs room as well.
      await expect(keep(0)).rejects.toMatchObject({ cause: { code: ground.fullCode } })
      const ids = Array.from({ length: kept }, (_, n) => `id${n}`)
      expect((await filling.ids()).sort()).toEqual([...ids].sort())
      for (const [n, id] of ids.entries()) expect(await filling.get(id)).toMatchObject({ n })
      await makeRoom()
      await until(
        () =>
          keep(kept).then(
            () => true,
            () => false
          ),
        'there is room again'
      )
      expect(await filling.length()).toBe(kept + 1)
      await until(fillingWhole, 'the pool is whole')
    } finally {
      await filling.close()
      await end()
    }
  })

  it('survives connections that the server ends, idle or at work', async () => {
    await Promise.all([1, 2, 3, 4].map(() => store.get('a')))
    await ground.endConnections()
    await answers(store)
    const busy = Array.from({ length: 40 }, () => store.get('a').catch((err: any) => err.code))
    await ground.endConnections()
    for (const answer of await Promise.all(busy)) {
      expect([JSON.stringify({ cookie: {}, n: 1 }), '"ERR_SESSION_STORE"']).toContain(JSON.stringify(answer))
    }
    await until(whole, 'the pool is whole')
  })
}
