import { MysqlStore } from '../../lib/mysql'
import { describeSideBySide, type Generations } from '../helpers/incumbents'
import { expectFreeLockAfterKill } from '../helpers/race'
import { until } from '../helpers/redis-server'
import { startMariadb, type Database } from '../helpers/servers'
import { describeSqlFaults } from '../helpers/sql-faults'
import { describeSqlStore, lifeFor, powersOf, textOf, type SqlGround } from '../helpers/sql-suite'

const mysql: any = require('mysql2/promise')
const callbackMysql: any = require('mysql2')
const expressSession = jest.requireActual('express-session')

let server: Database
let pool: any
const pools: any[] = []

const connect = (options: object = {}, from = mysql) => {
  const made = from.createPool({ host: '127.0.0.1', port: server.port, user: 'root', database: 'test', ...options })
  pools.push(made)
  return made
}

type Execute = (connection: any, sql: string, values: unknown[], answer: (err?: Error) => void) => unknown

/** The pool, whose connections do something else for each statement. */
const poolWith = (execute: Execute): any => ({
  execute: () => undefined,
  getConnection: (answer: any) =>
    pool.pool.getConnection((err: Error | null, connection: any) =>
      answer(err, {
        execute: (sql: string, values: unknown[], done: any) => execute(connection, sql, values, done),
        release: () => connection?.release(),
        destroy: () => connection?.destroy()
      })
    )
})

beforeAll(async () => {
  server = await startMariadb()
  pool = connect()
})

afterAll(async () => {
  await Promise.all(pools.map((each) => each.end()))
  await server?.stop()
})

const ground: SqlGround = {
  open: (options = {}) => new MysqlStore({ pool, ...options }),
  query: async (sql) => (await pool.query(sql))[0],
  quote: (name) => `\`${name}\``,
  columns: { id: 'session_id', text: 'data', expires: 'expires' },
  recorded(options = {}) {
    const sent: [string, unknown[]][] = []
    const recording = poolWith((connection, sql, values, answer) => {
      sent.push([sql, values])
      return connection.execute(sql, values, answer)
    })
    return { store: new MysqlStore({ pool: recording, ...options }), sent }
  },
  async explain(sql, values) {
    if (sql.startsWith('INSERT')) return ''
    const [rows] = await pool.execute(`EXPLAIN ${sql}`, values)
    return rows.map((row: any) => `${row.type} ${row.key} ${row.Extra}`).join('\n')
  },
  get place() {
    return { mysql: `mysql://root@127.0.0.1:${server.port}/test` }
  },
  sweepSize: 500,
  everyRow: /^(ALL|index) |filesort/m
}

describe('MysqlStore', () => {
  describeSqlStore(() => ground)

  it('lists an ID that begins with a control character', async () => {
    const store = new MysqlStore({ pool, table: 'control', createTable: true, sweepEvery: null })
    const ids = ['\0id', '\tid', '\x1f', 'id']
    for (const id of ids) await store.set(id, { cookie: {} })
    expect((await store.ids()).sort()).toEqual(ids)
    expect(await store.length()).toBe(ids.length)
  })

  it('frees the lock of a process that was killed', () => expectFreeLockAfterKill({ ...ground.place, table: 'held' }))
})

describe('MysqlStore, having migrated the table of express-mysql-session,', () => {
  let generations: Generations

  beforeAll(async () => {
    const shared = connect()
    const theirs = new (require('express-mysql-session')(expressSession))({ clearExpired: false }, shared)
    await theirs.onReady()
    const ours = new MysqlStore({ pool: shared })
    expect(await ours.migrate()).toEqual([
      expect.stringMatching(/sessions_expiry.*LOCK=NONE$/),
      expect.stringMatching(/ADD COLUMN .*VIRTUAL, ALGORITHM=INPLACE$/),
      expect.stringMatching(/sessions_user.*LOCK=NONE$/)
    ])
    expect(await ours.migrate()).toEqual([])
    const row = async (id: string) => {
      const [rows] = await shared.query('SELECT data AS text, expires FROM sessions WHERE session_id = ?', [id])
      return { text: rows[0].text, expires: rows[0].expires * 1000 }
    }
    generations = { theirs, ours, row }
  })

  afterAll(() => generations.ours.close())

  describeSideBySide('express-mysql-session', () => generations)
})

