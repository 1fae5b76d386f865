import { OptionError, quote } from '../../base/errors'
import { MINUTE, type Milliseconds } from '../../base/time'
import { givenOptions } from '../../base/warnings'
import { tooLateError } from '../../engine/faults'
import type { Settings } from '../../options/settings'
import { parseData } from '../../record/merge'
import { encodeRecord, typesOf, type ParsedRecord } from '../../record/record'
import { serializeSession } from '../../session/data'
import { replaceData, stateOf, type Session } from '../../session/session'
import { mergeLive, partOf } from '../../session/values'
import type { RegenerateOptions } from '../../session/verbs'
import type { Found } from '../../store/contract'
import type { StorePort } from '../../store/port'
import { decodeFound, versionOf } from '../../store/record-cache'
import { endRecord, noteEnd } from '../end'
import { nameNext, nextOf } from '../next-id'
import { assignedUser, saveSession } from '../save'
import { storedSession, type Began, type Snapshot } from '../snapshot'
import type { SessionHandle } from './session-handle'

/** How long a forwarding record is kept at least: a request with the old ID that ends later finds and writes nothing. */
const LINGER: Milliseconds = 5 * MINUTE

type Keep = RegenerateOptions['keep']
type Data = Record<string, unknown>

/** Before anything has ended. @throws {OptionError} for a `keep` that would lose data, a `grace` that would never end */
export function checkRotation(options: RegenerateOptions | undefined): RegenerateOptions {
  const given = givenOptions('session.regenerate()', options, ['keep', 'grace'])
  const { keep, grace } = given
  if (keep !== undefined && keep !== true && !Array.isArray(keep)) {
    throw new OptionError(`session.regenerate(): keep must be true or a list of keys, got ${quote(keep)}`)
  }
  if (grace != null && !(Number.isFinite(grace) && grace >= 0)) {
    throw new OptionError(`session.regenerate(): grace must be a number of milliseconds, got ${quote(grace)}`)
  }
  return given
}

/** Whether it is a matter of time alone, so that one serves all who ask for it at once. */
export function isRoutine({ keep, grace }: RegenerateOptions): boolean {
  return keep === true && (grace ?? 0) > 0
}

/** What takes the place of a session: begun by this request, and stored even if it is empty, unless it says otherwise. */
export interface Successor extends Began {
  readonly isStored?: boolean
  /** Another request has begun it, and told the end of the one before. */
  readonly isJoined?: boolean
  /** Its cookie is on the way from another process: nothing of this request may take its place. */
  readonly readOnly?: boolean
  readonly user?: string | undefined
}

/** A session that goes on under another ID. */
interface Rotation extends Required<Pick<RegenerateOptions, 'grace'>> {
  readonly handle: SessionHandle
  readonly session: Session
  readonly keep: Keep
  /** Whose it is, where its data does not say. */
  readonly user: string | undefined
}

/**
 * Ends the ID of a session, and gives what takes its place.
 *
 * Without `keep` the old session is ended, as in express-session. With it, the old record becomes, in one conditional
 * step, a forwarding record, whatever `grace` is: what another request has written in between is merged, another rotation
 * is joined, and a logout, which removed the record, leaves nothing to carry on.
 */
export async function replaceSession(
  handle: SessionHandle,
  session: Session,
  old: Snapshot,
  { keep, grace = 0 }: RegenerateOptions
): Promise<Successor> {
  const { settings, isLate, id, user } = handle
  const rotation = { handle, session, keep, grace, user }
  const next = await handle.beginNext()
  if (old.version === null) {
    // The store may know the ID although nothing is known of its record.
    const unknown = handle.ending
    if (unknown !== undefined) await endRecord(settings, unknown)
    return carryOver(rotation, old, next)
  }
  if (keep === undefined && grace <= 0) {
    const { version, storeId, meta } = old
    await endRecord(settings, { id, storeId, version, user: meta?.i })
    return next
  }
  // The client could not be told any more, and its ID would be dead after the grace.
  if (isLate && (grace > 0 || settings.door.refusesLateSaves)) throw tooLateError(true)
  return rotate(rotation, old, carryOver(rotation, old, next))
}

