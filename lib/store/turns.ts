import { isPromise, type MaybePromise, type Milliseconds } from '../base/time'

/** Work on one thing, one after the other. With nothing to wait for it begins at once, and may be done at once. */
export class Turns {
  readonly #last = new Map<string, Promise<void>>()
  readonly #patience: Milliseconds | undefined

  /** @param patience where order is a courtesy: whoever has waited so long begins all the same */
  constructor(patience?: Milliseconds) {
    this.#patience = patience
  }

  take<T>(key: string, work: () => MaybePromise<T>): MaybePromise<T> {
    const last = this.#last.get(key)
    const result = last === undefined ? work() : this.#over(last).then(work)
    if (!isPromise(result)) return result
    const done = () => {
      if (this.#last.get(key) === ended) this.#last.delete(key)
    }
    const ended: Promise<void> = result.then(done, done)
    this.#last.set(key, ended)
    return result
  }

  #over(ended: Promise<void>): Promise<void> {
    return this.#patience === undefined ? ended : settledWithin(ended, this.#patience)
  }
}

function settledWithin(ended: Promise<void>, patience: Milliseconds): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, patience)
    timer.unref()
    void ended.then(() => {
      clearTimeout(timer)
      resolve()
    })
  })
}

/** The same for the sessions of any store, whichever middleware asks: IDs may repeat from store to store. */
export class StoreTurns {
  readonly #stores = new WeakMap<object, Turns>()

  take<T>(store: object, id: string, work: () => MaybePromise<T>, patience?: Milliseconds): MaybePromise<T> {
    let turns = this.#stores.get(store)
    if (turns === undefined) this.#stores.set(store, (turns = new Turns(patience)))
    return turns.take(id, work)
  }
}

/** A store, and how long one of its calls may take. */
interface TimedStore {
  readonly store: object
  readonly timeout: Milliseconds
}

const turns = new StoreTurns()

/**
 * The turns of all writers of this process that need one: updates, and those who lost against another writer once. They
 * would otherwise all try again together, for one of them to win, and a slow one might never. What they write is safe
 * without: an update that never ends, or waits for another that waits for it, must not hold up the others for ever; nor
 * do those who wait for a store that hangs wait for one another.
 */
export const writers = {
  take: <T>({ store, timeout }: TimedStore, id: string, work: () => MaybePromise<T>): MaybePromise<T> =>
    turns.take(store, id, work, timeout)
}
