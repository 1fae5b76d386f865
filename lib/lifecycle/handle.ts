import type { SessionErrorCode } from '../base/errors'
import type { HttpRequest } from '../base/http'
import { randomId } from '../base/ids'
import { chain, isPromise, type MaybePromise, type Milliseconds } from '../base/time'
import type { Cookie } from '../cookie/cookie'
import type { DropReason, Engine } from '../engine/engine'
import { destroyedError, standInError } from '../engine/faults'
import { RequestTokens } from '../engine/identify'
import type { Settings } from '../options/settings'
import { attributesOf, keptAttributesOf } from '../session/cookie-state'
import { dataNow } from '../session/late-changes'
import { stateOf, type Session } from '../session/session'
import type { LockOptions, RegenerateOptions, SessionVerbs } from '../session/verbs'
import type { Ending } from './end'
import { deadline, lifeOfCookie } from './lifetime'
import { lastUse } from './plan'
import { dataOf, newSession, type Began, type LoadedSession, type Snapshot } from './snapshot'
import type { HandleOwner, OpenOptions, Outgoing, ResponseState, Status } from './status'

/** One session of one request: what is known of it, and what becomes of it. Its verbs are `SessionHandle`'s. */
export abstract class Handle implements SessionVerbs {
  readonly engine: Engine
  readonly settings: Settings
  readonly req: HttpRequest
  readonly owner: HandleOwner | undefined
  readonly #response: ResponseState | undefined
  status: Status = 'unread'
  id = ''
  /** The session on the request, if it is made and has not ended. */
  session: Session | undefined
  /** The latest session object, also of a session that has ended. */
  latest: Session | undefined
  /** What is known of it; there is none before it was begun, or made of a record. */
  snapshot!: Snapshot
  /** Whose it is, where its data does not say (`auth.create`). */
  user: string | undefined
  /** What the request brought. */
  readonly tokens: RequestTokens
  /** Why the visitor's session was not accepted. */
  refusal: SessionErrorCode | undefined
  /** The session that the request began with, as the store had it. */
  found: LoadedSession | undefined
  /** What the request began with. */
  original = { id: '', data: '{}' }
  outgoing: Outgoing = 'none'
  /** The session ID that the response's header block has told the client. */
  announced: string | undefined
  /** `Set-Cookie` text, where it is rendered before anything is sent. */
  cookieText: string | undefined
  /** A write was begun: the store may know the session, whatever came of it. */
  writeAttempted = false
  updating = false
  /** Records that were offered to the store for a session that it did not know. */
  offered: string[] | undefined
  /** A touch that failed: it never spoils a response, and express-session's door tells the application afterwards. */
  touchError: unknown
  openOptions: OpenOptions = {}
  /** Session objects that the request goes on without, and their data then. */
  left: { readonly session: Session; data: Record<string, unknown> | undefined }[] | undefined
  #prolonged = false

  constructor(engine: Engine, settings: Settings, req: HttpRequest, response?: ResponseState, owner?: HandleOwner) {
    this.engine = engine
    this.settings = settings
    this.req = req
    this.#response = response
    this.owner = owner
    this.tokens = new RequestTokens(this)
  }

  get hasResponse(): boolean {
    return this.#response !== undefined
  }

  get isLate(): boolean {
    return this.#response?.headCommitted === true
  }

  /** Why changes that are left at the end were not stored. */
  get unsavedReason(): DropReason {
    return 'ERR_SESSION_HEADERS_SENT'
  }

  /** Whether the client has this very ID already. */
  get isPresented(): boolean {
    return this.tokens.id === this.id && (!this.settings.tokens.assigned || this.snapshot.storeId === this.id)
  }

  /** Goes on with a session that stands in for the one which the store cannot tell: nothing of it is written. */
  standIn(): Session {
    return this.first(this.start(newSession(this, randomId()), 'standin'))
  }

  /** A session was begun, or made of a record. */
  start({ id, session, snapshot }: Began, status: Status): Session {
    this.id = id
    this.session = this.latest = session
    this.snapshot = snapshot
    this.status = status
    this.writeAttempted = snapshot.version !== null
    this.offered = this.cookieText = undefined
    return session
  }

  /** What the request changes from here on is what gets written. */
  first(session: Session): Session {
    const { snapshot } = this
    this.original = { id: this.id, data: snapshot.version === null ? dataOf(session, snapshot) : snapshot.data }
    return session
  }

  /** Begins another session where the last one was destroyed. */
  restart(): MaybePromise<void> {
    return chain(this.beginCounted(), (began) => this.replaceBy(began, 'new'))
  }

  /** A new session. */
  begin(): MaybePromise<Began> {
    return chain(this.engine.newId(this.settings, this.req), (id) => newSession(this, id))
  }

  /** The same; that it failed, for a fault of `genid`, is counted. */
  beginCounted(): MaybePromise<Began> {
    const failed = (error: unknown): never => {
      this.engine.monitor.note('error', this.settings.name, undefined, { error })
      throw error
    }
    try {
      const began = this.begin()
      return isPromise(began) ? began.catch(failed) : began
    } catch (err) {
      return failed(err)
    }
  }

  /** Another session takes the place of this one. */
  replaceBy(began: Began, status: Status): void {
    const session = this.start(began, status)
    this.owner?.replaced(session)
  }

