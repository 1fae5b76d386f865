import type { HttpRequest } from '../base/http'
import { randomId } from '../base/ids'
import type { SessionErrorCode } from '../base/errors'
import { chain, isPromise, SECOND, type MaybePromise } from '../base/time'
import type { Plan } from '../doors/door'
import type { Engine } from '../engine/engine'
import { storeFault, tooLateError } from '../engine/faults'
import { presentedValues, type Choice, type Presented } from '../engine/identify'
import type { Settings } from '../options/options'
import { keptAttributesOf, lifeOfCookie } from '../session/cookie-state'
import { stateOf, type Session } from '../session/session'
import type { VerifiedToken } from '../tokens/tokens'
import { endRecord, evictSurplus, noteEnd } from './end'
import { sessionToGive } from './given-session'
import { isDeleting, lifeOf } from './lifetime'
import { identify, loadRecord, recordOf, type Loaded, type LoadedSession } from './load'
import { noteExtended, planFor } from './plan'
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
  /** express-session reads `req.sessionID`, which applications may set. */
  publicId(): unknown
  /** A session was begun, or made of a record: the store's own `generate` and `createSession` have their say. */
  began(record?: Record<string, unknown>): void
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
  #presented: Presented | undefined
  /** The authentic token of the request, or why there is none. */
  #choice: Choice
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

  get presented(): Presented {
    return (this.#presented ??= presentedValues(this.req, this.settings))
  }

  /** The authentic token of the request, where no store has to be asked for it. */
  identify(): VerifiedToken | undefined {
    if (this.#presented === undefined) {
      const { presented } = this
      if (presented.values.length > 0 || this.settings.door.readsCookieParser) this.#identifyNow(presented)
    }
    return typeof this.#choice === 'object' ? this.#choice : undefined
  }

  #identifyNow(presented: Presented): void {
    if (!this.settings.tokens.selfContained) this.#choose(identify(this, presented) as Choice)
  }

  #choose(choice: Choice): void {
    this.#choice = choice
    if (typeof choice === 'object' && hasOthers(this.presented.values)) {
      this.engine.monitor.note('rejected', this.settings.name, choice.id, { reason: 'DUPLICATE' })
    }
  }

  /** Whether the request brought anything that may be a session. */
  get bringsSession(): boolean {
    return this.settings.tokens.selfContained ? this.presented.values.length > 0 : this.identify() !== undefined
  }

  /** The ID that the request has proved to have. */
  get presentedId(): string | undefined {
    return typeof this.#choice === 'object' ? this.#choice.id : undefined
  }

  /** Why the visitor's session was not accepted. */
  get refusal(): SessionErrorCode | undefined {
    return typeof this.#choice === 'string' ? this.#choice : undefined
  }

  /** The record that the request began with. */
  get foundRecord(): LoadedSession['record'] | undefined {
    return this.#found?.record
  }

  get isStale(): boolean {
    return typeof this.#choice === 'object' && this.#choice.stale
  }

  get isPresented(): boolean {
    return this.presentedId === this.id && (!this.settings.tokens.assigned || this.snapshot.storeId === this.id)
  }

  get isRenewed(): boolean {
    return this.status === 'renewed'
  }

  /** Cookies of our name came along that are not ours, or cannot be told apart: they are expired. */
  get hasDuplicates(): boolean {
    if (this.#presented === undefined || this.settings.door.believesFirst) return false
    const { values } = this.#presented
    if (values.length < 2) return false
    return this.#choice === 'ERR_SESSION_AMBIGUOUS' || (typeof this.#choice === 'object' && hasOthers(values))
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
    if (!this.bringsSession) return this.#beginFirst(this.refusal)
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
    if (typeof this.#choice === 'object') return loadRecord(this, this.#choice)
    return chain(identify(this, this.presented), (choice): MaybePromise<Loaded> => {
      this.#choose(choice)
      return typeof choice === 'object' ? loadRecord(this, choice) : { error: choice }
    })
  }

  #adopt(loaded: Loaded): MaybePromise<Session> {
    if (!('id' in loaded)) return this.#beginFirst(loaded.error)
    const { id, readOnly } = loaded
    const session = this.#start(id, storedSession({ ...this.maker }, id, loaded), readOnly ? 'readonly' : 'stored')
    this.owner?.began(loaded.record.raw)
    return this.#first(this.#session ?? session)
  }

  /** Whether nothing has to be stored or sent for the session that was found unless the application changes it. */
  get isAtRest(): boolean {
    const { settings, req } = this
    const { record, usedAt, readOnly } = this.#found!
    if (usedAt === undefined || readOnly || this.isStale || this.hasDuplicates) return false
    if (settings.door.touchesCookie || settings.rolling || settings.resave || settings.schema !== undefined)
      return false
    if (settings.userId !== undefined && record.meta?.i === undefined) return false
    if (isDeleting(record.cookie as { originalMaxAge: number | null })) return false
    return Date.now() - usedAt < settings.touchAfter || !settings.extend(req)
  }

  #failLoad(err: unknown): MaybePromise<Session> {
    const { engine, settings, req } = this
    engine.monitor.note('error', settings.name, this.presentedId, { error: err })
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
    const reason = error === undefined ? undefined : engine.reject(settings, error, this.presentedId)
    if (error !== undefined && typeof this.#choice !== 'object') this.#choice = error
    return chain(engine.newId(settings, req), (id) => {
      const session = this.#start(id, newSession(this.maker, id), 'new')
      if (reason !== undefined) stateOf(session)!.error = reason
      this.owner?.began()
      return this.#first(this.#session ?? session)
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

  /** The application puts another session object on the request (`store.createSession`). */
  put(session: Session): void {
    const state = stateOf(session)!
    if (this.status === 'ended') this.status = 'stored'
    if (this.#session === session) return
    if (this.#session !== undefined && this.id === state.id) {
      const attributes = this.snapshot.attributes ?? keptAttributesOf(stateOf(this.#session)!)
      this.#session = session
      this.#snapshot = { ...this.snapshot, attributes, record: undefined }
      return
    }
    const { snapshot } = newSession(this.maker, state.id)
    this.#start(state.id, { session, snapshot }, 'renewed')
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
    this.status = 'ended'
    this.outgoing = this.presented.values.length > 0 || this.outgoing === 'send' ? 'expire' : 'none'
  }

  /** What has to be removed from the store with this session; `undefined`: no store knows it. */
  get ending(): Parameters<typeof endRecord>[1] | undefined {
    const { status, presentedId, id, settings } = this
    if (status === 'standin') return presentedId === undefined ? undefined : { id: presentedId }
    const { version, meta, storeId } = this.snapshot
    if (this.writeAttempted || presentedId === id) return { id, storeId, version, user: meta?.i }
    // A store may hide an outage as "no session": it is told to destroy what the request has proved to have.
    if (presentedId !== undefined) return { id: presentedId }
    return settings.door.destroysUnsaved ? { id } : undefined
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
    const { settings, status } = this
    const session = this.#session
    if (this.#underWay !== undefined && this.#underWay.size > 0) {
      return Promise.allSettled(this.#underWay).then(() => this.commit())
    }
    if (session === undefined || status === 'ended') return undefined
    if (status === 'standin' || status === 'gone' || status === 'readonly') return this.#dropChanges(session)
    if (settings.door.deletesByMaxAge && isDeleting(lifeOfCookie(stateOf(session)!))) return this.verbs.destroy(session)
    if (settings.door.needsPublicId && this.owner !== undefined && typeof this.owner.publicId() !== 'string') return
    const data = dataOf(session, this.snapshot)
    const plan = planFor(this, session, data)
    if (plan.sendCookie) this.outgoing = 'send'
    else if (this.#choice === 'ERR_SESSION_AMBIGUOUS') this.outgoing = 'expire'
    if (this.isLate && this.#isUnannounced(plan)) return this.#tooLate(session)
    if (plan.store === 'touch' && this.#needsNoTouch) return undefined
    if (plan.store === 'none') return plan.sendCookie && !this.isLate ? this.#confirm() : undefined
    this.#prolong(session)
    if (plan.store === 'touch' && !settings.tokens.selfContained) return this.#touch(session)
    return this.#save(session, plan.store === 'save' ? data : this.snapshot.data)
  }

  /** The response waits for a verb under way, whether or not the application does. */
  waitFor<T>(verb: Promise<T>): Promise<T> {
    const underWay = (this.#underWay ??= new Set())
    const done = () => void underWay.delete(verb)
    underWay.add(verb)
    verb.then(done, done)
    return verb
  }

  #dropChanges(session: Session): void {
    this.outgoing = 'none'
    if (this.status === 'gone' || dataOf(session, this.snapshot) === this.snapshot.data) return
    this.engine.drop(this.settings, this.id, this.status === 'standin' ? 'ERR_SESSION_STORE' : undefined)
  }

  // The first byte of a streaming response has stored it; the last byte extends it only if that was a while ago. A
  // cookie that is the record cannot follow the first byte at all.
  get #needsNoTouch(): boolean {
    return this.isLate && (this.settings.tokens.selfContained || Date.now() - this.snapshot.usedAt < SECOND)
  }

  // What the client would have to be told, and cannot be any more.
  #isUnannounced({ store, sendCookie }: Plan): boolean {
    if (this.settings.tokens.selfContained) return store === 'save'
    return sendCookie && !this.isPresented && this.announced !== this.id
  }

  // The client would never learn this ID, so no record is made either.
  #tooLate(session: Session): void {
    const { engine, settings, snapshot } = this
    this.outgoing = 'none'
    if (snapshot.version === null) this.status = 'gone'
    const reason = tooLateError()
    engine.withhold(settings, this.id, reason.code, reason.message)
    stateOf(session)!.error = reason
  }

  // The cookie's lifetime starts anew once a request, and again at the end of a stream.
  #prolong(session: Session): void {
    if (this.#prolonged && !this.isLate) return
    this.#prolonged = true
    const { settings, req } = this
    settings.door.prolong(session, settings.extend(req))
  }

  /** express-session touches a session whenever its cookie is sent or its response ends. */
  prolong(): void {
    if (this.session !== undefined) this.#prolong(this.session)
  }

  #save(session: Session, data: string): MaybePromise<unknown> {
    const own = this.settings.door.ownSave(session)
    if (own === undefined) return this.write(session, data)
    return new Promise<void>((resolve, reject) => own((err) => (err ? reject(err as Error) : resolve())))
  }

  /** Writes the session. `false` when it is gone. */
  write(session: Session, data: string, exact = false): MaybePromise<boolean> {
    const { engine, settings, req, id, status, user: told } = this
    const before = this.snapshot
    this.writeAttempted = true
    const saving = { engine, settings, req, id, user: told, exact, inTurn: this.updating }
    return chain(saveSession(saving, session, data, before), (outcome) => {
      // Another object of the same session (from before a reload) has saved its own data.
      const isOther = typeof outcome === 'object' && session !== this.#session && id === this.id
      this.apply(id, isOther ? { ...outcome, data: before.data } : outcome)
      if (outcome === 'gone') return false
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

  #touch(session: Session): MaybePromise<void> {
    const { settings, req, snapshot, id, engine } = this
    const state = stateOf(session)!
    const usedAt = Date.now()
    const life = lifeOf(settings, req, lifeOfCookie(state), { createdAt: state.createdAt, usedAt })
    if (settings.door.touchesCookie) life.cookieText = JSON.stringify(session.cookie)
    const meta = snapshot.meta && { ...snapshot.meta, u: usedAt }
    const merged =
      snapshot.storedData === snapshot.data ? undefined : { text: snapshot.storedData, theirs: snapshot.record }
    const live = () => sessionToGive(req, session, meta, merged)
    const extend = () => settings.port.extend(settings.port.keyOf(snapshot.storeId), life, live)
    return this.#unlessGone(extend, () => {
      this.#snapshot = { ...snapshot, usedAt, meta }
      noteExtended(engine, settings, id, usedAt)
      engine.noteTouch(settings, id)
    })
  }

  // Whether a session still lives whose cookie is to be sent again, where nothing else asks the store: a slow response
  // must not put the ID of a session that ended meanwhile in the place of the next one.
  #confirm(): MaybePromise<void> {
    const { settings, snapshot } = this
    if (!settings.door.watchesCookie || !this.isPresented || snapshot.own) return undefined
    const ask = () => chain(settings.port.read(snapshot.storeId), (found) => recordOf(found) !== undefined)
    return this.#unlessGone(ask, () => undefined)
  }

  // Nothing is written here that could get lost: a fault of the store is noted, and spoils no response.
  #unlessGone(ask: () => MaybePromise<boolean>, alive: () => void): MaybePromise<void> {
    const done = (lives: boolean) => (lives ? alive() : this.lose())
    const failed = (error: unknown) => {
      this.engine.noteTouch(this.settings, this.id, { error })
      this.touchError = error
    }
    try {
      const result = ask()
      return isPromise(result) ? result.then(done, failed) : done(result)
    } catch (err) {
      failed(err)
    }
  }

  /** Replaces what is known of the session, and the session object where another one stands for it. */
  learn(snapshot: Snapshot): void {
    this.#snapshot = snapshot
  }
}

function hasOthers(values: readonly string[]): boolean {
  for (let i = 1; i < values.length; i++) if (values[i] !== values[0]) return true
  return false
}
