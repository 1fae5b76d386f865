import { AsyncResource } from 'node:async_hooks'
import type { Milliseconds } from '../../base/time'

/** Runs a sweep in slices every so often, while there is something that can expire. */
export class Sweeper {
  /** When the last sweep ended. */
  finishedAt: Milliseconds | undefined
  readonly #every: Milliseconds
  readonly #slice: (from: number) => number | undefined
  // Timers live in the store's own context: in that of the request that happened to write first, they would keep
  // whatever an AsyncLocalStorage holds for it.
  readonly #context = new AsyncResource('silverback.MemoryStore')
  #timer: NodeJS.Timeout | undefined
  #sweeping = false
  #wanted = false
  #closed = false

  /** `slice` begins at 0, and answers where to go on, `undefined` at the end. */
  constructor(every: Milliseconds, slice: (from: number) => number | undefined) {
    this.#every = every
    this.#slice = slice
  }

  /** There is something that can expire. */
  arm(): void {
    if (this.#sweeping) this.#wanted = true
    else if (this.#timer === undefined && !this.#closed) this.#context.runInAsyncScope(() => this.#start())
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #start(): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#sweeping = true
      this.#wanted = false
      this.#go(0)
    }, this.#every)
    this.#timer.unref()
  }

  #go(from: number): void {
    const next = this.#closed ? undefined : this.#slice(from)
    if (next !== undefined) {
      // Not unref'd: an idle event loop would then take one slice a wake-up, instead of finishing at once.
      setImmediate(() => this.#go(next))
      return
    }
    this.#sweeping = false
    this.finishedAt = Date.now()
    if (this.#wanted) this.arm()
  }
}
