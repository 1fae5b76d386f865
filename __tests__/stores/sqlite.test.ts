import { once } from 'node:events'
import { statSync, writeFileSync } from 'node:fs'
import { sessions } from '../../lib/index'
import { SqliteStore } from '../../lib/sqlite'
import { secret } from '../helpers/app'
import { Child } from '../helpers/child'
import { TestFolder } from '../helpers/folder'
import { describeSideBySide, type Generations } from '../helpers/incumbents'
import { describeSqlStore, textOf, type SqlGround } from '../helpers/sql-suite'
import { openSqlite } from '../helpers/sqlite'

const expressSession = jest.requireActual('express-session')

const folder = new TestFolder()
const path = folder.at('sessions.db')
const beside = openSqlite(path)

afterAll(() => {
  beside.close()
  folder.remove()
})

const ground: SqlGround = {
  open: (options = {}) => new SqliteStore({ path, ...options }),
  query: async (sql) => {
    const statement = beside.prepare(sql)
    return sql.startsWith('SELECT') ? statement.all() : (statement.run(), [])
  },
  quote: (name) => `"${name}"`,
  columns: { id: 'sid', text: 'sess', expires: 'expired' },
  recorded(options = {}) {
    const sent: [string, unknown[]][] = []
    const database = openSqlite(path)
    const prepare = (sql: string): any => {
      const statement = database.prepare(sql)
      const noted =
        (call: (...values: any[]) => any) =>
        (...values: any[]) => {
          sent.push([sql, values])
          return call.apply(statement, values)
        }
      return { all: noted(statement.all), run: noted(statement.run) }
    }
    const store = new SqliteStore({
      database: { prepare, exec: (sql) => database.exec(sql), close: () => database.close() },
      ...options
    })
    return { store, sent }
  },
  explain: async (sql, values) =>
    beside
      .prepare(`EXPLAIN QUERY PLAN ${sql}`)
      .all(...values)
      .map((row: any) => row.detail)
      .join('\n'),
  place: { sqlite: path },
  sweepSize: 50,
  everyRow: /SCAN (?!CONSTANT)|USE TEMP B-TREE/
}

describe('SqliteStore', () => {
  describeSqlStore(() => ground)

  it('leaves the file whole', () => {
    expect(beside.prepare('PRAGMA integrity_check').all()).toEqual([{ integrity_check: 'ok' }])
  })
})

describe('SqliteStore on a file', () => {
  const open = (options: object = {}) => new SqliteStore({ path, ...options })

  it('clears a table of thousands in one statement: nothing else runs meanwhile', () => {
    const { store, sent } = ground.recorded({ createTable: true })
    for (let i = 0; i < 1500; i++) void store.set(`id${i}`, { cookie: {} })
    void store.clear()
    expect(store.length()).toBe(0)
    expect(sent.filter(([sql]) => sql.startsWith('DELETE'))).toHaveLength(1)
  })

  it('keeps it from other users of the machine', async () => {
    const store = new SqliteStore({ path: folder.at('own.db') })
    await store.set('a', { cookie: {} })
    for (const file of ['own.db', 'own.db-wal', 'own.db-shm']) {
      expect([file, statSync(folder.at(file)).mode & 0o777]).toEqual([file, 0o600])
    }
    await store.close()
  })

  it('answers directly, and closes once and for all what it has opened', async () => {
    const store = open()
    store.set('a', { cookie: {}, n: 1 })
    expect(store.get('a')).toEqual({ cookie: {}, n: 1 })
    expect([store.ids(), store.length()]).toEqual([['a'], 1])
    store.clear()
    await store.close()
    await store.close()
    expect(() => store.get('a')).toThrow(expect.objectContaining({ code: 'ERR_SESSION_STORE' }))
  })

  it('leaves a database that it was given open', async () => {
    const store = new SqliteStore({ database: beside as never, createTable: true })
    await store.close()
    expect(beside.prepare('SELECT 1 AS one').get()).toEqual({ one: 1 })
  })

  it.each([
    ['nothing', {}, /`path` must be the path of a file, got undefined/],
    ['both', { path: 'a', database: beside }, /either `path` or `database`/],
    ['something else', { database: {} }, /`database` must be an open database/],
    [
      'a negative wait',
      { path: 'a', busyTimeout: -1 },
      /`busyTimeout` must be milliseconds from 0 to 2147483647, got -1/
    ],
    [
      'a wait that SQLite takes for none',
      { path: 'a', busyTimeout: 2 ** 31 },
      /`busyTimeout` must be milliseconds from 0 to/
    ]
  ])('refuses %s', (_name, options, message) => {
    expect(() => new SqliteStore(options as never)).toThrow(message)
  })

  it('is made once, whoever of ten processes comes first', async () => {
    const children = await Promise.all(Array.from({ length: 10 }, () => Child.start('sql-child')))
    const place = { sqlite: folder.at('ten.db') }
    const made = await Promise.all(
      children.map((child) => child.call('create', place, 'a', textOf({ pid: child.process.pid })))
    )
    expect(made.filter((answer) => answer === true)).toHaveLength(1)
    await Promise.all(children.map((child) => child.kill()))
  })
})

