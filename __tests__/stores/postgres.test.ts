import { setTimeout as delay } from 'node:timers/promises'
import request from 'supertest'
import { sessions } from '../../lib/index'
import { PostgresStore } from '../../lib/postgres'
import { META } from '../../lib/record/record'
import { appWith, secret } from '../helpers/app'
import { describeSideBySide, type Generations } from '../helpers/incumbents'
import { expectFreeLockAfterKill } from '../helpers/race'
import { startPostgres, type Database } from '../helpers/servers'
import { describeSqlFaults } from '../helpers/sql-faults'
import { describeSqlStore, lifeFor, powersOf, textOf, type SqlGround } from '../helpers/sql-suite'

const { Pool }: any = require('pg')
const expressSession = jest.requireActual('express-session')

let server: Database
let pool: any
const pools: any[] = []

const connect = (options: object = {}) => {
  const made = new Pool({ host: '127.0.0.1', port: server.port, user: 'postgres', database: 'postgres', ...options })
  pools.push(made)
  return made
}

beforeAll(async () => {
  server = await startPostgres()
  pool = connect()
})

afterAll(async () => {
  await Promise.all(pools.map((each) => each.end()))
  await server?.stop()
})

const ground: SqlGround = {
  open: (options = {}) => new PostgresStore({ pool, ...options }),
  query: async (sql) => (await pool.query(sql)).rows,
  quote: (name) => `"${name}"`,
  columns: { id: 'sid', text: 'sess', expires: 'expire' },
  recorded(options = {}) {
    const sent: [string, unknown[]][] = []
    const recording = {
      connect: () => pool.connect(),
      query(query: any) {
        sent.push([query.text, query.values ?? []])
        return pool.query(query)
      }
    }
    return { store: new PostgresStore({ pool: recording, ...options }), sent }
  },
  async explain(sql, values) {
    await pool.query('ANALYZE')
    const { rows } = await pool.query(`EXPLAIN ${sql}`, values)
    return rows.map((row: any) => row['QUERY PLAN']).join('\n')
  },
  get place() {
    return { postgres: `postgres://postgres@127.0.0.1:${server.port}/postgres` }
  },
  sweepSize: 500,
  everyRow: /Seq Scan/
}

describe('PostgresStore', () => {
  describeSqlStore(() => ground)

  it('frees the lock of a process that was killed', () => expectFreeLockAfterKill({ ...ground.place, table: 'held' }))
})

it('PostgresStore waits in close() for what is under way: a pool that ends drops what has no connection yet', async () => {
  const own = new Pool({ host: '127.0.0.1', port: server.port, user: 'postgres', database: 'postgres', max: 1 })
  const store = new PostgresStore({ pool: own, createTable: true, table: 'closed' })
  await store.set('a', { cookie: {} })
  const set = Promise.all(['b', 'c', 'd'].map((id) => store.set(id, { cookie: {} })))
  await store.close()
  await own.end()
  await set
  expect((await pool.query('SELECT sid FROM closed ORDER BY sid')).rows.map(({ sid }: any) => sid)).toEqual([...'abcd'])
})

it('PostgresStore waits in close() for what the middleware and the manager have under way, too', async () => {
  const own = new Pool({ host: '127.0.0.1', port: server.port, user: 'postgres', database: 'postgres', max: 1 })
  const store = new PostgresStore({ pool: own, createTable: true, table: 'closed_behind' })
  const auth = sessions({ secret, store })
  const app = appWith(auth, { '/': (req, res) => res.json((req.session.a = 1)) })
  await auth.create({})
  const held = await own.connect()
  const visited = request(app).get('/').then()
  while (own.waitingCount === 0) await delay(1)
  const created = auth.create({})
  const closed = store.close()
  expect(await Promise.race([closed, delay(50, 'waits')])).toBe('waits')
  held.release()
  await closed
  await own.end()
  await created
  expect((await visited).status).toBe(200)
  expect((await pool.query('SELECT sid FROM closed_behind')).rowCount).toBe(3)
})

