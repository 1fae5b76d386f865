// Turns of the event loop: how long the longest takes, and how much of it is garbage collection.
import { existsSync, readFileSync } from 'node:fs'
import { performance, PerformanceObserver } from 'node:perf_hooks'

const SCHEDULER = '/proc/self/schedstat'
const hasScheduler = existsSync(SCHEDULER)

/** ms that the main thread was ready to run while others had the processor: no pause of the program's making. */
function waited() {
  return hasScheduler ? Number(readFileSync(SCHEDULER, 'latin1').split(' ')[1]) / 1e6 : 0
}

export class Watch {
  #collections = []
  #turns = []
  #last
  #waited

  constructor() {
    new PerformanceObserver((list) => this.#collections.push(...list.getEntries())).observe({ entryTypes: ['gc'] })
    this.restart()
  }

  restart() {
    this.#turns = []
    this.#waited = waited()
    this.#last = performance.now()
  }

  /** Lets others run; what happened since the last turn counts as one. */
  async turn() {
    await new Promise((resolve) => setImmediate(resolve))
    const end = performance.now()
    const waitedUntil = waited()
    const ms = end - this.#last - (waitedUntil - this.#waited)
    if (ms > 1) this.#turns.push({ start: this.#last, end, ms })
    this.#waited = waitedUntil
    this.#last = performance.now()
  }

  /** The longest turn since `restart`, in ms, and the part of it that was garbage collection. */
  async longest() {
    // Observers hear of a collection on a later turn.
    await new Promise((resolve) => setTimeout(resolve, 50))
    const turns = this.#turns.map((turn) => ({
      ms: turn.ms,
      gc: Math.min(turn.ms, this.#collecting(turn))
    }))
    return turns.sort((a, b) => b.ms - a.ms)[0] ?? { ms: 1, gc: 0 }
  }

  #collecting({ start, end }) {
    const inside = this.#collections.filter(({ startTime }) => startTime >= start && startTime < end)
    return inside.reduce((sum, { duration }) => sum + duration, 0)
  }
}
