import { Cookie, StrictCookie, type CookieOptions } from '../cookie/cookie'
import type { Settings } from '../options/options'
import { isSecure } from '../engine/presented'
import type { KeptCookie, SessionRequest, SessionState } from '../session/session-host'

// One for each set of options, and for each kind of connection where they depend on it.
const endless = new WeakMap<CookieOptions, { secure?: KeptCookie; plain?: KeptCookie }>()

/** Gives a new session the cookie of the options. */
export function beginCookie(state: SessionState, settings: Settings, req: SessionRequest): void {
  const { cookie } = settings
  // A cookie that ends has a date of its own; express-session's door takes options that are changed later.
  if (settings.classic || typeof cookie === 'function' || cookie.maxAge != null || cookie.expires != null) {
    state.cookie = freshCookie(settings, req)
    return
  }
  let kinds = endless.get(cookie)
  if (kinds === undefined) endless.set(cookie, (kinds = {}))
  const kind = isSecure(req, settings.proxy) ? 'secure' : 'plain'
  state.keptCookie = kinds[kind] ??= keptOf(freshCookie(settings, req))
}

function freshCookie(settings: Settings, req: SessionRequest): Cookie {
  const options = typeof settings.cookie === 'function' ? settings.cookie(req) : settings.cookie
  const cookie = new (settings.classic ? Cookie : StrictCookie)(options)
  if (options.secure === 'auto' || options.sameSite === 'auto') {
    const secure = isSecure(req, settings.proxy)
    if (options.secure === 'auto') cookie.secure = secure
    if (options.sameSite === 'auto') cookie.sameSite = secure ? 'none' : 'lax'
  }
  return cookie
}

function keptOf(cookie: Cookie): KeptCookie {
  const cookieText = JSON.stringify(cookie)
  return { cookie: JSON.parse(cookieText), cookieText }
}
