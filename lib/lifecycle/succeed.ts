import type { Backend } from '../store/backend'
import type { Found } from '../store/contract'
import type { Engine } from '../engine/engine'
import { tooLateError } from '../engine/faults'
import { decodeFound, keptText } from '../store/found'
import { mergeData } from '../record/merge'
import { encodeRecord } from '../record/record'
import type { Settings } from '../options/options'
import { retire, type RetiringSlot } from './retire'
import { serializeSession } from '../session/serialize'
import { replaceData, stateOf, type Session } from '../session/session'
import type { RegenerateOptions, SessionHost } from '../session/session-host'
import { loadedTracked, storedIdOf, toldOwner, type Tracked } from './tracked'
import type { MaybePromise, Milliseconds } from '../base/time'

/** What has to be known of a session's place in its request to give it another ID. */
export interface SucceedingSlot extends RetiringSlot {
  readonly engine: Engine
  readonly host: SessionHost
  readonly req: any
  readonly late: boolean
  /** `false` when the session is gone. */
  write(tracked: Tracked, text: string): MaybePromise<boolean>
}

/**
 * Ends the ID of a session, and gives what takes its place: `next`, with what is to be kept; or, where another request
 * of the same moment has moved the session on, what that one made of it. `undefined` where only an empty session may.
 */
export async function succeed(
  slot: SucceedingSlot,
  session: Session,
  old: Tracked | undefined,
  next: Tracked,
  { keep, grace = 0 }: RegenerateOptions
): Promise<Tracked | undefined> {
  if (old !== undefined && old.kept !== null && grace > 0) {
    carryOver(slot.settings, session, old, next, keep)
    return moveOn(slot, old, next, keep, grace)
  }
  const kept = await retire(slot, old, keep)
  if (kept === false) return next
  carryOver(slot.settings, session, old, next, keep)
  if (kept !== true) catchUp(next, old!, kept, keep)
  return next
}

async function moveOn(
  slot: SucceedingSlot,
  old: Tracked,
  next: Tracked,
  keep: RegenerateOptions['keep'],
  grace: Milliseconds
): Promise<Tracked | undefined> {
  const { engine, settings } = slot
  const { backend } = settings
  // The client could not be told any more, and its ID would be dead after the grace.
  if (slot.late) throw tooLateError()
  const discard = async () => {
    await backend.remove(next.id, next.meta?.i)
    engine.monitor.note('destroyed', settings.name, next.id, { reason: 'regenerate' })
  }
  for (;;) {
    // First, so that the old ID never leads nowhere.
    await slot.write(next, serializeSession(next.session))
    if (storedIdOf(settings, next) !== next.id) {
      // A store that answers `set` finds it by that alone, which no old record could tell.
      await backend.remove(storedIdOf(settings, old), old.meta?.i)
      return next
    }
    let found: Found | true | null
    try {
      found = await lead(backend, old, next.id, grace)
    } catch (err) {
      // What could not be discarded either is nobody's, and expires.
      await discard().catch(() => undefined)
      throw err
    }
    if (found === true) return next
    const record = found === null ? undefined : decodeFound(found)
    if (record !== undefined && record.meta?.n === undefined) {
      catchUp(next, old, found!, keep)
      continue
    }
    await discard()
    return record === undefined ? undefined : join(slot, old, record.meta!.n!, keep)
  }
}

// Puts a sign in the place of the old record, unless that has changed: then it is what there is instead.
async function lead(backend: Backend, old: Tracked, nextId: string, grace: Milliseconds): Promise<true | Found | null> {
  const end = Date.now() + grace
  // Used last at its end, so that no request in between extends it.
  const meta = { u: end, c: old.createdAt, n: nextId, g: end }
  const cookie = { ...old.session.cookie, originalMaxAge: grace, expires: new Date(end) }
  const sign = encodeRecord(JSON.stringify(cookie), meta, '{}')
  const life = { usedAt: end, expiresAt: end }
  const result = await backend.write({
    id: old.id,
    text: sign,
    expected: old.kept!,
    life,
    user: { from: old.meta?.i, to: undefined }
  })
  return typeof result === 'string' ? true : result
}

// Goes on with the session as another request has moved it on, with the unsaved changes of this one.
async function join(
  slot: SucceedingSlot,
  old: Tracked,
  id: string,
  keep: RegenerateOptions['keep']
): Promise<Tracked | undefined> {
  const { settings, host, req } = slot
  const found = await settings.backend.read(id)
  const record = found === null ? undefined : decodeFound(found)
  if (found === null || record === undefined) {
    if (settings.backend.carrier === undefined) return undefined
    // Its cookie is on the way from another process: ours must not take its place.
    old.readOnly = true
    return old
  }
  if (record.meta?.n !== undefined) return join(slot, old, record.meta.n, keep)
  const next = loadedTracked(settings, host, req, id, record, keptText(found, record), found.usedAt)
  const ours = partOf(parse(serializeSession(old.session)), keep)
  replaceData(next.session, mergeData(partOf(parse(old.base), keep), ours, record.data))
  return next
}

// What others have written to the old session since it was read comes along.
function catchUp(next: Tracked, old: Tracked, found: Found, keep: RegenerateOptions['keep']): void {
  const record = decodeFound(found)
  if (record === undefined) return
  const ours = parse(serializeSession(next.session))
  replaceData(next.session, mergeData(partOf(parse(old.base), keep), ours, partOf(record.data, keep)))
  old.base = record.dataText
  old.kept = keptText(found, record)
}

function carryOver(
  settings: Settings,
  from: Session,
  old: Tracked | undefined,
  to: Tracked,
  keep: RegenerateOptions['keep']
): void {
  Object.assign(to.session, partOf(from as unknown as Record<string, unknown>, keep))
  if (keep !== true) return
  // The same session under another ID: however often it is rotated, its absolute end stays where it is.
  stateOf(to.session)!.createdAt = to.createdAt = stateOf(from)!.createdAt
  to.owner = old && toldOwner(settings, old)
}

function partOf(data: Record<string, unknown>, keep: RegenerateOptions['keep']): Record<string, unknown> {
  const part: Record<string, unknown> = {}
  if (keep === undefined) return part
  for (const key of keep === true ? Object.keys(data) : keep) {
    if (key !== 'cookie' && Object.hasOwn(data, key)) part[key] = data[key]
  }
  return part
}

function parse(text: string): Record<string, unknown> {
  return JSON.parse(text) as Record<string, unknown>
}
