import { demand, hasMethods } from '../../base/errors'
import { checkName } from './dialect'
import { PostgresDriver, postgresDialect, type PostgresPool } from './postgres-dialect'
import { checkCommon, checkTimeout, SqlStore, type PooledStoreOptions } from './store'
import { SqlTable } from './table'

export interface PostgresStoreOptions extends PooledStoreOptions {
  /** A `Pool` of `pg` 8. It stays yours: the store ends no pool. */
  pool: PostgresPool
  /**
   * The schema of the table.
   *
   * @default the first of the connection's `search_path`
   */
  schema?: string
  /**
   * The table of the sessions.
   *
   * @default 'session'
   */
  table?: string
  /**
   * Prepares each statement once on each connection. `false` behind a pooler that hands out connections for a single
   * transaction and knows no prepared statements (PgBouncer before 1.21).
   *
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
    const { pool, schema, table = 'session', createTable, prepare = true } = options ?? {}
    const common = checkCommon('PostgresStore', options ?? {}, ['pool', 'schema', 'prepare', 'timeout'])
    demand(hasMethods(pool, 'query', 'connect'), 'PostgresStore', 'pool', 'a Pool of pg', pool)
    const driver = new PostgresDriver(pool, Boolean(prepare), checkTimeout('PostgresStore', options))
    const dialect = postgresDialect(
      checkName('PostgresStore', 'table', table),
      schema === undefined ? undefined : checkName('PostgresStore', 'schema', schema)
    )
    super(new SqlTable(driver, dialect, Boolean(createTable)), common)
  }
}
