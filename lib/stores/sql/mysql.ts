import { OptionError, quote } from '../../base/errors'
import { SECOND, type Milliseconds } from '../../base/time'
import { checkName } from './dialect'
import { MysqlDriver, mysqlDialect, type MysqlPool } from './mysql-dialect'
import { checkCommon, SqlStore, type SqlStoreOptions } from './store'
import { SqlTable } from './table'

export interface MysqlStoreOptions extends SqlStoreOptions {
  /** A pool of `mysql2` 3, of `mysql2/promise` or with callbacks. It stays yours: the store ends no pool. */
  pool: MysqlPool
  /**
   * The table of the sessions, in the database of the pool.
   *
   * @default 'sessions'
   */
  table?: string
  /**
   * Makes the table and its indexes where they are missing.
   *
   * @default false
   */
  createTable?: boolean
  /**
   * How long a statement may take before it is given up, and its connection closed, so that the pool is not kept busy by
   * a server that went away. Above `storeTimeout`, for that answers the request.
   *
   * Above 0.
   * @default 10_000
   */
  timeout?: Milliseconds
}

/**
 * Sessions in MySQL or MariaDB, in the table of express-mysql-session: `session_id`, `expires` and `data`.
 *
 * @example
 * const pool = mysql.createPool(process.env.DATABASE_URL)
 * app.use(sessions({ secret, store: new MysqlStore({ pool, createTable: true }) }))
 */
export class MysqlStore extends SqlStore {
  /** @throws {OptionError} for an option out of its limits */
  constructor(options: MysqlStoreOptions) {
    const { pool, table = 'sessions', createTable = false, timeout = 10 * SECOND } = options ?? {}
    if (!isPool(pool)) throw new OptionError(`MysqlStore: \`pool\` must be a pool of mysql2, got ${quote(pool)}`)
    if (!(Number.isFinite(timeout) && timeout > 0)) {
      throw new OptionError(`MysqlStore: \`timeout\` must be milliseconds above 0, got ${quote(timeout)}`)
    }
    const dialect = mysqlDialect(checkName('MysqlStore', 'table', table))
    super(
      new SqlTable(new MysqlDriver(pool, timeout), dialect, Boolean(createTable)),
      checkCommon('MysqlStore', options)
    )
  }
}

function isPool(pool: unknown): pool is MysqlPool {
  const { getConnection, execute } = (pool ?? {}) as Record<string, unknown>
  return typeof getConnection === 'function' && typeof execute === 'function'
}