describe('SqliteStore, when SQLite fails,', () => {
  const store = () => {
    const database = openSqlite(path)
    return { database, store: new SqliteStore({ database: database as never, table: 'faults', createTable: true }) }
  }
  const fails = (message: RegExp) =>
    expect.objectContaining({
      code: 'ERR_SESSION_STORE',
      status: 503,
      message: expect.stringMatching(message),
      cause: expect.objectContaining({ message: expect.any(String) })
    })

  it('is told of without being asked for its sessions', async () => {
    const { database, store: closed } = store()
    const auth = sessions({ secret, store: closed })
    await auth.create({})
    database.close()
    expect(auth.stats()).toMatchObject({ created: 1, active: 1 })
  })

  it('says so where another process holds it for too long, and goes on afterwards', async () => {
    const waiting = new SqliteStore({ path, busyTimeout: 10 })
    waiting.set('a', { cookie: {} })
    const other = await Child.start('sql-child')
    await other.call('holdFile', path)
    expect(() => waiting.set('a', { cookie: {} })).toThrow(fails(/SQLITE_BUSY .*busyTimeout/))
    expect(waiting.get('a')).toEqual({ cookie: {} })
    await other.kill()
    waiting.set('a', { cookie: {}, n: 1 })
    expect(waiting.get('a')).toEqual({ cookie: {}, n: 1 })
    waiting.destroy('a')
    await waiting.close()
  })

  it('says so where nothing can be written, and reads on', async () => {
    const { database, store: limited } = store()
    limited.set('a', { cookie: {}, n: 1 })
    database.exec('PRAGMA query_only = 1')
    expect(() => limited.set('a', { cookie: {}, n: 2 })).toThrow(fails(/SQLITE_READONLY/))
    expect(() => limited.destroy('a')).toThrow(fails(/SQLITE_READONLY/))
    expect(limited.get('a')).toEqual({ cookie: {}, n: 1 })
    database.exec('PRAGMA query_only = 0')
    limited.destroy('a')
    await limited.close()
  })

  it('says so where the disk is full, and nothing is half written', async () => {
    const { database, store: limited } = store()
    limited.set('a', { cookie: {}, n: 1 })
    database.exec(`PRAGMA max_page_count = ${String(database.prepare('PRAGMA page_count').get().page_count)}`)
    const large = { cookie: {}, n: 'x'.repeat(1_000_000) }
    expect(() => limited.set('a', large)).toThrow(fails(/SQLITE_FULL \(the disk is full\)/))
    expect(limited.get('a')).toEqual({ cookie: {}, n: 1 })
    limited.destroy('a')
    await limited.close()
  })

  it('says so where the file is no database, or no file', () => {
    writeFileSync(folder.at('text.db'), 'This is a text, and no database at all. '.repeat(100))
    expect(() => new SqliteStore({ path: folder.at('text.db') })).toThrow(/cannot open.*SQLITE_NOTADB/)
    expect(() => new SqliteStore({ path: folder.at('none', 'a.db') })).toThrow(/cannot open.*ENOENT/)
  })

  it('says so where the table is none of sessions', () => {
    beside.exec('CREATE TABLE other (id, name)')
    expect(() => new SqliteStore({ path, table: 'other' }).get('a')).toThrow(
      /has the columns id, name, and must have sid/
    )
  })
})

describe('SqliteStore, having migrated the table of connect-sqlite3,', () => {
  let generations: Generations

  beforeAll(async () => {
    const theirs = new (require('connect-sqlite3')(expressSession))({ dir: folder.path, db: 'old.db' })
    await once(theirs.client, 'connect')
    const ours = new SqliteStore({ path: folder.at('old.db'), createTable: false })
    expect(ours.migrate()).toHaveLength(2)
    expect(ours.migrate()).toEqual([])
    const table = openSqlite(folder.at('old.db'))
    const row = async (id: string): Promise<any> =>
      table.prepare('SELECT sess AS text, expired AS expires FROM sessions WHERE sid = ?').get(id)
    generations = { theirs, ours, row }
  })

  afterAll(async () => {
    await generations.ours.close()
    await new Promise((resolve) => generations.theirs.db.close(resolve))
  })

  describeSideBySide('connect-sqlite3', () => generations)
})

describe('SqliteStore, having migrated the table of better-sqlite3-session-store,', () => {
  let generations: Generations

  beforeAll(() => {
    const client = openSqlite(folder.at('older.db'))
    jest.spyOn(globalThis, 'setInterval').mockReturnValueOnce(undefined as never)
    const theirs = new (require('better-sqlite3-session-store')(expressSession))({ client })
    jest.mocked(globalThis.setInterval).mockRestore()
    const ours = new SqliteStore({ database: client as never })
    expect(ours.migrate()).toHaveLength(2)
    expect(ours.migrate()).toEqual([])
    const row = async (id: string) => {
      const { text, expire } = client.prepare('SELECT sess AS text, expire FROM sessions WHERE sid = ?').get(id) as any
      return { text, expires: Date.parse(expire) }
    }
    generations = { theirs, ours, row }
  })

  afterAll(() => generations.ours.close())

  describeSideBySide('better-sqlite3-session-store', () => generations)
})
