import type { KeyObject } from 'node:crypto'
import type { SessionError, SessionErrorCode } from '../base/errors'
import type { CookieOptions } from '../cookie/cookie'
import type { KeyRing } from '../cookie/keys'
import type { MaybePromise, Milliseconds } from '../base/time'

/** Node's callback, always the last parameter of a store's method; callers may give the error any type. */
export type Callback<T = void> = (err?: any, value?: T) => void

/** The same for callers that give the value a type of their own. */
type AnyCallback = Callback<any>

/** A stored session as a store sees it: `cookie` and the application's data. */
export type SessionRecord = { cookie: any } & Record<string, any>

/**
 * The contract every store fulfils, express-session's and more.
 *
 * Each method may answer directly, by promise, or through the Node callback that is always passed as its last
 * argument. `undefined` returned by a method that declares the callback means "wait for it"; by a method that does
 * not declare it, "that was the answer". A method of `...rest` or `arguments` alone (a wrapper, a spy) may be either:
 * its promise is the answer, whatever it gives, and of what it returns directly a session or `null`; otherwise the
 * callback is waited for. Absent, expired and undecodable all mean `null`, never an error: errors are for faults.
 * Destroying what is absent does nothing. Stores read the clock only as `Date.now()`.
 */
export interface StoreContract {
  /** Finds a session; `null` when there is none, whatever the reason. */
  get(id: string, callback: AnyCallback): unknown
  /** Keeps a session until `session.cookie.expires`. What it answers is ignored, unless the store declares `tokens`. */
  set(id: string, session: any, callback: Callback<unknown>): unknown
  destroy(id: string, callback: Callback<unknown>): unknown
  /** Extends the lifetime of a session, data untouched. */
  touch?(id: string, session: any, callback: Callback<unknown>): unknown
  all?(callback: AnyCallback): unknown
  ids?(callback: AnyCallback): unknown
  length?: unknown
  clear?(callback: Callback<unknown>): unknown
  on?(event: string, listener: (...args: any[]) => void): unknown
  /** How its sessions travel in the cookie, for a store that has a say in that. */
  readonly tokens?: TokenCodec | undefined
  /** A Date or binary data comes back as what it was: no warning says that it does not. @default false */
  readonly keepsTypes?: boolean | undefined
  /** What its sessions are like, where the options of the middleware say nothing of it. */
  readonly sessionDefaults?: SessionDefaults | undefined
  /** Why a session was refused, where the store can say it better than the middleware. */
  reasonOf?(code: SessionErrorCode, id: string | undefined): SessionError | undefined
}

/** Of a store whose sessions are shared with other programs: what those give them. */
export interface SessionDefaults {
  /** Attributes and lifetime of the cookie. */
  readonly cookie?: CookieOptions | undefined
  /** ms since creation; `null`: no limit. */
  readonly absolute?: Milliseconds | null | undefined
}

/** The cookie that a token is for. */
export interface TokenContext {
  /** Its name. */
  readonly name: string
  /** The option `secret` of the middleware, newest first; empty where it has none. */
  readonly secrets: readonly (string | Uint8Array | KeyObject)[]
}

/**
 * How the sessions of a store travel: declared by a store whose cookies have a form of their own (Go's), or whose `set`
 * answers what stands for the session from now on. A string that `set` answers is then what `get` receives next.
 *
 * Without `encode` and `decode` the middleware signs it, as it signs an ID.
 */
export interface TokenCodec {
  /** The cookie's value for an ID; what it holds is authenticated by the store. */
  encode?(id: string, cookie: TokenContext): string
  /** The ID in a cookie's value; `null`, or an error code of kind `decode`, when it is not one of ours. */
  decode?(value: string, cookie: TokenContext): string | null
  /** A new ID, where the middleware's own do not fit. */
  newId?(cookie: Pick<TokenContext, 'name'>): string
}

/** What a store with powers finds. */
export interface Found {
  /** The record exactly as it is kept: what a later conditional write compares against. */
  text: string
  /** The record as an object, from a store that hands out objects; `text` is empty unless it is compared all the same. */
  record?: unknown
  /** What a foreign store's parser threw: something is kept, and it is no record. */
  unreadable?: unknown
  /** Last use, where the store keeps it beside the text instead of inside (see `Meta.u`). */
  usedAt?: Milliseconds
  /** When the store lets go of it; `null`: never. Of a foreign store: the end that its record tells. */
  expiresAt?: Milliseconds | null
}

/** What a load answers of a session that was kept, and whose time was over. */
export const EXPIRED = 'expired'

/** How long a session is to live on, and from when that counts. */
export interface Life {
  usedAt: Milliseconds
  /** When the store may forget the session; `null`: never by itself. */
  expiresAt: Milliseconds | null
  /** Set by express-session's door only: JSON of the cookie that replaces the one in the record. */
  cookieText?: string
}

/** One write of one record. */
export interface Write {
  /** The session's ID as the store sees it. */
  readonly id: string
  /** The record to keep. */
  readonly text: string
  /** The record that must still be kept, exactly; `null`: nothing may be. */
  readonly expected: string | null
  readonly life: Life
  /** Set where a user is concerned: whose the session is now and was before. */
  readonly user?: UserChange | undefined
  /** Makes the session object for stores that take objects. */
  readonly live?: (() => object) | undefined
  /** Called as soon as a store that takes objects was given it, before it answers. */
  readonly called?: (() => void) | undefined
  /**
   * `expected` was written by this very request, over these: a read that shows one of them, or nothing yet, lags behind.
   */
  readonly earlier?: readonly string[] | undefined
}

