import type { Engine } from '../engine/engine'
import type { HttpResponse } from '../base/http'
import { isProduction } from '../base/warnings'
import type { Handle } from '../lifecycle/handle'
import type { Session } from '../session/session'
import { adviseOnCookie } from './cookie-advice'
import {
  alreadyExpired,
  expireDuplicates,
  expireText,
  hasDuplicates,
  isDeliverable,
  sendText,
  tokenOf
} from './set-cookie'

const WITHHELD = {
  SECURE_COOKIE_OVER_HTTP:
    'The session cookie has the attribute Secure, but the request did not come over HTTPS, so it is not sent and the ' +
    'next request begins a new session. Behind a proxy that terminates TLS, set app.set("trust proxy", 1) or the ' +
    "option proxy: true; without TLS, use cookie.secure 'auto'.",
  PROXY_NOT_TRUSTED:
    'The session cookie has the attribute Secure, and a proxy says how the client is connected, but the application ' +
    'does not trust it or the client uses no HTTPS: the cookie is not sent, and the next request begins a new session. ' +
    'Set app.set("trust proxy", 1) or the option proxy: true.'
}

/** Adds what the client must be told about one session to the header block. `false`: nothing. */
function writeHeaders(handle: Handle, res: HttpResponse): boolean {
  const { session, settings, outgoing } = handle
  const { viaHeader } = handle.tokens
  const expired = outgoing === 'expire' && alreadyExpired(res.getHeader('Set-Cookie'), settings.name)
  let sent = false
  handle.announced = outgoing === 'send' ? handle.id : undefined
  // First: a client that knows cookies by their names alone goes by the last one.
  if (hasDuplicates(handle)) {
    append(res, expireDuplicates(handle))
    sent = true
  }
  if (outgoing === 'send' && session !== undefined) {
    if (viaHeader) res.setHeader(settings.header!, tokenOf(handle))
    sent = viaHeader || sendCookie(handle, session, res) || sent
  } else if (outgoing === 'expire') {
    if (viaHeader) res.setHeader(settings.header!, '')
    else if (!expired) append(res, [expireText(handle)])
    sent = true
  }
  return sent
}

function sendCookie(handle: Handle, session: Session, res: HttpResponse): boolean {
  const { settings, engine, req, id } = handle
  if (settings.door.touchesCookie) handle.prolong()
  if (!isDeliverable(handle, session)) {
    const reason = req.headers?.['x-forwarded-proto'] ? 'PROXY_NOT_TRUSTED' : 'SECURE_COOKIE_OVER_HTTP'
    engine.withhold(settings, id, reason, WITHHELD[reason])
    return false
  }
  adviseOnCookie(handle, session, res)
  append(res, [handle.cookieText ?? sendText(handle, session)])
  return true
}

// Appended, never replacing: other middleware set cookies too.
function append(res: HttpResponse, texts: string[]): void {
  const previous = res.getHeader('Set-Cookie')
  if (previous === undefined) return void res.setHeader('Set-Cookie', texts)
  const list = Array.isArray(previous) ? previous : [String(previous)]
  res.setHeader('Set-Cookie', [...list, ...texts])
}

/** What some caches go by instead of Cache-Control. @see RFC 9213 2 */
const CDN_CONTROLS = [
  'CDN-Cache-Control',
  'Cloudflare-CDN-Cache-Control',
  'Netlify-CDN-Cache-Control',
  'Vercel-CDN-Cache-Control',
  'Edge-Control',
  'Surrogate-Control'
]

/** Keeps shared caches from storing a response that sets a session cookie. @see RFC 9111 3, OWASP Session Management */
function guardCache(res: HttpResponse): void {
  const given = res.getHeader('Cache-Control')
  const text = given === undefined ? '' : String(given).toLowerCase()
  if (text !== '' && !isProduction() && /\bpublic\b|s-maxage/.test(text)) {
    process.emitWarning('A response that sets a session cookie was marked as publicly cacheable; this was undone.', {
      type: 'SilverbackWarning',
      code: 'SILVERBACK_PUBLIC_COOKIE'
    })
  }
  if (!/\bno-store\b/.test(text)) res.setHeader('Cache-Control', 'private, no-store')
  for (const name of CDN_CONTROLS) {
    if (res.getHeader(name) !== undefined) res.setHeader(name, 'no-store')
  }
}

/** Says that the response depends on a request header. */
function addVary(res: HttpResponse, field: string): void {
  const given = res.getHeader('Vary')
  if (given === undefined || given === '') return void res.setHeader('Vary', field)
  const text = Array.isArray(given) ? given.join(', ') : String(given)
  const fields = text.split(',').map((item) => item.trim().toLowerCase())
  if (!fields.includes('*') && !fields.includes(field.toLowerCase())) res.setHeader('Vary', `${text}, ${field}`)
}

/** The usual spelling of a header that is kept in lower case. */
function headerCase(name: string): string {
  return name.replace(/(^|-)[a-z]/g, (text) => text.toUpperCase())
}

/** Writes what the response has to tell of the sessions of its request. @param isRead the response depends on one */
export function writeHead(
  res: HttpResponse,
  engine: Engine,
  handles: readonly Handle[],
  isRead: boolean,
  failed: (err: unknown) => void
): void {
  const { settings } = engine
  const { cacheGuard, door, acceptsCookie, header } = settings
  let sent = false
  for (const handle of handles) {
    try {
      if (handle.outgoing !== 'none' || handle.tokens.hasDuplicates) sent = writeHeaders(handle, res) || sent
    } catch (err) {
      // express-session's way: the response goes out without the cookie, and the application hears of it.
      if (!door.reportsThroughNext) throw err
      setImmediate(failed, err)
    }
  }
  if (!cacheGuard) return
  if (sent) guardCache(res)
  if (!isRead) return
  if (acceptsCookie) addVary(res, 'Cookie')
  if (header === undefined) return
  for (const { settings } of [engine, ...handles]) addVary(res, headerCase(settings.header!))
}
