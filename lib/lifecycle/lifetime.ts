import type { HttpRequest } from '../base/http'
import { SECOND, timeOf, type Milliseconds } from '../base/time'
import { cookieOptions } from '../engine/identify'
import type { Engine } from '../engine/engine'
import type { Settings } from '../options/settings'
import type { ParsedRecord } from '../record/record'
import type { Handle } from './handle'
import type { Snapshot } from './snapshot'

/** How often a lifetime is extended at the most, within itself. */
const EXTENSIONS = 20
/**
 * An extension that lies more than so many intervals ahead was made before the clock was set back, and another one is due:
 * browsers and servers have gone on counting. Clocks of other machines differ by less.
 */
const INTERVALS_AHEAD = EXTENSIONS / 2

/** The part of a cookie that lifetimes look at. */
export interface CookieLife {
  /** A date, or the text of one in a record. */
  readonly expires?: unknown
  /** ms, or `null`. */
  readonly originalMaxAge?: unknown
}

/** The times of one session. */
export interface Times {
  readonly createdAt: Milliseconds
  readonly usedAt: Milliseconds
}

/**
 * The idle limit of one session; `null`: none.
 *
 * A lifetime that the application gave this session (it differs from that of the options) is its idle limit; among the
 * options the earlier end wins, and a default is no option.
 */
export function idleLimit(settings: Settings, req: HttpRequest, { originalMaxAge }: CookieLife): Milliseconds | null {
  const { idle, idleIsExplicit, endsByDate } = settings.limits
  const own = typeof originalMaxAge === 'number' ? originalMaxAge : null
  // The date of express-session's cookie ends the session by itself.
  if (own === null || (endsByDate && (idle === null || own <= 0))) return idle
  if (idle === null || !idleIsExplicit || !isOfOptions(settings, req, own)) return own
  return Math.min(idle, own)
}

/**
 * Whether a session that was last extended at a time is to be extended by this request: after `touchAfter`, and sooner
 * where a short lifetime that the application gave it would be over before.
 */
export function isDue(
  settings: Settings,
  req: HttpRequest,
  { originalMaxAge }: CookieLife,
  extendedAt: Milliseconds
): boolean {
  let interval = settings.touchAfter
  if (typeof originalMaxAge === 'number' && originalMaxAge > 0 && originalMaxAge / EXTENSIONS < interval) {
    if (!isOfOptions(settings, req, originalMaxAge)) interval = originalMaxAge / EXTENSIONS
  }
  const since = Date.now() - extendedAt
  const isTime = since >= interval || since < -INTERVALS_AHEAD * interval
  return isTime && (settings.extend?.(req) ?? true)
}

/** When a session ends; `null`: not by itself. The earliest of its idle, absolute and cookie's ends. */
export function deadline(settings: Settings, req: HttpRequest, cookie: CookieLife, times: Times): Milliseconds | null {
  const { limits } = settings
  const idle = idleLimit(settings, req, cookie)
  let end = idle === null ? Infinity : times.usedAt + idle
  if (limits.absolute !== null) end = Math.min(end, times.createdAt + limits.absolute)
  if (limits.endsByDate) end = Math.min(end, timeOf(cookie.expires) ?? Infinity)
  return end === Infinity ? null : end
}

/**
 * The same of a session that a store keeps. A touch moves the end there, and may leave the date in the record as it was:
 * where the date ends it, its span since the last use counts, if that is later.
 */
export function keptDeadline(
  settings: Settings,
  req: HttpRequest,
  cookie: CookieLife,
  times: Times
): Milliseconds | null {
  const expires = settings.limits.endsByDate ? keptDate(cookie, times.usedAt) : undefined
  return deadline(settings, req, expires === undefined ? cookie : { ...cookie, expires }, times)
}

/** The date that ends a session which was used last at a time; `undefined` for a cookie without a span. */
export function keptDate({ originalMaxAge: own, expires }: CookieLife, usedAt: Milliseconds): Date | undefined {
  return typeof own === 'number' && own > 0 ? new Date(Math.max(usedAt + own, timeOf(expires) ?? 0)) : undefined
}

/** Whether what we wrote ourselves says that a session is over. `usedAt` is `undefined` where the store settles idling. */
export function isOver(
  settings: Settings,
  req: HttpRequest,
  { cookie, meta }: Pick<ParsedRecord, 'cookie' | 'meta'>,
  usedAt: Milliseconds | undefined
): boolean {
  const { limits } = settings
  const now = Date.now()
  if (meta === undefined) return false
  if (limits.absolute !== null && meta.c + limits.absolute <= now) return true
  if (usedAt === undefined) return false
  const idle = idleLimit(settings, req, cookie)
  return idle !== null && usedAt + idle <= now
}

/** Whether a cookie's lifetime says that its session is to be deleted: gorilla's `MaxAge` below 0. */
export function isDeleting({ originalMaxAge }: CookieLife): boolean {
  return typeof originalMaxAge === 'number' && originalMaxAge <= 0
}

/** When a session was last extended, as its record tells, or this process knows. */
export function extendedAt({ engine, settings, id, snapshot }: Handle): Milliseconds {
  if (tellsExtension(settings)) return snapshot.usedAt
  return Math.max(engine.extended.get(id) ?? 0, snapshot.meta?.u ?? 0)
}

/** When a session was used last, for a request that must not extend it. A touch may have left the record as it was. */
export function lastUse(engine: Engine, id: string, { usedAt }: Snapshot): Milliseconds {
  return Math.max(usedAt, engine.extended.get(id) ?? 0)
}

/** Whether a record says when it was last extended: one of ours does, in a store of ours. Else this process remembers. */
export function tellsExtension({ port, writesMeta, touchAfter, extend }: Settings): boolean {
  return (touchAfter === 0 && extend === undefined) || (writesMeta && port.native)
}

// Whether a lifetime is the one that the options give a cookie. That counts from a clock that may have ticked meanwhile,
// and dates have no fractions.
function isOfOptions(settings: Settings, req: HttpRequest, own: Milliseconds): boolean {
  const { maxAge } = cookieOptions(settings, req)
  return typeof maxAge === 'number' && Math.abs(own - maxAge) < SECOND
}
