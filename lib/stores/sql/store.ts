// Taken from the module: where an application's tests replace the global, close() would never end.
import { clearTimeout, setImmediate, setTimeout } from 'node:timers'
import { isAboveZero, isTimerSpan } from '../../base/errors'
import { DAY, isPromise, MINUTE, TIMER_MAX, type MaybePromise, type Milliseconds } from '../../base/time'
import { changed, PATIENCE } from '../change'
import { FLAG, optional } from '../option-rules'
import { LOCK_PREFIX } from '../../store/contract'
import { RecordStore, type Answer } from '../record-store'
import { SharedSweeper } from '../sweeper'
import { isName, NAME } from './dialect'
import { sqlPowers, type SqlPowers } from './powers'
import type { SqlTable } from './table'

/** The options of every store in SQL. */
export interface SqlStoreOptions {
  /**
   * How long to keep a session whose cookie has no expiry, for `set` and `touch`. The middleware of `sessions()` sets
   * the time itself.
   * Above 0. @default 86_400_000
   */
  ttl?: Milliseconds
  /**
   * Span between two sweeps that remove what is over. Of the processes on one table one sweeps each time.
   * 1 to 2^31 - 1; `null`: never, for a job of your own that calls `sweep()`. @default 600_000
   */
  sweepEvery?: Milliseconds | null
}

/** The options of a store on a pool of connections to a server. */
export interface PooledStoreOptions extends SqlStoreOptions {
  /** Makes the table and its indexes where they are missing. @default false */
  createTable?: boolean
  /**
   * How long a statement may take before it is given up, and its connection closed, so that the pool is not kept busy by
   * a server that went away. Above `storeTimeout`, for that answers the request. MysqlStore counts the wait for a
   * connection as well; a Pool of `pg` has `connectionTimeoutMillis` for that.
   * 1 to 2^31 - 1. @default 10_000
   */
  timeout?: Milliseconds
}

export const RULES = {
  table: optional(NAME, isName),
  createTable: FLAG,
  ttl: optional('milliseconds above 0', isAboveZero),
  sweepEvery: optional(`milliseconds from 1 to ${TIMER_MAX} or null`, (span) => span === null || isTimerSpan(span))
}

const TURN = `${LOCK_PREFIX}sweep`

/** What the stores in SQL have beside the verbs. */
export abstract class SqlStore<Sync extends boolean = false> extends RecordStore<Sync> {
  readonly #table: SqlTable
  readonly #powers: SqlPowers
  readonly #sweeper: SharedSweeper
  /** Statements that are not answered yet. */
  readonly #underWay: Set<Promise<unknown>>

  constructor(table: SqlTable, { ttl = DAY, sweepEvery = 10 * MINUTE }: SqlStoreOptions) {
    const underWay = new Set<Promise<unknown>>()
    const powers = sqlPowers(watched(table, underWay), ttl)
    super(powers)
    this.#table = table
    this.#powers = powers
    this.#underWay = underWay
    this.#sweeper = new SharedSweeper('SqlStore', sweepEvery, (span) => this.#turn(span))
  }

  /** When this process last swept. */
  get lastCleanup(): Milliseconds | undefined {
    return this.#sweeper.finishedAt
  }

  /**
   * Adds what the table lacks: an index of expiry, and one of users. Makes the table where there is none.
   *
   * Meanwhile sessions are read as ever.
   * @returns the statements that were run
   */
  migrate(): Answer<string[], Sync> {
    return this.#table.migrate() as Answer<string[], Sync>
  }

  /** Removes what is over right now, instead of at the next turn of the timer: for a job of your own. */
  sweep(): Promise<void> {
    return this.#sweeper.run(() => this.#sweep(() => true))
  }

  /** Stops sweeping, for good, and waits for what is under way. What is kept stays, and what was given stays open. */
  async close(): Promise<void> {
    await this.#sweeper.close()
    await changed(this)
    // The middleware and the manager come to their statements, the second one as well, by way of promises.
    // Not for ever: a pool may have no connection to give, and requests may go on.
    const begun = performance.now()
    do {
      let timer: NodeJS.Timeout | undefined
      const late = new Promise((resolve) => (timer = setTimeout(resolve, PATIENCE)))
      await Promise.race([Promise.allSettled(this.#underWay), late])
      clearTimeout(timer)
      await new Promise(setImmediate)
    } while (this.#underWay.size > 0 && performance.now() < begun + PATIENCE)
  }

  // The lock is left to end by itself: until then nobody else need sweep.
  async #turn(span: Milliseconds): Promise<void> {
    const { lock } = this.#powers
    const token = String(process.pid) + Math.random()
    if (!(await lock.acquire(TURN, token, span))) return
    await this.#sweeper.run(() => this.#sweep(() => lock.renew(TURN, token, span)))
  }

  // A page at a time: others have their turn, in this process and in the database.
  async #sweep(goOn: () => MaybePromise<boolean>): Promise<void> {
    while (await this.#powers.sweep()) {
      await new Promise(setImmediate)
      if (this.#sweeper.closed || !(await goOn())) return
    }
    this.#sweeper.finishedAt = Date.now()
  }
}

/** The same table; what has been begun on it is kept until it is answered. */
function watched(table: SqlTable, underWay: Set<Promise<unknown>>): SqlTable {
  return {
    ...table,
    run(name, values) {
      const answered = table.run(name, values)
      if (isPromise(answered)) {
        const done = () => underWay.delete(answered)
        underWay.add(answered)
        answered.then(done, done)
      }
      return answered
    }
  }
}
