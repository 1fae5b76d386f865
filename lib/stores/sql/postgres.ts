import { SECOND } from '../../base/time'
import { FLAG, checkOptions, having, optional, TIMER_SPAN } from '../option-rules'
import { isName, NAME } from './dialect'
import { postgresDialect, postgresDriver, type PostgresPool } from './postgres-dialect'
import { RULES, SqlStore, type PooledStoreOptions } from './store'
import { sqlTable } from './table'

export interface PostgresStoreOptions extends PooledStoreOptions {
  /** A `Pool` of `pg` 8. It stays yours: the store ends no pool. */
  pool: PostgresPool
  /** The schema of the table. @default the first of the connection's `search_path` */
  schema?: string
  /** The table of the sessions. @default 'session' */
  table?: string
  /**
   * Prepares each statement once on each connection. `false` behind a pooler that hands out connections for a single
   * transaction and knows no prepared statements (PgBouncer before 1.21).
   * @default true
   */
  prepare?: boolean
}

/**
 * Sessions in PostgreSQL, in the table of connect-pg-simple: `sid`, `sess` (json or jsonb) and `expire`.
 *
 * @example
 * app.use(sessions({ secret, store: new PostgresStore({ pool: new Pool(), createTable: true }) }))
 */
export class PostgresStore extends SqlStore {
  /** @throws {OptionError} for an option out of its limits */
  constructor(options: PostgresStoreOptions) {
    const given = checkOptions('PostgresStore', options, {
      ...RULES,
      pool: having('a Pool of pg', 'query', 'connect'),
      schema: optional(NAME, isName),
      prepare: FLAG,
      timeout: TIMER_SPAN
    })
    const { pool, schema, table = 'session', createTable, prepare = true, timeout = 10 * SECOND } = given
    const driver = postgresDriver(pool, Boolean(prepare), timeout)
    super(sqlTable(driver, postgresDialect(table, schema), Boolean(createTable)), given)
  }
}
