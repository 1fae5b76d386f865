import { Cookie, serializeAttributes } from '../cookie/cookie'
import type { SessionState } from './verbs'

/** The cookie of a session, made on first use. */
export function cookieOf(state: SessionState): Cookie | undefined {
  if (state.cookie === undefined && state.keptCookie !== undefined) state.cookie = revived(state)
  return state.cookie
}

/** Another cookie object with the same in it; where none is made yet, none is made of the session's own. */
export function cookieCopy(state: SessionState): Cookie {
  if (state.cookie === undefined) return revived(state)
  const own = asCookie(state.cookie)
  return Object.assign(Object.create(Object.getPrototypeOf(own) as object) as Cookie, own)
}

/** Whether the cookie lasts until the browser closes. */
export function isEndless({ cookie, keptCookie }: SessionState): boolean {
  const { originalMaxAge, expires } = cookie ?? keptCookie!.cookie
  return originalMaxAge === null && expires === null
}

/** @throws {SessionError} for a cookie that could never be sent, before it is kept */
export function checkCookie({ cookie, verbs }: SessionState): void {
  if (cookie !== undefined) verbs.checkCookie(asCookie(cookie))
}

/** JSON of the cookie, as records keep it. */
export function jsonOfCookie({ cookie, keptCookie }: SessionState): string {
  return cookie === undefined ? keptCookie!.cookieText : JSON.stringify(asCookie(cookie))
}

/** The attributes that an application may change, without the moving date; `undefined`: as they are kept. */
export function attributesOf({ cookie }: SessionState): string | undefined {
  return cookie === undefined ? undefined : textOf(asCookie(cookie))
}

/** The same for the cookie as it was kept. */
export function keptAttributesOf(state: SessionState): string {
  return textOf(revived(state))
}

/** The application may put any object in the place of the cookie. */
function asCookie(cookie: Cookie): Cookie {
  return cookie instanceof Cookie ? cookie : new Cookie(cookie)
}

function revived({ keptCookie, verbs }: SessionState): Cookie {
  return verbs.reviveCookie(keptCookie!.cookie)
}

function textOf(cookie: Cookie): string {
  try {
    return `${cookie.originalMaxAge}${serializeAttributes({ ...cookie.data, expires: null })}`
  } catch {
    // Not sendable: reported when it is sent, not here.
    return JSON.stringify({ ...cookie.data, expires: null })
  }
}
