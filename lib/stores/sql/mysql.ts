import { demand, hasMethods } from '../../base/errors'
import { checkName } from './dialect'
import { MysqlDriver, mysqlDialect, type MysqlPool } from './mysql-dialect'
import { checkCommon, checkTimeout, SqlStore, type PooledStoreOptions } from './store'
import { SqlTable } from './table'

export interface MysqlStoreOptions extends PooledStoreOptions {
  /** A pool of `mysql2` 3, of `mysql2/promise` or with callbacks. It stays yours: the store ends no pool. */
  pool: MysqlPool
  /**
   * The table of the sessions, in the database of the pool.
   *
   * @default 'sessions'
   */
  table?: string
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
    const { pool, table = 'sessions', createTable } = options ?? {}
    const common = checkCommon('MysqlStore', options ?? {}, ['pool', 'timeout'])
    demand(hasMethods(pool, 'getConnection', 'execute'), 'MysqlStore', 'pool', 'a pool of mysql2', pool)
    const driver = new MysqlDriver(pool, checkTimeout('MysqlStore', options))
    const dialect = mysqlDialect(checkName('MysqlStore', 'table', table))
    super(new SqlTable(driver, dialect, Boolean(createTable)), common)
  }
}
