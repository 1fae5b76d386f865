import { must } from '../base/errors'
import type { Milliseconds } from '../base/time'

/** Time that a test lets pass. */
export interface Clock {
  /** ms since 1970, as the application sees it. */
  readonly now: Milliseconds
  /** Lets so many ms pass at once. @throws {TypeError} for what is no number */
  forward(ms: Milliseconds): void
  /** Puts the true time back. */
  restore(): void
}

/**
 * Lets time pass for sessions without waiting: `Date.now()` is ahead by what was given to `forward()`, and goes on.
 *
 * Sessions and our stores read no other clock; timers (sweeps, deadlines of store calls) keep to the true time, and so do
 * the servers of Redis and memcached, where a session that is over by this clock is refused by what its record says.
 *
 * @example const time = clock(); time.forward(25 * 60 * 60 * 1000); time.restore()
 */
export function clock(): Clock {
  const before = Date.now
  let ahead = 0
  const shifted = () => before() + ahead
  Date.now = shifted
  return {
    get now() {
      return shifted()
    },
    forward(ms) {
      must(Number.isFinite(ms), 'forward()', 'given a number of ms', ms)
      ahead += ms
    },
    restore() {
      if (Date.now === shifted) Date.now = before
    }
  }
}
