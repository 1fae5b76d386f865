import { inspect } from 'node:util'
import { isAtRest, loadSession } from '../lifecycle/load'
import type { HttpRequest, HttpResponse } from '../base/http'
import { isPromise, SECOND, type MaybePromise, type Milliseconds } from '../base/time'
import type { Engine } from '../engine/engine'
import { notLoadedError, storeFault } from '../engine/faults'
import { commitSession, reportUnsaved } from '../lifecycle/commit'
import { putSession } from '../lifecycle/put'
import { SessionHandle } from '../lifecycle/verbs/session-handle'
import type { HandleOwner, ResponseState } from '../lifecycle/status'
import type { ParsedRecord } from '../record/record'
import { writeHead } from '../reply/headers'
import { renderFirst, renderMeanwhile } from '../reply/set-cookie'
import { ResponseHold } from '../response/response-hold'
import type { CommitHook } from '../response/commit-hook'
import { Session } from '../session/session'
import { ownSession } from './own-session'
import { isDeleted, putBack, putOn, useDictionaryMode } from './properties'
import { Registry } from './registry'
import { makeAsTheStore, originals, OURS, regenerateAsTheStore, type HookedStore } from './store-hooks'

const NONE: readonly SessionHandle[] = []
const NO_RESPONSE: ResponseState = { headCommitted: false }
/** Under load a few requests are enough to tell of a mistake, and keeping them all would be most of its work. */
const WATCHED_MAX = 100
let watched = 0

/** The sessions of one request: the main one behind `req.session`, and those of the registry. */
export class RequestSessions implements CommitHook, HandleOwner {
  readonly engine: Engine
  readonly req: HttpRequest
  readonly next: (err?: unknown) => void
  readonly response: ResponseState
  private known: SessionHandle | undefined
  private registry: Registry | undefined
  /** `null` or `undefined` as the application has assigned it to `req.session`. */
  private unsetTo: null | undefined | false = false
  private isRead = false
  private hasFailed = false
  private givenId: unknown
  private idAssigned = false
  /**
   * While the store's own `generate` or `createSession` runs: the ID that it chose, and a session of express-session's
   * making, whose middleware shares the store: its data is taken over.
   */
  hooked: { id?: unknown; draft?: object } | undefined

  /** Puts the session on the request, and holds the response until it is safe. */
  constructor(engine: Engine, req: HttpRequest, res: HttpResponse | undefined, next: (err?: unknown) => void) {
    this.engine = engine
    this.req = req
    this.next = next
    useDictionaryMode(req, 'res')
    req.sessionStore = engine.settings.port.store
    putOn(req, this)
    if (res) useDictionaryMode(res, 'req')
    this.response = res ? new ResponseHold(res, this) : NO_RESPONSE
  }

  /** What `console.log(req)` shows of it. */
  [inspect.custom](): object {
    return {}
  }

  /** The session that `req.session` stands for; nothing of it exists until it is asked for. */
  get main(): SessionHandle {
    return (this.known ??= new SessionHandle(this.engine, this.engine.settings, this.req, this.response, this))
  }

  get session(): unknown {
    if (this.hooked?.draft !== undefined) return this.hooked.draft
    this.isRead = true
    if (this.unsetTo !== false) return this.unsetTo
    const { main } = this
    if (main.session !== undefined || main.status === 'ended') return main.session
    const loaded = loadSession(main)
    return isPromise(loaded) ? this.#refuseUnloaded(loaded) : (main.session ?? loaded)
  }

