import type { MaybePromise } from '../base/time'

/** What stands behind `req.session`, `req.sessionID` and `req.sessions`. */
export interface RequestSessions {
  session: unknown
  sessionId: unknown
  readonly sessions: unknown
  /** Tells one middleware from another. */
  readonly engine: object
  /** Whether `req.session` is there, without loading it. */
  readonly present: boolean
  /** Begins another session in place of the present one; a promise where the option `genid` answers by promise. */
  restart(): MaybePromise<void>
}

const CONTEXT = Symbol('silverback.context')

/** The sessions of a request that a middleware of ours has seen. */
export function sessionsOf(req: any): RequestSessions | undefined {
  return req?.[CONTEXT]
}

/** Puts sessions on a request. */
export function putOn(req: any, sessions: RequestSessions): void {
  req[CONTEXT] = sessions
  Object.defineProperty(req, 'session', SESSION)
  Object.defineProperty(req, 'sessionID', SESSION_ID)
  Object.defineProperty(req, 'sessions', SESSIONS)
}

/** Puts `req.session` back after the application deleted it. */
export function putBack(req: any): void {
  if (isDeleted(req)) Object.defineProperty(req, 'session', SESSION)
}

/** Whether the application deleted `req.session`; what it assigns after that no longer comes to us. */
export function isDeleted(req: any): boolean {
  const own = Object.getOwnPropertyDescriptor(req, 'session')
  return own === undefined || (own.get === undefined && (own.value === null || own.value === undefined))
}

// One set of accessors serves every request: nothing is closed over, nothing allocated.
const SESSION: PropertyDescriptor & ThisType<any> = {
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

const SESSION_ID: PropertyDescriptor & ThisType<any> = {
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

const SESSIONS: PropertyDescriptor & ThisType<any> = {
  configurable: true,
  enumerable: false,
  get() {
    return sessionsOf(this)?.sessions
  }
}
