import { unsendableError } from '../cookie/cookie'
import type { Engine } from '../engine/engine'
import { OptionError, quote, SessionError } from '../base/errors'
import { storeFault } from '../engine/faults'
import { ownSession } from './foreign-session'
import { isAtRest } from '../lifecycle/finder'
import { Gate } from '../response/gate'
import type { Gatekeeper } from '../response/gatekeeper'
import { addVary, guardCache, headerCase, writeHeaders } from '../reply/headers'
import { bringsSession } from '../lifecycle/loader'
import { Registry } from './registry'
import { easeAdding } from '../response/reshape'
import { isDeleted, putBack, putOn, type RequestSessions } from './request-properties'
import type { Answer, SlotOwner } from '../session/session-host'
import { sendText } from '../reply/set-cookie'
import { Slot } from '../lifecycle/slot'
import { chain, isPromise, type MaybePromise } from '../base/time'

/** Everything about the sessions of one request. */
export class Context implements Gatekeeper, RequestSessions, Answer, SlotOwner {
  readonly engine: Engine
  readonly req: any
  readonly res: any
  readonly next: (err?: unknown) => void
  #main: Slot | undefined
  #registry: Registry | undefined
  #gate: Gate | undefined
  #unset: null | undefined | false = false
  #read = false
  #failed = false
  #sessionId: unknown
  #idAssigned = false

  constructor(engine: Engine, req: any, res: any, next: (err?: unknown) => void) {
    this.engine = engine
    this.req = req
    this.res = res
    this.next = next
  }

