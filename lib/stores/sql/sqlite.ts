import { OptionError, quote, SessionError } from '../../base/errors'
import type { Milliseconds } from '../../base/time'
import { POWERS } from '../../store/contract'
import { RecordStore, type ListedPowers } from '../../store/record-store'
import { checkName } from './dialect'
import { SqlPowers } from './powers'
import { sqliteDialect } from './sqlite-dialect'
import { openDatabase, SqliteDriver, type SqliteDatabase } from './sqlite-driver'
import { checkCommon, SqlSweeper, type SqlStoreOptions } from './sweeper'
import { SqlTable } from './table'

export interface SqliteStoreOptions extends SqlStoreOptions {
  /** The file of the database, made if missing (mode 0600), on a local disk; `:memory:` for one that nobody shares. */
  path?: string
  /**
   * An open database instead: a `DatabaseSync` of `node:sqlite`, or one of better-sqlite3. It stays yours to close, and
   * what you write in a transaction of yours, sessions included, is lost when you roll that back.
   */
  database?: SqliteDatabase
  /**
   * The table of the sessions.
   *
   * @default 'sessions'
   */
  table?: string
  /**
   * Makes the table and its indexes where they are missing.
   *
   * @default true for a `path`, false for a `database`
   */
  createTable?: boolean
  /**
   * How long a statement waits, and this process with it, while another process writes. Only for a `path`.
   *
   * 0 or more.
   * @default 2000
   */
  busyTimeout?: Milliseconds
  /**
   * Waits until the disk has it before a write is confirmed. Without, a write survives the end of the process, but the
   * last seconds' writes may be lost in a power cut. Only for a `path`.
   *
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
export class SqliteStore extends RecordStore<true> {
  declare readonly [POWERS]: ListedPowers
  readonly #table: SqlTable
  readonly #sweeper: SqlSweeper
  readonly #own: SqliteDatabase | undefined

  /**
   * @throws {OptionError} for an option out of its limits
   * @throws {SessionError} `ERR_SESSION_STORE` when the database cannot be opened
   */
  constructor(options: SqliteStoreOptions) {
    super()
    const { path, database, table, createTable, busyTimeout, durable, ttl, sweepEvery } = checked(options)
    const dialect = sqliteDialect(table)
    if (database === undefined) {
      try {
        this.#own = openDatabase(path!, { busyTimeout, durable })
      } catch (err) {
        if (err instanceof SessionError) throw err
        const { reason, cause } = dialect.faultOf(err)
        throw new SessionError('ERR_SESSION_STORE', `SqliteStore cannot open its \`path\`: SQLite ${reason}`, { cause })
      }
    }
    this.#table = new SqlTable(new SqliteDriver(database ?? this.#own!), dialect, createTable)
    const powers = new SqlPowers(this.#table, { ttl, remote: false })
    this.#sweeper = new SqlSweeper(powers, sweepEvery)
    // Not enumerable, as the methods: a store may be logged.
    Object.defineProperty(this, POWERS, { value: powers })
  }

  /** When this process last swept. */
  get lastCleanup(): Milliseconds | undefined {
    return this.#sweeper.finishedAt
  }

  /**
   * Adds what the table lacks: an index of expiry, and one of users. The table itself where there is none.
   *
   * @returns the statements that were run
   */
  migrate(): string[] {
    return this.#table.migrate() as string[]
  }

  /** Removes what is over right now, instead of at the next turn of the timer: for a job of your own. */
  sweep(): Promise<void> {
    return this.#sweeper.sweep()
  }

  /** Stops sweeping, for good, and closes the database if the store has opened it. What is kept stays. */
  async close(): Promise<void> {
    await this.#sweeper.close()
    if (!this.#closed) this.#own?.close()
    this.#closed = true
  }

  #closed = false
}

type Checked = SqliteStoreOptions & Required<Omit<SqliteStoreOptions, 'path' | 'database'>>

function checked(options: SqliteStoreOptions): Checked {
  const given = options ?? {}
  const { path, database, table = 'sessions', busyTimeout = 2000, durable = false } = given
  if (database !== undefined) {
    if (typeof database?.prepare !== 'function' || typeof database.exec !== 'function') {
      throw new OptionError(
        `SqliteStore: \`database\` must be an open database of node:sqlite or better-sqlite3, got ${quote(database)}`
      )
    }
    if (path !== undefined) throw new OptionError('SqliteStore: give either `path` or `database`')
  } else if (typeof path !== 'string' || path === '') {
    throw new OptionError(`SqliteStore: \`path\` must be the path of a file, got ${quote(path)}`)
  }
  if (!(Number.isFinite(busyTimeout) && busyTimeout >= 0)) {
    throw new OptionError(`SqliteStore: \`busyTimeout\` must be milliseconds from 0, got ${quote(busyTimeout)}`)
  }
  const createTable = given.createTable ?? database === undefined
  return {
    ...given,
    ...checkCommon('SqliteStore', given),
    table: checkName('SqliteStore', 'table', table),
    createTable: Boolean(createTable),
    busyTimeout,
    durable: Boolean(durable)
  }
}