describe('MysqlStore options', () => {
  it.each([
    ['no pool', {}, /`pool` must be a pool of mysql2, got undefined/],
    ['something else as pool', { pool: { query() {} } }, /`pool` must be a pool of mysql2, got an object/],
    [
      'no time',
      { pool: { getConnection() {}, execute() {} }, timeout: 0 },
      /`timeout` must be milliseconds from 1 to 2147483647, got 0/
    ],
    [
      'more than a timer waits',
      { pool: { getConnection() {}, execute() {} }, timeout: 2 ** 31 },
      /`timeout` must be milliseconds from 1 to/
    ]
  ])('refuses %s', (_name, options, message) => {
    expect(() => new MysqlStore(options as never)).toThrow(message)
  })

  it.each([
    ['a pool with callbacks', () => connect({}, callbackMysql)],
    ['a pool that counts changed rows', () => connect({ flags: '-FOUND_ROWS' })],
    ['a pool that answers lists', () => connect({ rowsAsArray: true, namedPlaceholders: true })],
    ['a pool of another time zone and character set', () => connect({ timezone: '+05:30', charset: 'latin1' })],
    [
      'a server that takes no backslash, and double quotes for names',
      () => {
        const made = connect()
        const modes = `SET SESSION sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES'`
        made.pool.on('connection', (connection: any) => connection.query(modes))
        return made
      }
    ]
  ])('take %s', async (_name, make) => {
    const store = new MysqlStore({ pool: make(), table: 'various', createTable: true })
    const powers = powersOf(store)
    const text = textOf({ n: 1, text: 'caf\u00e9 "\\' }, { i: 'ann' })
    expect(await powers.write({ id: 'a', text, expected: null, life: lifeFor() })).toBe(true)
    expect(await powers.write({ id: 'a', text, expected: null, life: lifeFor() })).toMatchObject({ text })
    const life = lifeFor()
    expect(await powers.write({ id: 'a', text, expected: text, life })).toBe(true)
    expect(await powers.write({ id: 'a', text, expected: text, life })).toBe(true)
    const later = { ...life, usedAt: life.usedAt + 1 }
    expect([await powers.extend('a', later), await powers.extend('a', later)]).toEqual([true, true])
    expect((await powers.list('ann')).map(({ id }: any) => id)).toEqual(['a'])
    expect(await powers.lock.acquire('a', 'x', 60_000)).toBe(true)
    expect([await powers.lock.renew('a', 'x', 60_000), await powers.lock.renew('a', 'x', 60_000)]).toEqual([true, true])
    await powers.lock.release('a', 'x')
    expect(await store.get('a')).toMatchObject({ n: 1, text: 'caf\u00e9 "\\' })
    expect([await powers.remove('a'), await powers.remove('a')]).toEqual([true, false])
    await store.close()
  })

  it('take a column of the type JSON, and one whose collation knows no case', async () => {
    await pool.query(
      'CREATE TABLE typed (session_id varchar(128) PRIMARY KEY, expires int unsigned NOT NULL, data JSON)'
    )
    await pool.query(
      'CREATE TABLE careless (session_id varchar(128) PRIMARY KEY, expires int unsigned NOT NULL, data mediumtext) COLLATE utf8mb4_general_ci'
    )
    for (const table of ['typed', 'careless']) {
      const store = new MysqlStore({ pool, table })
      await store.migrate()
      const powers = powersOf(store)
      const [text, like] = [textOf({ x: 'Ann' }), textOf({ x: 'ann' })]
      expect(await powers.write({ id: 'a', text, expected: null, life: lifeFor() })).toBe(true)
      expect(await powers.write({ id: 'a', text: like, expected: like, life: lifeFor() })).toMatchObject({ text })
      expect(await powers.write({ id: 'a', text: like, expected: text, life: lifeFor() })).toBe(true)
      expect(await store.all()).toMatchObject({ a: { x: 'ann' } })
      await store.close()
    }
  })

  it('warn where the server would cut what is too long', async () => {
    const { pool: lax } = connect()
    const warnings = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    try {
      await new MysqlStore({ pool, table: 'strict', createTable: true }).set('a', { cookie: {} } as never)
      expect(warnings).not.toHaveBeenCalled()
      lax.on('connection', (connection: any) => connection.query(`SET SESSION sql_mode = ''`))
      await new MysqlStore({ pool: lax, table: 'strict' }).get('a')
      expect(warnings.mock.calls).toEqual([
        [expect.stringMatching(/strict/), expect.objectContaining({ code: 'SILVERBACK_SQL_MODE' })]
      ])
    } finally {
      warnings.mockRestore()
    }
  })
})

