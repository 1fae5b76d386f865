import { decodeFound, keptText, leadsOn } from '../store/found'
import { destroyedError, standInError, storeFault, tooLateError } from '../engine/faults'
import { idToRemove } from './retire'
import { succeed, type SucceedingSlot } from './succeed'
import { takeLock } from './lock'
import { serializeSession } from '../session/serialize'
import { replaceData, stateOf, type Session } from '../session/session'
import type { LockOptions, RegenerateOptions, SessionHost } from '../session/session-host'
import { SessionError } from '../base/errors'
import { freshTracked, loadedTracked, storedIdOf, type Tracked } from './tracked'
import { mergeData } from '../record/merge'
import { writers } from '../store/turns'

const UPDATES_MAX = 1000

/** What the verbs need of the session's place in its request. */
export interface VerbSlot extends SucceedingSlot {
  tracked: Tracked | undefined
  ended: boolean
  saving: Promise<unknown> | undefined
  /** Another session object takes the place of this one. */
  replaced(session: Session): void
  end(): void
}

/** The verbs of a session that the middleware made. */
export class Verbs implements SessionHost {
  readonly #slot: VerbSlot

  constructor(slot: VerbSlot) {
    this.#slot = slot
  }

  get name(): string {
    return this.#slot.settings.name
  }

  get store() {
    return this.#slot.settings.backend.store
  }

  get classic(): boolean {
    return this.#slot.settings.classic
  }

  async save(session: Session): Promise<void> {
    const slot = this.#slot
    const tracked = this.#writable(session)
    if (slot.late && !slot.settings.classic && isUntold(slot, tracked)) throw tooLateError()
    const text = serializeSession(session)
    const work = this.#guarded('save the session', async () => slot.write(tracked, text))
    const saving = Promise.allSettled([slot.saving, work])
    slot.saving = saving
    void saving.then(() => {
      if (slot.saving === saving) slot.saving = undefined
    })
    if (!(await work)) throw destroyedError()
  }