/**
 * What came of a write: `true` when written, or a string that the cookie must carry from now on; what is kept instead
 * when that differs from what was expected; `null` when the session is gone.
 */
export type Written = true | string | Found | null

/** A session found through the index of its user. */
export interface Listed extends Found {
  id: string
}

/**
 * What our own stores can do beyond the contract. The middleware uses these instead of `get` and `set`, unless
 * somebody has replaced those on the store (a subclass, a spy): then it keeps to the contract.
 */
export interface Powers {
  /** Answers directly, never by promise. */
  readonly sync: boolean
  /** Reached over a network: connection faults are `503`, and records are checked to belong to the ID asked for. */
  readonly remote: boolean

  read(id: string): MaybePromise<Found | null>

  /**
   * Reads for a request. Of an expired session that is still kept it says so, once, and lets go of it; a store that
   * forgets by itself cannot tell, and has only `read`.
   */
  load?(id: string): MaybePromise<Found | typeof EXPIRED | null>

  /** Writes if what is kept is still exactly what was expected; a new session never replaces another one. */
  write(write: Write): MaybePromise<Written>

  /** Extends a lifetime without touching the data. `false` when the session is gone, or was moved on to another ID. */
  extend(id: string, life: Life, live?: () => object): MaybePromise<boolean>

  /**
   * Removes a session and its place in the index of `user`. `false` when it was gone already. With `expected`, only if
   * that is still what is kept; otherwise it answers what is.
   */
  remove(id: string, user?: string, expected?: string): MaybePromise<boolean | Found>

  /** The live sessions of a user, exactly: entries of dead ones are dropped on the way. */
  list?(user: string): MaybePromise<Listed[]>

  /** Mutual exclusion across processes; `token` names the holder. */
  lock?: LockPower
}

/** The session now belongs to `to` and did belong to `from`; `undefined`: to nobody. */
export interface UserChange {
  from: string | undefined
  to: string | undefined
}

export interface LockPower {
  /** `false` while somebody else holds it. A lock not renewed for `ttl` is free again, where its holder may be dead. */
  acquire(id: string, token: string, ttl: Milliseconds): MaybePromise<boolean>
  /** `false` when the lock was lost. */
  renew(id: string, token: string, ttl: Milliseconds): MaybePromise<boolean>
  release(id: string, token: string): MaybePromise<void>
}

/** What the keys of locks begin with, in stores that keep them beside the sessions. */
export const LOCK_PREFIX = 'silverback:lock:'

/** Where a store keeps its powers. */
export const POWERS: unique symbol = Symbol.for('silverback.powers')

/** Verbs whose replacement on a store with powers sends the middleware back to the plain contract. */
export const VERBS = ['get', 'set', 'destroy', 'touch'] as const

/** A store with powers. */
export interface PowerfulStore extends StoreContract {
  readonly [POWERS]: Powers
}

/** Answers a caller of the express-session kind (callback, on a later turn) or the promise kind. */
export function answer<T>(work: () => MaybePromise<T>, callback?: Callback<T>): Promise<T> | undefined {
  const promise = new Promise<T>((resolve) => resolve(work()))
  if (typeof callback !== 'function') return promise
  // A throwing callback is the caller's bug: it must surface as uncaught, not come back as a second call.
  promise.then(
    (value) => setImmediate(callback, null, value),
    (err) => setImmediate(callback, err)
  )
  return undefined
}

/** A session that travelled inside a cookie. */
export interface Opened extends Found {
  id: string
  /** An older key than the newest opened it: the cookie is re-issued. */
  stale: boolean
}

/**
 * A store whose records travel in the cookie itself, and which authenticates them itself. It offers powers as well:
 * `read` and `write` then know only what this process saw lately (and the revocations, if there is a store for them).
 */
export interface Carrier {
  /** It has keys of its own: those of the middleware are not asked for. */
  readonly ownKeys?: true
  /** Opens a cookie's value; the reason when it must be refused. */
  open(value: string, name: string, keys: KeyRing): MaybePromise<Opened | SessionErrorCode>
  /**
   * A value that a cookie carries as it is, of letters, digits, `-` and `_`.
   * @throws {SessionError} `ERR_SESSION_COOKIE_TOO_LARGE` when name and value exceed 4096 bytes.
   */
  seal(text: string, name: string, keys: KeyRing): string
}

/** Where a store keeps that. */
export const CARRIER: unique symbol = Symbol.for('silverback.carrier')

/** The verbs of a store class as it was written; a store whose verbs differ has been subclassed or spied on. */
export type NativeVerbs = Pick<StoreContract, (typeof VERBS)[number]>

const natives = new WeakMap<object, NativeVerbs>()

/** Declares that a class's `[POWERS]` do the same as its verbs, as long as nobody replaces those. */
export function declareNative(storeClass: { prototype: StoreContract }): void {
  const { get, set, destroy, touch } = storeClass.prototype
  natives.set(storeClass.prototype, { get, set, destroy, touch })
}

const prototypeOf = Object.getPrototypeOf as (of: object) => object | null

/** The verbs a store had when it was written; those it has now, for a class that declared nothing. */
export function nativeVerbs(store: StoreContract): NativeVerbs {
  for (let proto = prototypeOf(store); proto; proto = prototypeOf(proto)) {
    const verbs = natives.get(proto)
    if (verbs !== undefined) return verbs
  }
  const { get, set, destroy, touch } = store
  return { get, set, destroy, touch }
}