  /** The session that `req.session` stands for; nothing of it exists until somebody asks. */
  get main(): Slot {
    return (this.#main ??= new Slot(this.engine, this.engine.settings, this.req, this, this))
  }

  /** Puts the session on the request and stands before the response. */
  install(): void {
    const { req, res } = this
    easeAdding(req, 'res')
    req.sessionStore = this.engine.settings.backend.store
    putOn(req, this)
    if (!res) return
    easeAdding(res, 'req')
    this.#gate = new Gate(res, this)
  }

  get session(): unknown {
    this.#read = true
    if (this.#unset !== false) return this.#unset
    const { main } = this
    if (main.ended) return undefined
    if (main.tracked !== undefined) return main.tracked.session
    const result = main.load()
    if (!isPromise(result)) return result
    result.catch(() => undefined)
    throw notLoaded()
  }

  set session(value: unknown) {
    this.#read = true
    if (value === null || value === undefined) {
      this.#unset = value as null | undefined
      return
    }
    const session = ownSession(value, this.main.host, this.req)
    if (session === undefined) {
      throw new OptionError(
        `req.session can only be set to null or to a session, got ${typeof value === 'object' ? quote(value) : typeof value}; ` +
          'assign its properties instead: req.session.user = user',
        'ERR_SESSION_UNSERIALIZABLE'
      )
    }
    this.#unset = false
    this.main.replace(session)
  }

  get sessionId(): unknown {
    if (this.#idAssigned) return this.#sessionId
    if (this.main.tracked === undefined && !this.main.ended) void this.session
    return this.main.tracked?.id
  }

  set sessionId(value: unknown) {
    this.#idAssigned = true
    this.#sessionId = value
  }

  get sessions(): Registry {
    return (this.#registry ??= new Registry(this))
  }

  replaced(): void {
    this.#unset = false
    this.#idAssigned = false
    putBack(this.req)
  }

  publicId(): unknown {
    if (!Object.hasOwn(this.req, 'sessionID')) return undefined
    return this.#idAssigned ? this.#sessionId : this.#main?.tracked?.id
  }

  /** Whether `req.session` is there, without loading it. */
  get present(): boolean {
    return this.#unset === false && this.#main?.ended !== true && !isDeleted(this.req)
  }

  /** Reads the main session before the handlers run. */
  prepare(): MaybePromise<unknown> {
    return this.main.prepare()
  }

  /** Whether somebody read the session: the response then depends on the cookie. */
  noteRead(): void {
    this.#read = true
  }

  restart(): MaybePromise<void> {
    return this.main.renew()
  }

  get headCommitted(): boolean {
    return this.#gate?.headCommitted === true
  }

  // Gatekeeper

  get hasHead(): boolean {
    if (this.#failed) return false
    if (this.#read && this.engine.settings.cacheGuard) return true
    return this.#slots().some((slot) => slot.outgoing !== 'none' || slot.planted)
  }

  get lenient(): boolean {
    return this.engine.settings.classic && typeof this.req.next !== 'function'
  }

  commit(): MaybePromise<void> {
    if (this.#failed) return undefined
    if (this.#unset === false && isDeleted(this.req)) this.#unset = undefined
    let result: MaybePromise<void> = undefined
    try {
      if (this.#unset !== false && !this.main.ended) result = this.#commitUnset()
      for (const slot of this.#slots()) {
        // Time has passed since it was read, and the handlers may have changed what decides about its extension.
        if (slot.dormant && !isAtRest(slot.settings, this.req, slot.loaded!)) void slot.load()
        if (slot.tracked === undefined) continue
        result = chain(result, () => this.#commitSlot(slot))
      }
    } catch (err) {
      throw this.#fault(err)
    }
    return isPromise(result) ? result.catch((err) => Promise.reject(this.#fault(err))) : result
  }

  #commitSlot(slot: Slot): MaybePromise<void> {
    return chain(slot.commit(), () => {
      // Rendered now, while a mistake can still become an error page.
      if (!slot.settings.classic && slot.outgoing === 'send' && !slot.loaded?.viaHeader) {
        slot.cookieText = cookieTextOf(slot)
      }
    })
  }

  // `req.session = null` or `delete req.session`.
  #commitUnset(): MaybePromise<void> {
    const { main } = this
    const { settings } = main
    if (!settings.unsetDestroys || (main.tracked === undefined && !bringsSession(settings, main.identify()))) {
      main.end()
      main.outgoing = 'none'
      return undefined
    }
    // Its cookie tells what the client has to forget: domain and path are the session's own.
    return chain(main.load(), () => main.discard(main.tracked!))
  }

  #fault(err: unknown): unknown {
    const { settings, monitor } = this.engine
    monitor.note('error', settings.name, undefined, { error: err })
    if (settings.rawFaults) return err
    return storeFault(err, 'save the session', settings.backend.remote ? 503 : 500)
  }

  head(res: any): void {
    const { cacheGuard, classic } = this.engine.settings
    let sent = false
    for (const slot of this.#slots()) {
      try {
        if (slot.outgoing !== 'none' || slot.planted) sent = writeHeaders(slot, res) || sent
      } catch (err) {
        // express-session's way: the response goes out without the cookie, and the application hears of it.
        if (!classic) throw err
        setImmediate(this.next, err)
      }
    }
    if (!cacheGuard) return
    if (sent) guardCache(res)
    if (!this.#read) return
    if (this.engine.settings.acceptsCookie) addVary(res, 'Cookie')
    if (this.engine.settings.header === undefined) return
    for (const { settings } of [this.engine, ...this.#slots()]) addVary(res, headerCase(settings.header!))
  }

  abandon(): void {
    this.#failed = true
  }

  refuse(err: unknown): void {
    this.#failed = true
    this.next(err)
  }

  report(err: unknown): void {
    this.engine.monitor.note('error', this.engine.settings.name, undefined, { error: err, reason: 'HEADERS_SENT' })
    process.emitWarning('A session could not be saved after its response had started.', {
      type: 'SilverbackWarning',
      code: 'ERR_SESSION_HEADERS_SENT'
    })
  }

  done(): void {
    const touchError = this.#main?.touchError
    if (this.engine.settings.classic && touchError !== undefined) setImmediate(this.next, touchError)
  }

  #slots(): readonly Slot[] {
    if (this.#registry !== undefined) return [this.main, ...this.#registry.slots()]
    return this.#main === undefined ? NONE : [this.#main]
  }
}

const NONE: readonly Slot[] = []

// What another program has kept may be a cookie that cannot be sent.
function cookieTextOf(slot: Slot): string {
  try {
    return sendText(slot, slot.tracked!)
  } catch (err) {
    throw err instanceof TypeError ? unsendableError(err) : err
  }
}

function notLoaded(): SessionError {
  return new SessionError(
    'ERR_SESSION_NOT_LOADED',
    'The session is not loaded yet: call "await req.sessions.load()" before reading req.session, or use the option load: "eager".'
  )
}
