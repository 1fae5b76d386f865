import { closeSync, openSync } from 'node:fs'
import { SessionError } from '../../base/errors'
import type { Milliseconds } from '../../base/time'
import type { Answered, Driver } from './dialect'

interface Prepared {
  all(...values: unknown[]): unknown[]
  run(...values: unknown[]): { changes: number | bigint }
}

/** An open database: a `DatabaseSync` of `node:sqlite`, or one of better-sqlite3. */
export interface SqliteDatabase {
  prepare(sql: string): Prepared
  exec(sql: string): unknown
  close(): unknown
}

export interface Opening {
  busyTimeout: Milliseconds
  durable: boolean
}

// Not written where it is loaded: bundlers would look for a package that need not be there.
const PEER = 'better-sqlite3'
const PAUSE: Milliseconds = 20

export function sqliteDriver(database: SqliteDatabase): Driver {
  const known = new Map<string, Prepared>()
  return {
    sync: true,
    run({ sql, selects }, values) {
      let prepared = known.get(sql)
      if (prepared === undefined) known.set(sql, (prepared = database.prepare(sql)))
      if (selects) return { rows: prepared.all(...values) as Answered['rows'], changes: 0 }
      return { rows: [], changes: Number(prepared.run(...values).changes) }
    },
    define: (sql) => database.exec(sql)
  }
}

/**
 * Opens a database file, with a write-ahead log: who reads and who writes do not wait for each other.
 * @throws {SessionError} when there is nothing to open it with
 */
export function openDatabase(path: string, { busyTimeout, durable }: Opening): SqliteDatabase {
  // SQLite gives its log the mode of the file.
  if (path !== ':memory:') closeSync(openSync(path, 'a', 0o600))
  const Database = databaseClass()
  const database = new Database(path)
  database.exec(`PRAGMA busy_timeout = ${Math.ceil(busyTimeout)}`)
  // Another process that is about to do the same makes this one fail at once, whatever the busy timeout.
  patiently(busyTimeout, () => database.exec('PRAGMA journal_mode = WAL'))
  database.exec(`PRAGMA synchronous = ${durable ? 'FULL' : 'NORMAL'}`)
  return database
}

type DatabaseClass = new (path: string) => SqliteDatabase

function databaseClass(): DatabaseClass {
  const since22 = process as { getBuiltinModule?(name: string): { DatabaseSync: DatabaseClass } | undefined }
  const builtin = since22.getBuiltinModule?.('node:sqlite')
  if (builtin !== undefined) return builtin.DatabaseSync
  try {
    return require(PEER) as DatabaseClass
  } catch (cause) {
    throw new SessionError(
      'ERR_SESSION_STORE',
      `Node.js ${process.versions.node} has no node:sqlite (22.13 and later have), and ${PEER} cannot be loaded: ` +
        `install it, or take a later Node.js.`,
      { cause }
    )
  }
}

function patiently(patience: Milliseconds, work: () => unknown): void {
  for (let left = patience; ; left -= PAUSE) {
    try {
      work()
      return
    } catch (err) {
      if (left <= 0 || !/locked|busy/i.test(String(err))) throw err
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE)
  }
}
