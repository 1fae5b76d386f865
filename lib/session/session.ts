import { OptionError } from '../base/errors'
import type { HttpRequest } from '../base/http'
import type { Milliseconds } from '../base/time'
import { Cookie, reviveCookie } from '../cookie/cookie'
import { isRecord, META, OLD_META } from '../record/record'
import { cookieOf } from './cookie-state'
import { assignData } from './data'
import { DetachedVerbs, type KeptCookie, type RegenerateOptions, type SessionState, type SessionVerbs } from './verbs'

/** Node's callback; callers may give the error any type. */
type Callback = (err?: any) => void

const COOKIE_PROPERTY: PropertyDescriptor & ThisType<Session> = {
  configurable: true,
  enumerable: true,
  get() {
    const state = stateOf(this)
    return state === undefined ? undefined : cookieOf(state)
  },
  set(cookie: unknown) {
    if (typeof cookie !== 'object' || cookie === null || Array.isArray(cookie)) {
      throw new OptionError('session.cookie must be a cookie object; change its attributes instead of replacing it')
    }
    const state = stateOf(this)
    if (state !== undefined) state.cookie = cookie instanceof Cookie ? cookie : cookieFrom(cookie as Attributes)
  }
}

type Attributes = Record<string, unknown>

const STATE = Symbol('silverback.state')

/** The private state of a session; `undefined` for a copy that is no session (a clone). */
export let stateOf: (session: object) => SessionState | undefined

/** Whose verbs a session has, and under which ID, where the middleware makes it. */
export interface Origin {
  readonly verbs: SessionVerbs
  readonly id: string
  /** When it began; now, where that is not known. */
  readonly createdAt?: Milliseconds | undefined
}

/**
 * A session: the application's data and its `cookie` are its own enumerable properties.
 *
 * Its members are express-session's and nothing else reads as anything: a name that was never stored is `undefined`.
 * Verbs with a callback behave as in express-session and return the session; without one they return a promise, whose
 * rejection does not end the process when nothing awaits it.
 */
export class Session {
  readonly #state: SessionState

  static {
    stateOf = (session) => (#state in session ? session.#state : (session as { [STATE]?: SessionState })[STATE])
  }

  /** As in express-session: `req` carries `sessionID` and `sessionStore`; `data` is copied. */
  constructor(req: HttpRequest, data?: Record<string, unknown> | null, origin?: Origin) {
    this.#state = {
      req,
      id: (origin === undefined ? req.sessionID : origin.id) as string,
      verbs: origin === undefined ? new DetachedVerbs(req) : origin.verbs,
      cookie: undefined,
      keptCookie: undefined,
      isNew: false,
      error: undefined,
      createdAt: origin?.createdAt ?? Date.now(),
      signal: undefined
    }
    if (!isModern(this)) ownAsInExpressSession(this, req)
    if (origin === undefined) this.#state.cookie = cookieIn(data)
    Object.defineProperty(this, 'cookie', COOKIE_PROPERTY)
    if (typeof data === 'object' && data !== null) assignData(this, data, !isModern(this))
  }

  /** Resets the remaining lifetime of the cookie to its full length. */
  touch(): this {
    // Data of that name must not get in the way.
    return Session.prototype.resetMaxAge.call(this) as this
  }

  resetMaxAge(): this {
    const state = stateOf(this)!
    // A cookie that has no end, and that nobody has looked at, is as it should be.
    if (state.cookie === undefined && isEndless(state.keptCookie!)) return this
    const cookie = cookieOf(state)
    if (cookie !== undefined) cookie.maxAge = cookie.originalMaxAge
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
    return settle(this, verbsOf(this).save(this), callback)
  }

  /** Reads the session again; `req.session` is a new object afterwards, this one keeps its data. */
  reload(): Promise<void>
  reload(callback: Callback): this
  reload(callback?: Callback): Promise<void> | this {
    return settle(this, verbsOf(this).reload(this), callback)
  }

  /** Removes the session everywhere and expires its cookie. Fails aloud when the store could not do it. */
  destroy(): Promise<void>
  destroy(callback: Callback): this
  destroy(callback?: Callback): Promise<void> | this {
    return settle(this, verbsOf(this).destroy(this), callback)
  }

  /** Ends this session ID and begins another; do this at every login. @see OWASP Session Management, renewal */
  regenerate(options?: RegenerateOptions): Promise<void>
  regenerate(callback: Callback): this
  regenerate(given?: Callback | RegenerateOptions): Promise<void> | this {
    if (typeof given === 'function') return settle(this, verbsOf(this).regenerate(this, undefined), given)
    return settle(this, verbsOf(this).regenerate(this, given), undefined)
  }
}

export interface Session {
  cookie: Cookie
  readonly id: string
  readonly req: any
}

/** JSON of a session's cookie, as records keep it. */
export function jsonOfCookie({ cookie, keptCookie }: SessionState): string {
  return cookie === undefined ? keptCookie!.cookieText : JSON.stringify(cookie)
}

