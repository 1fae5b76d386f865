import type { Plan } from './decide'
import type { Engine } from '../engine/engine'
import { tooLateError } from '../engine/faults'
import { adoptSession, findSession, isAtRest } from './finder'
import { identify, type Loaded } from './loader'
import type { Settings } from '../options/options'
import { Session, stateOf } from '../session/session'
import type { Answer, SessionHost, SlotOwner } from '../session/session-host'
import { dataTextOf, freshTracked, type Tracked } from './tracked'
import { chain, isPromise, SECOND, type MaybePromise } from '../base/time'
import { keptAttributesOf, lifeOfCookie } from '../session/kept-cookie'
import { isDeleting } from './lifetime'
import { idToRemove } from './retire'
import { Verbs } from './verbs'
import { confirmSession, planFor, touchSession, writeSession, type Outgoing } from './writer'

/** The session of one name during one request: how it is found, what becomes of it. */
export class Slot {
  readonly engine: Engine
  readonly settings: Settings
  readonly req: any
  loaded: Loaded | undefined
  tracked: Tracked | undefined
  /** The session was destroyed, or taken off the request. */
  ended = false
  outgoing: Outgoing = 'none'
  /** The session ID that the response's headers have told the client. */
  announced: string | undefined
  /** `Set-Cookie` text of the main door, rendered before anything is sent. */
  cookieText: string | undefined
  /** Explicit saves under way: the response waits for them instead of saving a second time. */
  saving: Promise<unknown> | undefined
  /** Loading failed and the application goes on without a store, or a commit failed: nothing is written. */
  unsaved = false
  /** What the request began with: changes are counted from here. */
  original: { id: string; text: string } | undefined
  #touched = false
  #loading: Promise<unknown> | undefined
  #prepared = false
  #host: SessionHost | undefined
  readonly #owner: SlotOwner | undefined
  readonly #answer: Answer | undefined

  constructor(engine: Engine, settings: Settings, req: any, answer?: Answer, owner?: SlotOwner) {
    this.engine = engine
    this.settings = settings
    this.req = req
    this.#answer = answer
    this.#owner = owner
  }

  /** The response's headers are gone: no cookie can be sent any more. */
  get late(): boolean {
    return this.#answer?.headCommitted === true
  }

