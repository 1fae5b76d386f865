import fc from 'fast-check'
import request from 'supertest'
import { sessions } from '../../lib/index'
import { POWERS, type Found, type Life } from '../../lib/store/contract'
import { encodeRecord, META, OLD_META, withUsedAt } from '../../lib/record/record'
import { appWith, cookieOf, secret } from './app'
import type { Place } from './app-child'
import { Clock } from './clock'
import { expectNothingLostToKills } from './race'
import { until } from './redis-server'
import { recordedTimers } from './timers'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const PAGE = 500
/** Each ends two processes, once they have written a few times more than in the round before. */
const ROUNDS = Number(process.env.KILL_ROUNDS ?? 8)

/** One database of a test file, and how the test itself looks into it. */
export interface SqlGround {
  /** A new store of the class under test, on the same database. */
  open(options?: object): any
  /** Runs a statement beside the stores. */
  query(sql: string): Promise<any[]>
  /** A table's name in SQL. */
  quote(name: string): string
  columns: { id: string; text: string; expires: string }
  /** Whole seconds are all that the table keeps of a time. */
  seconds?: boolean
  /** Every statement a new store sends, with its values. */
  recorded(options?: object): { store: any; sent: [string, unknown[]][] }
  /** What the database would do, as text. */
  explain(sql: string, values: unknown[]): Promise<string>
  /** The database for another process. */
  place: Place
  /** Rows that one statement of a sweep removes. */
  sweepSize: number
  /** What in a plan means that every row was looked at. */
  everyRow: RegExp
}

const cookie = '{"originalMaxAge":null,"expires":null,"path":"/"}'

export function textOf(data: object, meta: object = {}): string {
  return encodeRecord(cookie, { u: Date.now(), c: Date.now(), ...meta }, JSON.stringify(data))
}

export function lifeFor(ms = HOUR): Life {
  return { usedAt: Date.now(), expiresAt: Date.now() + ms }
}

export const powersOf = (store: any) => store[POWERS]

let tables = 0

