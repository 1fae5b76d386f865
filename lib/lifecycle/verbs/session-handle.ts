import { demand } from '../../base/errors'
import type { Milliseconds } from '../../base/time'
import type { Cookie } from '../../cookie/cookie'
import { destroyedError, guarded, missingError, standInError, tooLateError } from '../../engine/faults'
import { encodeRecord } from '../../record/record'
import { changesSince, dataNow, repeatChanges } from '../../session/late-changes'
import { serializeSession } from '../../session/data'
import { jsonOfCookie, stateOf, type Session } from '../../session/session'
import { partOf } from '../../session/values'
import type { LockOptions, RegenerateOptions } from '../../session/verbs'
import type { Found } from '../../store/contract'
import { versionOf } from '../../store/record-cache'
import { endRecord, noteEnd } from '../end'
import { Handle } from '../handle'
import { deadline, extendedAt, isDue, tellsExtension } from '../lifetime'
import { ledTo, recordOf } from '../load'
import { writeNow } from '../save'
import { shownLate, storedSession, type Began, type Snapshot } from '../snapshot'
import { checkLock, takeLock } from './lock'
import { checkRotation, isRoutine, replaceSession, type Successor } from './regenerate'
import { updateSession } from './update'
import { watch } from './watch'

/** A session of a request with the verbs of its session object. */
export class SessionHandle extends Handle {
  private saving: Promise<unknown> | undefined
  private begun: Began | undefined

  override get name(): string {
    return this.settings.name
  }

  override get store(): unknown {
    return this.settings.port.store
  }

  /** When the session ends if it is not used again; this request uses it, and its response extends it. */
  override expiresAt(session: Session): Milliseconds | null {
    const { settings, req, snapshot } = this
    const { cookie, keptCookie, createdAt } = stateOf(session)!
    const last = extendedAt(this)
    const isExtended = this.response !== undefined && !this.isLate && this.status === 'stored'
    if (isExtended && isDue(settings, req, cookie ?? keptCookie!.cookie, last)) return this.endOf(session, Date.now())
    // Of a record without a time of last use, its date and what this process remembers tell more than the time of loading.
    const isTold = snapshot.usedAt !== createdAt || tellsExtension(settings)
    const end = isTold ? null : this.endOf(session, last)
    return end !== null && end > Date.now() ? end : this.endOf(session, Math.max(snapshot.usedAt, last))
  }

  override reviveCookie(kept: Record<string, unknown>): Cookie {
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

  #waitFor<T>(verb: Promise<T>): Promise<T> {
    const underWay = (this.underWay ??= new Set())
    const done = () => void underWay.delete(verb)
    underWay.add(verb)
    verb.then(done, done)
    return verb
  }

  override save(session: Session): Promise<void> {
    const saving = this.#waitFor(this.#save(session))
    this.saving = Promise.allSettled([this.saving, saving])
    return saving
  }