it('PostgresStore ends close() also where the pool has no connection to give', async () => {
  const own = connect({ max: 1 })
  const store = new PostgresStore({ pool: own, createTable: true, table: 'closed_late' })
  const auth = sessions({ secret, store, storeTimeout: 60_000 })
  await auth.create({})
  const held = await own.connect()
  const created = auth.create({})
  await store.close()
  held.release()
  await created
}, 20_000)

describe('PostgresStore on a column of jsonb', () => {
  let store: PostgresStore

  beforeAll(async () => {
    await pool.query(
      'CREATE TABLE binary_ (sid varchar PRIMARY KEY, sess jsonb NOT NULL, expire timestamp(6) NOT NULL)'
    )
    store = new PostgresStore({ pool, table: 'binary_' })
  })

  afterAll(() => store.close())

  it('adds both indexes without locking anybody out, once', async () => {
    const done = await store.migrate()
    expect(done).toEqual([expect.stringMatching(/^CREATE INDEX CONCURRENTLY/), expect.stringMatching(/binary__user/)])
    expect(await store.migrate()).toEqual([])
  })

  it('builds anew an index that an attempt has left behind', async () => {
    await pool.query(`UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'binary__user'::regclass`)
    expect(await store.migrate()).toEqual([expect.stringMatching(/^REINDEX INDEX CONCURRENTLY/)])
    expect(await store.migrate()).toEqual([])
  })

  it('writes over what it has read, and over what it has written', async () => {
    const powers = powersOf(store)
    const [one, two, three] = [textOf({ b: 1, aa: { z: 1, y: [1.5] } }), textOf({ n: 2 }), textOf({ n: 3 })]
    const write = (text: string, expected: string | null) => powers.write({ id: 'a', text, expected, life: lifeFor() })
    expect(await write(one, null)).toBe(true)
    const { text } = await powers.read('a')
    expect(JSON.parse(text)).toEqual(JSON.parse(one))
    expect(await write(two, text)).toBe(true)
    expect(await write(three, two)).toBe(true)
    expect(JSON.parse((await write(one, two)).text)).toEqual(JSON.parse(three))
  })

  it('extends what does not lead on, and lists users', async () => {
    const powers = powersOf(store)
    const create = (id: string, meta: object) =>
      powers.write({ id, text: textOf({ id }, { u: 1, ...meta }), expected: null, life: lifeFor() })
    await create('x', { i: 'ann' })
    await create('y', { n: 'x', g: 1 })
    const life = lifeFor()
    expect([await powers.extend('x', life), await powers.extend('y', life)]).toEqual([true, false])
    expect(JSON.parse((await powers.read('x')).text)[META].u).toBe(life.usedAt)
    expect((await powers.list('ann')).map(({ id }: any) => id)).toEqual(['x'])
    expect(await powers.lock.acquire('x', 'one', 1000)).toBe(true)
    expect(await powers.lock.acquire('x', 'one', 1000)).toBe(true)
    expect(await powers.lock.acquire('x', 'two', 1000)).toBe(false)
    await powers.lock.release('x', 'one')
    expect(await powers.lock.acquire('x', 'two', 1000)).toBe(true)
  })
})

describe('PostgresStore, having migrated the table of connect-pg-simple,', () => {
  let generations: Generations

  beforeAll(async () => {
    // Far from UTC, as all connections of an application are, or none.
    const abroad = connect({ options: '-c TimeZone=Asia/Kolkata' })
    const theirs = new (require('connect-pg-simple')(expressSession))({
      pool: abroad,
      createTableIfMissing: true,
      pruneSessionInterval: false
    })
    await theirs._ensureSessionStoreTable()
    const ours = new PostgresStore({ pool: abroad })
    expect(await ours.migrate()).toEqual([expect.stringMatching(/^CREATE INDEX CONCURRENTLY .*"session_user"/)])
    expect(await ours.migrate()).toEqual([])
    const row = async (id: string) => {
      const sql =
        'SELECT sess::text AS text, extract(epoch FROM expire::timestamptz)::float8 * 1000 AS expires FROM session WHERE sid = $1'
      return (await abroad.query(sql, [id])).rows[0]
    }
    generations = { theirs, ours, row }
  })

  afterAll(() => generations.ours.close())

  describeSideBySide('connect-pg-simple', () => generations)
})

