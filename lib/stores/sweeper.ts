import { AsyncResource } from 'node:async_hooks'
import { isPromise, type MaybePromise, type Milliseconds } from '../base/time'

/** Runs a store's sweeps, one at a time, on a timer that keeps no process alive. */
export class Sweeper {
  /** Set by `close`: a sweep under way should stop at its next step. */
  closed = false
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
  constructor(
    name: string,
    private readonly every: () => Milliseconds,
    private readonly sweep: () => MaybePromise<unknown>
  ) {
    this.#context = new AsyncResource(`silverback.${name}`)
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
      this.#running = this.sweep()
      if (isPromise(this.#running)) void this.#running.then(() => this.#end())
      else this.#end()
    }, this.every())
    this.#timer.unref()
  }

  #end(): void {
    this.#isRunning = false
    if (this.#isWanted) this.arm()
  }
}

/** Processes that start together do not sweep together, and none soon after another. */
const JITTER = 0.2

/** The sweeps of a store that several processes share: they take turns. */
export class SharedSweeper {
  /** When this process last knew of a sweep that had ended. */
  finishedAt: Milliseconds | undefined
  readonly #timer: Sweeper
  #running: Promise<void> | undefined

  /**
   * @param every `null`: only when somebody asks for it
   * @param turn Sweeps, unless another process has within the span given.
   */
  constructor(name: string, every: Milliseconds | null, turn: (span: Milliseconds) => Promise<unknown>) {
    const span = every ?? 0
    const next = () => span * (1 - JITTER / 2 + JITTER * Math.random())
    this.#timer = new Sweeper(name, next, () => {
      // Once this turn is over.
      this.#timer.arm()
      // A fault of the store reaches every request that needs it. The next turn tries again.
      return turn(span * (1 - JITTER)).catch(() => undefined)
    })
    if (every !== null) this.#timer.arm()
  }

  /** A sweep under way should stop at its next step. */
  get closed(): boolean {
    return this.#timer.closed
  }

  /** Sweeps now, or joins the sweep under way. */
  run(sweep: () => Promise<void>): Promise<void> {
    return (this.#running ??= sweep().finally(() => (this.#running = undefined)))
  }

  /** Stops, and waits until a sweep under way has come to rest. */
  async close(): Promise<void> {
    await this.#timer.close()
    // Its fault is that of whoever asked for it.
    await this.#running?.catch(() => undefined)
  }
}
