import type { HttpRequest } from '../base/http'
import type { RequestSessions } from './request-sessions'

const SESSIONS_OF_REQUEST = Symbol('silverback.sessions')

type Owner = HttpRequest & { [SESSIONS_OF_REQUEST]?: RequestSessions }

/** The sessions of a request that a middleware of ours has seen. */
export function sessionsOf(req: HttpRequest | undefined): RequestSessions | undefined {
  const owner: Owner | undefined = req
  return owner?.[SESSIONS_OF_REQUEST]
}

/** Puts sessions on a request. */
export function putOn(req: HttpRequest, sessions: RequestSessions): void {
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

/** Node 20 and 22. */
const COPIES = Number.parseInt(process.versions.v8, 10) < 13

/**
 * Prepares a request or response of Express for the properties that a session adds.
 *
 * Express gives both another prototype. V8 before version 13 shares no hidden class between such objects: each property
 * that is added then copies the descriptions of all that are there, which costs more than everything else a session
 * does. As a dictionary the object takes them, and those that Express itself adds later, at a small part of that.
 * @param name a property that Express has put there: to delete it is what makes V8 change the representation.
 */
export function useDictionaryMode(object: object, name: string): void {
  if (!COPIES || Object.getPrototypeOf(object) === object.constructor?.prototype) return
  const own = Object.getOwnPropertyDescriptor(object, name)
  if (own !== undefined && Reflect.deleteProperty(object, name)) Object.defineProperty(object, name, own)
}
