import type { Callback, SessionRecord, StoreContract } from '../store/contract'
import type { Cookie } from '../cookie/cookie'
import { assignData } from './session-data'
import { OptionError, type SessionError } from '../base/errors'
import { META } from '../record/record'
import { cookieOf, isEndless } from './kept-cookie'
import {
  DetachedHost,
  type LockOptions,
  type RegenerateOptions,
  type SessionHost,
  type SessionRequest,
  type SessionState
} from './session-host'
import type { Milliseconds } from '../base/time'

// While a session's data is serialized, its cookie keeps out of the way: one JSON.stringify with no replacer then serves
// change detection and storage alike.
let omitsCookie = false

const COOKIE_PROPERTY: PropertyDescriptor & ThisType<Session> = {
  configurable: true,
  enumerable: true,
  get() {
    const state = omitsCookie ? undefined : stateOf(this)
    return state === undefined ? undefined : cookieOf(state)
  },
  set(cookie: unknown) {
    if (typeof cookie !== 'object' || cookie === null) {
      throw new OptionError('session.cookie must be a cookie object; change its attributes instead of replacing it')
    }
    const state = stateOf(this)
    if (state !== undefined) state.cookie = cookie as Cookie
  }
}

const STATE = Symbol('silverback.state')

/** The private state of a session; `undefined` for a copy that is no session (a clone). */
export let stateOf: (session: Session) => SessionState | undefined

/**
 * A session: the application's data and its `cookie` are its own enumerable properties, nothing else is.
 *
 * Everything below gives way to data of the same name: an application that stores `session.name` keeps doing so.
 * Verbs with a callback behave as in express-session and return the session; without one they return a promise,
 * whose rejection does not end the process when nobody awaits it.
 */
export class Session {
  readonly #state: SessionState

  static {
    stateOf = (session) => (#state in session ? session.#state : (session as any)[STATE])
  }

  /** As in express-session: `req` carries `sessionID` (and `sessionStore`), `data` is copied except `cookie`-less keys. */
  constructor(req: SessionRequest, data?: Record<string, unknown> | null, host?: SessionHost, id?: string) {
    // A request of ours, asked for its ID, would begin the very session that is being made.
    if (host === undefined) id ??= req.sessionID
    this.#state = {
      req,
      id: id as string,
      host: host ?? new DetachedHost(req),
      cookie: undefined,
      keptCookie: undefined,
      isNew: false,
      error: undefined,
      createdAt: Date.now(),
      signal: undefined
    }
    if (host === undefined || host.classic) ownAsInExpressSession(this, req, id)
    Object.defineProperty(this, 'cookie', COOKIE_PROPERTY)
    if (typeof data === 'object' && data !== null) assignData(this, data, host === undefined || host.classic)
  }

  /** Resets the remaining lifetime of the cookie to its full length. */
  touch(): this {
    // Data of that name must not get in the way.
    return Session.prototype.resetMaxAge.call(this) as this
  }

  resetMaxAge(): this {
    const state = stateOf(this)!
    // A cookie that has no end, and that nobody has looked at, is as it should be.
    if (state.cookie === undefined && isEndless(state)) return this
    const cookie = cookieOf(state)!
    cookie.maxAge = cookie.originalMaxAge
    return this
  }

  /**
   * Stores the session now instead of when the response starts.
   * @throws {SessionError} `ERR_SESSION_DESTROYED` when it was destroyed meanwhile, `ERR_SESSION_UNSERIALIZABLE`,
   * `ERR_SESSION_COOKIE_TOO_LARGE`, or a store's fault.
   */
  save(): Promise<void>
  save(callback: Callback): this
  save(callback?: Callback): Promise<void> | this {
    return settle(this, hostOf(this).save(this), callback)
  }

  /** Reads the session again; `req.session` is a new object afterwards, this one keeps its data. */
  reload(): Promise<void>
  reload(callback: Callback): this
  reload(callback?: Callback): Promise<void> | this {
    return settle(this, hostOf(this).reload(this), callback)
  }

  /** Removes the session everywhere and expires its cookie. Fails aloud when the store could not do it. */
  destroy(): Promise<void>
  destroy(callback: Callback): this
  destroy(callback?: Callback): Promise<void> | this {
    return settle(this, hostOf(this).destroy(this), callback)
  }

  /** Ends this session ID and begins another; do this at every login. @see OWASP Session Management, renewal */
  regenerate(options?: RegenerateOptions): Promise<void>
  regenerate(callback: Callback): this
  regenerate(given?: Callback | RegenerateOptions): Promise<void> | this {
    const callback = typeof given === 'function' ? given : undefined
    const options = typeof given === 'object' && given !== null ? given : {}
    return settle(this, hostOf(this).regenerate(this, options), callback)
  }

  /**
   * Changes the session atomically, whoever else writes to it: `fn` sees the newest data, and runs again when
   * somebody was faster. Resolves with what `fn` returned.
   */
  update<T>(fn: (session: this) => T | Promise<T>): Promise<T> {
    return quiet(hostOf(this).update(this, fn))
  }

