import { reviveCookie } from '../cookie/cookie'
import { Session, stateOf } from '../session/session'
import type { SessionHost, SessionRequest } from '../session/session-host'

/** What express-session's own `Session` shows of itself; its `Store` is the base of many stores and makes them. */
interface ForeignSession {
  id: string
  cookie: { toJSON(): Record<string, unknown> }
  save(): unknown
}

/** A session of ours for whatever `store.createSession` has made; `undefined` for what is no session. */
export function ownSession(value: unknown, host: SessionHost, req: SessionRequest): Session | undefined {
  if (value instanceof Session) return stateOf(value) === undefined ? undefined : value
  if (!isForeign(value)) return undefined
  const { cookie, ...data } = value
  const session = new Session(req, data, host, value.id)
  session.cookie = reviveCookie(cookie.toJSON())
  return session
}

function isForeign(value: unknown): value is ForeignSession {
  if (typeof value !== 'object' || value === null) return false
  const { id, cookie, save } = value as Partial<ForeignSession>
  return typeof id === 'string' && typeof save === 'function' && typeof cookie?.toJSON === 'function'
}
