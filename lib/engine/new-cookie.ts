import type { HttpRequest } from '../base/http'
import type { Cookie } from '../cookie/cookie'
import type { Settings } from '../options/settings'
import { cookieOptions, isSecure } from './identify'

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
