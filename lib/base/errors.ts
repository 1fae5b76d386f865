import { TIMER_MAX } from './time'

/** Who is at fault: the programmer, the sender of the cookie (expected, never thrown), or the store. */
export type ErrorKind = 'usage' | 'decode' | 'store'

const KINDS = {
  ERR_SESSION_OPTION: 'usage',
  ERR_SESSION_NAME: 'usage',
  ERR_SESSION_NOT_LOADED: 'usage',
  ERR_SESSION_DESTROYED: 'usage',
  ERR_SESSION_UNSERIALIZABLE: 'usage',
  ERR_SESSION_TOO_LARGE: 'usage',
  ERR_SESSION_COOKIE_TOO_LARGE: 'usage',
  ERR_SESSION_HEADERS_SENT: 'usage',
  ERR_SESSION_SIGNATURE: 'decode',
  ERR_SESSION_EXPIRED: 'decode',
  ERR_SESSION_MISSING: 'decode',
  ERR_SESSION_CORRUPT: 'decode',
  ERR_SESSION_BINDING: 'decode',
  ERR_SESSION_AMBIGUOUS: 'decode',
  ERR_SESSION_SCHEMA: 'decode',
  ERR_SESSION_STORE: 'store',
  ERR_SESSION_STORE_TIMEOUT: 'store',
  ERR_SESSION_CONFLICT: 'store',
  ERR_SESSION_LOCK_TIMEOUT: 'store'
} as const satisfies Record<string, ErrorKind>

/** The stable codes of every error this package makes. */
export type SessionErrorCode = keyof typeof KINDS

interface ErrorDetails {
  cause?: unknown
  /** HTTP status that Express's default error handler answers with. */
  status?: number
}

/**
 * Every error of this package, except option mistakes at set-up (see `OptionError`).
 *
 * `kind` follows gorilla/securecookie's triage: `usage`, `decode`, `store`. Messages never carry a
 * secret, a session ID or session data.
 */
export class SessionError extends Error {
  readonly code: SessionErrorCode
  readonly kind: ErrorKind
  readonly status?: number

  constructor(code: SessionErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.kind = KINDS[code]
    if (details.status !== undefined) this.status = details.status
  }

  static {
    this.prototype.name = 'SessionError'
  }
}

/** The error of a store that cannot be asked, or does not do what it is asked: a 503. */
export function unavailable(message: string, cause?: unknown): SessionError {
  return new SessionError('ERR_SESSION_STORE', message, { cause, status: 503 })
}

/** An option that cannot work, thrown while the middleware is set up. */
export class OptionError extends TypeError {
  readonly code: SessionErrorCode
  readonly kind: ErrorKind = 'usage'

  constructor(message: string, code: SessionErrorCode = 'ERR_SESSION_OPTION') {
    super(message)
    this.code = code
  }
}

/** @throws {OptionError} unless an option of the middleware is what it must be */
export function must(holds: boolean, option: string, be: string, got: unknown, code?: SessionErrorCode): asserts holds {
  if (!holds) throw new OptionError(`${option} must be ${be}, got ${quote(got)}`, code)
}

/** The same for an option of a store, say. */
export function demand(holds: boolean, owner: string, option: string, be: string, got: unknown): asserts holds {
  must(holds, `${owner}: \`${option}\``, be, got)
}

/** The same for an argument that may hold a session or its cookie. */
export function demandPrivate(holds: boolean, owner: string, option: string, be: string, got: unknown): asserts holds {
  demand(holds, owner, option, be, unquoted(got))
}

const STRING = Symbol('a string')

/** A rejected value that may be a secret, or hold one, if it is a text: messages say no more than that it is one. */
export function unquoted(got: unknown): unknown {
  return typeof got === 'string' ? STRING : got
}

/** @throws {OptionError} for anything but one of the choices */
export function oneOf<T extends string>(option: string, value: T, choices: readonly T[]): T {
  must(choices.includes(value), option, `one of ${choices.join(', ')}`, value)
  return value
}

/** Whether it is a number above 0, and not an infinite one. */
export function isAboveZero(value: unknown): value is number {
  return Number.isFinite(value) && (value as number) > 0
}

/** Whether it is a span that a timer of Node can wait: milliseconds from 1 to `TIMER_MAX`. */
export function isTimerSpan(value: unknown): value is number {
  return isAboveZero(value) && value >= 1 && value <= TIMER_MAX
}

/** Whether a client, a store or a serializer has the methods that make it one. */
export function hasMethods(value: unknown, ...names: string[]): boolean {
  return value != null && names.every((name) => typeof (value as Record<string, unknown>)[name] === 'function')
}

/** Renders a rejected option value for a message: short, and never more than its type for objects. */
export function quote(value: unknown): string {
  if (typeof value === 'string') {
    // A connection string, in the place of a client, holds a password.
    const text = value
      .slice(0, 1000)
      .replace(/:\/\/.*@/s, '://...@')
      .replace(/(pass\w*|pwd)["'\s]*[=:].*/is, '$1...')
    return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}...` : text)
  }
  if (value === STRING) return 'a string'
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'an array' : 'an object'
  return String(value)
}
