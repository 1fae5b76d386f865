import { isPromise, SECOND, type MaybePromise, type Milliseconds } from '../base/time'

/** How long a turn may take before the next one begins all the same. */
export const PATIENCE: Milliseconds = 5 * SECOND

interface Turn {
  /** `undefined`: at once. */
  readonly begun: Promise<void> | undefined
  readonly ended: Promise<void>
}

/** Work on one thing, one after the other. With nothing to wait for it begins at once, and may be done at once. */
export class Turns {
  readonly #last = new Map<string, Turn>()
  readonly #patience: Milliseconds | undefined

  /** @param patience where order is a courtesy: a turn that takes longer is waited for no more */
  constructor(patience?: Milliseconds) {
    this.#patience = patience
  }

  take<T>(key: string, work: () => MaybePromise<T>): MaybePromise<T> {
    const last = this.#last.get(key)
    const begun = last === undefined ? undefined : this.#over(last)
    const result = begun === undefined ? work() : begun.then(work)
    if (!isPromise(result)) return result
    const done = () => {
      if (this.#last.get(key) === turn) this.#last.delete(key)
    }
    const turn: Turn = { begun, ended: result.then(done, done) }
    this.#last.set(key, turn)
    return result
  }

  #over({ begun, ended }: Turn): Promise<void> {
    const patience = this.#patience
    if (patience === undefined) return ended
    const over = () => settledWithin(ended, patience)
    return begun === undefined ? over() : begun.then(over)
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
  readonly #patience: Milliseconds | undefined

  constructor(patience?: Milliseconds) {
    this.#patience = patience
  }

  take<T>(store: object, id: string, work: () => MaybePromise<T>): MaybePromise<T> {
    let turns = this.#stores.get(store)
    if (turns === undefined) this.#stores.set(store, (turns = new Turns(this.#patience)))
    return turns.take(id, work)
  }
}

/**
 * The turns of all writers of this process that need one: updates, and whoever lost against another writer once. They
 * would otherwise all try again together, for one of them to win, and a slow one might never. What they write is safe
 * without: an update that never ends, or waits for somebody who waits for it, must not hold up the others for ever.
 */
export const writers = new StoreTurns(PATIENCE)
