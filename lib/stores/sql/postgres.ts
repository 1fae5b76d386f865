import { OptionError, quote } from '../../base/errors'
import { SECOND, type Milliseconds } from '../../base/time'
import { checkName } from './dialect'
import { PostgresDriver, postgresDialect, type PostgresPool } from './postgres-dialect'
import { checkCommon, SqlStore, type SqlStoreOptions } from './store'
import { SqlTable } from './table'

export interface PostgresStoreOptions extends SqlStoreOptions {
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
   * Makes the table and its indexes where they are missing.
   *
   * @default false
   */
  createTable?: boolean
  /**
   * Prepares each statement once on each connection. `false` behind a pooler that hands out connections for a single
   * transaction and knows no prepared statements (PgBouncer before 1.21).
   *
   * @default true
   */
  prepare?: boolean
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
 * Sessions in PostgreSQL, in the table of connect-pg-simple: `sid`, `sess` (json or jsonb) and `expire`.
 *
 * @example
 * app.use(sessions({ secret, store: new PostgresStore({ pool: new Pool(), createTable: true }) }))
 */
export class PostgresStore extends SqlStore {
  /** @throws {OptionError} for an option out of its limits */
  constructor(options: PostgresStoreOptions) {
    const {
      pool,
      schema,
      table = 'session',
      createTable = false,
      prepare = true,
      timeout = 10 * SECOND
    } = options ?? {}
    if (typeof pool?.query !== 'function' || typeof (pool as { connect?: unknown }).connect !== 'function') {
      throw new OptionError(`PostgresStore: \`pool\` must be a Pool of pg, got ${quote(pool)}`)
    }
    if (!(Number.isFinite(timeout) && timeout > 0)) {
      throw new OptionError(`PostgresStore: \`timeout\` must be milliseconds above 0, got ${quote(timeout)}`)
    }
    const dialect = postgresDialect(
      checkName('PostgresStore', 'table', table),
      schema === undefined ? undefined : checkName('PostgresStore', 'schema', schema)
    )
    const driver = new PostgresDriver(pool, { prepare: Boolean(prepare), timeout })
    super(new SqlTable(driver, dialect, Boolean(createTable)), checkCommon('PostgresStore', options))
  }
}
