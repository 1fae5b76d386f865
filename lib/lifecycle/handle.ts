import type { SessionErrorCode } from '../base/errors'
import type { HttpRequest } from '../base/http'
import { randomId } from '../base/ids'
import { chain, isPromise, type MaybePromise } from '../base/time'
import type { Engine } from '../engine/engine'
import { storeFault, tooLateError } from '../engine/faults'
import { RequestTokens } from '../engine/request-tokens'
import type { Settings } from '../options/options'
import type { ParsedRecord } from '../record/record'
import { attributesOf, keptAttributesOf } from '../session/cookie-state'
import { dataNow } from '../session/late-changes'
import { stateOf, type Session } from '../session/session'
import { rememberWritten } from '../store/record-cache'
import { commitSession } from './commit'
import { endRecord, evictSurplus, noteEnd, type Ending } from './end'
import { extensionInterval, isDeleting, type CookieLife } from './lifetime'
import { loadRecord, type Loaded, type LoadedSession } from './load'
import { noteExtended } from './plan'
import { saveSession } from './save'
import { dataOf, newSession, storedSession, type Began, type Snapshot } from './snapshot'
import { HandleVerbs } from './verbs'
import type { OpenOptions } from './watch'

/**
 * What has become of a session in its request.
 *
 * - `unread`: nothing was asked of the store yet; `found`: its record is here, and no session object made of it
 * - `new`: begun by this request, and not stored; `renewed`: the same in place of another one (regenerate), and to be
 *   stored even if it is empty; `stored`: the store has it
 * - `readonly`: reached through an ID that was rotated away; `standin`: for one that the store could not read
 * - `gone`: ended by another request; `ended`: ended by this one
 */
export type Status = 'unread' | 'found' | 'new' | 'renewed' | 'stored' | 'readonly' | 'standin' | 'gone' | 'ended'

/** What the response has to tell the client about one session. */
export type Outgoing = 'none' | 'send' | 'expire'

/** The response of the request, if there is one. */
export interface ResponseState {
  /** The header block is gone: no cookie can be sent any more. */
  readonly headCommitted: boolean
}

/** Who puts the main session on its request. */
export interface HandleOwner {
  /** Another session object took the place of the one before. */
  replaced(session: Session): void
  /** The session was taken off the request. */
  ended?(): void
  /** express-session reads `req.sessionID`, which applications may set. */
  publicId(): unknown
  /** A session was begun, or made of a record: the store's own `generate` and `createSession` have their say. */
  began(record?: ParsedRecord): void
  /** Whether the application has replaced the store's `regenerate`; then it is called instead of ours. */
  regenerate?(): Promise<void> | undefined
}

/** One session of one request: what is known of it, and what becomes of it. */
export class SessionHandle {
  readonly engine: Engine
  readonly settings: Settings
  readonly req: HttpRequest
  readonly owner: HandleOwner | undefined
  readonly #response: ResponseState | undefined
  status: Status = 'unread'
  id = ''
  #session: Session | undefined
  #snapshot: Snapshot | undefined
  /** Whose it is, where its data does not say (`auth.create`). */
  user: string | undefined
  #tokens: RequestTokens | undefined
  /** Why the visitor's session was not accepted. */
  refusal: SessionErrorCode | undefined
  #found: LoadedSession | undefined
  #loading: Promise<unknown> | undefined
  #underWay: Set<Promise<unknown>> | undefined
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
  /** A touch that failed: it never spoils a response, and express-session's door tells the application afterwards. */
  touchError: unknown
  openOptions: OpenOptions = {}
  /** Session objects that the request goes on without, and their data then. */
  left: { readonly session: Session; data: Record<string, unknown> | undefined }[] | undefined
  #prolonged = false
  #verbs: HandleVerbs | undefined

  constructor(engine: Engine, settings: Settings, req: HttpRequest, response?: ResponseState, owner?: HandleOwner) {
    this.engine = engine
    this.settings = settings
    this.req = req
    this.#response = response
    this.owner = owner
  }