describe('MysqlStore, when the server fails,', () => {
  const open = async ({ session, pool: limits, ...options }: Record<string, any> = {}, { port } = server) => {
    const own = connect({ port, connectionLimit: 4, connectTimeout: 20_000, ...limits })
    for (const [name, value] of Object.entries(session ?? {})) {
      own.pool.on('connection', (connection: any) => connection.query(`SET SESSION ${name} = ${value}`))
    }
    const store = new MysqlStore({ pool: own, table: 'faults', createTable: true, ...options })
    const whole = async () => {
      // Of one that the server has ended the pool may hear only when it is used.
      const works = await Promise.allSettled([1, 2, 3, 4].map(() => own.query('SELECT 1')))
      if (works.some(({ status }) => status === 'rejected')) return false
      const { _allConnections: all, _freeConnections: free, _connectionQueue: queue } = own.pool
      return queue.length === 0 && free.length === all.length
    }
    const takeAll = async () => {
      const taken = await Promise.all([1, 2, 3, 4].map(() => own.getConnection()))
      return () => taken.forEach((connection) => connection.release())
    }
    return { store, whole, takeAll }
  }

  describeSqlFaults({
    open,
    async full() {
      // All tables in one file, with a limit that the next start lifts.
      const files = (most: string) => `--innodb-data-file-path=ibdata1:12M:autoextend${most}`
      const limits = ['--innodb-file-per-table=0', files(':max:24M')]
      const small = await startMariadb(limits)
      const makeRoom = () => {
        limits[1] = files('')
        return small.restart()
      }
      return { ...(await open({ table: 'full' }, small)), makeRoom, end: () => small.stop() }
    },
    fullCode: 'ER_RECORD_FILE_FULL',
    waits: [
      [
        'innodb_lock_wait_timeout',
        { innodb_lock_wait_timeout: 0 },
        { code: 'ER_LOCK_WAIT_TIMEOUT' },
        /held the row for too long/
      ],
      ['max_statement_time', { max_statement_time: 0.05 }, { errno: 1969 }, /the statement took too long/]
    ],
    patience: { waitForConnections: false },
    async holdRow(table, id) {
      const connection = await pool.getConnection()
      await connection.query('BEGIN')
      await connection.query(`SELECT 1 FROM ${table} WHERE session_id = ? FOR UPDATE`, [id])
      return () => connection.query('ROLLBACK').then(() => connection.release())
    },
    server: () => server,
    beside: async (sql) => (await pool.query(sql))[0],
    readOnly: (on) => `SET GLOBAL tx_read_only = ${on ? 1 : 0}`,
    async endConnections() {
      const [rows] = await pool.query('SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID()')
      for (const { id } of rows) await pool.query(`KILL CONNECTION ${id}`).catch(() => undefined)
    },
    readOnlyCode: 'ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION'
  })

  it('does not carry out what has waited for a connection for longer than timeout', async () => {
    const { store: patient } = await open()
    await patient.set('a', { cookie: {}, n: 1 })
    const { store, whole, takeAll } = await open({ timeout: 50, createTable: false })
    const letGo = await takeAll()
    await expect(store.set('a', { cookie: {}, n: 2 })).rejects.toThrow('MySQL did not answer')
    letGo()
    await until(whole, 'the pool is whole')
    expect(await patient.get('a')).toEqual({ cookie: {}, n: 1 })
    await Promise.all([store.close(), patient.close()])
  })

  it('tries again what a deadlock has undone', async () => {
    const store = new MysqlStore({ pool, table: 'deadlocks', createTable: true })
    const powers = powersOf(store)
    for (const id of ['a', 'b']) await powers.write({ id, text: textOf({ n: 0 }), expected: null, life: lifeFor() })
    let [undone, times] = [0, 2]
    const failing = poolWith((connection, sql, values, answer) => {
      const deadlock = Object.assign(new Error('Deadlock found'), { errno: 1213, code: 'ER_LOCK_DEADLOCK' })
      return undone++ < times ? answer(deadlock) : connection.execute(sql, values, answer)
    })
    const victim = new MysqlStore({ pool: failing, table: 'deadlocks' })
    expect(await victim.get('a')).toMatchObject({ n: 0 })
    // But not for ever.
    ;[undone, times] = [0, Infinity]
    await expect(victim.get('a')).rejects.toMatchObject({ status: 503, cause: { code: 'ER_LOCK_DEADLOCK' } })
    expect(undone).toBe(5)
    await victim.close()
    await store.close()
  })

  it('puts neither an ID nor data into an error', async () => {
    const store = new MysqlStore({ pool, table: 'quiet', createTable: true })
    await store.ids()
    await pool.query('ALTER TABLE quiet MODIFY data varchar(100)')
    const fails = await Promise.resolve(store.set('the-id', { cookie: {}, secret: 'the-data'.repeat(20) })).catch(
      (err) => err
    )
    expect(fails).toMatchObject({ code: 'ERR_SESSION_TOO_LARGE', kind: 'usage', cause: { code: 'ER_DATA_TOO_LONG' } })
    expect(require('node:util').inspect(fails, { depth: 9, showHidden: true })).not.toMatch(/the-id|the-data/)
    await store.close()
  })

  it('puts no ID into an error of a column that does not take it, whatever quotes it has', async () => {
    const store = new MysqlStore({ pool, table: 'numbers', createTable: true })
    await store.ids()
    await pool.query('ALTER TABLE numbers MODIFY session_id int')
    const fails = await Promise.resolve(store.set("the' id-of' me", { cookie: {} })).catch((err) => err)
    expect(fails.cause.message).toMatch(/^[^']*'\.\.\.'[^']*$/)
    expect(require('node:util').inspect(fails, { depth: 9, showHidden: true })).not.toMatch(/id-of| me/)
    await store.close()
  })
})
