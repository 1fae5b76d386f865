import type { SessionErrorCode } from '../base/errors'
import type { HttpRequest } from '../base/http'
import { randomId } from '../base/ids'
import { chain, isPromise, type MaybePromise, type Milliseconds } from '../base/time'
import type { Engine } from '../engine/engine'
import { RequestTokens } from '../engine/identify'
import type { Settings } from '../options/settings'
import { dataNow } from '../session/late-changes'
import { stateOf, type Session } from '../session/session'
import type { SessionVerbs } from '../session/verbs'
import { endRecord, noteEnd, type Ending } from './end'
import { keptDate, keptDeadline } from './lifetime'
import { loadSession } from './load'
import { newSession, takeData, type Began, type LoadedSession, type Snapshot } from './snapshot'
import type { HandleOwner, LeftSession, OpenOptions, Outgoing, ResponseState, Status } from './status'

/** One session of one request: what is known of it, and what becomes of it. Its verbs are `SessionHandle`'s. */
export abstract class Handle {
  readonly engine: Engine
  readonly settings: Settings
  readonly req: HttpRequest
  readonly owner: HandleOwner | undefined
  readonly response: ResponseState | undefined
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
  /** The session ID and the JSON of the data that the request began with. */
  firstId = ''
  firstData = '{}'
  outgoing: Outgoing = 'none'
  /** The session ID that the response's header block has told the client. */
  announced: string | undefined
  /** `Set-Cookie` text, where it is rendered before anything is sent. */
  cookieText: string | undefined
  /** A write was begun: the store may know the session, whatever came of it. */
  writeAttempted = false
  updating = false
  /** Counts how often data was taken to the store or from it; `based`: the count when `snapshot.data` was. */
  taken = 0
  based = 0
  /** The first records of a new session that the store was given, whether or not it has answered. */
  offered: string[] | undefined
  /** A touch that failed: it never spoils a response, and express-session's door tells the application afterwards. */
  touchError: unknown
  openOptions: OpenOptions = {}
  left: LeftSession[] | undefined
  /** Verbs that have not done yet: the response waits for them, whether or not the application does. */
  underWay: Set<Promise<unknown>> | undefined
  /** The load that is under way. */
  loading: Promise<unknown> | undefined
  /** `false` for a session of `req.sessions.new()`: its own `save()` alone stores it, and its cookie is sent then. */
  isRegistered = true
  private prolonged = false

  constructor(engine: Engine, settings: Settings, req: HttpRequest, response?: ResponseState, owner?: HandleOwner) {
    this.engine = engine
    this.settings = settings
    this.req = req
    this.response = response
    this.owner = owner
    this.tokens = new RequestTokens(this)
  }

  get isLate(): boolean {
    return this.response?.headCommitted === true
  }

  /** Whether the client has this very ID already. */
  get isPresented(): boolean {
    return this.tokens.id === this.id && (!this.settings.tokens.assigned || this.snapshot.storeId === this.id)
  }

  /** Goes on with an empty session in place of one that the store could not read; it is never written. */
  standIn(): Session {
    return this.first(newSession(this, randomId()), 'standin')
  }

  /** A session was begun, or made of a record. */
  start({ id, session, snapshot }: Began, status: Status): void {
    this.id = id
    this.session = this.latest = session
    this.snapshot = snapshot
    this.based = ++this.taken
    this.status = status
    this.writeAttempted = snapshot.version !== null
    this.offered = this.cookieText = undefined
  }

  /** The session that the request begins with. What it changes from here on is what gets written. */
  first(began: Began, status: Status): Session {
    this.start(began, status)
    if (status !== 'standin') this.owner?.began(began.snapshot.record)
    // The store's own `generate` or `createSession` may have put another one in its place.
    const { id, snapshot } = this
    const session = this.latest!
    this.firstId = id
    this.firstData = snapshot.version === null ? takeData(session, snapshot).text : snapshot.data
    return session
  }

  /** Begins another session where the last one was destroyed. */
  restart(): MaybePromise<void> {
    return chain(this.begin(), (began) => this.replaceBy(began, 'new'))
  }

  /** A new session. @param counts whether a fault of `genid` is counted here; verbs count their own */
  begin(counts = true): MaybePromise<Began> {
    const { engine, settings, req } = this
    try {
      if (settings.genid === undefined) return newSession(this, settings.tokens.newId?.() ?? randomId())
      const began = chain(engine.generatedId(settings, settings.genid(req)), (id) => newSession(this, id))
      return isPromise(began) && counts ? began.catch((err) => this.#failToBegin(err)) : began
    } catch (err) {
      if (!counts) throw err
      return this.#failToBegin(err)
    }
  }

  #failToBegin(error: unknown): never {
    this.engine.monitor.note('error', this.settings.name, undefined, { error })
    throw error
  }

  /** Another session takes the place of this one. */
  replaceBy(began: Began, status: Status): void {
    this.start(began, status)
    this.owner?.replaced(began.session)
  }

  /** Takes over the outcome of a write, unless the session has another ID by now. */
  apply(id: string, outcome: Snapshot | 'gone', hasChanges = true): void {
    if (id !== this.id || this.status === 'ended') return
    if (outcome === 'gone') return this.lose(hasChanges)
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

  /** The application took the session off the request: `req.session = null`, or `delete req.session`. */
  unset(): MaybePromise<unknown> {
    if (!this.settings.unsetDestroys || (this.latest === undefined && !this.tokens.bringsSession)) {
      this.end()
      this.outgoing = 'none'
      return undefined
    }
    // Its cookie tells what the client has to forget: domain and path are the session's own.
    return chain(loadSession(this), () => this.#discard())
  }

  async #discard(): Promise<void> {
    const { ending, id, engine, settings, isKnown } = this
    this.end()
    if (ending !== undefined) await endRecord(settings, ending)
    noteEnd(engine, settings, id, undefined, isKnown)
  }

  /** Whether a store knows the session, or has been asked to keep it. */
  get isKnown(): boolean {
    return this.writeAttempted || (this.status === 'standin' && this.tokens.id !== undefined)
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
    if (session === undefined || (this.prolonged && !this.isLate)) return
    this.prolonged = true
    const { door, port, extend } = settings
    if (extend?.(req) ?? true) return door.prolong(session)
    if (!door.endsByDate) return
    // What does not tell when it was extended may live longer than its date says.
    if (!port.native || this.found?.usedAt === undefined) return door.prolong(session)
    const { cookie } = session
    const { originalMaxAge } = cookie
    const expires = keptDate(cookie, this.snapshot.usedAt)
    if (expires !== undefined) Object.assign(cookie, { expires, originalMaxAge })
  }

  /** When the session ends that was used last at a time. */
  endOf(session: Session, usedAt = this.snapshot.usedAt): Milliseconds | null {
    const { settings, req } = this
    const { cookie, keptCookie, createdAt } = stateOf(session)!
    return keptDeadline(settings, req, cookie ?? keptCookie!.cookie, { createdAt, usedAt })
  }
}

export interface Handle extends SessionVerbs {}
