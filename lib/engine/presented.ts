import { cookieValues } from '../cookie/cookie-header'
import type { SessionErrorCode } from '../base/errors'
import { isSessionId } from '../base/ids'
import type { KeyRing, Verified } from '../cookie/keys'
import type { Settings } from '../options/options'
import { deprecate } from '../base/warnings'

/** What a request brought under one name. */
export interface Presented {
  /** Decoded values, in the order sent. */
  values: string[]
  /** They came in the header of the header transport: no cookie is ever sent then. */
  viaHeader: boolean
}

/** An authentic value among them. */
export interface Authentic {
  id: string
  /** To be re-issued: an older key, or express-session's format where ours is asked for. */
  stale: boolean
  /** It is not what we made: a store of the contract answered it to `set`. */
  answered: boolean
}

// What we sign for a store's answer begins with it; no session ID does.
const ANSWERED = '~'

/** Gathers the values that a request carries for a session; empty for an anonymous one. */
export function presentedValues(req: any, settings: Settings): Presented {
  const headers = req.headers ?? {}
  if (settings.header !== undefined && usesHeaders(headers, settings)) {
    const value = headers[settings.header]
    return { values: typeof value === 'string' && value !== '' ? [value] : [], viaHeader: true }
  }
  const { cookie } = headers
  const text = Array.isArray(cookie) ? cookie.join('; ') : cookie
  return {
    values: typeof text === 'string' && text.includes(settings.name) ? cookieValues(text, settings.name) : [],
    viaHeader: false
  }
}

// A client that has a session in a header, or asks for one there, has no place for cookies.
function usesHeaders(headers: any, { header, mainHeader, acceptsCookie }: Settings): boolean {
  return !acceptsCookie || headers[header!] !== undefined || headers[mainHeader!] !== undefined
}

/** What is signed under a cookie name to stand for a session: its ID, or what the store answered to `set`. */
export function boundValueOf({ id, value }: { id: string; value: string | undefined }): string {
  return value === undefined ? id : ANSWERED + value
}

/** Verifies one value; `undefined` when it is not ours. */
export function authenticate(value: string, settings: Settings, keys: KeyRing): Authentic | undefined {
  let verified: Verified | undefined
  let adopted = false
  if (!settings.bound) {
    verified = keys.verifyPlain(value)
    if (verified === undefined || verified.value === '') return undefined
    return { id: verified.value, stale: verified.key > 0, answered: false }
  }
  verified = keys.verifyBound(settings.name, value)
  if (verified === undefined && settings.adopt) {
    verified = keys.verifyPlain(value)
    adopted = verified !== undefined
  }
  if (verified === undefined) return undefined
  const stale = verified.key > 0 || adopted
  const answered = !adopted && verified.value.startsWith(ANSWERED)
  if (answered) return { id: verified.value.slice(ANSWERED.length), stale, answered }
  return isSessionId(verified.value) ? { id: verified.value, stale, answered } : undefined
}

/** Tries every value. Two authentic ones of different sessions cannot be told apart: neither is believed. */
export function chooseAuthentic(
  values: readonly string[],
  settings: Settings,
  keys: KeyRing
): Authentic | SessionErrorCode | undefined {
  let chosen: Authentic | undefined
  for (const value of values) {
    const authentic = authenticate(value, settings, keys)
    if (authentic === undefined) continue
    // express-session believes the first.
    if (settings.classic) return authentic
    if (chosen !== undefined && chosen.id !== authentic.id) return 'ERR_SESSION_AMBIGUOUS'
    chosen ??= authentic
  }
  return chosen ?? (values.length > 0 ? 'ERR_SESSION_SIGNATURE' : undefined)
}

/** express-session's second source: what cookie-parser left on the request. */
export function fromCookieParser(req: any, settings: Settings, keys: KeyRing): Authentic | undefined {
  const signed = req.signedCookies?.[settings.name]
  if (typeof signed === 'string' && signed !== '') {
    deprecate('cookie should be available in req.headers.cookie')
    return { id: signed, stale: false, answered: false }
  }
  const raw = req.cookies?.[settings.name]
  if (typeof raw !== 'string') return undefined
  const authentic = authenticate(raw, settings, keys)
  if (authentic !== undefined) deprecate('cookie should be available in req.headers.cookie')
  return authentic
}

/** Whether the client's connection is encrypted, as far as `proxy` lets us believe it. */
export function isSecure(req: any, proxy: boolean | undefined): boolean {
  if ((req.connection ?? req.socket)?.encrypted) return true
  if (proxy === false) return false
  if (proxy !== true) return req.secure === true
  const header = String(req.headers?.['x-forwarded-proto'] ?? '')
  return header.split(',', 1)[0]!.trim().toLowerCase() === 'https'
}

/** Whether the cookie's path covers the request. express-session compares prefixes; RFC 6265 5.1.4 whole segments. */
export function coversPath(req: any, path: string, classic: boolean): boolean {
  if (path === '/') return true
  const url = String(req.originalUrl ?? req.url ?? '/')
  const pathname = /^[^?#]*/.exec(url)![0].replace(/^[a-z][a-z0-9+.-]*:\/\/[^/]*/i, '') || '/'
  if (!pathname.startsWith(path)) return false
  return classic || path.endsWith('/') || pathname.length === path.length || pathname[path.length] === '/'
}
