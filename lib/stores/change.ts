import { chain, isPromise, SECOND, type MaybePromise, type Milliseconds } from '../base/time'
import { answer, POWERS, type Callback, type Powers } from '../store/contract'
import { madeFor } from '../base/maps'
import { KeyedQueue } from '../store/keyed-queue'

/** A call that is not answered holds up those behind it for so long. */
export const PATIENCE: Milliseconds = 5 * SECOND
const changesOf = madeFor((_store: object) => new KeyedQueue(PATIENCE))
/** What is called behind a `clear` takes its turn when that is done, whichever session it changes. */
const clearsOf = madeFor((_store: object) => new KeyedQueue(PATIENCE))
const ALL = ''

/**
 * Changes a session in the order of the calls, also where nobody waits for them.
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
  const isBehind = changesOf(store).isBusy(String(id)) || clearsOf(store).isBusy(ALL)
  return isBehind ? inTurn(store, id, read) : read()
}

/** Waits for the changes of a store that were called before. */
export async function changed(store: object): Promise<void> {
  // In an array, for which `take` does not wait: calls behind this one need not wait until all is idle.
  const [idle] = await take(clearsOf(store), ALL, () => [changesOf(store).idle()])
  await idle
}

/**
 * Answers what concerns all sessions of a store, behind the changes that were called before. With a callback others may
 * have their turn meanwhile.
 */
export function respondOfAll<T, A>(
  store: { readonly [POWERS]: Powers },
  work: (isPatient: boolean) => MaybePromise<T>,
  callback: Callback<T> | undefined
): A {
  const powers = store[POWERS]
  const ask = () => work(typeof callback === 'function')
  return respond(powers, () => (powers.sync ? ask() : changed(store).then(ask)), callback)
}

/** Removes every session, in the order of the calls: what is set behind it stays. */
export function clearAll<A>(
  store: { readonly [POWERS]: Powers },
  clear: () => MaybePromise<unknown>,
  callback: Callback<null> | undefined
): A {
  const powers = store[POWERS]
  const inOrder = () => take(clearsOf(store), ALL, () => changesOf(store).idle().then(clear))
  return respond(powers, () => chain(powers.sync ? clear() : inOrder(), nothing), callback)
}

function inTurn<T>(store: object, id: string, send: () => MaybePromise<T>): MaybePromise<T> {
  const begun = take(clearsOf(store), ALL, () => [take(changesOf(store), String(id), send)])
  return chain(begun, ([answer]) => answer!)
}

// What a turn fails with is told to its caller alone: those behind it are carried out after a timeout, too.
function take<T>(queue: KeyedQueue, key: string, send: () => MaybePromise<T>): MaybePromise<T> {
  let sent!: MaybePromise<T>
  const turn = () => {
    sent = send()
    return isPromise(sent) ? sent.then(nothing, nothing) : null
  }
  return chain(queue.take(key, turn), () => sent)
}

/** Callers without a callback get what is declared; those with one get nothing. */
export function respond<T, A>(powers: Powers, work: () => MaybePromise<T>, callback: Callback<T> | undefined): A {
  return (powers.sync && typeof callback !== 'function' ? work() : answer(work, callback)) as A
}

/** What verbs that change something answer. */
export function nothing(): null {
  return null
}
