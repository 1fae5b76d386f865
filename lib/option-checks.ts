import { randomBytes } from 'node:crypto'
import type { Carrier } from './contract'
import { isCookieName, serializeAttributes, StrictCookie, type CookieOptions } from './cookie'
import { OptionError, quote, SessionError } from './errors'
import { SECRET_BYTES_MIN, sizeOf, tooShortToSeal, type KeyRing, type Secret } from './keys'
import type { SessionsOptions, Transport } from './sessions-options'
import type { Milliseconds } from './time'
import { isProduction, warnOnce } from './warnings'

const KNOWN_SECRETS = /keyboard.?cat|change.?me|your.?secret|replace.?me|insert.?secret/i
// Long enough, and printed in the documents of iron-session, @fastify/secure-session and @fastify/session.
const PUBLISHED_SECRETS = new Set([
  'complex_password_at_least_32_characters_long',
  'averylogphrasebiggerthanthirtytwochars',
  'a secret with minimum length of 32 characters'
])
const RESERVED_NAMES = new Set(['__proto__', 'constructor', 'prototype'])

/** A random secret for a process that was given none. @throws {OptionError} in production */
export function missingSecret(): Secret {
  if (isProduction()) {
    throw new OptionError(
      'secret is required in production: pass a random string of at least 32 bytes, for example from generateKey()'
    )
  }
  warnOnce(
    'SILVERBACK_SECRET',
    'No secret given: using a random one, so every session ends with this process. Pass secret to sessions().'
  )
  return randomBytes(SECRET_BYTES_MIN)
}

/** @throws {OptionError} for a cookie name that is no token, or that would be mistaken for a property */
export function checkName(name: string): void {
  if (typeof name !== 'string' || !isCookieName(name) || RESERVED_NAMES.has(name)) {
    throw new OptionError(
      `name must be a cookie name (letters, digits and !#$%&'*+-.^_\`|~), got ${quote(name)}`,
      'ERR_SESSION_NAME'
    )
  }
}

/** @throws {OptionError} unless every secret is long enough and not one from a tutorial */
export function checkSecret(secret: Secret | readonly Secret[]): Secret | readonly Secret[] {
  const list = (Array.isArray(secret) ? secret : [secret]) as unknown[]
  if (list.length === 0) throw new OptionError('secret must not be an empty array: pass at least one secret')
  for (const item of list) {
    const size = sizeOf(item)
    if (size < SECRET_BYTES_MIN) {
      throw new OptionError(
        `secret must be a string or Buffer of at least ${SECRET_BYTES_MIN} random bytes, got ${size} bytes; generateKey() makes one`
      )
    }
    if (typeof item === 'string' && (KNOWN_SECRETS.test(item) || PUBLISHED_SECRETS.has(item))) {
      throw new OptionError(
        'secret is a well-known example: anybody can forge sessions with it; generateKey() makes one'
      )
    }
  }
  return secret
}

/** @throws {OptionError} unless the keys are fit for a store that keeps sessions in their cookies */
export function checkSealing(carrier: Carrier | undefined, keys: KeyRing | undefined): void {
  if (carrier === undefined || carrier.ownKeys) return
  if (keys === undefined) {
    throw new OptionError(
      "secret is required where sessions live in their cookies (cookie-parser's is not used); generateKey() makes one"
    )
  }
  if (keys.shortest < SECRET_BYTES_MIN) throw new OptionError(tooShortToSeal(keys.shortest))
}

/** A span of time, `null` for no limit. @throws {OptionError} for anything but a finite number above 0 or `null` */
export function checkSpan<T extends Milliseconds | null>(
  option: string,
  value: Milliseconds | null | undefined,
  fallback: T
): Milliseconds | T | null {
  if (value === undefined) return fallback
  if (value === null) return null
  if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0) {
    throw new OptionError(
      `${option} must be a number of milliseconds above 0, or null for no limit, got ${quote(value)}`
    )
  }
  return value
}

const DEFAULTS: CookieOptions = { path: '/', httpOnly: true, sameSite: 'lax', secure: 'auto', maxAge: null }

/**
 * Completes cookie attributes with today's defaults and checks what browsers would silently drop.
 *
 * A function of the request is checked as it answers. @see RFC 6265bis 4.1.3 (prefixes), 5.7
 * @throws {OptionError}
 */
