import { AsyncResource } from 'node:async_hooks'
import { isPromise, type MaybePromise, type Milliseconds } from '../base/time'

/** Runs a store's sweeps, one at a time, on a timer that keeps no process alive. */
export class Sweeper {
  /** Set by `close`: a sweep under way should stop at its next step. */
  closed = false
  readonly #every: () => Milliseconds
  readonly #sweep: () => MaybePromise<unknown>
  // Timers live in the store's own context: in that of the request that happened to write first, they would keep
  // whatever an AsyncLocalStorage holds for it.
  readonly #context: AsyncResource
  #timer: NodeJS.Timeout | undefined
  #running: MaybePromise<unknown>
  #isRunning = false
  #isWanted = false

  /**
   * @param name The store's, for `async_hooks`.
   * @param every Milliseconds from `arm` to the sweep, asked for each time.
   * @param sweep One sweep: must not throw or reject.
   */
  constructor(name: string, every: () => Milliseconds, sweep: () => MaybePromise<unknown>) {
    this.#context = new AsyncResource(`silverback.${name}`)
    this.#every = every
    this.#sweep = sweep
  }

  /** Plans a sweep unless one is planned; while one runs, the next is planned at its end. */
  arm(): void {
    if (this.#isRunning) this.#isWanted = true
    else if (this.#timer === undefined && !this.closed) this.#context.runInAsyncScope(() => this.#plan())
  }

  /** Plans no more sweeps, and waits for one that is running. */
  async close(): Promise<void> {
    this.closed = true
    clearTimeout(this.#timer)
    this.#timer = undefined
    await this.#running
  }

  #plan(): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#isWanted = false
      this.#isRunning = true
      this.#running = this.#sweep()
      if (isPromise(this.#running)) void this.#running.then(() => this.#end())
      else this.#end()
    }, this.#every())
    this.#timer.unref()
  }

  #end(): void {
    this.#isRunning = false
    if (this.#isWanted) this.arm()
  }
}