describe('PostgresStore options', () => {
  it('take a column that pads IDs, also where several are read at once', async () => {
    await pool.query('CREATE TABLE padded (sid char(40) PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL)')
    const store = new PostgresStore({ pool, table: 'padded' })
    for (const id of ['a', 'b']) await store.set(id, { cookie: {}, id } as never)
    const found = await Promise.all(['a', 'b', 'c'].map((id) => powersOf(store).read(id)))
    expect(found.map((each) => each && JSON.parse(each.text).id)).toEqual(['a', 'b', null])
    await store.close()
  })

  it.each([
    ['no pool', {}, /`pool` must be a Pool of pg, got undefined/],
    ['something else as pool', { pool: { query() {} } }, /`pool` must be a Pool of pg, got an object/],
    ['a schema that is none', { pool: new Pool(), schema: 'a"b' }, /`schema` must be 1 to 40/],
    ['no time', { pool: new Pool(), timeout: 0 }, /`timeout` must be milliseconds from 1 to 2147483647, got 0/],
    ['more than a timer waits', { pool: new Pool(), timeout: 2 ** 31 }, /`timeout` must be milliseconds from 1 to/]
  ])('refuses %s', (_name, options, message) => {
    expect(() => new PostgresStore(options as never)).toThrow(message)
  })

  it.each(['26000', '42P05'])('say what to do where a pooler loses prepared statements (%s)', async (code) => {
    // PgBouncer before 1.21, by transaction.
    const query = () => Promise.reject(Object.assign(new Error('prepared statement "x"'), { code }))
    const store = new PostgresStore({ pool: { connect: query, query } as never })
    await expect(store.get('a')).rejects.toThrow(`PostgreSQL failed: ${code}`)
    await expect(store.get('a')).rejects.toThrow('prepare: false')
    await store.close()
  })

  it('work in a schema of their own, and without prepared statements', async () => {
    await pool.query('CREATE SCHEMA "Own schema"')
    const prepared = jest.fn((query: any) => pool.query(query))
    const store = new PostgresStore({
      pool: { connect: () => pool.connect(), query: prepared } as never,
      schema: 'Own schema',
      createTable: true,
      prepare: false
    })
    await store.set('a', { cookie: {}, n: 1 })
    expect(await store.get('a')).toEqual({ cookie: {}, n: 1 })
    expect((await pool.query('SELECT sid FROM "Own schema".session')).rows).toEqual([{ sid: 'a' }])
    expect(prepared.mock.calls.filter(([query]) => query.name)).toEqual([])
    await store.close()
  })
})

