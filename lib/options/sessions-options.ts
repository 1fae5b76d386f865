import type { StoreContract } from '../store/contract'
import type { CookieOptions } from '../cookie/cookie'
import type { Secret } from '../cookie/keys'
import type { MaybePromise, Milliseconds } from '../base/time'

/** @see https://standardschema.dev */
export interface StandardSchema<Output = unknown> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (
      value: unknown
    ) => MaybePromise<{ readonly value: Output; readonly issues?: undefined } | { readonly issues: readonly unknown[] }>
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined
  }
}

export type StoreErrorPolicy = 'fail' | 'anonymous'
export type Transport = 'cookie' | 'header' | { header: string }

/** The options of both doors; the defaults named are those of `sessions()`. */
export interface SessionsOptions<Request = any> {
  /**
   * Signs and seals: the first of an array, all verify and open (key rotation). The array is live.
   *
   * At least 32 bytes each. @default required in production; elsewhere a random one per process, with a warning
   */
  secret?: Secret | readonly Secret[] | undefined
  /** Where sessions live. @default new MemoryStore() */
  store?: StoreContract | undefined
  /** Cookie name. @default 'sid' */
  name?: string | undefined
  /**
   * Attributes, or a function of the request; `auth.create()` and `sessionCookie()` ask it with a request without
   * headers. @default path '/', httpOnly, sameSite 'lax', secure 'auto', maxAge null
   */
  cookie?: CookieOptions | ((req: Request) => CookieOptions) | undefined
  /**
   * ms since the last use until a session dies; `null`: no limit. Of `idle` and `cookie.maxAge` the earlier ends it; a
   * lifetime that the application assigns to one session (`session.cookie.maxAge`) is that session's idle limit.
   * @default 24 h, or `cookie.maxAge` where that is given @see OWASP ASVS 7.3.1
   */
  idle?: Milliseconds | null | undefined
  /** ms since creation until it dies whatever happens; `null`: no limit. @default 30 d @see OWASP ASVS 7.3.2 */
  absolute?: Milliseconds | null | undefined
  /** Least ms between two extensions of a lifetime. @default idle / 20, at most 60 s */
  touchAfter?: Milliseconds | undefined
  /** `false` for a request that must not prolong the session. @default always true */
  extend?: boolean | ((req: Request) => boolean) | undefined
  /** Re-sends the cookie with every response that has a session. @default false */
  rolling?: boolean | undefined
  /** Writes sessions that nobody changed. @default false */
  resave?: boolean | undefined
  /** Stores new sessions that nobody wrote to. @default false */
  saveUninitialized?: boolean | undefined
  /** What `req.session = null` does to the stored session. @default 'destroy' */
  unset?: 'destroy' | 'keep' | undefined
  /**
   * Makes session IDs: letters, digits, `-`, `_`, `.`, `~`, at most 128. For `auth.create()` and `sessionCookie()` the
   * request has no headers. @default 192 random bits
   */
  genid?: ((req: Request) => MaybePromise<string>) | undefined
  /** Whether `X-Forwarded-Proto` is believed. @default Express's `trust proxy` */
  proxy?: boolean | undefined
  /** How the session travels: as a cookie, or in `X-Session`, a named one in `X-Session-<name>`. @default 'cookie' */
  transport?: Transport | readonly Transport[] | undefined
  /** Stores see a SHA-256 of the ID; the IDs of sessions in cookies open nothing, and stay. @default false */
  hashIds?: boolean | undefined
  /**
   * When the store is asked. `'auto'`: where it answers at once, and no schema has to, as `req.session` is first read;
   * else before the handlers run. @default 'auto'
   */
  load?: 'auto' | 'eager' | 'lazy' | undefined
  /** ms for one store call, 1 to 2^31 - 1. @default 5 s */
  storeTimeout?: Milliseconds | undefined
  /** What a fault of the store does to the request: `next(err)` with a status, or no session. @default 'fail' */
  onStoreError?: StoreErrorPolicy | ((err: unknown, req: Request) => StoreErrorPolicy) | undefined
  /**
   * What a session is bound to (User-Agent, client IP, ...). `undefined`, of a request without it, is the empty text.
   * A session that was made outside of a request is bound by the first request that writes to it. @default nothing
   */
  bind?: ((req: Request) => string | undefined) | undefined
  /** Whose session it is; enables listing and revoking. */
  userId?: ((session: any) => string | undefined) | undefined
  /** Validates, migrates and types the data when it is loaded, by a request or by the manager. */
  schema?: StandardSchema | undefined
  /**
   * Also accepts express-session's unbound cookie under this name, and re-issues it bound; with `reissue: false` it goes
   * on issuing the unbound one, which instances of both doors understand: the first step of a rolling deploy.
   */
  adopt?: 'express-session' | { from: 'express-session'; reissue?: boolean | undefined } | undefined
  /** Keeps caches from mixing up users: `Cache-Control` with a new cookie, `Vary` with a read. @default true */
  cacheGuard?: boolean | undefined
  /** Most sessions of one user (needs `userId`, and a store that can list): the least recently used goes first. */
  maxPerUser?: number | undefined
  /** Options of further named sessions. */
  named?: Record<string, NamedOptions> | undefined
}

/**
 * Options of one further named session. Of those left out, `secret`, `store`, `hashIds`, `cookie` and the lifetimes are
 * the main session's; the others are off.
 */
export type NamedOptions = Pick<
  SessionsOptions,
  | ('secret' | 'store' | 'cookie' | 'idle' | 'absolute' | 'touchAfter' | 'rolling' | 'saveUninitialized')
  | ('schema' | 'userId' | 'maxPerUser' | 'hashIds')
>