  #refuseUnloaded(loading: Promise<unknown>): never {
    loading.catch(() => undefined)
    throw notLoadedError()
  }

  set session(value: unknown) {
    this.isRead = true
    if (value === null || value === undefined) {
      this.unsetTo = value
      return
    }
    if (this.hooked !== undefined && typeof value === 'object' && !(value instanceof Session)) {
      this.hooked.draft = value
      return
    }
    const session = ownSession(value, this.main, this.req)
    this.unsetTo = false
    putSession(this.main, session, this.hooked !== undefined)
    if (this.givenId === session.id) this.idAssigned = false
  }

  get sessionId(): unknown {
    if (this.hooked?.id !== undefined) return this.hooked.id
    if (this.idAssigned) return this.givenId
    const { main } = this
    if (main.latest === undefined && main.status !== 'ended') {
      this.isRead = true
      // Also where the session is unset.
      const loaded = loadSession(main)
      if (isPromise(loaded)) this.#refuseUnloaded(loaded)
    }
    return main.latest === undefined ? undefined : main.id
  }

  set sessionId(value: unknown) {
    if (this.hooked !== undefined) {
      this.hooked.id = value
      return
    }
    this.idAssigned = true
    this.givenId = value
  }

  get sessions(): Registry {
    return (this.registry ??= new Registry(this))
  }

  /** Whether `req.session` is there, without loading it. */
  get present(): boolean {
    return this.unsetTo === false && this.known?.status !== 'ended' && !isDeleted(this.req)
  }

  noteRead(): void {
    this.isRead = true
  }

  /** The middleware is called again for this request: what the application has destroyed or unset begins anew. */
  async remount(): Promise<void> {
    const { main } = this
    if (main.status !== 'ended') {
      if (main.settings.unsetDestroys) await main.unset()
      // Off the request, and not ended: what the client has is read again, without what was set on it.
      else this.known = undefined
    }
    this.replaced()
    if (main.status === 'ended') await main.restart()
    else await loadSession(this.main, true)
  }

  /** The store's `generate` is called: begins another session; a promise where the option `genid` answers by promise. */
  generate(): MaybePromise<void> {
    // Called by a function of the application that stands in its place: the session is there already.
    return this.hooked === undefined ? this.main.restart() : undefined
  }

  // HandleOwner

  replaced(): void {
    this.unsetTo = false
    this.idAssigned = false
    putBack(this.req)
  }

  publicId(): unknown {
    if (!Object.hasOwn(this.req, 'sessionID')) return undefined
    if (this.idAssigned) return this.givenId
    return this.known?.latest === undefined ? undefined : this.known.id
  }

  began(record?: ParsedRecord): void {
    const { generate, createSession } = this.engine.settings.port.store as HookedStore
    const isOurs = record === undefined ? generate?.[OURS] === generate : createSession === originals.createSession
    if (!isOurs && this.hooked === undefined) makeAsTheStore(this, record)
  }

  regenerate(): Promise<void> | undefined {
    return this.hooked === undefined ? regenerateAsTheStore(this) : undefined
  }

  // CommitHook

  get hasHead(): boolean {
    if (this.hasFailed) return false
    if (this.isRead && this.engine.settings.cacheGuard) return true
    return this.handles().some((handle) => handle.outgoing !== 'none' || handle.tokens.hasDuplicates)
  }

  get lenient(): boolean {
    return this.#isExpress ? false : this.engine.settings.door.isLenient
  }

  get patience(): Milliseconds | undefined {
    // Its routers answer nothing by themselves.
    return this.#isExpress && this.req.app !== undefined ? undefined : this.engine.settings.port.timeout
  }

  // Whose last error handler answers whatever nobody else does.
  get #isExpress(): boolean {
    return typeof this.req.next === 'function'
  }

  commit(): MaybePromise<void> {
    if (this.hasFailed) return undefined
    if (this.unsetTo === false && isDeleted(this.req)) this.unsetTo = undefined
    let result: MaybePromise<unknown> = undefined
    try {
      if (this.unsetTo !== false && this.main.status !== 'ended') result = this.main.unset()
      for (const handle of this.handles()) {
        // Time has passed since it was read, and the handlers may have changed what decides about its extension.
        if (handle.status === 'found' && !isAtRest(handle)) void loadSession(handle)
        result = isPromise(result) ? result.then(() => this.#commitHandle(handle)) : this.#commitHandle(handle)
      }
    } catch (err) {
      throw this.#fault(err)
    }
    return isPromise(result) ? result.then(undefined, (err) => Promise.reject(this.#fault(err))) : undefined
  }

  #commitHandle(handle: SessionHandle): MaybePromise<void> {
    const committed = commitSession(handle) as MaybePromise<void>
    if (handle.settings.door.reportsThroughNext) {
      if (isPromise(committed) && handle.outgoing === 'send') renderMeanwhile(handle)
      return committed
    }
    // While a mistake can still become an error page; express-session's door reports it, and sends what the handler wrote.
    if (isPromise(committed))
      return committed.then(() => (handle.outgoing === 'send' ? renderFirst(handle) : undefined))
    if (handle.outgoing === 'send') renderFirst(handle)
  }

  #fault(err: unknown): unknown {
    const { settings, monitor } = this.engine
    monitor.note('error', settings.name, undefined, { error: err })
    if (settings.rawFaults) return err
    return storeFault(err, 'save the session', settings.port.remote ? 503 : 500)
  }

  head(res: HttpResponse): void {
    writeHead(res, this.engine, this.handles(), this.isRead, this.next)
  }

  abandon(): void {
    this.hasFailed = true
  }

  refuse(err: unknown, isCommitted = false): boolean {
    this.hasFailed ||= !isCommitted
    try {
      this.next(err)
      return true
    } catch (thrown) {
      // Uncaught, as from a turn of its own, on which express-session calls it.
      process.nextTick(() => {
        throw thrown
      })
      return false
    }
  }

  report(err: unknown): void {
    this.engine.monitor.note('error', this.engine.settings.name, undefined, { error: err, reason: 'HEADERS_SENT' })
    process.emitWarning('A session could not be saved after its response had started.', {
      type: 'SilverbackWarning',
      code: 'ERR_SESSION_HEADERS_SENT'
    })
  }

  done(): void {
    const isWatched = !this.engine.settings.production && watched < WATCHED_MAX
    if (!this.hasFailed && (isWatched || this.engine.monitor.tells('dropped'))) {
      const report = () => this.handles().forEach(reportUnsaved)
      // In the turn in which it has answered, and once something else may have answered that the application waits for.
      setImmediate(report)
      if (isWatched) {
        watched++
        const looked = () => {
          watched--
          report()
        }
        setTimeout(looked, SECOND).unref()
      }
    }
    const touchError = this.known?.touchError
    if (this.engine.settings.door.reportsThroughNext && touchError !== undefined) setImmediate(this.next, touchError)
  }

  /** The main session, once it was asked for, and those of the registry. */
  handles(): readonly SessionHandle[] {
    const main = this.known === undefined ? NONE : [this.known]
    return this.registry === undefined ? main : [...main, ...this.registry.handles()]
  }
}