describe('PostgresStore, when PostgreSQL fails,', () => {
  const open = async ({ session = {}, pool: limits, ...options }: Record<string, any> = {}) => {
    const settings = Object.entries(session).map(([name, value]) => `-c ${name}=${value}`)
    const own = connect({ max: 4, connectionTimeoutMillis: 20_000, options: settings.join(' '), ...limits })
    const store = new PostgresStore({ pool: own, table: 'faults', createTable: true, ...options })
    const whole = async () => {
      // Every connection is back, and works.
      const works = await Promise.allSettled([1, 2, 3, 4].map(() => own.query('SELECT 1')))
      if (works.some(({ status }) => status === 'rejected')) return false
      return own.waitingCount === 0 && own.idleCount === own.totalCount
    }
    const takeAll = async () => {
      const taken = await Promise.all([1, 2, 3, 4].map(() => own.connect()))
      return () => taken.forEach((client) => client.release())
    }
    return { store, whole, takeAll }
  }
  // More than the log of what was written takes, and no whole number of pages.
  const FULL = 20_004_000

  describeSqlFaults({
    open,
    async full() {
      const opened = await open({ table: 'full' })
      await opened.store.length()
      server.limitFiles(FULL)
      return { ...opened, makeRoom: () => server.limitFiles(), end: () => server.limitFiles() }
    },
    fullCode: '53100',
    waits: [
      ['lock_timeout', { lock_timeout: 50 }, { code: '55P03' }, /another transaction has held the row for too long/],
      ['statement_timeout', { statement_timeout: 50 }, { code: '57014' }, /the statement took too long/]
    ],
    patience: { connectionTimeoutMillis: 500 },
    async holdRow(table, id) {
      const client = await pool.connect()
      await client.query('BEGIN')
      await client.query(`SELECT FROM ${table} WHERE sid = $1 FOR UPDATE`, [id])
      return () => client.query('ROLLBACK').then(() => client.release())
    },
    server: () => server,
    beside: async (sql) => (await pool.query(sql)).rows,
    readOnly: (on) => `ALTER ROLE postgres SET default_transaction_read_only = ${on ? 'on' : 'off'}`,
    endConnections: () =>
      pool.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = 'postgres'`
      ),
    readOnlyCode: '25006'
  })

  it('tries again what a deadlock or a serializable transaction has undone', async () => {
    const serializable = connect({ options: '-c default_transaction_isolation=serializable' })
    const store = new PostgresStore({ pool: serializable, table: 'serial', createTable: true })
    const powers = powersOf(store)
    await powers.write({ id: 'a', text: textOf({ n: 0 }), expected: null, life: lifeFor() })
    const increment = async () => {
      for (;;) {
        const { text } = await powers.read('a')
        const next = textOf({ n: JSON.parse(text).n + 1 })
        if ((await powers.write({ id: 'a', text: next, expected: text, life: lifeFor() })) === true) return
      }
    }
    await Promise.all(Array.from({ length: 30 }, increment))
    expect(await store.get('a')).toMatchObject({ n: 30 })
    await store.close()
    const query = jest.fn(() => Promise.reject(Object.assign(new Error('deadlock detected'), { code: '40P01' })))
    const victim = new PostgresStore({ pool: { query, connect: () => undefined } as never })
    await expect(victim.get('a')).rejects.toMatchObject({ status: 503, cause: { code: '40P01' } })
    expect(query).toHaveBeenCalledTimes(5)
    await victim.close()
  })

  it('puts neither an ID nor data into an error', async () => {
    const store = new PostgresStore({ pool, table: 'quiet', createTable: true })
    await store.ids()
    await pool.query('ALTER TABLE quiet ADD CONSTRAINT short CHECK (length(sess::text) < 100)')
    const fails = await Promise.resolve(store.set('the-id', { cookie: {}, secret: 'the-data'.repeat(20) })).catch(
      (err) => err
    )
    expect(fails).toMatchObject({ code: 'ERR_SESSION_STORE', status: 503, cause: { code: '23514' } })
    expect(require('node:util').inspect(fails, { depth: 9, showHidden: true })).not.toMatch(/the-id|the-data/)
    await store.close()
  })

  it('puts no ID into an error of a column that does not take it', async () => {
    await pool.query('CREATE TABLE uuids (sid uuid PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL)')
    const store = new PostgresStore({ pool, table: 'uuids' })
    const fails = await Promise.resolve(store.get('the"-id')).catch((err) => err)
    expect(fails).toMatchObject({ cause: { code: '22P02', message: 'invalid input syntax for type uuid: "..."' } })
    expect(require('node:util').inspect(fails, { depth: 9, showHidden: true })).not.toContain('-id')
    await store.close()
  })
})
