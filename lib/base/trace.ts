import { channel } from 'node:diagnostics_channel'
import { isPromise, type MaybePromise, type Milliseconds } from './time'

/**
 * One operation of a middleware on its store, as told on the tracing channel `silverback:store`.
 *
 * It holds neither data nor session IDs. An `error` is the store's own: what some clients put into theirs (the arguments
 * of the command) may name a session.
 */
export interface StoreCall {
  /** `get`, `set`, `touch`, `destroy`, `list`, or of a lock `acquire`, `renew`, `release`. */
  readonly operation: string
  /** Class of the store. */
  readonly store: string
  /** ms until it answered; set before `end` of what is answered at once, before `asyncStart` of all else. */
  duration?: Milliseconds
  /** What it failed with. */
  error?: unknown
}

// Those of `tracingChannel('silverback:store')`: before 20.13 Node's does not tell whether anything listens.
const start = channel('tracing:silverback:store:start')
const end = channel('tracing:silverback:store:end')
const asyncStart = channel('tracing:silverback:store:asyncStart')
const asyncEnd = channel('tracing:silverback:store:asyncEnd')
const error = channel('tracing:silverback:store:error')
const origins = new WeakMap<object, object>()

/** Whether anything listens. */
export function isTraced(): boolean {
  return (
    end.hasSubscribers ||
    asyncEnd.hasSubscribers ||
    start.hasSubscribers ||
    asyncStart.hasSubscribers ||
    error.hasSubscribers
  )
}

/** The port of a call that a channel has told of. */
export function portOf(call: unknown): object | undefined {
  return origins.get(call as object)
}

/** Tells of an operation. Unlike `tracePromise` it leaves an answer that is there at once as it is, and tells none. */
export function traced<T>(operation: string, port: { store: object }, work: () => MaybePromise<T>): MaybePromise<T> {
  const call: StoreCall = { operation, store: port.store.constructor?.name ?? 'Object' }
  origins.set(call, port)
  const began = performance.now()
  const over = () => void (call.duration = performance.now() - began)
  const failed = (err: unknown) => {
    over()
    call.error = err
    error.publish(call)
  }
  return start.runStores(call, () => {
    let result: MaybePromise<T>
    try {
      result = work()
      if (!isPromise(result)) over()
    } catch (err) {
      failed(err)
      throw err
    } finally {
      end.publish(call)
    }
    if (!isPromise(result)) return result
    return result.then(
      (value) => {
        over()
        asyncStart.publish(call)
        asyncEnd.publish(call)
        return value
      },
      (err) => {
        failed(err)
        asyncStart.publish(call)
        asyncEnd.publish(call)
        throw err
      }
    )
  })
}
