import type { StoreContract } from '../store/contract'
import type { Cookie } from '../cookie/cookie'
import { SessionError } from '../base/errors'
import type { Milliseconds } from '../base/time'

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

/** The request as a session needs it. */
export interface SessionRequest {
  sessionID?: string
  session?: unknown
  sessionStore?: any
}

/** A cookie as a record keeps it. */
export interface KeptCookie {
  readonly cookie: Record<string, unknown>
  readonly cookieText: string
}

/** What we know of a session beside its data. */
export interface SessionState {
  readonly req: SessionRequest
  readonly host: SessionHost
  id: string
  /** Made from `keptCookie` when somebody asks: most requests never look at it. */
  cookie: Cookie | undefined
  keptCookie: KeptCookie | undefined
  isNew: boolean
  /** Made when somebody asks: an error captures the stack, and a flood of forged cookies must not pay for that. */
  error: SessionError | (() => SessionError) | undefined
  createdAt: Milliseconds
  /** Begins to watch when somebody asks: a visitor who is turned away costs nothing. */
  signal: AbortSignal | (() => AbortSignal) | undefined
}

/** Who does a session's verbs: the engine, or, for a session made by `store.createSession`, its store alone. */
export interface SessionHost {
  readonly name: string | undefined
  readonly store: StoreContract | undefined
  /** Whether express-session's rules for odd keys apply. */
  readonly classic: boolean
  save(session: object): Promise<void>
  reload(session: object): Promise<void>
  destroy(session: object): Promise<void>
  regenerate(session: object, options: RegenerateOptions): Promise<void>
  update<T>(session: object, fn: (session: any) => T | Promise<T>): Promise<T>
  lock<T>(session: object, fn: (signal: AbortSignal) => T | Promise<T>, options: LockOptions): Promise<T>
}

/** The response of the request, if there is one. */
export interface Answer {
  readonly headCommitted: boolean
}

/** Who puts the main session on its request. */
export interface SlotOwner {
  /** Another session object took the place of the one before. */
  replaced(session: object): void
  /** express-session reads `req.sessionID`, which applications may set. */
  publicId(): unknown
}

/** The verbs of a session without an engine, as express-session defines them: straight calls of its store. */
export class DetachedHost implements SessionHost {
  readonly name = undefined
  readonly classic = true
  readonly #req: SessionRequest

  constructor(req: SessionRequest) {
    this.#req = req
  }

  get store(): StoreContract | undefined {
    return this.#req.sessionStore
  }

  save(session: object): Promise<void> {
    return called((done) => this.#req.sessionStore.set(this.#req.sessionID, session, done))
  }

  async reload(): Promise<void> {
    const found = await called<any>((done) => this.#req.sessionStore.get(this.#req.sessionID, done))
    if (!found) throw new SessionError('ERR_SESSION_MISSING', 'failed to load session')
    this.#req.sessionStore.createSession(this.#req, found)
  }

  destroy(): Promise<void> {
    delete this.#req.session
    return called((done) => this.#req.sessionStore.destroy(this.#req.sessionID, done))
  }

  regenerate(): Promise<void> {
    return called((done) => this.#req.sessionStore.regenerate(this.#req, done))
  }

  update<T>(): Promise<T> {
    return Promise.reject(needsMiddleware('update'))
  }

  lock<T>(): Promise<T> {
    return Promise.reject(needsMiddleware('lock'))
  }
}

function called<T = void>(call: (done: (err?: unknown, value?: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    call((err, value) => (err ? reject(err as Error) : resolve(value as T)))
  })
}

function needsMiddleware(verb: string): SessionError {
  return new SessionError('ERR_SESSION_NOT_LOADED', `session.${verb}() needs a session made by the middleware`)
}
