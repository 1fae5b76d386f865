import { isSendable, serializeAttributes, serializeCookie, unsendableError } from '../cookie/cookie'
import type { Cookie, CookieData } from '../cookie/cookie'
import { hostOf, type HttpRequest } from '../base/http'
import { isSecure } from '../engine/identify'
import { newCookie } from '../engine/new-cookie'
import type { Handle } from '../lifecycle/handle'
import { isEndless, stateOf, type Session } from '../session/session'

const EPOCH = new Date(0)
/** Parent domains tried when duplicate cookies are expired; more labels than any sensible host has. */
const PARENTS_MAX = 4
/** The folders of a request's path, as many and as long ones as applications are mounted under. */
const FOLDERS = /^(?:\/[^/?#]{1,64}(?=\/)){1,4}/

/** The value that stands for a session on the wire: signed, sealed, or made by the store. */
export function tokenOf({ settings, tokens, snapshot }: Handle): string {
  return snapshot.token ?? settings.tokens.issue(snapshot.storeId, tokens.keys!)
}

/** The `Set-Cookie` text that carries a session. @throws {TypeError} when an attribute cannot be sent */
export function sendText(handle: Handle, session: Session): string {
  const { settings } = handle
  const token = tokenOf(handle)
  const state = stateOf(session)!
  // A cookie that nothing has looked at, and that has no end, differs in nothing but its value.
  if (!settings.door.endsByDate && state.cookie === undefined && isEndless(state.keptCookie!)) {
    const value = settings.tokens.selfContained ? token : encodeURIComponent(token)
    return `${settings.name}=${value}${serializeAttributes(state.keptCookie!.cookie)}`
  }
  const { cookie } = session
  if (settings.door.endsByDate || typeof cookie.originalMaxAge !== 'number') {
    return serializeCookie(settings.name, token, cookie.data)
  }
  // Cookie, record and `expiresAt` end together: with the session, if that is sooner than the cookie's own span.
  const now = Date.now()
  const end = handle.endOf(session) ?? now + cookie.originalMaxAge
  const data = { ...cookie.data, expires: new Date(end) }
  return serializeCookie(settings.name, token, data, Math.max(0, Math.ceil((end - now) / 1000)))
}

/** Renders it before anything is sent. @throws {SessionError} that names the attribute which cannot be sent */
export function renderFirst(handle: Handle): void {
  const { session, tokens } = handle
  if (session === undefined || tokens.viaHeader) return
  try {
    handle.cookieText = sendText(handle, session)
  } catch (err) {
    throw err instanceof TypeError ? unsendableError(err) : err
  }
}

/** The same while the store is asked: what is set on the cookie from then on comes too late, as in express-session. */
export function renderMeanwhile(handle: Handle): void {
  const { tokens } = handle.settings
  // The store has a say in what is sent.
  if (handle.isLate || tokens.selfContained || tokens.assigned) return
  try {
    renderFirst(handle)
  } catch {
    // Told when it is sent, without an error page.
  }
}

/** The text that deletes a session's cookie, with the attributes it was set with. @see RFC 6265 4.1.2 */
export function expireText(handle: Handle): string {
  const cookie = sendableCookie(handle)
  const data = { ...cookie.data, expires: EPOCH, secure: secureNow(handle, cookie) }
  return serializeCookie(handle.settings.name, '', data, 0)
}

// What is deleted is told to the client whatever the application has assigned.
function sendableCookie({ settings, req, latest }: Handle): Cookie {
  const own = latest?.cookie
  return own !== undefined && isSendable({ ...own.data }) ? own : newCookie(settings, req)
}

/**
 * Whether cookies of our name may stand beside ours, for other hosts or paths: planted ones, or one of a release with
 * another `domain` or `path`, which browsers would go on sending along with the new one.
 */
export function hasDuplicates(handle: Handle): boolean {
  const { tokens, session, outgoing, settings, found } = handle
  if (tokens.viaHeader || settings.door.believesFirst) return false
  if (handle.tokens.hasDuplicates) return true
  if (tokens.values.length === 0 || outgoing !== 'send' || session === undefined || handle.isPresented) return false
  const { cookie, keptCookie } = stateOf(session)!
  return found === undefined || scopeOf(found.record.cookie) !== scopeOf(cookie ?? keptCookie!.cookie)
}

function scopeOf({ domain, path, partitioned }: { domain?: unknown; path?: unknown; partitioned?: unknown }): string {
  return `${String(domain ?? '')} ${String(path ?? '/')} ${Boolean(partitioned)}`
}

/**
 * The texts that delete cookies of our name that are not ours, on the host itself and its parent domains, wherever ours
 * is not, in the folders of the request, and where an earlier release put it. Browsers ignore those that are not theirs
 * to set (public suffixes).
 */
export function expireDuplicates(handle: Handle): string[] {
  const { settings, req, found, outgoing } = handle
  const own = sendableCookie(handle)
  // With SameSite as well: in a frame of another site browsers take, and delete, nothing without it.
  const base = { ...own.data, path: own.path ?? '/', expires: EPOCH, secure: secureNow(handle, own) }
  const ownDomain = own.domain?.replace(/^\./, '').toLowerCase()
  const domains: (string | undefined)[] = [undefined, ...parentDomains(hostOf(req))]
  const kept = (found?.record.cookie ?? {}) as { path?: string; domain?: string; partitioned?: boolean }
  // Of one name and domain browsers keep a cookie that is partitioned, and one that is not.
  const kinds = own.partitioned ? [true, false] : [false]
  const expired = (data: Partial<CookieData>) => serializeCookie(settings.name, '', data, 0)
  const texts = domains
    // A client may call the host whatever it likes.
    .filter((domain) => domain !== ownDomain && isSendable({ domain }))
    .flatMap((domain) => kinds.map((partitioned) => ({ ...base, domain, partitioned })))
    .map(expired)
  // Browsers send the one of the longest path first, whichever release made it.
  for (const path of foldersOf(req).filter((folder) => folder !== base.path && isSendable({ path: folder }))) {
    for (const domain of new Set([undefined, own.domain])) {
      texts.push(...kinds.map((partitioned) => expired({ ...base, path, domain, partitioned })))
    }
  }
  const mayHaveTwin = own.partitioned || kept.partitioned || handle.tokens.hasDuplicates
  // Behind it comes ours: what knows nothing of partitions goes by that.
  if (mayHaveTwin && base.secure && outgoing !== 'none') texts.push(expired({ ...base, partitioned: !own.partitioned }))
  const { path, domain } = kept
  if (path !== undefined && path !== base.path && path !== own.path && isSendable({ path, domain })) {
    texts.push(expired({ ...base, domain, path }))
  }
  return texts
}

// `/a/b` and `/a` of a request for `/a/b/c`.
function foldersOf({ originalUrl, url }: HttpRequest): string[] {
  const [folder = ''] = FOLDERS.exec(String(originalUrl ?? url)) ?? []
  const names = folder.split('/').slice(1)
  return names.map((_name, i) => `/${names.slice(0, i + 1).join('/')}`)
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
  const texts: unknown[] = Array.isArray(header) ? header : header === undefined ? [] : [header]
  return texts.some((text) => String(text).startsWith(`${name}=;`))
}

/** Whether the cookie may travel over this connection. */
export function isDeliverable({ req, settings }: Handle, session: Session): boolean {
  const { cookie, keptCookie } = stateOf(session)!
  return !(cookie ?? keptCookie!.cookie).secure || isSecure(req, settings.proxy)
}

function secureNow({ req, settings }: Handle, { secure }: Cookie): boolean {
  return secure === 'auto' ? isSecure(req, settings.proxy) : Boolean(secure)
}
