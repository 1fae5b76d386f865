import { isPromise, type MaybePromise } from './time'

/** Work on one thing, one after the other. With nothing to wait for it begins at once, and may be done at once. */
export class Turns {
  readonly #last = new Map<string, Promise<unknown>>()

  take<T>(key: string, work: () => MaybePromise<T>): MaybePromise<T> {
    const last = this.#last.get(key)
    const result = last === undefined ? work() : last.then(work)
    if (!isPromise(result)) return result
    const done = () => {
      if (this.#last.get(key) === ended) this.#last.delete(key)
    }
    const ended: Promise<void> = result.then(done, done)
    this.#last.set(key, ended)
    return result
  }
}

/** The same for the sessions of any store, whichever middleware asks: IDs may repeat from store to store. */
export class StoreTurns {
  readonly #stores = new WeakMap<object, Turns>()

  take<T>(store: object, id: string, work: () => MaybePromise<T>): MaybePromise<T> {
    let turns = this.#stores.get(store)
    if (turns === undefined) this.#stores.set(store, (turns = new Turns()))
    return turns.take(id, work)
  }
}

/**
 * The turns of all writers of this process that need one: updates, and whoever lost against another writer once. They
 * would otherwise all try again together, for one of them to win, and a slow one might never.
 */
export const writers = new StoreTurns()
