// Taken from the module: where an application's tests replace the global, what waits here would never leave.
import { setImmediate } from 'node:timers'

interface Waiting<T, R> {
  readonly item: T
  resolve(result: R | Promise<R>): void
  reject(err: unknown): void
}

/**
 * Asks for many things at once that are asked for in one turn of the event loop.
 *
 * What is asked for first leaves as soon as those that run with it have asked, too: a lone request waits for nothing.
 * What is asked for later in the turn leaves at its end, before which no reply could be read anyway.
 */
export class Gathering<T, R> {
  readonly #leave = () => this.#send()
  readonly #end = () => {
    this.#turning = false
    this.#send()
  }
  #turning = false
  #waiting: Waiting<T, R>[] = []

  /** @param most So many are asked for in one piece: more would keep the server from all others for too long. */
  constructor(
    private readonly alone: (item: T) => Promise<R>,
    private readonly together: (items: T[]) => Promise<(R | Promise<R>)[]>,
    private readonly most = 64
  ) {}

  ask(item: T): Promise<R> {
    if (!this.#turning) {
      this.#turning = true
      // Planned before the client plans to write, so that all of the turn leaves in one piece.
      setImmediate(this.#end)
      void Promise.resolve().then(this.#leave)
    }
    return new Promise((resolve, reject) => this.#waiting.push({ item, resolve, reject }))
  }

  #send(): void {
    const waiting = this.#waiting
    if (waiting.length === 0) return
    this.#waiting = []
    for (let i = 0; i < waiting.length; i += this.most) this.#sendBatch(waiting.slice(i, i + this.most))
  }

  #sendBatch(batch: Waiting<T, R>[]): void {
    if (batch.length === 1) {
      const [{ item, resolve, reject }] = batch as [Waiting<T, R>]
      this.alone(item).then(resolve, reject)
      return
    }
    this.together(batch.map(({ item }) => item)).then(
      (results) => batch.forEach(({ resolve }, i) => resolve(results[i]!)),
      (err) => batch.forEach(({ reject }) => reject(err))
    )
  }
}
