import type { HttpRequest } from '../base/http'
import type { MaybePromise } from '../base/time'

/** What stands behind `req.session`, `req.sessionID` and `req.sessions`. */
export interface SessionsOfRequest {
  session: unknown
  sessionId: unknown
  readonly sessions: unknown
  /** Tells one middleware from another. */
  readonly engine: object
  /** Whether `req.session` is there, without loading it. */
  readonly present: boolean
  /** The middleware is called again for the request. */
  remount(): Promise<void>
  /** The store's `generate` is called: begins another session; a promise where the option `genid` answers by promise. */
  generate(): MaybePromise<void>
}

const SESSIONS_OF_REQUEST = Symbol('silverback.sessions')

type Owner = HttpRequest & { [SESSIONS_OF_REQUEST]?: SessionsOfRequest }

/** The sessions of a request that a middleware of ours has seen. */
export function sessionsOf(req: HttpRequest | undefined): SessionsOfRequest | undefined {
  return (req as Owner | undefined)?.[SESSIONS_OF_REQUEST]
}

/** Puts sessions on a request. */
export function putOn(req: HttpRequest, sessions: SessionsOfRequest): void {
  ;(req as Owner)[SESSIONS_OF_REQUEST] = sessions
  Object.defineProperty(req, 'session', SESSION)
  Object.defineProperty(req, 'sessionID', SESSION_ID)
  if (!('sessions' in req)) Object.defineProperty(req, 'sessions', SESSIONS)
}

/** Puts `req.session` back after the application deleted it. */
export function putBack(req: HttpRequest): void {
  if (isDeleted(req)) Object.defineProperty(req, 'session', SESSION)
}

/** Whether the application deleted `req.session`; what it assigns after that no longer comes to us. */
export function isDeleted(req: HttpRequest): boolean {
  const own = Object.getOwnPropertyDescriptor(req, 'session')
  return own === undefined || (own.get === undefined && (own.value === null || own.value === undefined))
}

// One set of accessors serves every request: nothing is closed over, nothing allocated.
const SESSION: PropertyDescriptor & ThisType<HttpRequest> = {
  configurable: true,
  enumerable: true,
  get() {
    return sessionsOf(this)?.session
  },
  set(value: unknown) {
    const sessions = sessionsOf(this)
    if (sessions !== undefined) sessions.session = value
  }
}

const SESSION_ID: PropertyDescriptor & ThisType<HttpRequest> = {
  configurable: true,
  enumerable: true,
  get() {
    return sessionsOf(this)?.sessionId
  },
  set(value: unknown) {
    const sessions = sessionsOf(this)
    if (sessions !== undefined) sessions.sessionId = value
  }
}

const SESSIONS: PropertyDescriptor & ThisType<HttpRequest> = {
  configurable: true,
  enumerable: false,
  get() {
    return sessionsOf(this)?.sessions
  },
  // An application may have a property of that name: it has the right of way.
  set(value: unknown) {
    Object.defineProperty(this, 'sessions', { configurable: true, enumerable: true, writable: true, value })
  }
}
