import type { Life } from '../store/contract'
import type { Meta } from '../record/record'
import type { Settings } from '../options/options'
import type { Milliseconds } from '../base/time'

/** The part of a cookie that lifetimes look at. */
interface CookieLife {
  /** A date, or the text of one in a record. */
  expires?: unknown
  originalMaxAge: Milliseconds | null
}

/** The idle limit of one session: a longer life that the application gave its cookie counts, unless `idle` is policy. */
export function idleLimit(settings: Settings, cookie: CookieLife): Milliseconds | null {
  const { idle, idleIsPolicy } = settings
  const own = typeof cookie.originalMaxAge === 'number' && cookie.originalMaxAge > 0 ? cookie.originalMaxAge : null
  if (settings.classic) return idle
  if (idle === null || own === null) return idle
  return idleIsPolicy ? Math.min(idle, own) : Math.max(idle, own)
}

/** When a session ends; `null`: not by itself. The earlier of idle and absolute deadline, and of the cookie's own. */
export function deadline(
  settings: Settings,
  cookie: CookieLife,
  createdAt: Milliseconds,
  usedAt: Milliseconds
): Milliseconds | null {
  const idle = idleLimit(settings, cookie)
  const { originalMaxAge } = cookie
  let end = idle === null ? Infinity : usedAt + idle
  if (settings.absolute !== null) end = Math.min(end, createdAt + settings.absolute)
  // The cookie's own end is known by its span, not by the date in the record, which a touch leaves behind.
  if (settings.classic) end = Math.min(end, dateOf(cookie.expires) ?? Infinity)
  else if (typeof originalMaxAge === 'number') end = Math.min(end, usedAt + originalMaxAge)
  return end === Infinity ? null : end
}

/** Whether what we wrote ourselves says that a session is over. `usedAt` is `undefined` where the store settles idling. */
export function isOver(
  settings: Settings,
  cookie: CookieLife,
  meta: Meta,
  usedAt: Milliseconds | undefined,
  now: Milliseconds
): boolean {
  if (settings.absolute !== null && meta.c + settings.absolute <= now) return true
  if (usedAt === undefined) return false
  const idle = idleLimit(settings, cookie)
  if (idle !== null && usedAt + idle <= now) return true
  const span = cookie.originalMaxAge
  return !settings.classic && typeof span === 'number' && usedAt + span <= now
}

/** Whether a cookie's lifetime says that its session is to be deleted: gorilla's `MaxAge` below 0. */
export function isDeleting({ originalMaxAge }: Pick<CookieLife, 'originalMaxAge'>): boolean {
  return typeof originalMaxAge === 'number' && originalMaxAge <= 0
}

/** What a store needs to know to keep a session as long as it lives. */
export function lifeOf(settings: Settings, cookie: CookieLife, createdAt: Milliseconds, usedAt: Milliseconds): Life {
  return { usedAt, expiresAt: deadline(settings, cookie, createdAt, usedAt) }
}

function dateOf(date: unknown): Milliseconds | null {
  const time = date instanceof Date || typeof date === 'string' ? new Date(date).valueOf() : NaN
  return Number.isNaN(time) ? null : time
}