  get host(): SessionHost {
    return (this.#host ??= new Verbs(this))
  }

  replaced(session: Session): void {
    this.#owner?.replaced(session)
  }

  get session(): Session | undefined {
    return this.ended ? undefined : this.tracked?.session
  }

  identify(): Loaded {
    return (this.loaded ??= identify(this.engine, this.settings, this.req))
  }

  /** Finds the session of the request, or begins a new one; rejects only for a fault of the store. */
  load(): MaybePromise<Session> {
    if (this.tracked !== undefined) return this.tracked.session
    if (this.#loading !== undefined) return this.#loading.then(() => this.load())
    return this.#prepared ? adoptSession(this, this.loaded!) : this.#whileLoading(findSession(this))
  }

  /** Reads the record, as `load` does. Where it only has to be there, the session is made of it when somebody asks. */
  prepare(): MaybePromise<unknown> {
    if (this.tracked !== undefined || this.#loading !== undefined) return this.load()
    const adopt = (loaded: Loaded) => {
      this.#prepared = isAtRest(this.settings, this.req, loaded)
      return this.#prepared ? undefined : adoptSession(this, loaded)
    }
    return this.#whileLoading(findSession<Session | undefined>(this, adopt))
  }

  /** The record was read, and no session made of it so far; `load` does it at once. */
  get dormant(): boolean {
    return this.#prepared && this.tracked === undefined && !this.ended
  }

  #whileLoading<T>(result: MaybePromise<T>): MaybePromise<T> {
    if (!isPromise(result)) return result
    const done = () => void (this.#loading = undefined)
    this.#loading = result
    result.then(done, done)
    return result
  }

  /** The session that the request begins with: what it changes from here on is what gets written. */
  start(tracked: Tracked): Session {
    this.tracked = tracked
    this.original = { id: tracked.id, text: tracked.base }
    return tracked.session
  }

  get stale(): boolean {
    return this.loaded?.stale === true
  }

  /** Cookies of our name that are not ours, or cannot be told apart, came along: they are expired. */
  get planted(): boolean {
    const { loaded } = this
    if (loaded === undefined || loaded.values.length < 2 || this.settings.classic) return false
    return loaded.error === 'ERR_SESSION_AMBIGUOUS' || loaded.surplus
  }

  /** The application puts another session object on the request (`store.createSession`). */
  replace(session: Session): void {
    const { tracked } = this
    const id = stateOf(session)!.id
    this.ended = false
    if (tracked?.session === session) return
    if (tracked !== undefined && tracked.id === id) {
      const cookieText = tracked.cookieText ?? keptAttributesOf(stateOf(tracked.session)!)
      this.tracked = { ...tracked, session, cookieText }
      return
    }
    const fresh = freshTracked(this.settings, this.host, this.req, id)
    this.tracked = { ...fresh, session, mustSave: true }
  }

  /** Begins another session where the last one was destroyed. */
  renew(): MaybePromise<void> {
    return chain(this.engine.newId(this.settings, this.req), (id) => {
      this.ended = false
      this.tracked = freshTracked(this.settings, this.host, this.req, id)
      this.replaced(this.tracked.session)
    })
  }

  /** Takes the session off the request: destroyed, or unset. */
  end(): void {
    this.ended = true
    this.outgoing = (this.loaded?.values.length ?? 0) > 0 || this.outgoing === 'send' ? 'expire' : 'none'
  }

  /** Removes the session that was taken off the request. */
  discard(tracked: Tracked): MaybePromise<void> {
    const { engine, settings } = this
    this.end()
    tracked.dead = true
    const stored = idToRemove(this, tracked)
    return chain(stored !== undefined && settings.backend.remove(stored, tracked.meta?.i), () => {
      engine.monitor.note('destroyed', settings.name, tracked.id)
      engine.ended(tracked.id)
    })
  }

  /** Decides and does what the store needs before the response may go; leaves in `outgoing` what the client needs. */
  commit(): MaybePromise<unknown> {
    const { tracked, settings } = this
    if (tracked === undefined || this.unsaved || this.ended) return undefined
    if (this.saving !== undefined) return this.saving.then(() => this.commit())
    if (tracked.dead || tracked.readOnly) {
      this.outgoing = 'none'
      if (!tracked.dead && dataTextOf(tracked) !== tracked.base) this.engine.drop(settings, tracked.id)
      return undefined
    }
    const { session } = tracked
    if (!settings.classic && isDeleting(lifeOfCookie(stateOf(session)!))) return this.host.destroy(session)
    if (settings.classic && this.#owner !== undefined && typeof this.#owner.publicId() !== 'string') return undefined
    const text = dataTextOf(tracked)
    const plan = planFor(this, tracked, text)
    if (plan.sendCookie) this.outgoing = 'send'
    else if (this.loaded?.error === 'ERR_SESSION_AMBIGUOUS') this.outgoing = 'expire'
    if (this.late && this.#unannounced(tracked, plan)) return this.#tooLate(tracked)
    if (plan.store === 'touch' && this.#needsNoTouch(tracked)) return undefined
    if (plan.store === 'none') return plan.sendCookie && !this.late ? confirmSession(this, tracked) : undefined
    this.#prolong(tracked)
    if (plan.store === 'touch' && settings.backend.carrier === undefined) return touchSession(this, tracked)
    const { value } = tracked
    const saving = this.#save(tracked, plan.store === 'save' ? text : tracked.base)
    if (settings.backend.native) return saving
    return chain(saving, () => (tracked.value === value ? undefined : this.#revalue(tracked)))
  }

  // The store answered the write with another value for the cookie.
  #revalue(tracked: Tracked): void {
    const { engine, settings } = this
    if (tracked.dead || this.presented(tracked)) return
    if (!this.late) this.outgoing = 'send'
    else engine.withhold(settings, tracked.id, 'ERR_SESSION_HEADERS_SENT', tooLateError().message)
  }

  // The first byte of a streaming response has stored it; the last byte extends it only if that was a while ago. A
  // cookie that is the record cannot follow the first byte at all.
  #needsNoTouch(tracked: Tracked): boolean {
    return this.late && (this.settings.backend.carrier !== undefined || Date.now() - tracked.usedAt < SECOND)
  }

  // What the client would have to be told, and cannot be any more.
  #unannounced(tracked: Tracked, plan: Plan): boolean {
    if (this.settings.backend.carrier !== undefined) return plan.store === 'save'
    return plan.sendCookie && !this.presented(tracked) && this.announced !== tracked.id
  }

  presented(tracked: Tracked): boolean {
    const { loaded } = this
    return loaded?.id === tracked.id && (tracked.value === undefined || tracked.value === loaded.id)
  }

  // The cookie's lifetime starts anew once a request, and again at the end of a stream.
  #prolong(tracked: Tracked): void {
    if (this.#touched && !this.late) return
    this.#touched = true
    const { settings, req } = this
    const { session } = tracked
    // express-session calls what the application has put there; elsewhere `touch` may be data.
    if (settings.classic) session.touch()
    else if (settings.extend(req)) Session.prototype.touch.call(session)
  }

  /** express-session touches a session whenever its cookie is sent or its response ends. */
  touchOnce(): void {
    if (this.tracked !== undefined && !this.ended) this.#prolong(this.tracked)
  }

  #save(tracked: Tracked, text: string): MaybePromise<unknown> {
    const own: unknown = tracked.session.save
    if (this.settings.classic && own !== Session.prototype.save && typeof own === 'function') {
      return new Promise<void>((resolve, reject) => {
        own.call(tracked.session, (err: unknown) => (err ? reject(err as Error) : resolve()))
      })
    }
    return this.write(tracked, text)
  }

  /** Writes one session. `false` when it is gone. */
  write(tracked: Tracked, text: string): MaybePromise<boolean> {
    return writeSession(this, tracked, text)
  }

  /** A touch that failed: it never spoils a response, and express-session's door tells the application afterwards. */
  touchError: unknown

  // Nobody would ever learn this ID, so no record is made either.
  #tooLate(tracked: Tracked): void {
    this.outgoing = 'none'
    if (tracked.kept === null) tracked.dead = true
    const { engine, settings } = this
    const reason = tooLateError()
    engine.withhold(settings, tracked.id, reason.code, reason.message)
    stateOf(tracked.session)!.error = reason
  }
}
