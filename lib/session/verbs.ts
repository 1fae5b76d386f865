import type { HttpRequest } from '../base/http'
import { SessionError } from '../base/errors'
import type { Milliseconds } from '../base/time'
import { reviveCookie, type Cookie } from '../cookie/cookie'

/** Options of `session.regenerate()`. */
export interface RegenerateOptions {
  /**
   * Data that moves to the new session ID: `true` for all of it, or the keys. With `true` the session goes on under
   * another ID, and its `absolute` end stays where it is; otherwise a new one begins. @default none, as in express-session
   */
  keep?: true | readonly string[]
  /**
   * For this long the old ID leads, read-only, to the new session. For routine rotation only, never at login,
   * where the old ID may be an attacker's. @default 0
   */
  grace?: Milliseconds
}

/** Options of `session.lock()`. */
export interface LockOptions {
  /** How long to wait for the lock. @default 10 s */
  wait?: Milliseconds
  /** After how long the lock of a holder that died is free again; renewed while `fn` runs. @default 10 s */
  ttl?: Milliseconds
}

/** A cookie as a record keeps it. */
export interface KeptCookie {
  readonly cookie: Record<string, unknown>
  readonly cookieText: string
}

/** The state of a session object beside its data. */
export interface SessionState {
  readonly req: HttpRequest
  verbs: SessionVerbs
  id: string
  /** Made from `keptCookie` when somebody asks: most requests never look at it. */
  cookie: Cookie | undefined
  keptCookie: KeptCookie | undefined
  isNew: boolean
  /** Made when somebody asks: an error captures the stack, and a flood of forged cookies must not pay for that. */
  error: SessionError | (() => SessionError) | undefined
  createdAt: Milliseconds
  signal: AbortSignal | undefined
}

/** Who does a session's verbs: its handle, or, for a session made by `store.createSession`, its store alone. */
export interface SessionVerbs {
  readonly name: string | undefined
  readonly store: unknown
  save(session: object): Promise<void>
  reload(session: object): Promise<void>
  destroy(session: object): Promise<void>
  regenerate(session: object, options: RegenerateOptions | undefined): Promise<void>
  update<T>(session: object, fn: (session: any) => T | Promise<T>): Promise<T>
  lock<T>(session: object, fn: (signal: AbortSignal) => T | Promise<T>, options?: LockOptions): Promise<T>
  /** When the session ends if nobody uses it; `null`: not by itself. */
  expiresAt(session: object): Milliseconds | null
  /** Watches for the end of the session. */
  watch(session: object): AbortSignal | undefined
  /** Makes the cookie object of what a record keeps of it. */
  reviveCookie(kept: Record<string, unknown>): Cookie
}

type Done<T> = (err?: unknown, value?: T) => void

/** The store as a session without a middleware calls it. */
interface DetachedStore {
  get(id: unknown, done: Done<any>): void
  set(id: unknown, session: object, done: Done<void>): void
  destroy(id: unknown, done: Done<void>): void
  regenerate(req: HttpRequest, done: Done<void>): void
  createSession(req: HttpRequest, record: unknown): unknown
}

/** The verbs of a session without a middleware, as express-session defines them: straight calls of its store. */
export class DetachedVerbs implements SessionVerbs {
  readonly name = undefined
  readonly #req: HttpRequest

  constructor(req: HttpRequest) {
    this.#req = req
  }

  get store(): DetachedStore {
    return this.#req.sessionStore as DetachedStore
  }

  save(session: object): Promise<void> {
    return called((done) => this.store.set(this.#req.sessionID, session, done))
  }

  async reload(): Promise<void> {
    const found = await called<object>((done) => this.store.get(this.#req.sessionID, done))
    if (!found) throw new SessionError('ERR_SESSION_MISSING', 'failed to load session')
    this.store.createSession(this.#req, found)
  }

  destroy(): Promise<void> {
    delete this.#req.session
    return called((done) => this.store.destroy(this.#req.sessionID, done))
  }

  regenerate(): Promise<void> {
    return called((done) => this.store.regenerate(this.#req, done))
  }

  update<T>(): Promise<T> {
    return Promise.reject(needsMiddleware('update'))
  }

  lock<T>(): Promise<T> {
    return Promise.reject(needsMiddleware('lock'))
  }

  expiresAt(): null {
    return null
  }

  watch(): undefined {
    return undefined
  }

  reviveCookie(kept: Record<string, unknown>): Cookie {
    return reviveCookie(kept)
  }
}

function called<T = void>(call: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    call((err, value) => (err ? reject(err) : resolve(value as T)))
  })
}

function needsMiddleware(verb: string): SessionError {
  return new SessionError('ERR_SESSION_NOT_LOADED', `${verb}() needs a session made by the middleware`)
}