  async #save(session: Session): Promise<void> {
    const data = serializeSession(session)
    this.#refuseLate(session, data)
    await writeNow(this, session, data)
  }

  // The client was not told this ID, or keeps the session itself, and other data: it would never come back.
  #refuseLate(session: Session, data?: string): void {
    const { door, tokens } = this.settings
    const known = this.writable(session)
    const isLost = known.version === null || (tokens.selfContained && data !== known.data)
    if (this.isLate && door.refusesLateSaves && isLost) throw tooLateError(known.version === null)
  }

  override async reload(session: Session): Promise<void> {
    this.known(session)
    // What was saved before is read again, also by a caller that did not wait for it.
    return this.#waitFor(this.#reload(session, dataNow(session)))
  }

  async #reload(session: Session, before: Record<string, unknown> | undefined): Promise<void> {
    await this.saving
    const { id, settings, status, snapshot: known } = this
    const read = await guarded(this, 'read the session', () => settings.port.read(known.storeId))
    const led = await guarded(this, 'read the session', () => ledTo(this, known.storeId, read))
    const seen = recordOf(read)
    const lags = seen === undefined || shownLate(known)?.includes(versionOf(read!, seen))
    const found = (lags && led === undefined ? await this.#unread(known) : null) ?? read
    const record = led?.record ?? recordOf(found)
    // Another verb may have put another session in its place meanwhile.
    this.known(session)
    if (found === null || record === undefined) throw missingError()
    if (led === undefined) {
      const loaded = { record, version: versionOf(found, record), usedAt: found.usedAt }
      const fresh = storedSession(this, id, loaded, known.storeId)
      const { own, writtenAt, savedData, token } = known
      this.replaceBy({ ...fresh, snapshot: { ...fresh.snapshot, own, writtenAt, savedData, token } }, status)
    } else this.replaceBy(storedSession(this, led.id, led), 'readonly')
    this.owner?.began(record)
    repeatChanges(changesSince(before, session), this.latest!)
    this.leave(session)
  }

  // What a cookie carries, and what a store shows late, is not gone because it cannot be read.
  async #unread(known: Snapshot): Promise<Found | null> {
    const { settings, req, id, latest } = this
    const { port, tokens } = settings
    const { version, meta, storedData, storeId } = known
    if (version === null || latest === undefined || !(shownLate(known) || tokens.selfContained)) return null
    const { cookie, keptCookie, createdAt } = stateOf(latest)!
    const usedAt = Date.now()
    const expiresAt = deadline(settings, req, cookie ?? keptCookie!.cookie, { createdAt, usedAt })
    // Whether it was destroyed can be asked all the same.
    const asked = tokens.selfContained
      ? port.extend(port.keyOf(id), { usedAt: known.usedAt, expiresAt: null })
      : port.lives(port.keyOf(storeId), { usedAt, expiresAt })
    if (!(await asked)) return null
    return { text: port.native ? version : encodeRecord(jsonOfCookie(stateOf(latest)!), meta, storedData) }
  }

  override destroy(session: Session): Promise<void> {
    return this.#waitFor(this.#destroy(session))
  }

  async #destroy(session: Session): Promise<void> {
    const { settings, engine } = this
    const { id } = stateOf(session)!
    // By its ID: an object from before reload() is the same session, one from before regenerate() is another.
    const isCurrent = id === this.id
    const ending = isCurrent ? this.ending : { id }
    const isKnown = !isCurrent || this.isKnown
    if (isCurrent) this.end()
    if (ending !== undefined) await guarded(this, 'destroy the session', () => endRecord(settings, ending))
    noteEnd(engine, settings, id, undefined, isKnown)
  }

  override regenerate(session: Session, given: RegenerateOptions | undefined): Promise<void> {
    return this.#waitFor(this.#regenerate(session, given))
  }

  async #regenerate(session: Session, given: RegenerateOptions | undefined): Promise<void> {
    const options = checkRotation(given)
    const { settings, engine } = this
    const { id } = stateOf(session)!
    const isCurrent = id === this.id && this.latest !== undefined
    // A request with an ID of a moment ago may log in, but not carry on a session under an ID of its own. A routine
    // rotation has been done for it.
    if (isCurrent && this.status === 'readonly' && options.keep !== undefined) {
      if (isRoutine(options)) return
      throw destroyedError()
    }
    const isKnown = isCurrent && this.isKnown
    const before = dataNow(session)
    const own = this.owner?.regenerate?.()
    if (own !== undefined) return this.#regenerateAsTheStore(own, session, before, options)
    let next: Successor | undefined
    let failure: unknown
    try {
      next = await guarded(this, 'destroy the session', () => this.#replace(session, isCurrent, options))
    } catch (err) {
      // express-session hands out the new session and the error together.
      if (!settings.door.reportsThroughNext) throw err
      failure = err
    }
    // What was carried over may have been offered to the store already, and is not offered again.
    const begun = options.keep === undefined ? this.begun : undefined
    next ??= begun ?? (await this.beginNext())
    this.begun = undefined
    noteEnd(engine, settings, id, 'regenerate', isKnown && !next.isJoined)
    this.user = next.user
    const status = next.readOnly ? 'readonly' : next.isStored ? 'stored' : 'renewed'
    this.replaceBy(next, status)
    this.owner?.began()
    // What the application has set while it did not wait goes where it would look for it.
    if (this.latest !== undefined) repeatChanges(changesSince(before, session), this.latest)
    this.leave(session)
    if (failure !== undefined) throw failure as Error
  }

  // The store's own knows no options, and not what is set meanwhile.
  async #regenerateAsTheStore(
    own: Promise<void>,
    session: Session,
    before: Record<string, unknown> | undefined,
    { keep }: RegenerateOptions
  ): Promise<void> {
    try {
      await own
    } finally {
      const { latest } = this
      if (latest !== undefined && latest !== session) {
        Object.assign(latest, partOf(session as unknown as Record<string, unknown>, keep))
        if (keep === true) stateOf(latest)!.createdAt = stateOf(session)!.createdAt
        repeatChanges(changesSince(before, session), latest)
        this.leave(session)
      }
    }
  }

  async #replace(session: Session, isCurrent: boolean, options: RegenerateOptions): Promise<Successor> {
    // One that is gone may have been moved on to another ID: a rotation follows it.
    const isLost = this.status === 'gone' && this.snapshot.version === null
    if (!isCurrent || isLost || this.status === 'ended') return this.beginNext()
    const ending = this.status === 'standin' || this.status === 'readonly' ? this.ending : undefined
    const snapshot = ending === undefined ? this.snapshot : { ...this.snapshot, version: null }
    return replaceSession(this, session, snapshot, options)
  }

  /** Begins another session under a new ID, once it is known that this one is to end. */
  async beginNext(): Promise<Began> {
    return (this.begun = await this.begin(false))
  }

  override async update<T>(session: Session, fn: (session: Session) => T | Promise<T>): Promise<T> {
    demand(typeof fn === 'function', 'session.update()', 'fn', 'a function', fn)
    this.#refuseLate(session)
    return this.#waitFor(updateSession(this, session, fn))
  }

  override async lock<T>(
    session: Session,
    fn: (signal: AbortSignal) => T | Promise<T>,
    options?: LockOptions
  ): Promise<T> {
    demand(typeof fn === 'function', 'session.lock()', 'fn', 'a function', fn)
    const times = checkLock(options)
    const { port } = this.settings
    const key = port.keyOf(stateOf(session)!.id)
    const lock = await guarded(this, 'lock the session', () => takeLock(port, key, times))
    try {
      return await fn(lock.signal)
    } finally {
      await lock.release()
    }
  }

  override watch(): AbortSignal {
    return watch(this)
  }
}
