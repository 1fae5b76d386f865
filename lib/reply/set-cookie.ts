import { Cookie, encodeValue, serializeAttributes, serializeCookie } from '../cookie/cookie'
import { isEndless } from '../session/kept-cookie'
import { deadline } from '../lifecycle/lifetime'
import { boundValueOf, isSecure } from '../engine/presented'
import { stateOf } from '../session/session'
import type { KeptCookie } from '../session/session-host'
import type { Slot } from '../lifecycle/slot'
import type { Tracked } from '../lifecycle/tracked'

const EPOCH = new Date(0)
// Attributes by the JSON of the cookie: few sets of options are in use.
const prepared = new Map<string, string>()
const PREPARED_MAX = 64
/** Parent domains tried when planted cookies are expired; more labels than any sensible host has. */
const PARENTS_MAX = 4

/** The value that stands for a session on the wire: signed, bound to its name, or sealed by the store. */
export function tokenOf(slot: Slot, tracked: Tracked): string {
  const { settings, engine, req } = slot
  if (settings.backend.carrier !== undefined) return tracked.value ?? ''
  const keys = engine.keysFor(settings, req)!
  if (settings.bound) return keys.signBound(settings.name, boundValueOf(tracked))
  return keys.signPlain(tracked.value ?? tracked.id)
}

/** The `Set-Cookie` text that carries a session. @throws {TypeError} when an attribute cannot be sent */
export function sendText(slot: Slot, tracked: Tracked): string {
  const { settings } = slot
  const token = tokenOf(slot, tracked)
  const state = stateOf(tracked.session)!
  // A cookie that nobody looked at, and that has no end, differs in nothing but its value.
  if (!settings.classic && state.cookie === undefined && isEndless(state)) {
    return `${settings.name}=${encodeValue(token)}${preparedAttributes(state.keptCookie!)}`
  }
  const cookie = cookieOf(tracked)
  if (settings.classic) return serializeCookie(settings.name, token, cookie.data)
  if (typeof cookie.originalMaxAge !== 'number') return serializeCookie(settings.name, token, cookie.data)
  // Cookie, record and `expiresAt` end together: with the session, if that is sooner than the cookie's own span.
  const now = Date.now()
  const end = deadline(settings, cookie, tracked.createdAt, tracked.usedAt) ?? now + cookie.originalMaxAge
  const data = { ...cookie.data, expires: new Date(end) }
  return serializeCookie(settings.name, token, data, Math.max(0, Math.ceil((end - now) / 1000)))
}

function preparedAttributes({ cookie, cookieText }: KeptCookie): string {
  let text = prepared.get(cookieText)
  if (text === undefined) {
    text = serializeAttributes(cookie)
    if (prepared.size === PREPARED_MAX) prepared.clear()
    prepared.set(cookieText, text)
  }
  return text
}

/** The texts that delete a session's cookie, with the attributes it was set with. @see RFC 6265 4.1.2 */
export function expireTexts(slot: Slot): string[] {
  const { settings, req } = slot
  const cookie = slot.tracked === undefined ? configuredCookie(slot) : cookieOf(slot.tracked)
  const data = { ...cookie.data, expires: EPOCH, secure: secureNow(cookie.secure, req, settings.proxy) }
  if (data.sameSite === 'auto') data.sameSite = 'lax'
  return [serializeCookie(settings.name, '', data, 0)]
}

/**
 * Whether cookies of our name may stand beside ours, for other hosts or paths: planted ones, or one of a release with
 * another `domain` or `path`, which browsers would go on sending along with the new one.
 */
export function hasRivals(slot: Slot): boolean {
  const { loaded, tracked, outgoing, settings } = slot
  if (loaded === undefined || loaded.viaHeader || settings.classic) return false
  if (slot.planted) return true
  if (loaded.values.length === 0 || outgoing !== 'send' || tracked === undefined || slot.presented(tracked))
    return false
  const { record } = loaded
  const { cookie, keptCookie } = stateOf(tracked.session)!
  return record === undefined || scopeOf(record.cookie) !== scopeOf(cookie ?? keptCookie!.cookie)
}

function scopeOf({ domain, path }: { domain?: unknown; path?: unknown }): string {
  return `${String(domain ?? '')} ${String(path ?? '/')}`
}

/**
 * The texts that delete cookies of our name that are not ours, on the host itself and its parent domains, wherever ours
 * is not, and where an earlier release put it. Browsers ignore those that are not theirs to set (public suffixes).
 */
export function expireRivalTexts(slot: Slot): string[] {
  const { settings, req, loaded } = slot
  const own = slot.tracked === undefined ? configuredCookie(slot) : cookieOf(slot.tracked)
  const base = {
    path: own.path ?? '/',
    expires: EPOCH,
    httpOnly: true,
    secure: secureNow(own.secure, req, settings.proxy)
  }
  const ownDomain = own.domain?.replace(/^\./, '').toLowerCase()
  const domains: (string | undefined)[] = [undefined, ...parentDomains(String(req.headers?.host ?? ''))]
  const texts = domains
    .filter((domain) => domain !== ownDomain)
    .map((domain) => serializeCookie(settings.name, '', domain === undefined ? base : { ...base, domain }, 0))
  const { path } = (loaded?.record?.cookie ?? {}) as { path?: string }
  if (path !== undefined && path !== base.path) {
    const { domain } = loaded!.record!.cookie as { domain?: string }
    texts.push(serializeCookie(settings.name, '', { ...base, domain, path }, 0))
  }
  return texts
}

function parentDomains(host: string): string[] {
  const name = host.replace(/:\d+$/, '').toLowerCase()
  if (!/^[a-z0-9.-]+$/.test(name) || /^[\d.]+$/.test(name)) return []
  const labels = name.split('.')
  const domains: string[] = []
  for (let from = 0; from < labels.length - 1 && domains.length < PARENTS_MAX; from++) {
    domains.push(labels.slice(from).join('.'))
  }
  return domains
}

/** Whether the application has expired the cookie itself, so that a second text would only contradict it. */
export function alreadyExpired(header: unknown, name: string): boolean {
  const texts = Array.isArray(header) ? header : header === undefined ? [] : [header]
  return texts.some((text) => String(text).startsWith(`${name}=;`))
}

/** Whether the cookie may travel over this connection. */
export function isDeliverable(slot: Slot, tracked: Tracked): boolean {
  const { cookie, keptCookie } = stateOf(tracked.session)!
  return !(cookie ?? keptCookie!.cookie).secure || isSecure(slot.req, slot.settings.proxy)
}

function configuredCookie(slot: Slot): Cookie {
  const { cookie } = slot.settings
  return new Cookie(typeof cookie === 'function' ? cookie(slot.req) : cookie)
}

function secureNow(secure: Cookie['secure'], req: unknown, proxy: boolean | undefined): boolean {
  return secure === 'auto' ? isSecure(req, proxy) : Boolean(secure)
}

function cookieOf({ session: { cookie } }: Tracked): Cookie {
  return cookie instanceof Cookie ? cookie : new Cookie(cookie)
}