  /** Runs `fn` while no other process holds this session's lock. @throws {SessionError} `ERR_SESSION_LOCK_TIMEOUT` */
  lock<T>(fn: (signal: AbortSignal) => T | Promise<T>, options: LockOptions = {}): Promise<T> {
    return quiet(hostOf(this).lock(this, fn, options))
  }

  /** Adds a value that lives until it is read once. @see gorilla/sessions AddFlash; the default key is the same */
  addFlash(value: unknown, key = '_flash'): void {
    const data = this as unknown as Record<string, unknown>
    const list = Object.hasOwn(data, key) ? data[key] : undefined
    data[key] = Array.isArray(list) ? [...list, value] : [value]
  }

  /** Reads and clears the flashes under a key. */
  flashes(key = '_flash'): unknown[] {
    const data = this as unknown as Record<string, unknown>
    const list = Object.hasOwn(data, key) ? data[key] : undefined
    if (!Array.isArray(list)) return []
    delete data[key]
    return list
  }
}

export interface Session {
  cookie: Cookie
  readonly id: string
  /** The cookie name it travels under. */
  readonly name: string
  /** `true` until it has been stored and came back: gorilla's `IsNew`. */
  readonly isNew: boolean
  /** Why the visitor's earlier session was not accepted, if there was one. */
  readonly error: SessionError | undefined
  readonly createdAt: Milliseconds
  readonly store: StoreContract
  readonly req: any
  /** Fires when the session is destroyed, revoked or expires; only for a session of `auth.open()`. */
  readonly signal: AbortSignal | undefined
}

// express-session's sessions have these as their own, hidden properties, and code in the field looks for them there;
// STATE serves a proxy of a session, and what inherits from one: a private field is out of their reach.
function ownAsInExpressSession(session: Session, req: SessionRequest, id: string | undefined): void {
  Object.defineProperty(session, STATE, { value: stateOf(session) })
  Object.defineProperty(session, 'req', { value: req })
  Object.defineProperty(session, 'id', { value: id })
  Object.defineProperty(session, 'reload', { configurable: true, writable: true, value: Session.prototype.reload })
  Object.defineProperty(session, 'save', { configurable: true, writable: true, value: Session.prototype.save })
}

function hostOf(session: Session): SessionHost {
  return stateOf(session)!.host
}

function settle(session: Session, work: Promise<void>, callback: Callback | undefined): any {
  if (typeof callback !== 'function') return quiet(work)
  // Outside any try: a callback that throws is uncaught, as in express-session, never called a second time.
  work.then(
    () => process.nextTick(callback),
    (err) => process.nextTick(callback, err)
  )
  return session
}

// A rejection is still seen by whoever awaits; it only stops being fatal when nobody does.
function quiet<T>(work: Promise<T>): Promise<T> {
  work.catch(() => undefined)
  return work
}

/** Replaces all data of a session in place. */
export function replaceData(session: Session, data: Record<string, unknown>): void {
  const target = session as unknown as Record<string, unknown>
  for (const key of Object.keys(target)) if (key !== 'cookie') delete target[key]
  assignData(session, data, hostOf(session).classic)
}

/** JSON of a session's data, without its cookie. @throws whatever `JSON.stringify` and the data's own code throw */
export function stringifyData(session: Session): string {
  omitsCookie = true
  try {
    return JSON.stringify(session) ?? 'null'
  } finally {
    omitsCookie = false
  }
}

/** The session as a plain record, as a store of the contract expects to read it. */
export function toRecord(session: Session): SessionRecord {
  return { ...(session as unknown as SessionRecord) }
}

// Accessors that a property of the same name replaces on assignment: data has the right of way.
for (const [key, read] of Object.entries({
  id: (state: SessionState) => state.id,
  req: (state: SessionState) => state.req,
  name: (state: SessionState) => state.host.name,
  store: (state: SessionState) => state.host.store,
  isNew: (state: SessionState) => state.isNew,
  error: (state: SessionState) => (typeof state.error === 'function' ? (state.error = state.error()) : state.error),
  createdAt: (state: SessionState) => state.createdAt,
  signal: (state: SessionState) => (typeof state.signal === 'function' ? (state.signal = state.signal()) : state.signal)
})) {
  Object.defineProperty(Session.prototype, key, {
    configurable: true,
    get(this: Session) {
      const state = stateOf(this)
      return state === undefined ? undefined : read(state)
    },
    set(this: Session, value: unknown) {
      const fixed = (key === 'id' || key === 'req') && (stateOf(this)?.host.classic ?? true)
      if (!fixed) Object.defineProperty(this, key, { configurable: true, enumerable: true, writable: true, value })
    }
  })
}

// Whatever a client got an application to assign under the reserved property must not become our metadata.
Object.defineProperty(Session.prototype, META, { configurable: true, get: () => undefined, set: () => undefined })

// An assignment to `session.__proto__` must change neither the prototype nor the data.
Object.defineProperty(Session.prototype, '__proto__', {
  configurable: true,
  get: () => Session.prototype,
  set: () => undefined
})

for (const verb of Object.getOwnPropertyNames(Session.prototype)) {
  const descriptor = Object.getOwnPropertyDescriptor(Session.prototype, verb)!
  if (descriptor.enumerable) Object.defineProperty(Session.prototype, verb, { ...descriptor, enumerable: false })
}
