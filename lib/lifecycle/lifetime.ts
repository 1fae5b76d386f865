import type { HttpRequest } from '../base/http'
import { SECOND, type Milliseconds } from '../base/time'
import type { Limits } from '../doors/door'
import { cookieOptions } from '../engine/identify'
import type { Settings } from '../options/settings'
import type { Meta } from '../record/record'
import type { SessionState } from '../session/verbs'
import type { Life } from '../store/contract'

/** How often a lifetime is extended at the most, within itself. */
const EXTENSIONS = 20

/** The part of a cookie that lifetimes look at. */
export interface CookieLife {
  /** A date, or the text of one in a record. */
  readonly expires?: unknown
  readonly originalMaxAge: Milliseconds | null
}

/** What lifetimes look at in the cookie of a session, without making it. */
export function lifeOfCookie({ cookie, keptCookie }: SessionState): CookieLife {
  return cookie ?? (keptCookie!.cookie as unknown as CookieLife)
}

/** The times of one session. */
export interface Times {
  readonly createdAt: Milliseconds
  readonly usedAt: Milliseconds
}

/**
 * The idle limit of one session; `null`: none.
 *
 * A lifetime that the application gave this session (it differs from that of the options, `optionSpan`) is its idle
 * limit; among the options the earlier end wins, and a default is no option.
 */
export function idleLimit(
  { idle, idleIsExplicit, endsByDate }: Limits,
  { originalMaxAge }: CookieLife,
  optionSpan: Milliseconds | null | undefined
): Milliseconds | null {
  const own = typeof originalMaxAge === 'number' ? originalMaxAge : null
  // The date of express-session's cookie ends the session by itself.
  if (own === null || (endsByDate && (idle === null || own <= 0))) return idle
  if (!isOfOptions(own, optionSpan) || idle === null || !idleIsExplicit) return own
  return Math.min(idle, own)
}

/**
 * Least time between two extensions of one session: a short lifetime that the application gave it must not be over
 * before it may be extended.
 */
export function extensionInterval(settings: Settings, req: HttpRequest, { originalMaxAge }: CookieLife): Milliseconds {
  const { touchAfter } = settings
  if (typeof originalMaxAge !== 'number' || originalMaxAge <= 0) return touchAfter
  const interval = originalMaxAge / EXTENSIONS
  return interval >= touchAfter || isOfOptions(originalMaxAge, optionSpan(settings, req)) ? touchAfter : interval
}

/** When a session ends; `null`: not by itself. The earliest of its idle, absolute and cookie's ends. */
export function deadline(settings: Settings, req: HttpRequest, cookie: CookieLife, times: Times): Milliseconds | null {
  const { limits } = settings
  const idle = idleLimit(limits, cookie, optionSpan(settings, req))
  let end = idle === null ? Infinity : times.usedAt + idle
  if (limits.absolute !== null) end = Math.min(end, times.createdAt + limits.absolute)
  if (limits.endsByDate) end = Math.min(end, timeOf(cookie.expires) ?? Infinity)
  return end === Infinity ? null : end
}

/** Whether what we wrote ourselves says that a session is over. `usedAt` is `undefined` where the store settles idling. */
export function isOver(
  settings: Settings,
  req: HttpRequest,
  cookie: CookieLife,
  meta: Meta,
  usedAt: Milliseconds | undefined
): boolean {
  const { limits } = settings
  const now = Date.now()
  if (limits.absolute !== null && meta.c + limits.absolute <= now) return true
  if (usedAt === undefined) return false
  const idle = idleLimit(limits, cookie, optionSpan(settings, req))
  return idle !== null && usedAt + idle <= now
}

/** Whether a cookie's lifetime says that its session is to be deleted: gorilla's `MaxAge` below 0. */
export function isDeleting({ originalMaxAge }: CookieLife): boolean {
  return typeof originalMaxAge === 'number' && originalMaxAge <= 0
}

/** What a store needs to know to keep a session as long as it lives. */
export function lifeOf(settings: Settings, req: HttpRequest, cookie: CookieLife, times: Times): Life {
  return { usedAt: times.usedAt, expiresAt: deadline(settings, req, cookie, times) }
}

// A cookie counts its lifetime from a clock that may have ticked meanwhile, and dates have no fractions.
function isOfOptions(own: Milliseconds, optionSpan: Milliseconds | null | undefined): boolean {
  return typeof optionSpan === 'number' && Math.abs(own - optionSpan) < SECOND
}

/** The lifetime that the options give a cookie. */
function optionSpan(settings: Settings, req: HttpRequest): Milliseconds | null | undefined {
  const { maxAge, expires } = cookieOptions(settings, req)
  if (typeof maxAge === 'number') return maxAge
  return expires instanceof Date ? undefined : null
}

/** A date, or the text of one, as a time. */
export function timeOf(date: unknown): Milliseconds | null {
  const time = date instanceof Date || typeof date === 'string' ? new Date(date).valueOf() : NaN
  return Number.isNaN(time) ? null : time
}