async function rotate(rotation: Rotation, given: Snapshot, first: Successor): Promise<Successor> {
  const { handle, keep, grace } = rotation
  const { settings, engine } = handle
  const { id } = first
  // What was stored is carried already.
  let old = { ...given, data: given.storedData }
  let next = first
  const discard = async () => {
    const { version, meta } = next.snapshot
    if (version === null) return
    await endRecord(settings, { id, version, user: meta?.i })
    noteEnd(engine, settings, id, 'regenerate')
  }
  // What others have written to the old session since it was read comes along.
  const merge = (data: Data) => {
    const ours = parseData(serializeSession(next.session))
    replaceData(next.session, mergeLive(partOf(parseData(old.data), keep), ours, partOf(data, keep), next.session))
  }
  for (;;) {
    // Before the forwarding record, so that the old ID always leads to a session.
    const { session, user } = next
    const data = { text: serializeSession(session) }
    const snapshot = await saveSession({ visit: handle, id, session, data, user, inTurn: true }, next.snapshot)
    if (snapshot === 'gone') return handle.beginNext()
    if (next.snapshot.version === null) engine.monitor.note('created', settings.name, id)
    next = { ...next, snapshot, isStored: true }
    if (snapshot.storeId !== id) {
      // A store that assigns tokens finds the session by that alone, which no old record could tell.
      await settings.port.remove(settings.port.keyOf(old.storeId), old.meta?.i)
      return next
    }
    const found = await writeForwarding(rotation, old, id).catch(async (err) => {
      // What could not be discarded either is reached by no cookie, and expires.
      await discard().catch(() => undefined)
      throw err
    })
    if (found === true) return next
    const record = found === null ? undefined : decodeFound(found)
    if (record !== undefined && record.meta?.n === undefined) {
      merge(record.data)
      old = { ...old, data: record.dataText, storedData: record.dataText, version: versionOf(found!, record) }
      continue
    }
    // A routine rotation joins another one. Of any other nobody else may know the ID: the one before leads on to it.
    const routine = isRoutine({ keep, grace })
    const other = record && nextOf(settings.port, old.storeId, record.meta!.n!).id
    const moved = other === undefined || routine ? undefined : await snapshotAt(settings, old, other)
    if (moved !== undefined) {
      merge(parseData(moved.data))
      old = moved
      continue
    }
    await discard()
    const joined = other === undefined || !routine ? undefined : await joinRotation(rotation, given, other)
    return joined ?? handle.beginNext()
  }
}

// What is known of the session that an ID leads to; `undefined`: it has ended.
async function snapshotAt({ port, tokens }: Settings, old: Snapshot, first: string): Promise<Snapshot | undefined> {
  const { id, found, record } = await follow(port, first)
  // What is in its cookie alone cannot be read here, and yet be forwarded.
  if (record === undefined) return tokens.selfContained ? { ...old, storeId: id } : undefined
  const { dataText, meta } = record
  return { ...old, storeId: id, version: versionOf(found!, record), data: dataText, storedData: dataText, meta }
}

/** Where the forwarding records from an ID end, and what is there. */
interface Followed {
  id: string
  found: Found | null
  record?: ParsedRecord | undefined
}

async function follow(port: StorePort, id: string): Promise<Followed> {
  const found = await port.read(id)
  const record = found === null ? undefined : decodeFound(found)
  if (record?.meta?.n === undefined) return { id, found, record }
  const next = nextOf(port, id, record.meta.n).id
  return next === undefined ? { id, found: null } : follow(port, next)
}

// Puts a forwarding record in the place of the old one, unless that has changed: then answers what there is instead.
async function writeForwarding(
  { handle, session, grace }: Rotation,
  { storeId, version, meta }: Snapshot,
  next: string
): Promise<Found | true | null> {
  const { port } = handle.settings
  const now = Date.now()
  const end = now + Math.max(grace, LINGER)
  // Used last at its end, so that no request in between extends it.
  const forwarding = { u: end, c: stateOf(session)!.createdAt, n: nameNext(port, storeId, next), g: now + grace }
  const cookie = { ...session.cookie, originalMaxAge: end - now, expires: new Date(end) }
  const result = await port.write({
    id: port.keyOf(storeId),
    text: encodeRecord(JSON.stringify(cookie), forwarding, '{}'),
    expected: version,
    life: { usedAt: end, expiresAt: end },
    user: { from: meta?.i, to: undefined }
  })
  return typeof result === 'string' ? true : result
}

// Goes on with the session under the ID that another request has given it, with the unsaved changes of this one.
async function joinRotation(
  { handle, session, keep }: Rotation,
  old: Snapshot,
  first: string
): Promise<Successor | undefined> {
  const { port, tokens } = handle.settings
  const { id, found, record } = await follow(port, first)
  if (record === undefined) {
    // Its cookie is on the way from another process: ours must not take its place.
    return tokens.selfContained
      ? { id: stateOf(session)!.id, session, snapshot: old, readOnly: true, isJoined: true }
      : undefined
  }
  const next = storedSession(handle, id, { record, version: versionOf(found!, record), usedAt: found!.usedAt })
  const ours = partOf(parseData(serializeSession(session)), keep)
  replaceData(next.session, mergeLive(partOf(parseData(old.data), keep), ours, record.data, session))
  return { ...next, isStored: true, isJoined: true }
}

// Puts what is kept of a session into the one that takes its place.
function carryOver({ handle, session: from, keep, user }: Rotation, old: Snapshot, to: Began): Successor {
  Object.assign(to.session, partOf(from as unknown as Data, keep))
  if (old.storedData !== old.data) {
    // What a save has merged is in the store alone.
    const ours = parseData(serializeSession(to.session))
    const base = partOf(parseData(old.data), keep)
    replaceData(to.session, mergeLive(base, ours, partOf(parseData(old.storedData), keep), to.session))
  }
  // What the store needs to write the data as it was goes along with what is kept.
  const { t } = old.meta ?? {}
  const meta =
    t === undefined || keep === undefined ? undefined : { u: 0, c: 0, t: keep === true ? t : typesOf(t, keep) }
  const next = meta === undefined ? to : { ...to, snapshot: { ...to.snapshot, meta } }
  if (keep !== true) return next
  // The same session under another ID: however often it is rotated, its absolute end stays where it is.
  stateOf(to.session)!.createdAt = stateOf(from)!.createdAt
  return { ...next, user: user ?? assignedUser(handle.settings, from, old) }
}
