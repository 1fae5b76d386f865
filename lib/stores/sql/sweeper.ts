import type { Milliseconds } from '../../base/time'
import { Sweeper } from '../../store/sweeper'
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
  readonly #timer: Sweeper
  #running: Promise<void> | undefined

  constructor(powers: SqlPowers, every: Milliseconds | null) {
    this.#powers = powers
    this.#every = every
    this.#timer = new Sweeper(
      'SqlStore',
      () => every! * (1 - JITTER / 2 + JITTER * Math.random()),
      () => this.#turn()
    )
    if (every !== null) this.#timer.arm()
  }

  /** Sweeps now; joins a sweep under way. */
  sweep(goOn: () => unknown = () => true): Promise<void> {
    return (this.#running ??= this.#sweep(goOn).finally(() => (this.#running = undefined)))
  }

  /** Stops, and waits until a sweep under way has come to rest. */
  async close(): Promise<void> {
    await this.#timer.close()
    // Its fault is that of whoever asked for it.
    await this.#running?.catch(isTheirs)
  }

  // The lock is left to end by itself: until then nobody else need sweep.
  async #turn(): Promise<void> {
    // Once this turn is over.
    this.#timer.arm()
    const { lock } = this.#powers
    const token = String(process.pid) + Math.random()
    const until = this.#every! * (1 - JITTER)
    try {
      if (await lock.acquire(TURN, token, until)) await this.sweep(() => lock.renew(TURN, token, until))
    } catch {
      // A fault of the database reaches every request that needs it. The next turn tries again.
    }
  }

  async #sweep(goOn: () => unknown): Promise<void> {
    while (await this.#powers.sweep()) {
      // Others have their turn, in this process and in the database.
      await new Promise(setImmediate)
      if (this.#timer.closed || !(await goOn())) return
    }
    this.finishedAt = Date.now()
  }
}

function isTheirs(): void {}