/** What every store in SQL keeps to, beside the contract. */
export function describeSqlStore(ground: () => SqlGround): void {
  const opened: any[] = []
  let table: string
  let clock: Clock

  const open = (options: object = {}) => {
    const store = ground().open({ table, createTable: true, ...options })
    opened.push(store)
    return store
  }
  const inTable = () => ground().quote(table)
  const create = (store: any, id: string, text = textOf({}), life = lifeFor()) =>
    powersOf(store).write({ id, text, expected: null, life })
  const keptText = async (id: string) => ((await powersOf(open()).read(id)) as Found).text

  beforeEach(() => {
    table = `sessions${++tables}`
    clock = new Clock(Date.UTC(2026, 5, 1, 12))
  })

  afterEach(async () => {
    clock.restore()
    for (const store of opened.splice(0)) await store.close()
  })

  describe('setting up', () => {
    it('says what to run when there is no table, and can run it', async () => {
      const store = open({ createTable: false })
      const asked = async () => store.get('a')
      await expect(asked).rejects.toMatchObject({ code: 'ERR_SESSION_STORE', status: 503 })
      await expect(asked).rejects.toThrow(/no table .*migrate\(\)[^]*CREATE TABLE/)
      const done = await store.migrate()
      expect(done[0]).toMatch(/^CREATE TABLE/)
      expect(await store.get('a')).toBeNull()
      expect(await store.migrate()).toEqual([])
    })

    it('makes the table once, whoever of ten comes first', async () => {
      const stores = Array.from({ length: 10 }, () => open())
      await Promise.all(stores.map((store, i) => store.set(`id${i}`, { cookie: {}, i })))
      expect(await stores[0].length()).toBe(10)
    })

    it('quotes names, and refuses what should be none', async () => {
      table = `Odd select.-$ ${tables}`
      const store = open()
      await store.set('a', { cookie: {} })
      expect(await store.ids()).toEqual(['a'])
      for (const name of ['', 'a"b', 'a`b', "a'b", 'a;b', 'x'.repeat(41), 5]) {
        expect(() => ground().open({ table: name })).toThrow(/`table` must be 1 to 40/)
      }
    })

    it.each([
      [{ ttl: 0 }, /`ttl` must be milliseconds above 0, got 0/],
      [{ sweepEvery: 0 }, /`sweepEvery` must be milliseconds from 1/],
      [{ sweepEvery: 2 ** 31 }, /`sweepEvery` must be/]
    ])('refuses %j', (options, message) => {
      expect(() => ground().open(options)).toThrow(message)
      expect(() => ground().open(options)).toThrow(expect.objectContaining({ code: 'ERR_SESSION_OPTION' }))
    })
  })

  describe('records', () => {
    it('are kept as they are, whatever is in them, and compared exactly', async () => {
      const store = open()
      let n = 0
      await fc.assert(
        fc.asyncProperty(fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue()), async (data) => {
          const id = `id${++n}`
          const text = textOf(data)
          expect(await create(store, id, text)).toBe(true)
          expect((await powersOf(store).read(id)).text).toBe(text)
          const next = textOf({ n })
          expect(await powersOf(store).write({ id, text: next, expected: text, life: lifeFor() })).toBe(true)
          const again = await powersOf(store).write({ id, text, expected: text, life: lifeFor() })
          expect(again).toMatchObject({ text: next })
        }),
        { numRuns: 60 }
      )
    })

    it.each([
      ['case', 'Ann', 'ann'],
      ['trailing blanks', 'ann', 'ann '],
      ['accents', 'ann\u00e9', 'anne'],
      ['the way to write a letter', '\u00e9', 'e\u0301']
    ])('differ by %s', async (_by, one, other) => {
      const store = open()
      const [text, like] = [textOf({ x: one }), textOf({ x: other })]
      await create(store, 'a', text)
      const answer = await powersOf(store).write({ id: 'a', text: like, expected: like, life: lifeFor() })
      expect(answer).toMatchObject({ text })
      expect(await keptText('a')).toBe(text)
    })

    it('may be written as they are, which is no conflict', async () => {
      const store = open()
      const text = textOf({ n: 1 })
      await create(store, 'a', text)
      const same = { id: 'a', text, expected: text, life: lifeFor() }
      expect([await powersOf(store).write(same), await powersOf(store).write(same)]).toEqual([true, true])
    })

    it('of a megabyte are kept', async () => {
      const store = open()
      const text = textOf({ long: '\u20acuro'.repeat(200_000) })
      await create(store, 'a', text)
      expect(await keptText('a')).toBe(text)
    })

    it('that lead on are not extended, and of the others only the digits of the last use change', async () => {
      const store = open()
      const plain = textOf({ n: [`"${META}":{"u":1,`], m: 1.5 })
      const moved = textOf({}, { n: 'next', g: Date.now() + MINUTE })
      const classic = `{"cookie":${cookie},"n":1}`
      const before = plain.replace(META, OLD_META)
      await create(store, 'before', before)
      await create(store, 'plain', plain)
      await create(store, 'moved', moved)
      await create(store, 'classic', classic)
      clock.forward(MINUTE)
      const extended = []
      for (const id of ['plain', 'moved', 'classic', 'none']) extended.push(await powersOf(store).extend(id, lifeFor()))
      expect(extended).toEqual([true, false, true, false])
      expect(await powersOf(store).extend('before', lifeFor())).toBe(true)
      expect(await keptText('before')).toBe(withUsedAt(before, clock.now))
      expect(await keptText('plain')).toBe(withUsedAt(plain, clock.now))
      expect(await keptText('moved')).toBe(moved)
      expect(await keptText('classic')).toBe(classic)
      clock.forward(HOUR - MINUTE)
      expect(await store.ids()).toEqual(['before', 'classic', 'plain'])
    })

    it('that never end are found at any time', async () => {
      const store = open()
      await create(store, 'a', textOf({}), { usedAt: clock.now, expiresAt: null })
      clock.forward(60 * 365 * 24 * HOUR)
      expect(await powersOf(store).read('a')).toMatchObject({ expiresAt: null })
      await store.sweep()
      expect(await store.ids()).toEqual(['a'])
    })

    it('that are over are found by nobody, extended by nobody, and told of once', async () => {
      const [one, two] = [open(), open()]
      const text = textOf({})
      await create(one, 'a', text, lifeFor(MINUTE))
      clock.forward(MINUTE)
      expect(await two.get('a')).toBeNull()
      expect(await two.all()).toEqual({})
      expect(await powersOf(one).extend('a', lifeFor())).toBe(false)
      expect(await powersOf(one).write({ id: 'a', text, expected: text, life: lifeFor() })).toBeNull()
      const told = await Promise.all([one, two, one, two].map((store) => powersOf(store).load('a')))
      expect(told.filter((answer) => answer !== null)).toEqual(['expired'])
      expect(await ground().query(`SELECT * FROM ${inTable()}`)).toEqual([])
    })

    it('that are over make room for a new one under their ID', async () => {
      const store = open()
      await create(store, 'a', textOf({ n: 1 }), lifeFor(MINUTE))
      clock.forward(MINUTE)
      const text = textOf({ n: 2 })
      expect(await create(store, 'a', text)).toBe(true)
      expect(await keptText('a')).toBe(text)
    })
  })

  describe('users', () => {
    const add = (store: any, id: string, user: string) => create(store, id, textOf({}, { i: user }))
    const listed = async (store: any, user: string) => (await powersOf(store).list(user)).map(({ id }: any) => id)

    it('are told apart exactly, whatever they are called', async () => {
      const store = open()
      const users = [
        'ann',
        'Ann',
        'ann ',
        '',
        '"quoted"',
        "it's",
        'back\\slash',
        '\u00e9\u6f22\u{1f600}',
        'x'.repeat(300)
      ]
      for (const [i, user] of users.entries()) await add(store, `id${i}`, user)
      for (const [i, user] of users.entries()) expect(await listed(store, user)).toEqual([`id${i}`])
    })

    it('are known by the records of version 1.20.0, too', async () => {
      const store = open()
      await create(store, 'a', textOf({}, { i: 'ann' }).replace(META, OLD_META))
      expect(await listed(store, 'ann')).toEqual(['a'])
    })

    it('may have more sessions than a page holds', async () => {
      const store = open()
      for (let i = 0; i < PAGE + 7; i++) await add(store, `id${String(i).padStart(4, '0')}`, 'ann')
      expect(await listed(store, 'ann')).toHaveLength(PAGE + 7)
    })
  })

  describe('locks', () => {
    it('are no sessions, and end after ttl unless renewed', async () => {
      const [store, other] = [open(), open()]
      const [one, two] = [powersOf(store).lock, powersOf(other).lock]
      const id = 'i'.repeat(128)
      expect(await one.acquire(id, 'x', MINUTE)).toBe(true)
      expect(await one.acquire(id, 'x', MINUTE)).toBe(true)
      expect([await store.ids(), await store.length(), await store.all()]).toEqual([[], 0, {}])
      await store.clear()
      clock.forward(MINUTE - 2000)
      expect([await two.acquire(id, 'y', MINUTE), await one.renew(id, 'x', MINUTE)]).toEqual([false, true])
      clock.forward(MINUTE - 2000)
      expect(await two.acquire(id, 'y', MINUTE)).toBe(false)
      clock.forward(2000)
      expect([await one.renew(id, 'x', MINUTE), await two.acquire(id, 'y', MINUTE)]).toEqual([false, true])
      await one.release(id, 'x')
      expect(await one.acquire(id, 'x', MINUTE)).toBe(false)
    })
  })

  describe('sweeping', () => {
    it('removes what is over, a page at a time, and leaves the rest', async () => {
      const { store, sent } = ground().recorded({ table, createTable: true })
      opened.push(store)
      const count = 2 * PAGE + 100
      for (let i = 0; i < count; i++) await create(store, `old${i}`, textOf({}), lifeFor(MINUTE))
      await create(store, 'new')
      await powersOf(store).lock.acquire('new', 'x', HOUR)
      clock.forward(2 * MINUTE)
      sent.length = 0
      expect(store.lastCleanup).toBeUndefined()
      await store.sweep()
      expect(store.lastCleanup).toBe(clock.now)
      expect(sent.filter(([sql]) => sql.startsWith('DELETE'))).toHaveLength(Math.floor(count / ground().sweepSize) + 1)
      expect(await ground().query(`SELECT * FROM ${inTable()}`)).toHaveLength(2)
      expect(await store.ids()).toEqual(['new'])
    })

    it('is done by one of all processes at a time, by itself', async () => {
      clock.restore()
      const { lock } = powersOf(open({ sweepEvery: null }))
      await lock.acquire('silverback:lock:sweep', 'another', HOUR)
      const { store, sent } = ground().recorded({ table, createTable: true, sweepEvery: 2 })
      opened.push(store)
      await create(store, 'a', textOf({}), lifeFor(1))
      const turns = () => sent.filter(([, values]) => values.some((value) => /^\{"lock/.test(String(value)))).length
      await until(() => turns() > 5, 'it was refused its turn')
      expect(store.lastCleanup).toBeUndefined()
      await lock.release('silverback:lock:sweep', 'another')
      await until(() => store.lastCleanup !== undefined, 'it sweeps')
      const rows = async () => ground().query(`SELECT * FROM ${inTable()} WHERE ${ground().columns.id} = 'a'`)
      await until(async () => (await rows()).length === 0, 'it is swept')
      clock = new Clock()
    })

    it('keeps no process alive, and stops with close', async () => {
      const { timers, restore } = recordedTimers()
      const store = open()
      restore()
      expect(timers.map((timer) => timer.hasRef())).toEqual([false])
      const cleared = jest.spyOn(globalThis, 'clearTimeout')
      await store.close()
      expect(cleared).toHaveBeenCalledWith(timers[0])
      cleared.mockRestore()
    })
  })

  it('is asked once by a request that reads, twice by one that writes, and not at all without a cookie', async () => {
    const { store, sent } = ground().recorded({ table, createTable: true })
    opened.push(store)
    const auth = sessions<any>({ secret, store, idle: HOUR, load: 'eager' })
    const app = appWith(auth, {
      '/login': (req, res) => res.json((req.session.user = 'ann')),
      '/nothing': (_req, res) => res.json(1),
      '/read': (req, res) => res.json(req.session.user),
      '/write': (req, res) => res.json((req.session.n = (req.session.n ?? 0) + 1))
    })
    const cookie = cookieOf(await request(app).get('/login'))!
    const counts: Record<string, number> = {}
    for (const path of ['/nothing', '/read', '/write']) {
      sent.length = 0
      await request(app).get(path).set('Cookie', cookie).expect(200)
      counts[path] = sent.length
    }
    sent.length = 0
    await request(app).get('/read').expect(200)
    expect([counts, sent.length]).toEqual([{ '/nothing': 1, '/read': 1, '/write': 2 }, 0])
    clock.forward(2 * MINUTE)
    await request(app).get('/nothing').set('Cookie', cookie).expect(200)
    // Read, and extended.
    expect(sent.length).toBe(2)
  })

  it('is asked in one statement for what is read in one turn, unless it answers at once', async () => {
    const { store, sent } = ground().recorded({ table, createTable: true })
    opened.push(store)
    const ids = Array.from({ length: 20 }, (_, i) => `id${i}`)
    for (const id of ids) await create(store, id, textOf({ id }))
    sent.length = 0
    const read = await Promise.all([...ids, 'none', ids[0]!].map(async (id) => powersOf(store).read(id)))
    expect(read.map((found) => found && JSON.parse(found.text).id)).toEqual([...ids, null, ids[0]])
    expect(sent.length).toBe(powersOf(store).sync ? 22 : 2)
    // No database keeps that ID, and PostgreSQL takes no statement with it.
    const odd = await Promise.allSettled(['id1', 'a\0', 'id2'].map(async (id) => powersOf(store).read(id)))
    expect(odd.map(({ status }) => status)).toEqual(['fulfilled', expect.anything(), 'fulfilled'])
  })

  it(
    'loses nothing that was confirmed to processes that were killed',
    async () => {
      clock.restore()
      await expectNothingLostToKills(open(), { ...ground().place, table }, ROUNDS)
      clock = new Clock()
    },
    240_000 + 5000 * ROUNDS
  )

  it('looks at no more rows than it needs, among twenty thousand', async () => {
    const { store, sent } = ground().recorded({ table, createTable: true })
    opened.push(store)
    await fill(20_000)
    sent.length = 0
    const powers = powersOf(store)
    const text = textOf({ n: 1 }, { i: 'user7' })
    await powers.write({ id: 'a', text, expected: null, life: lifeFor() })
    await powers.read('a')
    await Promise.all([powers.read('a'), powers.read('fill7')])
    await powers.write({ id: 'a', text: textOf({ n: 2 }), expected: text, life: lifeFor() })
    await powers.extend('a', lifeFor())
    await powers.list('user7')
    await powers.lock.acquire('a', 'x', MINUTE)
    await powers.lock.renew('a', 'x', MINUTE)
    await powers.lock.release('a', 'x')
    await powers.remove('a')
    await store.ids()
    await store.sweep()
    await store.set('a', { cookie: {} })
    const kinds = new Map(sent.map(([sql, values]) => [sql, values]))
    expect(kinds.size).toBeGreaterThanOrEqual(9)
    for (const [sql, values] of kinds) {
      if (!sql.includes(inTable())) continue
      const plan = await ground().explain(sql, values)
      expect([sql, plan.match(ground().everyRow)]).toEqual([sql, null])
    }
  })

  it('is counted in one statement, and lets others run while it lists for a callback', async () => {
    const { store, sent } = ground().recorded({ table, createTable: true })
    opened.push(store)
    await fill(4 * PAGE)
    await powersOf(store).lock.acquire('a', 'x', MINUTE)
    sent.length = 0
    expect([await store.length(), sent.length]).toEqual([4 * PAGE + 1, 1])
    for (const verb of ['ids', 'all']) {
      let turns = 0
      const next = () => void (turns++, (turn = setImmediate(next)))
      let turn = setImmediate(next)
      const listed = await new Promise<object>((resolve) =>
        store[verb]((_err: unknown, found: object) => resolve(found))
      )
      clearImmediate(turn)
      expect([verb, Object.keys(listed).length]).toEqual([verb, 4 * PAGE + 1])
      expect(turns).toBeGreaterThanOrEqual(4)
      expect(await store[verb]()).toEqual(listed)
    }
  })

  async function fill(count: number): Promise<void> {
    const { id, text, expires } = ground().columns
    const store = open()
    await create(store, 'model', textOf({}), { usedAt: clock.now, expiresAt: clock.now + 10 * HOUR })
    for (let at = 0; at < count; at += PAGE) {
      const rows = Array.from({ length: PAGE }, (_, i) => {
        const record = textOf({ n: at + i }, { i: `user${(at + i) % 5000}` })
        return `('fill${at + i}', '${record}', (SELECT e FROM (SELECT ${expires} AS e FROM ${inTable()} WHERE ${id} = 'model') AS m))`
      })
      await ground().query(`INSERT INTO ${inTable()} (${id}, ${text}, ${expires}) VALUES ${rows.join(', ')}`)
    }
  }
}
