import { EventEmitter } from 'node:events'
import type { SessionRecord } from './contract'
import { reviveCookie } from '../cookie/cookie'
import { AppSession } from '../session/modern'
import type { HttpRequest } from '../base/http'
import type { SessionData } from '../session/data'
import { isPromise, type MaybePromise } from '../base/time'

// Callers and subclasses may give the error any type.
type Done = (err?: any) => void
type Answered<T> = (err?: any, value?: T) => void

/**
 * Base class of stores, ours and everybody's: an `EventEmitter` with express-session's helpers.
 *
 * A store of your own extends it and adds `get`, `set` and `destroy` (see `StoreContract`).
 */
export interface Store extends StoreShape {}

// Declared as a class for its abstract verbs: a subclass without them does not compile. It says what callers may rely
// on from any store; a subclass may answer by promise, too, or directly.
declare abstract class StoreShape extends EventEmitter {
  /** Destroys the session of a request and begins another. */
  regenerate(req: any, callback: Done): void
  /** Reads a session that no request carries. */
  load(id: string, callback: Answered<AppSession & SessionData>): void
  /** Makes the `Session` of a stored record and puts it on the request. */
  createSession(req: any, record: any): AppSession & SessionData

  abstract get(id: string, callback: Answered<SessionData | null>): unknown
  abstract set(id: string, session: SessionData, callback?: Done): unknown
  abstract destroy(id: string, callback?: Done): unknown
  touch?(id: string, session: SessionData, callback?: Done): unknown
  all?(callback: Answered<SessionData[] | Record<string, SessionData> | null>): unknown
  length?(callback: Answered<number>): unknown
  clear?(callback?: Done): unknown
}

/** The verbs without a callback: so our own stores answer directly or by promise, and `await` takes both. */
interface Awaitable {
  get(id: string): MaybePromise<SessionData | null>
  set(id: string, session: SessionData): MaybePromise<void>
  destroy(id: string): MaybePromise<void>
  touch?(id: string, session: SessionData): MaybePromise<void>
  all?(): MaybePromise<SessionData[] | Record<string, SessionData>>
  length?(): MaybePromise<number>
  clear?(): MaybePromise<void>
  ids?(): MaybePromise<string[]>
}

/** The store on a request. */
export type RequestStore = Awaitable &
  Store & {
    /** Set by the middleware: begins a new session on the request. */
    generate(req: any): void
    ids?(callback: Answered<string[]>): unknown
  }

type StoreConstructor = typeof StoreShape & {
  /** Pre-class inheritance: `Store.call(this)` with `util.inherits`. */
  (this: object): void
}

// A function and not a class: stores on npm call it without `new`. It defines no optional verb (`touch`, `all`, ...):
// their presence is how stores say what they can do.
export const Store = function Store(this: object) {
  EventEmitter.call(this as EventEmitter)
} as unknown as StoreConstructor

Object.setPrototypeOf(Store, EventEmitter)
Store.prototype = Object.create(EventEmitter.prototype, {
  constructor: { configurable: true, writable: true, value: Store }
}) as Store

Store.prototype.regenerate = function (this: RequestStore, req: HttpRequest, callback: Done) {
  this.destroy(req.sessionID as string, (err: unknown) => {
    const generated: unknown = this.generate(req)
    if (!isPromise(generated)) return callback(err)
    generated.then(
      () => process.nextTick(callback, err),
      (failed) => process.nextTick(callback, err ?? failed)
    )
  })
}

Store.prototype.load = function (this: Store, id: string, callback: Answered<AppSession & SessionData>) {
  this.get(id, (err: unknown, record) => {
    if (err) return callback(err)
    if (!record) return callback()
    callback(null, this.createSession({ sessionID: id, sessionStore: this }, record))
  })
}

Store.prototype.createSession = function (req: HttpRequest, record: SessionRecord) {
  const { cookie, ...data } = record as Record<string, unknown>
  const session = new AppSession(req, data)
  session.cookie = reviveCookie(cookie as Record<string, unknown>)
  req.session = session
  return session
}