  async reload(session: Session): Promise<void> {
    const slot = this.#slot
    const tracked = this.#trackedOf(session)
    const { settings } = slot
    // What was saved before is read again, also by a caller that did not wait for it.
    await slot.saving
    const read = await this.#guarded('read the session', async () =>
      settings.backend.read(storedIdOf(settings, tracked))
    )
    // A cookie that this process did not write is still the newest that is known of the session.
    const found =
      read === null && settings.backend.carrier !== undefined && tracked.kept !== null ? { text: tracked.kept } : read
    const record = found === null ? undefined : decodeFound(found)
    if (found === null || record === undefined || leadsOn(found))
      throw new SessionError('ERR_SESSION_MISSING', 'failed to load session')
    const kept = keptText(found, record)
    const fresh = loadedTracked(settings, this, slot.req, tracked.id, record, kept, found.usedAt)
    fresh.savedText = tracked.savedText
    fresh.value = tracked.value
    fresh.readOnly = tracked.readOnly
    slot.tracked = fresh
    slot.ended = false
    slot.replaced(fresh.session)
  }

  async destroy(session: Session): Promise<void> {
    const slot = this.#slot
    const { settings, engine } = slot
    const id = stateOf(session)!.id
    // By its ID: an object from before reload() is the same session.
    const tracked = this.#currentOf(session)
    if (tracked !== undefined) {
      tracked.dead = true
      slot.end()
    }
    const stored = tracked === undefined ? id : idToRemove(slot, tracked)
    if (stored !== undefined) {
      await this.#guarded('destroy the session', async () => settings.backend.remove(stored, tracked?.meta?.i))
    }
    engine.monitor.note('destroyed', settings.name, id)
    engine.ended(id)
  }

  async regenerate(session: Session, options: RegenerateOptions): Promise<void> {
    const slot = this.#slot
    const { settings, engine } = slot
    const old = this.#currentOf(session)
    // A request with an ID of a moment ago may log in, but not carry on somebody's session under an ID of its own.
    if (old?.readOnly && options.keep !== undefined) throw destroyedError()
    const begin = async () => freshTracked(settings, this, slot.req, await engine.newId(settings, slot.req))
    let next = await begin()
    let failure: unknown
    try {
      const successor = await this.#guarded('destroy the session', () => succeed(slot, session, old, next, options))
      next = successor ?? (await begin())
    } catch (err) {
      // express-session hands out the new session and the error together.
      if (!settings.classic) throw err
      failure = err
      if (next.offered) next = await begin()
    }
    if (next.kept === null) next.mustSave = true
    if (old !== undefined && old !== next) old.dead = true
    engine.ended(stateOf(session)!.id)
    engine.monitor.note('destroyed', settings.name, old?.id, { reason: 'regenerate' })
    slot.tracked = next
    slot.ended = false
    slot.replaced(next.session)
    if (failure !== undefined) throw failure as Error
  }

  async update<T>(session: Session, fn: (session: Session) => T | Promise<T>): Promise<T> {
    const slot = this.#slot
    return writers.take(slot.settings.backend.store, stateOf(session)!.id, async () => {
      for (let count = 0; count < UPDATES_MAX; count++) {
        const tracked = this.#writable(session)
        await this.#refresh(tracked)
        const before = serializeSession(session)
        let result: T
        tracked.updating = true
        try {
          result = await fn(session)
        } catch (err) {
          replaceData(session, JSON.parse(before))
          throw err
        } finally {
          tracked.updating = false
        }
        if (await this.#writeExactly(tracked, serializeSession(session))) return result
        replaceData(session, JSON.parse(before))
      }
      throw new SessionError(
        'ERR_SESSION_CONFLICT',
        'session.update() gave up: other requests kept changing the session.'
      )
    })
  }

  async lock<T>(session: Session, fn: (signal: AbortSignal) => T | Promise<T>, options: LockOptions): Promise<T> {
    const { backend } = this.#slot.settings
    const key = backend.keyOf(stateOf(session)!.id)
    const lock = await this.#guarded('lock the session', () => takeLock(backend, key, options))
    try {
      return await fn(lock.signal)
    } finally {
      await lock.release()
    }
  }

  // Brings a session up to date: what others wrote, with our unsaved changes laid over it.
  async #refresh(tracked: Tracked): Promise<void> {
    const { settings } = this.#slot
    if (tracked.kept === null) return
    const found = await this.#guarded('read the session', async () =>
      settings.backend.read(storedIdOf(settings, tracked))
    )
    if (found === null && settings.backend.carrier !== undefined && !tracked.dead) return
    const record = found === null || leadsOn(found) ? undefined : decodeFound(found)
    if (found === null || record === undefined) {
      tracked.dead = true
      this.#slot.engine.drop(settings, tracked.id)
      throw destroyedError()
    }
    const local = serializeSession(tracked.session)
    if (record.dataText !== local) {
      replaceData(tracked.session, mergeData(JSON.parse(tracked.base), JSON.parse(local), record.data))
    }
    tracked.kept = keptText(found, record)
    tracked.keptData = tracked.base = record.dataText
    tracked.meta = record.meta ?? tracked.meta
  }

  // Writes only over exactly what was read: no merge, because `fn` must see what it changes.
  async #writeExactly(tracked: Tracked, text: string): Promise<boolean> {
    const { kept, keptData } = tracked
    tracked.exact = true
    try {
      const written = await this.#guarded('save the session', async () => this.#slot.write(tracked, text))
      if (!written) throw destroyedError()
      return true
    } catch (err) {
      if (!(err instanceof SessionError && err.code === 'ERR_SESSION_CONFLICT')) throw err
      tracked.kept = kept
      tracked.keptData = keptData
      return false
    } finally {
      tracked.exact = false
    }
  }

  #currentOf(session: Session): Tracked | undefined {
    const { tracked } = this.#slot
    return tracked?.id === stateOf(session)!.id ? tracked : undefined
  }

  #trackedOf(session: Session): Tracked {
    const tracked = this.#currentOf(session)
    if (this.#slot.unsaved) throw standInError()
    if (tracked === undefined || tracked.dead) throw destroyedError()
    if (tracked.session === session) return tracked
    // An object from before reload(): same session, its own data.
    return Object.assign(Object.create(tracked) as Tracked, { session })
  }

  #writable(session: Session): Tracked {
    const tracked = this.#trackedOf(session)
    if (tracked.readOnly) throw destroyedError()
    return tracked
  }

  async #guarded<T>(verb: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (err) {
      const { settings, engine } = this.#slot
      if (err instanceof SessionError && err.kind === 'usage') throw err
      if (!(err instanceof SessionError && err.code === 'ERR_SESSION_CONFLICT')) {
        engine.monitor.note('error', settings.name, undefined, { error: err })
      }
      throw settings.rawFaults ? err : storeFault(err, verb, settings.backend.remote ? 503 : 500)
    }
  }
}

// Nobody would ever learn of what is saved now: the client was not told this ID, or keeps the session itself.
function isUntold({ settings }: VerbSlot, { kept }: Tracked): boolean {
  return kept === null || settings.backend.carrier !== undefined
}
