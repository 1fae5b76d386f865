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

/**
 * How long a record that leads on is kept at least. Requests that began with the old ID and end later than that find
 * nothing under it, and write nothing.
 */
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

/** What takes the place of a session. */
export interface Successor extends Began {
  /** It has to be stored even if it is empty. */
  readonly renewed: boolean
  /** Its cookie is on the way from another process: nothing of this request may take its place. */
  readonly readOnly?: boolean
  readonly user: string | undefined
}

/**
 * Ends the ID of a session, and gives what takes its place.
 *
 * Without `keep` the old session is ended, as in express-session. With it, the old record is turned in one conditional
 * step into one that leads on to the new ID, whatever `grace` is: what another request has written in between is merged,
 * another rotation is joined, and a logout, which removed the record, leaves nothing to carry on.
 */
export async function succeed(
  handle: SessionHandle,
  session: Session,
  old: Snapshot,
  { keep, grace = 0 }: RegenerateOptions
): Promise<Successor> {
  const { settings, isLate, id, user } = handle
  const next = await handle.beginNext()
  if (old.version === null) {
    // The store may know the ID although nothing is known of its record.
    const unknown = handle.ending
    if (unknown !== undefined) await endRecord(settings, unknown)
    return carried(settings, user, session, old, next, keep)
  }
  if (keep === undefined && grace <= 0) {
    const { version, storeId, meta } = old
    await endRecord(settings, { id, storeId, version, user: meta?.i })
    return { ...next, renewed: true, user: undefined }
  }
  // The client could not be told any more, and its ID would be dead after the grace.
  if (isLate && (grace > 0 || settings.door.refusesLateSaves)) throw tooLateError(true)
  return moveOn(handle, session, old, carried(settings, user, session, old, next, keep), keep, grace)
}

async function moveOn(
  handle: SessionHandle,
  session: Session,
  given: Snapshot,
  first: Successor,
  keep: Keep,
  grace: Milliseconds
): Promise<Successor> {
  const { settings, engine, req } = handle
  const { id } = first
  // What was stored is carried already.
  let old = { ...given, data: given.storedData }
  let next = first
  const discard = async () => {
    if (next.snapshot.version === null) return
    await endRecord(settings, { id, version: next.snapshot.version, user: next.snapshot.meta?.i })
    noteEnd(engine, settings, id, 'regenerate')
  }
  // What others have written to the old session since it was read comes along.
  const take = (data: Data) => {
    const ours = parseData(serializeSession(next.session))
    replaceData(next.session, mergeLive(partOf(parseData(old.data), keep), ours, partOf(data, keep), next.session))
  }
  for (;;) {
    // Before the record that leads on, so that the old ID never leads nowhere.
    const { session: carrier, user } = next
    const data = serializeSession(carrier)
    const saving = { engine, settings, req, id, session: carrier, data, user, exact: false, inTurn: true }
    const snapshot = await saveSession(saving, next.snapshot)
    if (snapshot === 'gone') return { ...(await handle.beginNext()), renewed: true, user: undefined }
    next = { ...next, snapshot, renewed: false }
    if (snapshot.storeId !== id) {
      // A store that assigns tokens finds the session by that alone, which no old record could tell.
      await settings.port.remove(settings.port.keyOf(old.storeId), old.meta?.i)
      return next
    }
    let found: Found | true | null
    try {
      found = await leadOn(settings, session, old, id, grace)
    } catch (err) {
      // What could not be discarded either is reached by no cookie, and expires.
      await discard().catch(() => undefined)
      throw err
    }
    if (found === true) return next
    const record = found === null ? undefined : decodeFound(found)
    if (record !== undefined && record.meta?.n === undefined) {
      take(record.data)
      old = { ...old, data: record.dataText, storedData: record.dataText, version: versionOf(found as Found, record) }
      continue
    }
    // A routine rotation joins another one. Of any other nobody else may know the ID: the one before leads on to it.
    const routine = isRoutine({ keep, grace })
    const other = record && nextOf(settings.port, old.storeId, record.meta!.n!).id
    const moved = other === undefined || routine ? undefined : await latest(settings, old, other)
    if (moved !== undefined) {
      take(parseData(moved.data))
      old = moved
      continue
    }
    await discard()
    const joined = other === undefined || !routine ? undefined : await join(handle, session, given, other, keep)
    return joined ?? { ...(await handle.beginNext()), renewed: true, user: undefined }
  }
}

