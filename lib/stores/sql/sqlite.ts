import { hasMethods, isTimerSpan, OptionError, SessionError } from '../../base/errors'
import { TIMER_MAX, type Milliseconds } from '../../base/time'
import { FLAG, checkOptions, isFilled, optional } from '../option-rules'
import type { Dialect } from './dialect'
import { sqliteDialect } from './sqlite-dialect'
import { openDatabase, sqliteDriver, type SqliteDatabase } from './sqlite-driver'
import { RULES, SqlStore, type SqlStoreOptions } from './store'
import { sqlTable } from './table'

export interface SqliteStoreOptions extends SqlStoreOptions {
  /** The file of the database, made if missing (mode 0600), on a local disk; `:memory:` for one that nobody shares. */
  path?: string
  /**
   * An open database instead: a `DatabaseSync` of `node:sqlite`, or one of better-sqlite3. It stays yours to close, and
   * what you write in a transaction of yours, sessions included, is lost when you roll that back.
   */
  database?: SqliteDatabase
  /** The table of the sessions. @default 'sessions' */
  table?: string
  /** Makes the table and its indexes where they are missing. @default true for a `path`, false for a `database` */
  createTable?: boolean
  /**
   * How long a statement waits, and this process with it, while another process writes. Only for a `path`.
   * 0 to 2^31 - 1. @default 2000
   */
  busyTimeout?: Milliseconds
  /**
   * Waits until the disk has it before a write is confirmed. Without, a write survives the end of the process, but the
   * last seconds' writes may be lost in a power cut. Only for a `path`.
   * @default false
   */
  durable?: boolean
}

/**
 * Sessions in a file of SQLite, for one machine: synchronous, and shared by any number of processes.
 *
 * It takes over the tables of connect-sqlite3 and of better-sqlite3-session-store, both ways.
 *
 * @example
 * app.use(sessions({ secret, store: new SqliteStore({ path: '/var/lib/app/sessions.db' }) }))
 */
export class SqliteStore extends SqlStore<true> {
  #own: SqliteDatabase | undefined

  /**
   * @throws {OptionError} for an option out of its limits
   * @throws {SessionError} `ERR_SESSION_STORE` when the database cannot be opened
   */
  constructor(options: SqliteStoreOptions) {
    const given = checkOptions('SqliteStore', options, {
      ...RULES,
      path: ['the path of a file', (path) => isFilled(path) || (path === undefined && options?.database !== undefined)],
      database: optional('an open database of node:sqlite or better-sqlite3', (database) =>
        hasMethods(database, 'prepare', 'exec')
      ),
      busyTimeout: optional(`milliseconds from 0 to ${TIMER_MAX}`, (ms) => ms === 0 || isTimerSpan(ms)),
      durable: FLAG
    })
    const { path, database, table = 'sessions', createTable } = given
    if (database !== undefined && path !== undefined)
      throw new OptionError('SqliteStore: give either `path` or `database`')
    const dialect = sqliteDialect(table)
    const own = database === undefined ? opened(given, dialect) : undefined
    super(sqlTable(sqliteDriver(database ?? own!), dialect, Boolean(createTable ?? own !== undefined)), given)
    this.#own = own
  }

  /** Stops sweeping, for good, and closes the database if the store has opened it. What is kept stays. */
  override async close(): Promise<void> {
    await super.close()
    this.#own?.close()
    this.#own = undefined
  }
}

function opened({ path, busyTimeout = 2000, durable }: SqliteStoreOptions, dialect: Dialect): SqliteDatabase {
  try {
    return openDatabase(path!, { busyTimeout, durable: Boolean(durable) })
  } catch (err) {
    if (err instanceof SessionError) throw err
    const { reason, cause } = dialect.faultOf(err)
    throw new SessionError('ERR_SESSION_STORE', `SqliteStore cannot open its \`path\`: SQLite ${reason}`, { cause })
  }
}
