import { chain, isPromise, SECOND, type MaybePromise, type Milliseconds } from '../base/time'
import { answer, POWERS, type Callback, type Powers } from '../store/contract'
import { madeFor } from '../base/maps'
import { KeyedQueue } from '../store/keyed-queue'

/** A call that is not answered holds up those behind it for so long. */
const PATIENCE: Milliseconds = 5 * SECOND
const changesOf = madeFor((_store: object) => new KeyedQueue(PATIENCE))

/**
 * Changes a session in the order of the calls, also where nobody waits for them.
 *
 * @param prepare called at once, so that what is kept is what was given; what it answers is called in its turn
 */
export function change<A>(
  store: { readonly [POWERS]: Powers },
  id: string,
  prepare: () => MaybePromise<() => MaybePromise<unknown>>,
  callback: Callback<null> | undefined
): A {
  const work = () => {
    const ready = prepare()
    // Nobody hears of a failure before its turn.
    if (isPromise(ready)) ready.catch(() => undefined)
    return chain(
      inTurn(store, id, () => chain(ready, (send) => send())),
      nothing
    )
  }
  return respond(store[POWERS], work, callback)
}

/** Reads a session behind those of its changes that were called before, where they are not carried out yet. */
export function afterChanges<T>(store: object, id: string, read: () => MaybePromise<T>): MaybePromise<T> {
  return changesOf(store).isBusy(String(id)) ? inTurn(store, id, read) : read()
}

/** Waits for the changes of a store that were called before. */
export function changed(store: object): Promise<void> {
  return changesOf(store).idle()
}

/** Answers what concerns all sessions of a store, behind the changes that were called before. */
export function respondOfAll<T, A>(
  store: { readonly [POWERS]: Powers },
  work: () => MaybePromise<T>,
  callback: Callback<T> | undefined
): A {
  const powers = store[POWERS]
  return respond(powers, () => (powers.sync ? work() : changed(store).then(work)), callback)
}

// What a turn fails with is told to its caller alone: those behind it are carried out after a timeout, too.
function inTurn<T>(store: object, id: string, send: () => MaybePromise<T>): MaybePromise<T> {
  let sent!: MaybePromise<T>
  const turn = () => {
    sent = send()
    return isPromise(sent) ? sent.then(nothing, nothing) : null
  }
  return chain(changesOf(store).take(String(id), turn), () => sent)
}

/** Callers without a callback get what is declared; those with one get nothing. */
export function respond<T, A>(powers: Powers, work: () => MaybePromise<T>, callback: Callback<T> | undefined): A {
  return (powers.sync && typeof callback !== 'function' ? work() : answer(work, callback)) as A
}

/** What verbs that change something answer. */
export function nothing(): null {
  return null
}
