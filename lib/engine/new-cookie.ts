import type { HttpRequest } from '../base/http'
import type { Cookie, CookieOptions } from '../cookie/cookie'
import type { Settings } from '../options/settings'
import type { KeptCookie, SessionState } from '../session/verbs'
import { cookieOptions, isSecure } from './identify'

// One for each set of options, and for each kind of connection where they depend on it.
const endless = new WeakMap<CookieOptions, { secure?: KeptCookie; plain?: KeptCookie }>()

/** Gives a new session the cookie of the options. */
export function beginCookie(state: SessionState, settings: Settings, req: HttpRequest): void {
  const { cookie, door } = settings
  // A cookie that ends has a date of its own; express-session's door takes options that are changed later.
  if (door.liveCookieOptions || typeof cookie === 'function' || cookie.maxAge != null || cookie.expires != null) {
    state.cookie = newCookie(settings, req)
    return
  }
  let kinds = endless.get(cookie)
  if (kinds === undefined) endless.set(cookie, (kinds = {}))
  const kind = isSecure(req, settings.proxy) ? 'secure' : 'plain'
  state.keptCookie = kinds[kind] ??= keptOf(newCookie(settings, req))
}

/** The cookie of the options, for a request. */
export function newCookie(settings: Settings, req: HttpRequest): Cookie {
  const options = cookieOptions(settings, req)
  const cookie = settings.door.newCookie(options)
  if (options.secure === 'auto' || options.sameSite === 'auto') {
    const secure = isSecure(req, settings.proxy)
    if (options.secure === 'auto') cookie.secure = secure
    if (options.sameSite === 'auto') cookie.sameSite = secure ? 'none' : 'lax'
  }
  return cookie
}

function keptOf(cookie: Cookie): KeptCookie {
  const cookieText = JSON.stringify(cookie)
  return { cookie: JSON.parse(cookieText) as Record<string, unknown>, cookieText }
}
