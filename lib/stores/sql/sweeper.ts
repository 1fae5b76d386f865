import { AsyncResource } from 'node:async_hooks'
import type { Milliseconds } from '../../base/time'
import { LOCK_PREFIX } from './dialect'
import type { SqlPowers } from './powers'

/** Processes that start together do not sweep together. */
const JITTER = 0.2
const TURN = `${LOCK_PREFIX}sweep`

/** Removes rows that are over, a page at a time with a rest in between. */
export class SqlSweeper {
  /** When this process last ended a sweep. */
  finishedAt: Milliseconds | undefined
  readonly #powers: SqlPowers
  readonly #every: Milliseconds | null
  // In the store's own context, not in that of a request that happened to make the store.
  readonly #context = new AsyncResource('silverback.SqlStore')
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined
  #closed = false

  constructor(powers: SqlPowers, every: Milliseconds | null) {
    this.#powers = powers
    this.#every = every
    this.#context.runInAsyncScope(() => this.#arm())
  }

  /** Sweeps now; joins a sweep under way. */
  sweep(): Promise<void> {
    return (this.#running ??= this.#sweep(() => true).finally(() => (this.#running = undefined)))
  }

  /** Stops, and waits until a sweep under way has come to rest. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    // Its fault is that of whoever asked for it.
    await this.#running?.catch(isTheirs)
  }

  #arm(): void {
    if (this.#closed || this.#every === null) return
    this.#timer = setTimeout(() => void this.#turn(), this.#every * (1 - JITTER / 2 + JITTER * Math.random()))
    this.#timer.unref()
  }

  // The lock is left to end by itself: until then nobody else need sweep.
  async #turn(): Promise<void> {
    const { lock } = this.#powers
    const token = String(process.pid) + Math.random()
    const until = this.#every! * (1 - JITTER)
    try {
      if (await lock.acquire(TURN, token, until)) {
        this.#running ??= this.#sweep(() => lock.renew(TURN, token, until)).finally(() => (this.#running = undefined))
        await this.#running
      }
    } catch {
      // A fault of the database reaches every request that needs it. The next turn tries again.
    }
    this.#arm()
  }

  async #sweep(goOn: () => unknown): Promise<void> {
    while (await this.#powers.sweep()) {
      // Others have their turn, in this process and in the database.
      await new Promise(setImmediate)
      if (this.#closed || !(await goOn())) return
    }
    this.finishedAt = Date.now()
  }
}

function isTheirs(): void {}