/** Whether a cookie, as it is kept, lasts until the browser closes. */
export function isEndless({ cookie }: KeptCookie): boolean {
  return cookie.originalMaxAge === null && cookie.expires === null
}

/** Whether `sessions()` made the session: express-session's rules for odd keys do not apply then. */
export function isModern(session: object): boolean {
  return MODERN in session
}

/** Marks the prototype of the sessions of `sessions()`. */
export const MODERN = Symbol('silverback.modern')

// express-session's sessions have these as their own, hidden properties, and code in the field looks for them there;
// STATE serves a proxy of a session, and what inherits from one: a private field is out of their reach.
function ownAsInExpressSession(session: Session, req: HttpRequest): void {
  const state = stateOf(session)!
  Object.defineProperty(session, STATE, { value: state })
  Object.defineProperty(session, 'req', { value: req })
  Object.defineProperty(session, 'id', { value: state.id })
  Object.defineProperty(session, 'reload', { configurable: true, writable: true, value: Session.prototype.reload })
  Object.defineProperty(session, 'save', { configurable: true, writable: true, value: Session.prototype.save })
}

// Attributes, or what a record keeps: an end that is a text is a date, one that names no date is none, and one without a
// span is its own.
function cookieFrom(attributes: Attributes): Cookie {
  const cookie = reviveCookie(attributes)
  if (Number.isNaN(cookie.expires?.valueOf())) cookie.expires = null
  if (cookie.originalMaxAge === undefined) cookie.originalMaxAge = cookie.maxAge ?? null
  return cookie
}

// Of a session that a socket library makes by hand, of a record, of a request's session, or of nothing.
function cookieIn(data: Record<string, unknown> | null | undefined): Cookie {
  const cookie = data?.cookie
  if (cookie instanceof Cookie) return cookie
  return isRecord(cookie) ? reviveCookie(cookie) : new Cookie()
}

function verbsOf(session: Session): SessionVerbs {
  return stateOf(session)!.verbs
}

/** Answers a caller of the callback kind (then the session is returned) or of the promise kind. */
function settle<S extends Session>(session: S, work: Promise<void>, callback: Callback | undefined): Promise<void> | S {
  if (typeof callback !== 'function') return quiet(work)
  // Outside any try: a callback that throws is uncaught, as in express-session, never called a second time.
  work.then(
    () => process.nextTick(callback),
    (err) => process.nextTick(callback, err)
  )
  return session
}

/** A rejection is still seen by whoever awaits; it only stops being fatal when nothing does. */
export function quiet<T>(work: Promise<T>): Promise<T> {
  work.catch(() => undefined)
  return work
}

/** Replaces all data of a session in place. */
export function replaceData(session: Session, data: Record<string, unknown>): void {
  const target = session as unknown as Record<string, unknown>
  for (const key of Object.keys(target)) if (key !== 'cookie') delete target[key]
  assignData(session, data, !isModern(session))
}

// Accessors that data of the same name replaces on assignment in a session of `sessions()`.
for (const key of ['id', 'req'] as const) {
  Object.defineProperty(Session.prototype, key, {
    configurable: true,
    get(this: Session) {
      return stateOf(this)?.[key]
    },
    set(this: Session, value: unknown) {
      if (!isModern(this)) return
      Object.defineProperty(this, key, { configurable: true, enumerable: true, writable: true, value })
    }
  })
}

// Some delete every key of a session, restore data that was kept elsewhere, and assign a new cookie (ApostropheCMS).
Object.defineProperty(Session.prototype, 'cookie', {
  configurable: true,
  get: COOKIE_PROPERTY.get!,
  set(this: Session, value: Cookie) {
    const plain = { configurable: true, enumerable: true, writable: true, value }
    const isSession = stateOf(this) !== undefined
    Object.defineProperty(this, 'cookie', isSession ? COOKIE_PROPERTY : plain)
    if (isSession) this.cookie = value
  }
})

// Whatever a client got an application to assign under the reserved property must not become our metadata.
for (const key of [META, OLD_META]) {
  Object.defineProperty(Session.prototype, key, { configurable: true, get: () => undefined, set: () => undefined })
}

// An assignment to `session.__proto__` must change neither the prototype nor the data.
Object.defineProperty(Session.prototype, '__proto__', {
  configurable: true,
  get(this: object) {
    return Object.getPrototypeOf(this) as unknown
  },
  set: () => undefined
})

// console.log(req.session) shows data and cookie, as of an object without accessors.
const shownAs = Object.create(Session.prototype, { [Symbol.for('nodejs.util.inspect.custom')]: {} }) as object
Object.defineProperty(Session.prototype, Symbol.for('nodejs.util.inspect.custom'), {
  configurable: true,
  value(this: Session, _depth: number, options: object, inspect?: (value: unknown, options: object) => string) {
    const shown = Object.assign(Object.create(shownAs), this) as object
    return inspect === undefined ? shown : inspect(shown, options)
  }
})
