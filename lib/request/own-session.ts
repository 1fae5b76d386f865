import { OptionError, quote } from '../base/errors'
import type { HttpRequest } from '../base/http'
import { Cookie, reviveCookie } from '../cookie/cookie'
import { Session, stateOf } from '../session/session'
import { DetachedVerbs, type SessionVerbs } from '../session/verbs'

/** What express-session's own `Session` shows of itself; its `Store` is the base of many stores and makes them. */
interface ForeignSession {
  id: string
  /** Its `generate` gives one only when the session is on the request. */
  cookie?: { toJSON(): Record<string, unknown> }
  save(): unknown
}

/** A session of ours for whatever `store.createSession` has made. @throws {OptionError} for what is no session */
export function ownSession(value: unknown, verbs: SessionVerbs, req: HttpRequest): Session {
  if (value instanceof Session) {
    const state = stateOf(value)
    // Made without a middleware, and now on a request that has one.
    if (state?.verbs instanceof DetachedVerbs) state.verbs = verbs
    if (state !== undefined) return value
  } else if (isForeign(value)) {
    const { cookie, id, ...data } = value
    const session = new Session(req, data, { verbs, id })
    session.cookie = cookie === undefined ? new Cookie() : reviveCookie(cookie.toJSON())
    return session
  }
  throw new OptionError(
    `req.session can only be set to null or to a session, got ${typeof value === 'object' ? quote(value) : typeof value}; ` +
      'assign its properties instead: req.session.user = user',
    'ERR_SESSION_UNSERIALIZABLE'
  )
}

function isForeign(value: unknown): value is ForeignSession {
  if (typeof value !== 'object' || value === null) return false
  const { id, cookie, save } = value as Partial<ForeignSession>
  return (
    typeof id === 'string' &&
    typeof save === 'function' &&
    (cookie === undefined || typeof cookie.toJSON === 'function')
  )
}