// What is known of the session that an ID leads on to; `undefined`: it has ended.
async function latest({ port, tokens }: Settings, old: Snapshot, first: string): Promise<Snapshot | undefined> {
  const { id, found, record } = await follow(port, first)
  // What is in its cookie alone cannot be read here, and yet be led on.
  if (record === undefined) return tokens.selfContained ? { ...old, storeId: id } : undefined
  const { dataText, meta } = record
  return { ...old, storeId: id, version: versionOf(found!, record), data: dataText, storedData: dataText, meta }
}

// The last of the IDs that one leads on to, and its record.
async function follow(
  port: StorePort,
  id: string
): Promise<{ id: string; found: Found | null; record?: ParsedRecord }> {
  const found = await port.read(id)
  const record = found === null ? undefined : decodeFound(found)
  if (record?.meta?.n === undefined) return record === undefined ? { id, found } : { id, found, record }
  const next = nextOf(port, id, record.meta.n).id
  return next === undefined ? { id, found: null } : follow(port, next)
}

// Puts a record that leads on in the place of the old one, unless that has changed: then it is what there is instead.
async function leadOn(
  settings: Settings,
  session: Session,
  old: Snapshot,
  next: string,
  grace: Milliseconds
): Promise<Found | true | null> {
  const now = Date.now()
  const end = now + Math.max(grace, LINGER)
  // Used last at its end, so that no request in between extends it.
  const meta = { u: end, c: stateOf(session)!.createdAt, n: nameNext(settings.port, old.storeId, next), g: now + grace }
  const cookie = { ...session.cookie, originalMaxAge: end - now, expires: new Date(end) }
  const result = await settings.port.write({
    id: settings.port.keyOf(old.storeId),
    text: encodeRecord(JSON.stringify(cookie), meta, '{}'),
    expected: old.version,
    life: { usedAt: end, expiresAt: end },
    user: { from: old.meta?.i, to: undefined }
  })
  return typeof result === 'string' ? true : result
}

// Goes on with the session as another request has moved it on, with the unsaved changes of this one.
async function join(
  handle: SessionHandle,
  session: Session,
  old: Snapshot,
  first: string,
  keep: Keep
): Promise<Successor | undefined> {
  const { settings } = handle
  const { id, found, record } = await follow(settings.port, first)
  if (record === undefined) {
    if (!settings.tokens.selfContained) return undefined
    // Its cookie is on the way from another process: ours must not take its place.
    return { id: stateOf(session)!.id, session, snapshot: old, renewed: false, readOnly: true, user: undefined }
  }
  const loaded = { record, version: versionOf(found!, record), usedAt: found!.usedAt }
  const next = storedSession(handle, id, loaded)
  const ours = partOf(parseData(serializeSession(session)), keep)
  replaceData(next.session, mergeLive(partOf(parseData(old.data), keep), ours, record.data, session))
  return { ...next, renewed: false, user: undefined }
}

function carried(
  settings: Settings,
  user: string | undefined,
  from: Session,
  old: Snapshot,
  to: Began,
  keep: Keep
): Successor {
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
  const snapshot = meta === undefined ? to.snapshot : { ...to.snapshot, meta }
  const next = { ...to, snapshot, renewed: true, user: undefined }
  if (keep !== true) return next
  // The same session under another ID: however often it is rotated, its absolute end stays where it is.
  stateOf(to.session)!.createdAt = stateOf(from)!.createdAt
  return { ...next, user: user ?? assignedUser(settings, from, old) }
}
