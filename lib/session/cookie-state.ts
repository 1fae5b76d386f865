import { type Cookie, serializeAttributes } from '../cookie/cookie'
import type { SessionState } from './verbs'

/** The cookie of a session, made on first use. */
export function cookieOf(state: SessionState): Cookie | undefined {
  if (state.cookie === undefined && state.keptCookie !== undefined) state.cookie = revived(state)
  return state.cookie
}

/** Another cookie object with the same in it; where none is made yet, none is made of the session's own. */
export function cookieCopy(state: SessionState): Cookie {
  if (state.cookie === undefined) return revived(state)
  return Object.assign(Object.create(Object.getPrototypeOf(state.cookie) as object) as Cookie, state.cookie)
}

/** The attributes that an application may change, without the moving date. */
export function attributesOf(cookie: Cookie): string {
  return textOf(cookie)
}

/** The same for the cookie as it was kept. */
export function keptAttributesOf(state: SessionState): string {
  return textOf(revived(state))
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