  /** The application puts another session object on the request (`store.createSession`), or begins one (`generate`). */
  put(session: Session, begins = false): void {
    const state = stateOf(session)!
    if (this.status === 'ended') {
      this.status = 'stored'
      this.session = this.latest
    }
    if (this.latest === session) return
    const before = this.latest === undefined ? undefined : stateOf(this.latest)!
    if (before !== undefined && (begins || this.id === state.id)) {
      const { createdAt, isNew, error } = before
      Object.assign(state, { createdAt, isNew, error })
    }
    if (before !== undefined && this.id === state.id) {
      const attributes = this.snapshot.attributes ?? keptAttributesOf(before)
      this.session = this.latest = session
      this.snapshot = { ...this.snapshot, attributes, record: undefined }
      return
    }
    const snapshot = { ...newSession(this, state.id).snapshot, attributes: attributesOf(state) }
    this.start({ id: state.id, session, snapshot }, begins && this.status === 'new' ? 'new' : 'renewed')
  }

  /** What the application's changes are counted from: the store's own `createSession` has changed the record first. */
  rebase(data: string): void {
    const { snapshot } = this
    if (data === snapshot.data) return
    const savedData = snapshot.savedData === undefined ? undefined : data
    this.snapshot = { ...snapshot, data, storedData: data, savedData, record: undefined }
  }

  /** Takes over what came of a write; an outcome for an ID that is no longer this one's is none of it. */
  apply(id: string, outcome: Snapshot | 'gone'): void {
    if (id !== this.id || this.status === 'ended') return
    if (outcome === 'gone') return this.lose()
    this.snapshot = outcome
    if (this.status === 'new' || this.status === 'renewed') this.status = 'stored'
  }

  /** The session was ended by another request: nothing brings it back. */
  lose(hasChanges = true): void {
    this.status = 'gone'
    this.outgoing = 'none'
    this.engine.drop(this.settings, this.id, undefined, hasChanges)
  }

  /** Takes the session off the request: destroyed, or unset. */
  end(): void {
    if (this.latest !== undefined) this.leave(this.latest)
    this.status = 'ended'
    this.session = undefined
    this.owner?.ended?.()
    this.outgoing = this.tokens.values.length > 0 || this.outgoing === 'send' ? 'expire' : 'none'
  }

  /** What has to be removed from the store with this session; `undefined`: no store knows it. */
  get ending(): Ending | undefined {
    const { status, id, settings } = this
    const presentedId = this.tokens.id
    if (status === 'standin') return presentedId === undefined ? undefined : { id: presentedId }
    const { version, meta, storeId } = this.snapshot
    if (this.writeAttempted || presentedId === id) return { id, storeId, version, user: meta?.i }
    if (settings.door.destroysUnsaved) return { id }
    // A store from npm may hide an outage as "no session": it is told to destroy what the request has proved to have.
    return presentedId === undefined || settings.port.native ? undefined : { id: presentedId, version: null }
  }

  /** The request goes on without this session object: what the application sets on it from now on is not stored. */
  leave(session: Session): void {
    ;(this.left ??= []).push({ session, data: dataNow(session) })
  }

  /** The cookie's lifetime starts anew once a request, and again at the end of a stream. */
  prolong(): void {
    const { session, settings, req } = this
    if (session === undefined || (this.#prolonged && !this.isLate)) return
    this.#prolonged = true
    settings.door.prolong(session, settings.extend(req))
  }

  /** Replaces what is known of the session. */
  learn(snapshot: Snapshot): void {
    this.snapshot = snapshot
  }

  /** What is known of the session, for a verb. @throws {SessionError} where it has ended */
  known(session: Session): Snapshot {
    const { id, status, snapshot } = this
    if (status === 'standin') throw standInError()
    if (this.latest === undefined || status === 'gone' || status === 'ended' || stateOf(session)!.id !== id) {
      throw destroyedError()
    }
    return snapshot
  }

  /** The same for one that writes. */
  writable(session: Session): Snapshot {
    const snapshot = this.known(session)
    if (this.status === 'readonly') throw destroyedError()
    return snapshot
  }

  get name(): string {
    return this.settings.name
  }

  get store(): unknown {
    return this.settings.port.store
  }

  /** When the session ends if it is not used again; this request uses it, and its response extends it. */
  expiresAt(session: Session): Milliseconds | null {
    const isExtended = this.hasResponse && !this.isLate && this.status === 'stored'
    return this.endOf(session, isExtended ? lastUse(this, lifeOfCookie(stateOf(session)!)) : undefined)
  }

  /** When the session ends that was used last at a time. */
  endOf(session: Session, usedAt = this.snapshot.usedAt): Milliseconds | null {
    const { settings, req } = this
    const state = stateOf(session)!
    return deadline(settings, req, lifeOfCookie(state), { createdAt: state.createdAt, usedAt })
  }

  reviveCookie(kept: Record<string, unknown>): Cookie {
    const { settings, snapshot } = this
    const cookie = settings.door.reviveCookie(kept)
    const { originalMaxAge } = cookie
    // An extension moves the time of last use, and leaves the record as it is.
    if (typeof originalMaxAge === 'number' && !settings.door.endsByDate && settings.port.native) {
      cookie.expires = new Date(snapshot.usedAt + originalMaxAge)
      cookie.originalMaxAge = originalMaxAge
    }
    return cookie
  }

  checkCookie(cookie: Cookie): void {
    this.settings.door.checkCookie(cookie)
  }

  /** Whether a verb is under way. */
  abstract readonly isBusy: boolean

  abstract save(session: Session): Promise<void>
  abstract reload(session: Session): Promise<void>
  abstract destroy(session: Session): Promise<void>
  abstract regenerate(session: Session, options: RegenerateOptions): Promise<void>
  abstract update<T>(session: Session, fn: (session: Session) => T | Promise<T>): Promise<T>
  abstract lock<T>(session: Session, fn: (signal: AbortSignal) => T | Promise<T>, options: LockOptions): Promise<T>
  abstract watch(): AbortSignal
}
