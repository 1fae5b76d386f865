import { writeSession } from '../save'
import { SessionError } from '../../base/errors'
import type { Milliseconds } from '../../base/time'
import type { Cookie } from '../../cookie/cookie'
import { asFault, destroyedError, missingError, standInError, tooLateError } from '../../engine/faults'
import { encodeRecord } from '../../record/record'
import { jsonOfCookie, lifeOfCookie } from '../../session/cookie-state'
import { changesSince, dataNow, repeatChanges } from '../../session/late-changes'
import { serializeSession } from '../../session/serialize'
import { stateOf, type Session } from '../../session/session'
import type { LockOptions, RegenerateOptions, SessionVerbs } from '../../session/verbs'
import type { Found } from '../../store/contract'
import { versionOf } from '../../store/record-cache'
import { endRecord, noteEnd } from '../end'
import type { SessionHandle } from '../handle'
import { deadline } from '../lifetime'
import { recordOf } from '../load'
import { takeLock } from './lock'
import { partOf, succeed, type Rotation, type Successor } from './regenerate'
import { newSession, storedSession, type Began, type Snapshot } from '../snapshot'
import { updateSession } from './update'
import { watch } from './watch'

/** The verbs of a session that the middleware made. */
export class HandleVerbs implements SessionVerbs {
  readonly #handle: SessionHandle
  #saving: Promise<unknown> | undefined
  #begun: (Began & { id: string }) | undefined

  constructor(handle: SessionHandle) {
    this.#handle = handle
  }

  get name(): string {
    return this.#handle.settings.name
  }

  get store() {
    return this.#handle.settings.port.store
  }

  save(session: Session): Promise<void> {
    const saving = this.#handle.waitFor(this.#save(session))
    this.#saving = Promise.allSettled([this.#saving, saving])
    return saving
  }

