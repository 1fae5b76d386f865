// Taken from the module: where an application's tests replace the global, what waits here would never leave.
import { setImmediate } from 'node:timers'

/** More would keep the server from all others for too long. */
const TOGETHER_MAX = 64

interface Waiting<T, R> {
  readonly item: T
  resolve(result: R): void
  reject(err: unknown): void
}

/**
 * Asks for many things at once that are asked for in one turn of the event loop.
 *
 * The first of a turn goes by itself and at once, so a lone request waits for nothing. The others leave at the end of
 * the turn, before which no reply could be read anyway.
 */
export class Gathering<T, R> {
  readonly #alone: (item: T) => Promise<R>
  readonly #together: (items: T[]) => Promise<(R | Promise<R>)[]>
  readonly #flush = () => this.#leave()
  #waiting: Waiting<T, R>[] | undefined

  constructor(alone: (item: T) => Promise<R>, together: (items: T[]) => Promise<(R | Promise<R>)[]>) {
    this.#alone = alone
    this.#together = together
  }

  ask(item: T): Promise<R> {
    const waiting = this.#waiting
    if (waiting !== undefined) return new Promise((resolve, reject) => waiting.push({ item, resolve, reject }))
    this.#waiting = []
    // Before the client plans to write, so that both leave in one piece.
    setImmediate(this.#flush)
    return this.#alone(item)
  }

  #leave(): void {
    const waiting = this.#waiting!
    this.#waiting = undefined
    for (let i = 0; i < waiting.length; i += TOGETHER_MAX) this.#send(waiting.slice(i, i + TOGETHER_MAX))
  }

  #send(batch: Waiting<T, R>[]): void {
    if (batch.length === 1) {
      this.#alone(batch[0]!.item).then(batch[0]!.resolve, batch[0]!.reject)
      return
    }
    this.#together(batch.map(({ item }) => item)).then(
      (results) => batch.forEach(({ resolve }, i) => resolve(results[i] as R)),
      (err) => batch.forEach(({ reject }) => reject(err))
    )
  }
}
