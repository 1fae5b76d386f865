import type { Engine } from '../engine/engine'
import type { SessionErrorCode } from '../base/errors'
import { storeFault } from '../engine/faults'
import { randomId } from '../base/ids'
import { isDeleting } from './lifetime'
import { bringsSession, loadRecord, type Loaded } from './loader'
import type { Settings } from '../options/options'
import { serializeSession } from '../session/serialize'
import { stateOf, type Session } from '../session/session'
import type { SessionHost } from '../session/session-host'
import { chain, isPromise, type MaybePromise } from '../base/time'
import { freshTracked, loadedTracked, type Tracked } from './tracked'

/** A session's place in its request, as finding it needs it. */
export interface FinderSlot {
  readonly engine: Engine
  readonly settings: Settings
  readonly req: any
  readonly host: SessionHost
  readonly loaded: Loaded | undefined
  unsaved: boolean
  identify(): Loaded
  start(tracked: Tracked): Session
}

/** Finds the session of a request, or begins a new one. `adopt` is given what the store answered. */
export function findSession<T = Session>(
  slot: FinderSlot,
  adopt: (loaded: Loaded) => MaybePromise<T | Session> = (loaded) => adoptSession(slot, loaded)
): MaybePromise<T | Session> {
  const { engine, settings, req } = slot
  const loaded = slot.identify()
  if (!bringsSession(settings, loaded)) return begin(slot, loaded.error)
  let result: MaybePromise<Loaded>
  try {
    result = loadRecord(engine, settings, req, loaded)
  } catch (err) {
    return loadFailed(slot, err)
  }
  return isPromise(result) ? result.then(adopt, (err) => loadFailed(slot, err)) : adopt(result)
}

/** Makes the session of what the store answered. */
export function adoptSession(slot: FinderSlot, loaded: Loaded): MaybePromise<Session> {
  const { settings, host, req } = slot
  const { record, id } = loaded
  if (record === undefined || id === undefined) return begin(slot, loaded.error)
  const tracked = loadedTracked(settings, host, req, id, record, loaded.kept, loaded.usedAt)
  if (settings.schema !== undefined) {
    tracked.base = serializeSession(tracked.session)
    tracked.savedText = settings.resave ? undefined : tracked.base
  }
  if (loaded.answered) tracked.value = id
  tracked.readOnly = loaded.rotated
  return slot.start(tracked)
}

/** Whether nothing has to be stored or sent for a session unless somebody changes it. */
export function isAtRest(settings: Settings, req: any, loaded: Loaded): boolean {
  const { record, usedAt, stale, surplus, rotated } = loaded
  if (record === undefined || usedAt === undefined || stale || surplus || rotated) return false
  if (settings.classic || settings.rolling || settings.resave || settings.schema !== undefined) return false
  if (isDeleting(record.cookie as { originalMaxAge: number | null })) return false
  return Date.now() - usedAt < settings.touchAfter || !settings.extend(req)
}

function begin(slot: FinderSlot, error?: SessionErrorCode): MaybePromise<Session> {
  const { engine, settings, req } = slot
  const reason = error === undefined ? undefined : engine.reject(settings, error, slot.loaded?.id)
  return chain(engine.newId(settings, req), (id) => {
    const session = slot.start(freshTracked(settings, slot.host, req, id))
    if (reason !== undefined) stateOf(session)!.error = reason
    return session
  })
}

function loadFailed(slot: FinderSlot, err: unknown): MaybePromise<Session> {
  const { engine, settings, req } = slot
  engine.monitor.note('error', settings.name, slot.loaded?.id, { error: err })
  const policy = settings.onStoreError(err, req)
  if (policy !== 'anonymous') throw settings.rawFaults ? err : storeFault(err, 'read the session', 503)
  slot.unsaved = true
  const session = slot.start(freshTracked(settings, slot.host, req, randomId()))
  stateOf(session)!.error = storeFault(err, 'read the session', 503)
  return session
}
