import { demand, isAboveZero } from '../../base/errors'
import { DAY, MINUTE, SECOND, type Milliseconds } from '../../base/time'
import { POWERS } from '../../store/contract'
import { RecordStore, type Answer, type ListedPowers } from '../../store/record-store'
import { SqlPowers } from './powers'
import { SqlSweeper } from './sweeper'
import type { SqlTable } from './table'

/** The options of every store in SQL. */
export interface SqlStoreOptions {
  /**
   * How long to keep a session whose cookie has no expiry, for `set` and `touch`. The middleware of `sessions()` sets
   * the time itself.
   *
   * Above 0.
   * @default 86_400_000
   */
  ttl?: Milliseconds
  /**
   * Span between two sweeps that remove what is over. Of the processes on one table one sweeps each time.
   *
   * 1 to 2^31 - 1; `null`: never, for a job of your own that calls `sweep()`.
   * @default 600_000
   */
  sweepEvery?: Milliseconds | null
}

/** The options of a store on a pool of connections to a server. */
export interface PooledStoreOptions extends SqlStoreOptions {
  /**
   * Makes the table and its indexes where they are missing.
   *
   * @default false
   */
  createTable?: boolean
  /**
   * How long a statement may take before it is given up, and its connection closed, so that the pool is not kept busy by
   * a server that went away. Above `storeTimeout`, for that answers the request. MysqlStore counts the wait for a
   * connection as well; a Pool of `pg` has `connectionTimeoutMillis` for that.
   *
   * Above 0.
   * @default 10_000
   */
  timeout?: Milliseconds
}

const MAX_TIMER = 2 ** 31 - 1

/** What the stores in SQL have beside the verbs. */
export abstract class SqlStore<Sync extends boolean = false> extends RecordStore<Sync> {
  declare readonly [POWERS]: ListedPowers
  readonly #table: SqlTable
  readonly #sweeper: SqlSweeper

  constructor(table: SqlTable, { ttl, sweepEvery }: Required<SqlStoreOptions>) {
    super()
    const powers = new SqlPowers(table, ttl)
    this.#table = table
    this.#sweeper = new SqlSweeper(powers, sweepEvery)
    // Not enumerable, as the methods: a store may be logged.
    Object.defineProperty(this, POWERS, { value: powers })
  }

  /** When this process last swept. */
  get lastCleanup(): Milliseconds | undefined {
    return this.#sweeper.finishedAt
  }

  /**
   * Adds what the table lacks: an index of expiry, and one of users. Makes the table where there is none.
   *
   * Meanwhile sessions are read as ever.
   *
   * @returns the statements that were run
   */
  migrate(): Answer<string[], Sync> {
    return this.#table.migrate() as Answer<string[], Sync>
  }

  /** Removes what is over right now, instead of at the next turn of the timer: for a job of your own. */
  sweep(): Promise<void> {
    return this.#sweeper.sweep()
  }

  /** Stops sweeping, for good. What is kept stays, and what was given stays open. */
  close(): Promise<void> {
    return this.#sweeper.close()
  }
}

/** @throws {OptionError} for an option out of its limits */
export function checkTimeout(store: string, { timeout = 10 * SECOND }: PooledStoreOptions): Milliseconds {
  demand(isAboveZero(timeout), store, 'timeout', 'milliseconds above 0', timeout)
  return timeout
}

/** @throws {OptionError} for an option out of its limits */
export function checkCommon(store: string, options: SqlStoreOptions): Required<SqlStoreOptions> {
  const { ttl = DAY, sweepEvery = 10 * MINUTE } = options
  demand(isAboveZero(ttl), store, 'ttl', 'milliseconds above 0', ttl)
  const isSpan = sweepEvery === null || (typeof sweepEvery === 'number' && sweepEvery >= 1 && sweepEvery <= MAX_TIMER)
  demand(isSpan, store, 'sweepEvery', `milliseconds from 1 to ${MAX_TIMER} or null`, sweepEvery)
  return { ttl, sweepEvery }
}
