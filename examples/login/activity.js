'use strict'

const EVERY = 2000
const KEPT = 30

/** What the sessions of this process did lately: `auth.stats()`, sampled. */
function watchActivity(auth) {
  const listeners = new Set()
  let before = auth.stats()
  let loads = Array(KEPT).fill(0)

  setInterval(() => {
    const now = auth.stats()
    loads = [...loads.slice(1), now.loaded - before.loaded]
    before = now
    for (const listener of listeners) listener()
  }, EVERY).unref()

  return {
    read: () => ({ stats: auth.stats(), loads, seconds: EVERY / 1000 }),
    /** Calls `listener` after each sample, until the function that this answers is called. */
    listen(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    }
  }
}

module.exports = { watchActivity }
