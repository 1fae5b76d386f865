import { EventEmitter } from 'node:events'
import type { Callback, SessionRecord } from './contract'
import { reviveCookie } from './cookie'
import { Session } from './session'
import type { SessionRequest } from './session-host'
import { isPromise } from './time'

/**
 * Base class of stores, ours and everybody's: an `EventEmitter` with express-session's helpers.
 *
 * A store of your own extends it and adds `get`, `set` and `destroy` (see `StoreContract`).
 */
export interface Store extends EventEmitter {
  /** Set by the middleware: begins a new session on the request. */
  generate(req: any): void
  /** Destroys the session of a request and begins another. */
  regenerate(req: any, callback: (err?: any) => void): void
  /** Reads a session that no request carries. */
  load(id: string, callback: (err: any, session?: any) => void): void
  /** Makes the `Session` of a stored record and puts it on the request. */
  createSession(req: any, record: any): Session & Record<string, any>
}

interface StoreConstructor {
  new (): Store
  /** Pre-class inheritance: `Store.call(this)` with `util.inherits`. */
  (this: object): void
  prototype: Store
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

Store.prototype.regenerate = function (this: any, req: any, callback: (err?: any) => void) {
  this.destroy(req.sessionID, (err: unknown) => {
    const generated: unknown = this.generate(req)
    if (!isPromise(generated)) return callback(err)
    generated.then(
      () => process.nextTick(callback, err),
      (failed) => process.nextTick(callback, err ?? failed)
    )
  })
}

Store.prototype.load = function (this: any, id: string, callback: Callback<any>) {
  this.get(id, (err: unknown, record: SessionRecord | null | undefined) => {
    if (err) return callback(err)
    if (!record) return callback()
    callback(null, this.createSession({ sessionID: id, sessionStore: this }, record))
  })
}

Store.prototype.createSession = function (req: SessionRequest, record: SessionRecord) {
  const { cookie, ...data } = record
  const session = new Session(req, data)
  session.cookie = reviveCookie(cookie)
  req.session = session
  return session
}