export function checkCookie(
  name: string,
  given: CookieOptions | ((req: any) => CookieOptions)
): CookieOptions | ((req: any) => CookieOptions) {
  if (typeof given === 'function') return (req) => completed(name, given(req) ?? {})
  if (typeof given !== 'object' || given === null)
    throw new OptionError(`cookie must be an object, got ${quote(given)}`)
  return completed(name, given)
}

function completed(name: string, given: CookieOptions): CookieOptions {
  const cookie = { ...DEFAULTS }
  for (const [key, value] of Object.entries(given)) {
    if (value !== undefined) (cookie as Record<string, unknown>)[key] = value
  }
  const prefix = /^__(host-http|host|http|secure)-/i.exec(name)?.[1]?.toLowerCase()
  const sameSite = typeof cookie.sameSite === 'string' ? cookie.sameSite.toLowerCase() : cookie.sameSite
  const needsSecure = prefix
    ? `name ${quote(name)}`
    : sameSite === 'none'
      ? 'sameSite none'
      : cookie.partitioned
        ? 'partitioned'
        : ''
  if (needsSecure) {
    if (cookie.secure !== true && cookie.secure !== 'auto') {
      throw new OptionError(`cookie.secure must be true for ${needsSecure}: browsers drop the cookie otherwise`)
    }
    cookie.secure = true
  }
  if (prefix?.startsWith('host') && (cookie.domain || cookie.path !== '/')) {
    throw new OptionError(`cookie must have path '/' and no domain for name ${quote(name)}`)
  }
  if (prefix?.endsWith('http') && !cookie.httpOnly) {
    throw new OptionError(`cookie.httpOnly must be true for name ${quote(name)}`)
  }
  if (cookie.path !== undefined && !String(cookie.path).startsWith('/')) {
    throw new OptionError(`cookie.path must begin with '/', got ${quote(cookie.path)}`)
  }
  checkAttributes(cookie)
  return cookie
}

function checkAttributes(cookie: CookieOptions): void {
  try {
    const { secure, sameSite, ...rest } = new StrictCookie(cookie)
    serializeAttributes({
      ...rest,
      secure: secure === 'auto' ? false : secure,
      sameSite: sameSite === 'auto' ? 'lax' : sameSite
    })
  } catch (err) {
    throw new OptionError(`cookie has an attribute that cannot be sent: ${(err as Error).message}`)
  }
}

/** The option `userId`, its answers as texts: applications number their users as well. */
export function userAsText(userId: ((session: any) => unknown) | null | undefined) {
  if (userId === undefined || userId === null) return undefined
  return (session: any): string | undefined => {
    const user = userId(session)
    return user === undefined || user === null ? undefined : userText(user)
  }
}

/** A user as text. @throws {SessionError} for what would be one text for all users, as a promise is */
export function userText(user: unknown): string {
  const text = typeof user === 'symbol' ? '' : String(user)
  if (typeof user === 'string' || typeof user === 'bigint' || Number.isFinite(user)) return text
  // IDs of databases are objects with a text of their own.
  if (typeof user === 'object' && user !== null && !text.startsWith('[object ')) return text
  throw new SessionError('ERR_SESSION_OPTION', `userId must be a text or a number, got ${quote(user)}`)
}

/** What the option `transport` comes to; header names in lower case. @throws {OptionError} */
export function transportOf(given: SessionsOptions['transport']): {
  acceptsCookie: boolean
  header: string | undefined
  mainHeader: string | undefined
} {
  const list = (Array.isArray(given) ? given : [given ?? 'cookie']) as Transport[]
  let header: string | undefined
  for (const transport of list) {
    if (transport === 'header') header = 'x-session'
    else if (typeof transport === 'object' && typeof transport?.header === 'string') {
      header = transport.header.toLowerCase()
      checkName(header)
    } else if (transport !== 'cookie') {
      throw new OptionError(`transport must be 'cookie', 'header' or { header: name }, got ${quote(transport)}`)
    }
  }
  return { acceptsCookie: list.includes('cookie'), header, mainHeader: header }
}

/** @throws {OptionError} for anything but a whole number, together with `userId` */
export function checkMaxPerUser(most: number | undefined, userId: unknown): number | undefined {
  if (most !== undefined && !(Number.isInteger(most) && most > 0 && userId)) {
    throw new OptionError('maxPerUser must be a whole number above 0, and needs the option userId')
  }
  return most
}

/** @throws {OptionError} for anything but one of the choices */
export function oneOf<T extends string>(option: string, value: T, choices: readonly T[]): T {
  if (!choices.includes(value)) {
    throw new OptionError(`${option} must be one of ${choices.join(', ')}, got ${quote(value)}`)
  }
  return value
}
