import { SECOND } from '../../base/time'
import { checkOptions, having, TIMER_SPAN } from '../option-rules'
import { mysqlDialect, mysqlDriver, type MysqlPool } from './mysql-dialect'
import { RULES, SqlStore, type PooledStoreOptions } from './store'
import { sqlTable } from './table'

export interface MysqlStoreOptions extends PooledStoreOptions {
  /** A pool of `mysql2` 3, of `mysql2/promise` or with callbacks. It stays yours: the store ends no pool. */
  pool: MysqlPool
  /** The table of the sessions, in the database of the pool. @default 'sessions' */
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
    const given = checkOptions('MysqlStore', options, {
      ...RULES,
      pool: having('a pool of mysql2', 'getConnection', 'execute'),
      timeout: TIMER_SPAN
    })
    const { pool, table = 'sessions', createTable, timeout = 10 * SECOND } = given
    super(sqlTable(mysqlDriver(pool, timeout), mysqlDialect(table), Boolean(createTable)), given)
  }
}
