import { serialize, type CookieSerializeOptions } from 'cookie'
import { types } from 'node:util'
import { OptionError, SessionError } from '../base/errors'
import { deprecate } from '../base/warnings'
import type { Milliseconds } from '../base/time'

/** Cookie attributes as options give them. `maxAge` in ms; `null`: until the browser closes. */
export interface CookieOptions {
  path?: string | undefined
  domain?: string | undefined
  httpOnly?: boolean | undefined
  /** `'auto'`: as the connection is when the session is made. */
  secure?: boolean | 'auto' | undefined
  sameSite?: boolean | 'lax' | 'strict' | 'none' | 'auto' | undefined
  maxAge?: number | null | undefined
  expires?: Date | null | undefined
  partitioned?: boolean | undefined
  priority?: 'low' | 'medium' | 'high' | undefined
  /** Carried along for express-session's types; signing is always on and values are always percent-encoded. */
  signed?: boolean | undefined
  encode?: ((value: string) => string) | undefined
}

/** What JSON keeps of a cookie, key for key and in the order of express-session. */
export interface CookieData {
  originalMaxAge: Milliseconds | null
  partitioned: boolean | undefined
  priority: CookieOptions['priority']
  expires: Date | null | undefined
  secure: CookieOptions['secure']
  httpOnly: boolean | undefined
  domain: string | undefined
  path: string | undefined
  sameSite: CookieOptions['sameSite']
}

/** Beyond the year 11,970 Date has no room for every clock to add to. */
export const MAX_AGE = 10_000 * 365 * 24 * 60 * 60 * 1000

/**
 * The cookie of a session: attributes and lifetime. Equal to express-session's `Cookie`, member for member.
 */
export class Cookie {
  declare path: string | undefined
  declare httpOnly: boolean | undefined
  declare originalMaxAge: Milliseconds | null
  declare secure: CookieOptions['secure']
  declare sameSite: CookieOptions['sameSite']
  declare domain: string | undefined
  declare partitioned: boolean | undefined
  declare priority: CookieOptions['priority']
  declare _expires: Date | null | undefined

  /** @throws {TypeError} when `options` is not an object, or `maxAge` not a number. */
  constructor(options?: CookieOptions | null) {
    this.path = '/'
    this._expires = null
    this.originalMaxAge = null
    this.httpOnly = true
    if (options) {
      if (typeof options !== 'object') throw new TypeError('argument options must be a object')
      for (const key in options) {
        if (isAttribute(key)) (this as Record<string, unknown>)[key] = options[key as keyof CookieOptions]
      }
    }
    // `maxAge: undefined` stays undefined, and so leaves no trace in the record, as in express-session.
    if (this.originalMaxAge === undefined || this.originalMaxAge === null) this.originalMaxAge = this.maxAge as null
  }

  /** When the browser drops the cookie; `null` or `false`-like: when it closes. */
  get expires(): Date | null | undefined {
    return this._expires
  }

  set expires(date: Date | null | undefined) {
    // A Date of another realm (structuredClone() under jest, `vm`) is none to `instanceof`.
    this._expires = date instanceof Date || !types.isDate(date) ? date : new Date(date)
    this.originalMaxAge = this.maxAge as Milliseconds | null
  }

  /** Remaining lifetime in ms; `null`: until the browser closes. */
  get maxAge(): Milliseconds | null | undefined {
    return this._expires instanceof Date ? this._expires.valueOf() - Date.now() : this._expires
  }

  set maxAge(ms: Milliseconds | Date | null | undefined) {
    if (ms && typeof ms !== 'number' && !types.isDate(ms)) {
      throw new OptionError('maxAge must be a number or Date')
    }
    if (types.isDate(ms)) deprecate('maxAge as Date; pass number of milliseconds instead')
    this.expires = typeof ms === 'number' ? new Date(Date.now() + ms) : ms
  }

  get data(): CookieData {
    return {
      originalMaxAge: this.originalMaxAge,
      partitioned: this.partitioned,
      priority: this.priority,
      expires: this._expires,
      secure: this.secure,
      httpOnly: this.httpOnly,
      domain: this.domain,
      path: this.path,
      sameSite: this.sameSite
    }
  }

  /** The `Set-Cookie` text for a value. */
  serialize(name: string, value: string): string {
    return serializeCookie(name, value, this.data)
  }

  toJSON(): CookieData {
    return this.data
  }
}

/** The cookie of `sessions()`: an invalid date is refused where it is assigned, not when the response is sent. */
export class StrictCookie extends Cookie {
  override get expires(): Date | null | undefined {
    return super.expires
  }

  override set expires(date: Date | null | undefined) {
    if (date !== null && date !== undefined && !(types.isDate(date) && !Number.isNaN(date.valueOf()))) {
      throw new OptionError('expires must be a valid Date or null')
    }
    super.expires = date
  }