  get verbs(): HandleVerbs {
    return (this.#verbs ??= new HandleVerbs(this))
  }

  get hasResponse(): boolean {
    return this.#response !== undefined
  }

  get isLate(): boolean {
    return this.#response?.headCommitted === true
  }

  /** The session on the request, if it is made and has not ended. */
  get session(): Session | undefined {
    return this.status === 'ended' ? undefined : this.#session
  }

  /** The latest session object, also of a session that has ended. */
  get latest(): Session | undefined {
    return this.#session
  }

  get snapshot(): Snapshot {
    return this.#snapshot!
  }

  /** What the request brought; read when it is asked for. */
  get tokens(): RequestTokens {
    return (this.#tokens ??= new RequestTokens(this))
  }

  get hasDuplicates(): boolean {
    return this.#tokens?.hasDuplicates === true
  }

  /** The record that the request began with. */
  get foundRecord(): LoadedSession['record'] | undefined {
    return this.#found?.record
  }

  /** Whether the client has this very ID already. */
  get isPresented(): boolean {
    return this.tokens.id === this.id && (!this.settings.tokens.assigned || this.snapshot.storeId === this.id)
  }

  /** Finds the session of the request, or begins a new one; rejects only for a fault of the store. */
  load(): MaybePromise<Session> {
    if (this.#session !== undefined) return this.#session
    if (this.#loading !== undefined) return this.#loading.then(() => this.load())
    if (this.status === 'found') return this.#adopt(this.#found!)
    return this.#whileLoading(this.#find(false)) as MaybePromise<Session>
  }

  /** Reads the record, as `load` does. Where it only has to be there, the session is made of it when it is asked for. */
  prepare(): MaybePromise<unknown> {
    if (this.#session !== undefined || this.#loading !== undefined) return this.load()
    return this.#whileLoading(this.#find(true))
  }

  #whileLoading<T>(result: MaybePromise<T>): MaybePromise<T> {
    if (!isPromise(result)) return result
    const done = () => void (this.#loading = undefined)
    this.#loading = result
    result.then(done, done)
    return result
  }

  #find(prepares: boolean): MaybePromise<Session | undefined> {
    const { tokens } = this
    if (!tokens.bringsSession) return this.#beginFirst(tokens.refusal)
    const adopt = (loaded: Loaded): MaybePromise<Session | undefined> => {
      if ('id' in loaded) {
        this.#found = loaded
        this.status = 'found'
        if (prepares && this.isAtRest) return undefined
      }
      return this.#adopt(loaded)
    }
    let result: MaybePromise<Loaded>
    try {
      result = this.#read()
    } catch (err) {
      return this.#failLoad(err)
    }
    return isPromise(result) ? result.then(adopt, (err) => this.#failLoad(err)) : adopt(result)
  }

  #read(): MaybePromise<Loaded> {
    return chain(this.tokens.resolve(), (token): MaybePromise<Loaded> =>
      typeof token === 'object' ? loadRecord(this, token) : { error: token }
    )
  }

  #adopt(loaded: Loaded): MaybePromise<Session> {
    if (!('id' in loaded)) return this.#beginFirst(loaded.error)
    const { id, readOnly } = loaded
    this.#start(id, storedSession(this.maker, id, loaded), readOnly ? 'readonly' : 'stored')
    this.owner?.began(loaded.record)
    return this.#first(this.latest!)
  }

  /** Whether nothing has to be stored or sent for the session that was found unless the application changes it. */
  get isAtRest(): boolean {
    const { settings, req } = this
    const { record, usedAt, readOnly } = this.#found!
    if (usedAt === undefined || readOnly || this.tokens.isStale || this.hasDuplicates) return false
    if (settings.door.touchesCookie || settings.rolling || settings.resave || settings.schema !== undefined)
      return false
    if (settings.userId !== undefined && record.meta?.i === undefined) return false
    const cookie = record.cookie as unknown as CookieLife
    if (isDeleting(cookie)) return false
    return Date.now() - usedAt < extensionInterval(settings, req, cookie) || !settings.extend(req)
  }

  #failLoad(err: unknown): MaybePromise<Session> {
    const { engine, settings, req } = this
    engine.monitor.note('error', settings.name, this.tokens.id, { error: err })
    const fault = storeFault(err, 'read the session', 503)
    if (settings.onStoreError(err, req) !== 'anonymous') throw settings.rawFaults ? err : fault
    const session = this.standIn()
    stateOf(session)!.error = fault
    return session
  }

  /** Goes on with a session that stands in for the one which the store cannot tell: nothing of it is written. */
  standIn(): Session {
    const id = randomId()
    return this.#first(this.#start(id, newSession(this.maker, id), 'standin'))
  }

  #beginFirst(error: SessionErrorCode | undefined): MaybePromise<Session> {
    const { engine, settings, req } = this
    const reason = error === undefined ? undefined : engine.reject(settings, error, this.tokens.id)
    this.refusal = error
    return chain(engine.newId(settings, req), (id) => {
      const session = this.#start(id, newSession(this.maker, id), 'new')
      if (reason !== undefined) stateOf(session)!.error = reason
      this.owner?.began()
      return this.#first(this.latest!)
    })
  }

  get maker() {
    return { settings: this.settings, req: this.req, verbs: this.verbs }
  }

  #start(id: string, { session, snapshot }: Began, status: Status): Session {
    this.id = id
    this.#session = session
    this.#snapshot = snapshot
    this.status = status
    this.writeAttempted = snapshot.version !== null
    return session
  }