  async #save(session: Session): Promise<void> {
    const handle = this.#handle
    const { door, tokens } = handle.settings
    const { version } = this.#writable(session)
    // The client was not told this ID, or keeps the session itself: it would never come back.
    const isUntold = version === null || tokens.selfContained
    if (handle.isLate && door.refusesLateSaves && isUntold) throw tooLateError()
    const data = serializeSession(session)
    const written = await this.#guarded('save the session', async () => writeSession(handle, session, data))
    if (!written) throw destroyedError()
  }

  async reload(session: Session): Promise<void> {
    const handle = this.#handle
    this.#known(session)
    // What was saved before is read again, also by a caller that did not wait for it.
    return handle.waitFor(this.#reload(session, dataNow(session)))
  }

  async #reload(session: Session, before: Record<string, unknown> | undefined): Promise<void> {
    await this.#saving
    const handle = this.#handle
    const { id, settings, status, snapshot: known } = handle
    const read = await this.#guarded('read the session', async () => settings.port.read(known.storeId))
    const found = read ?? (await this.#unread(known))
    const record = recordOf(found)
    if (found === null || record === undefined) throw missingError()
    const loaded = { record, version: versionOf(found, record), usedAt: found.usedAt }
    const fresh = storedSession(handle.maker, id, loaded, known.storeId)
    const { own, savedData, token } = known
    handle.replaceBy({ id, ...fresh, snapshot: { ...fresh.snapshot, own, savedData, token } }, status)
    handle.owner?.began(record)
    repeatChanges(changesSince(before, session), handle.latest!)
    handle.leave(session)
  }

  // What a cookie carries, and what a store shows late, is not gone because it cannot be read.
  async #unread({ version, own, meta, storedData, usedAt }: Snapshot): Promise<Found | null> {
    const { settings, id, latest } = this.#handle
    const { port, tokens } = settings
    if (version === null || latest === undefined || !(own || tokens.selfContained)) return null
    // Whether it was destroyed can be asked all the same.
    if (tokens.selfContained && !(await port.extend(port.keyOf(id), { usedAt, expiresAt: null }))) return null
    return { text: port.native ? version : encodeRecord(jsonOfCookie(stateOf(latest)!), meta, storedData) }
  }

  destroy(session: Session): Promise<void> {
    return this.#handle.waitFor(this.#destroy(session))
  }

  async #destroy(session: Session): Promise<void> {
    const handle = this.#handle
    const { settings, engine } = handle
    const { id } = stateOf(session)!
    // By its ID: an object from before reload() is the same session, one from before regenerate() is another.
    const isCurrent = id === handle.id
    const ending = isCurrent ? handle.ending : { id }
    if (isCurrent) handle.end()
    if (ending !== undefined) await this.#guarded('destroy the session', () => endRecord(settings, ending))
    noteEnd(engine, settings, id)
  }

  regenerate(session: Session, options: RegenerateOptions): Promise<void> {
    return this.#handle.waitFor(this.#regenerate(session, options))
  }

  async #regenerate(session: Session, options: RegenerateOptions): Promise<void> {
    const handle = this.#handle
    const { settings, engine } = handle
    const { id } = stateOf(session)!
    const isCurrent = id === handle.id && handle.latest !== undefined
    // A request with an ID of a moment ago may log in, but not carry on a session under an ID of its own.
    if (isCurrent && handle.status === 'readonly' && options.keep !== undefined) throw destroyedError()
    const before = dataNow(session)
    const own = handle.owner?.regenerate?.()
    if (own !== undefined) return this.#regenerateAsTheStore(own, session, before, options)
    let next: Successor | undefined
    let failure: unknown
    try {
      next = await this.#guarded('destroy the session', () => this.#succeed(session, isCurrent, options))
    } catch (err) {
      // express-session hands out the new session and the error together.
      if (!settings.door.reportsThroughNext) throw err
      failure = err
    }
    // What was carried over may have been offered to the store already, and is not offered again.
    const begun = options.keep === undefined ? this.#begun : undefined
    next ??= { ...(begun ?? (await this.#begin())), renewed: true, user: undefined }
    this.#begun = undefined
    engine.ended(id)
    engine.monitor.note('destroyed', settings.name, isCurrent ? id : undefined, { reason: 'regenerate' })
    handle.user = next.user
    const status = next.readOnly ? 'readonly' : next.renewed ? 'renewed' : 'stored'
    handle.replaceBy(next, status)
    handle.owner?.began()
    // What the application has set while it did not wait goes where it would look for it.
    if (handle.latest !== undefined) repeatChanges(changesSince(before, session), handle.latest)
    handle.leave(session)
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
      const { latest } = this.#handle
      if (latest !== undefined && latest !== session) {
        Object.assign(latest, partOf(session as unknown as Record<string, unknown>, keep))
        if (keep === true) stateOf(latest)!.createdAt = stateOf(session)!.createdAt
        repeatChanges(changesSince(before, session), latest)
        this.#handle.leave(session)
      }
    }
  }

  async #succeed(session: Session, isCurrent: boolean, options: RegenerateOptions): Promise<Successor> {
    const handle = this.#handle
    const { engine, settings, req, user } = handle
    // One that is gone may have been moved on to another ID: a rotation follows it.
    const isLost = handle.status === 'gone' && handle.snapshot.version === null
    if (!isCurrent || isLost || handle.status === 'ended') {
      return { ...(await this.#begin()), renewed: true, user: undefined }
    }
    const ending = handle.status === 'standin' || handle.status === 'readonly' ? handle.ending : undefined
    const snapshot = ending === undefined ? handle.snapshot : { ...handle.snapshot, version: null }
    const rotation: Rotation = {
      engine,
      settings,
      req,
      verbs: this,
      id: handle.id,
      user,
      exact: false,
      inTurn: false,
      isLate: handle.isLate,
      begin: () => this.#begin(),
      endUnknown: async () => {
        const unknown = handle.ending
        if (unknown !== undefined) await endRecord(settings, unknown)
      }
    }
    return succeed(rotation, session, snapshot, options)
  }

  async #begin(): Promise<Began & { id: string }> {
    const { engine, settings, req, maker } = this.#handle
    const id = await engine.newId(settings, req)
    return (this.#begun = { id, ...newSession(maker, id) })
  }

  update<T>(session: Session, fn: (session: Session) => T | Promise<T>): Promise<T> {
    const handle = this.#handle
    const { port } = handle.settings
    return handle.waitFor(
      updateSession(
        {
          ...handle.maker,
          known: (of) => this.#writable(of),
          learn: (_, snapshot) => handle.learn(snapshot),
          read: (storeId) => this.#guarded('read the session', async () => port.read(storeId)),
          writeExactly: async (of, data) => {
            const written = await this.#guarded('save the session', async () => writeSession(handle, of, data, true))
            if (!written) throw destroyedError()
          },
          lose: () => handle.lose(),
          setUpdating: (updating) => (handle.updating = updating)
        },
        session,
        fn
      )
    )
  }

  async lock<T>(session: Session, fn: (signal: AbortSignal) => T | Promise<T>, options: LockOptions): Promise<T> {
    const { port } = this.#handle.settings
    const key = port.keyOf(stateOf(session)!.id)
    const lock = await this.#guarded('lock the session', () => takeLock(port, key, options))
    try {
      return await fn(lock.signal)
    } finally {
      await lock.release()
    }
  }

  expiresAt(session: Session): Milliseconds | null {
    const { settings, req, snapshot } = this.#handle
    const state = stateOf(session)!
    return deadline(settings, req, lifeOfCookie(state), { createdAt: state.createdAt, usedAt: snapshot.usedAt })
  }

  watch(): AbortSignal {
    return watch(this.#handle)
  }

  reviveCookie(kept: Record<string, unknown>): Cookie {
    return this.#handle.settings.door.reviveCookie(kept)
  }

  checkCookie(cookie: Cookie): void {
    this.#handle.settings.door.checkCookie(cookie)
  }

  /** What is known of the session. @throws {SessionError} where it has ended */
  #known(session: Session): Snapshot {
    const { id, status, latest, snapshot } = this.#handle
    if (status === 'standin') throw standInError()
    if (latest === undefined || status === 'gone' || status === 'ended' || stateOf(session)!.id !== id) {
      throw destroyedError()
    }
    return snapshot
  }

  #writable(session: Session): Snapshot {
    const snapshot = this.#known(session)
    if (this.#handle.status === 'readonly') throw destroyedError()
    return snapshot
  }

  async #guarded<T>(verb: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (err) {
      const { settings, engine } = this.#handle
      if (err instanceof SessionError && err.kind === 'usage') throw err
      if (!(err instanceof SessionError && err.code === 'ERR_SESSION_CONFLICT')) {
        engine.monitor.note('error', settings.name, undefined, { error: err })
      }
      throw asFault(err, verb, settings)
    }
  }
}