  override get maxAge(): Milliseconds | null | undefined {
    return super.maxAge
  }

  override set maxAge(ms: Milliseconds | Date | null | undefined) {
    if (typeof ms === 'number' && !(Math.abs(ms) <= MAX_AGE)) {
      throw new OptionError('maxAge must be a finite number of milliseconds, at most 10,000 years')
    }
    super.maxAge = ms
  }
}

// As in express-session, where they are an object's own: what a store that copies by for...in (dynamodb-store) keeps.
for (const { prototype } of [Cookie, StrictCookie]) {
  for (const name of Object.getOwnPropertyNames(prototype)) {
    if (name !== 'constructor') Object.defineProperty(prototype, name, { enumerable: true })
  }
}

// What else `for...in` shows of another cookie.
function isAttribute(key: string): boolean {
  return key !== 'data' && key !== 'serialize' && key !== 'toJSON'
}

/** Makes a cookie from what a record keeps of it: dates are strings there. */
export function reviveCookie(stored: Record<string, unknown>, CookieClass: typeof Cookie = Cookie): Cookie {
  const { expires } = stored
  const isText = typeof expires === 'string'
  const cookie = new CookieClass()
  for (const key in stored) {
    if (isAttribute(key) && (key !== 'expires' || !isText))
      (cookie as unknown as Record<string, unknown>)[key] = stored[key]
  }
  if (isText) cookie.expires = new Date(expires)
  const span = stored.originalMaxAge as Milliseconds | null | undefined
  // A text there would throw at every touch; `false` comes of `expires: false`.
  cookie.originalMaxAge = typeof span === 'number' || !span ? (span as Milliseconds | null) : null
  return cookie
}

/** A kept cookie with a lifetime that `StrictCookie` takes: express-session keeps `expires: false`, and any number of years. */
export function withinBounds(stored: Record<string, unknown>): Record<string, unknown> {
  const { originalMaxAge, expires } = stored
  const span = typeof originalMaxAge === 'number' ? Math.min(originalMaxAge, MAX_AGE) : null
  const end = expires ? new Date(Math.min(new Date(expires as string).valueOf(), Date.now() + MAX_AGE)) : null
  return { ...stored, originalMaxAge: span, expires: end }
}

// token of RFC 9110 5.6.2.
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** Whether a text can be a cookie name. @see RFC 6265 4.1.1 */
export function isCookieName(name: string): boolean {
  return NAME.test(name)
}

/** A value without percent-encoding; as it is where that is not sound. */
export function decodeValue(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}

/**
 * Renders a `Set-Cookie` header. `maxAge` in seconds adds `Max-Age`, also where an application has put it into
 * `Cookie.prototype.data`.
 * @throws {TypeError} for an attribute that would not survive the trip
 */
export function serializeCookie(
  name: string,
  value: string,
  data: Partial<CookieData> & { maxAge?: number },
  maxAge = data.maxAge
): string {
  const { domain, path, expires, httpOnly, secure, partitioned, priority, sameSite } = data
  const options = { maxAge, domain, path, expires, httpOnly, secure, partitioned, priority, sameSite }
  return serialize(name, value, options as CookieSerializeOptions)
}

/** @throws {SessionError} that names the first attribute of a session's cookie which cannot be sent */
export function checkSendable(cookie: Cookie): void {
  try {
    const { originalMaxAge, expires } = cookie
    if (Number(expires) - Date.now() > MAX_AGE) throw new TypeError('option expires is invalid')
    const isSpan = typeof originalMaxAge === 'number' && originalMaxAge <= MAX_AGE
    if (!isSpan && originalMaxAge !== null && originalMaxAge !== undefined) {
      throw new TypeError('option originalMaxAge is invalid')
    }
    serializeAttributes(cookie.data)
  } catch (err) {
    throw unsendableError(err)
  }
}

/** Whether the attributes that a record keeps can be sent. */
export function isSendable({ path, domain, priority, sameSite }: Record<string, unknown>): boolean {
  try {
    serializeAttributes({ path, domain, priority, sameSite } as Partial<CookieData>)
    return true
  } catch {
    return false
  }
}

/** What serializing refused, as a mistake of the application. */
export function unsendableError(cause: unknown): SessionError {
  const message = `session.cookie has an attribute that cannot be sent: ${(cause as Error).message}`
  return new SessionError('ERR_SESSION_OPTION', message, { cause })
}

/** The attributes alone, each preceded by `; `. @throws {TypeError} as `serializeCookie` */
export function serializeAttributes(data: Partial<CookieData>): string {
  return serializeCookie('_', '', data).slice(2)
}