  // What the request changes from here on is what gets written.
  #first(session: Session): Session {
    const { snapshot } = this
    this.original = { id: this.id, data: snapshot.version === null ? dataOf(session, snapshot) : snapshot.data }
    return session
  }

  /** Begins another session where the last one was destroyed. */
  restart(): MaybePromise<void> {
    return chain(this.engine.newId(this.settings, this.req), (id) => {
      this.replaceBy({ id, ...newSession(this.maker, id) }, 'new')
    })
  }

  /** Another session takes the place of this one. */
  replaceBy({ id, ...began }: Began & { id: string }, status: Status): void {
    const session = this.#start(id, began, status)
    this.owner?.replaced(session)
  }

  /** The application puts another session object on the request (`store.createSession`), or begins one (`generate`). */
  put(session: Session, begins = false): void {
    const state = stateOf(session)!
    if (this.status === 'ended') this.status = 'stored'
    if (this.#session === session) return
    const before = this.#session === undefined ? undefined : stateOf(this.#session)!
    if (before !== undefined && (begins || this.id === state.id)) {
      const { createdAt, isNew, error } = before
      Object.assign(state, { createdAt, isNew, error })
    }
    if (before !== undefined && this.id === state.id) {
      const attributes = this.snapshot.attributes ?? keptAttributesOf(before)
      this.#session = session
      this.#snapshot = { ...this.snapshot, attributes, record: undefined }
      return
    }
    const snapshot = { ...newSession(this.maker, state.id).snapshot, attributes: attributesOf(state) }
    this.#start(state.id, { session, snapshot }, begins && this.status === 'new' ? 'new' : 'renewed')
  }

  /** What the application's changes are counted from: the store's own `createSession` has changed the record first. */
  rebase(data: string): void {
    const { snapshot } = this
    if (data === snapshot.data) return
    const savedData = snapshot.savedData === undefined ? undefined : data
    this.#snapshot = { ...snapshot, data, storedData: data, savedData, record: undefined }
  }

  /** Takes over what came of a write; an outcome for an ID that is no longer this one's is none of it. */
  apply(id: string, outcome: Snapshot | 'gone'): void {
    if (id !== this.id || this.status === 'ended') return
    if (outcome === 'gone') return this.lose()
    this.#snapshot = outcome
    if (this.status === 'new' || this.status === 'renewed') this.status = 'stored'
  }

  /** The session was ended by another request: nothing brings it back. */
  lose(): void {
    this.status = 'gone'
    this.outgoing = 'none'
    this.engine.drop(this.settings, this.id)
  }

  /** Takes the session off the request: destroyed, or unset. */
  end(): void {
    if (this.#session !== undefined) this.leave(this.#session)
    this.status = 'ended'
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

  /** Removes the session that the application took off the request. */
  async discard(): Promise<void> {
    const { ending, id, engine, settings } = this
    this.end()
    if (ending !== undefined) await endRecord(settings, ending)
    noteEnd(engine, settings, id)
  }

  /** Decides and does what the store needs before the response may go; leaves in `outgoing` what the client needs. */
  commit(): MaybePromise<unknown> {
    if (this.isBusy) return Promise.allSettled(this.#underWay!).then(() => this.commit())
    return commitSession(this)
  }

  /** The request goes on without this session object: what the application sets on it from now on is not stored. */
  leave(session: Session): void {
    ;(this.left ??= []).push({ session, data: dataNow(session) })
  }

  /** Whether a verb is under way. */
  get isBusy(): boolean {
    return this.#underWay !== undefined && this.#underWay.size > 0
  }

  /** The cookie's lifetime starts anew once a request, and again at the end of a stream. */
  prolong(): void {
    const { session, settings, req } = this
    if (session === undefined || (this.#prolonged && !this.isLate)) return
    this.#prolonged = true
    settings.door.prolong(session, settings.extend(req))
  }

  /** The response waits for a verb under way, whether or not the application does. */
  waitFor<T>(verb: Promise<T>): Promise<T> {
    const underWay = (this.#underWay ??= new Set())
    const done = () => void underWay.delete(verb)
    underWay.add(verb)
    verb.then(done, done)
    return verb
  }

  /** Writes the session. `false` when it is gone. */
  write(session: Session, data: string, exact = false, copy?: Record<string, unknown>): MaybePromise<boolean> {
    const { engine, settings, req, id, status, user: told } = this
    const before = this.snapshot
    this.writeAttempted = true
    const saving = { engine, settings, req, id, user: told, exact, inTurn: this.updating }
    return chain(saveSession(saving, session, data, before), (outcome) => {
      // Another object of the same session (from before a reload) has saved its own data.
      const isOther = typeof outcome === 'object' && session !== this.#session && id === this.id
      this.apply(id, isOther ? { ...outcome, data: before.data } : outcome)
      if (outcome === 'gone') return false
      if (copy !== undefined) rememberRecord(session, before, outcome, copy)
      noteExtended(engine, settings, id, outcome.usedAt)
      if (before.version === null) {
        const key = Object.keys(session).find((name) => name !== 'cookie')
        engine.monitor.note('created', settings.name, id, key === undefined ? {} : { key })
      }
      engine.monitor.note('saved', settings.name, id)
      if (outcome.storeId !== before.storeId) this.#reassigned(status)
      const user = outcome.meta?.i
      const arrived = settings.maxPerUser !== undefined && user !== undefined && user !== before.meta?.i
      return arrived ? evictSurplus(engine, settings, id, user).then(() => true) : true
    })
  }

  // The store has assigned another token with the write: the client has to be told.
  #reassigned(status: Status): void {
    if (status === 'gone' || this.isPresented) return
    if (!this.isLate) this.outgoing = 'send'
    else this.engine.withhold(this.settings, this.id, 'ERR_SESSION_HEADERS_SENT', tooLateError().message)
  }

  /** Replaces what is known of the session, and the session object where another one stands for it. */
  learn(snapshot: Snapshot): void {
    this.#snapshot = snapshot
  }
}

// The next request of a burst will ask for what was just written: it need not be parsed then.
function rememberRecord(
  session: Session,
  before: Snapshot,
  { version, data, storedData, meta }: Snapshot,
  copy: object
) {
  const { record } = before
  const { cookie, keptCookie } = stateOf(session)!
  if (record === undefined || cookie !== undefined || keptCookie !== record || storedData !== data) return
  rememberWritten(version!, record.rewritten(copy as Record<string, unknown>, data, meta))
}
