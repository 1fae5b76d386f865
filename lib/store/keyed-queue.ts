import { SessionError } from '../base/errors'
import { madeFor } from '../base/maps'
import { isPromise, type MaybePromise, type Milliseconds } from '../base/time'

interface Waiter {
  readonly since: Milliseconds
  begin(): void
  refuse(err: SessionError): void
}

/** Those who wait for their turn on one thing. */
interface Queue {
  readonly waiting: Waiter[]
  /** Turns that have not been passed on. */
  running: number
}

/** Work on one thing, one after the other. With nothing to wait for it begins at once, and may be done at once. */
export class KeyedQueue {
  readonly #queues = new Map<string, Queue>()

  /** @param patience where order is a courtesy: after so long the next one begins although the one before has not ended */
  constructor(private readonly patience?: Milliseconds) {}

  take<T>(key: string, work: () => MaybePromise<T>): MaybePromise<T> {
    const queue = this.#queues.get(key)
    if (queue !== undefined) {
      const turn = new Promise<void>((begin, refuse) => {
        queue.waiting.push({ since: performance.now(), begin, refuse })
      })
      // Not called by the one before, whose AsyncLocalStorage is another request's.
      return turn.then(() => this.#run(key, queue, new Promise<T>((resolve) => resolve(work()))))
    }
    const result = work()
    if (!isPromise(result)) return result
    const begun = this.#queues.get(key) ?? { waiting: [], running: 0 }
    begun.running++
    this.#queues.set(key, begun)
    return this.#run(key, begun, result)
  }

  /** Whether there is something to wait for. */
  isBusy(key: string): boolean {
    return this.#queues.has(key)
  }

  /** Waits for the turns that are taken by now. */
  async idle(): Promise<void> {
    await Promise.allSettled(Array.from(this.#queues.keys(), async (key) => this.take(key, () => undefined)))
  }

  #run<T>(key: string, queue: Queue, turn: Promise<T>): Promise<T> {
    let passed = false
    const pass = (err?: unknown) => {
      if (!passed) queue.running--
      if (isTimeout(err)) this.#passAll(queue, err)
      else if (!passed && queue.waiting.length > 0) begin(queue, queue.waiting.shift()!)
      if (!passed && queue.running === 0 && queue.waiting.length === 0) this.#queues.delete(key)
      passed = true
    }
    // On the turn on which a call that is as late is refused, and behind it.
    const timer = this.patience === undefined ? undefined : setTimeout(() => setImmediate(pass), this.patience)
    timer?.unref()
    const done = (err?: unknown) => {
      if (timer !== undefined) clearTimeout(timer)
      pass(err)
    }
    turn.then(() => done(), done)
    return turn
  }

  // Those who wait for a store that hangs do not wait for one another, nor for as long again.
  #passAll(queue: Queue, err: SessionError): void {
    const earliest = performance.now() - (this.patience ?? Infinity) / 2
    for (const waiter of queue.waiting.splice(0)) {
      if (waiter.since < earliest) waiter.refuse(err)
      else begin(queue, waiter)
    }
  }
}

function isTimeout(err: unknown): err is SessionError {
  return err instanceof SessionError && err.code === 'ERR_SESSION_STORE_TIMEOUT'
}

function begin(queue: Queue, waiter: Waiter): void {
  queue.running++
  waiter.begin()
}

const writersOf = madeFor((_store: object, patience: Milliseconds) => new KeyedQueue(patience))

/**
 * Takes a turn among the writers of one session in this process that need one: updates, and writes that have lost against
 * another one. Together they would all try again, for one of them to win, and a slow one might never. The turns are not
 * needed for safety: an update that never ends, or waits for another that waits for it, holds up nobody for ever.
 */
export function inWritersTurn<T>(
  { store, timeout }: { store: object; timeout: Milliseconds },
  id: string,
  work: () => MaybePromise<T>
): MaybePromise<T> {
  return writersOf(store, timeout).take(id, work)
}
