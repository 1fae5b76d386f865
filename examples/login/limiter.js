'use strict'

const MOST_KEYS = 10_000

/**
 * Counts attempts in memory: at most `attempts` for each key `within` so many milliseconds.
 * Several processes need a shared count instead, for example in Redis.
 */
function createLimiter({ attempts, within }) {
  /** @type {Map<string, { count: number, endsAt: number }>} */
  const windows = new Map()

  return {
    /** Counts one attempt. Answers the seconds to wait: 0 when it is allowed. */
    take(key) {
      const now = Date.now()
      let window = windows.get(key)
      if (window === undefined || window.endsAt <= now) {
        windows.delete(key)
        // Oldest first: a flood of invented keys cannot eat the memory.
        if (windows.size >= MOST_KEYS) windows.delete(windows.keys().next().value)
        windows.set(key, (window = { count: 0, endsAt: now + within }))
      }
      window.count++
      return window.count > attempts ? Math.ceil((window.endsAt - now) / 1000) : 0
    },

    /** Starts over, after an attempt that was right. */
    forget: (key) => windows.delete(key)
  }
}

module.exports = { createLimiter }
