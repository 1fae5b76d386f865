import { conflictError, destroyedError, guarded, idTakenError, tooLateError } from '../engine/faults'
import { evictSurplus } from './end'
import type { Handle } from './handle'
import { chain, type MaybePromise, type Milliseconds } from '../base/time'
import { bindingOf, markOf, type Visit } from '../engine/engine'
import type { Settings } from '../options/settings'
import { mergeData, parseData } from '../record/merge'
import { encodeRecord, type Meta, type ParsedRecord, type WrittenData } from '../record/parsed-record'
import { attributesOf } from '../session/cookie-state'
import { firstKey, stringifyData, warnOfLosses, withinStack } from '../session/data'
import { jsonOfCookie, Session, stateOf } from '../session/session'
import type { SessionState } from '../session/verbs'
import type { Found } from '../store/contract'
import { decodeFound, remember, versionOf } from '../store/record-cache'
import { inWritersTurn } from '../store/keyed-queue'
import { sessionToGive, type Merged } from './given-session'
import { deadline, keptDeadline, lastUse, tellsExtension } from './lifetime'
import { shownLate, type Snapshot, type TakenData } from './snapshot'

/** Writers that keep getting in each other's way give up here; far beyond what real traffic needs. */
const ATTEMPTS_MAX = 64

const NONE: readonly string[] = []

/** A session that is to be written. */
export interface Saving {
  readonly visit: Visit
  readonly id: string
  readonly session: Session
  readonly data: TakenData
  /** Whose it is, where its data does not say (`auth.create`). */
  readonly user: string | undefined
  /** The write fails where other data is found, instead of merging. */
  readonly exact?: boolean
  /** It is part of an update or rotation, and takes no other turn among the writers. */
  readonly inTurn: boolean
  /** See `Handle.offered`. */
  readonly offered?: string[] | undefined
}

/**
 * Writes a session against what was read: merged with what others wrote meanwhile, never over it.
 * @param theirs what another writer has left
 * @returns what is known of it then, or `gone`
 * @throws {SessionError} `ERR_SESSION_CONFLICT`, or the store's fault
 */
export function saveSession(
  saving: Saving,
  known: Snapshot,
  theirs = known.record,
  attempt = 1
): MaybePromise<Snapshot | 'gone'> {
  const { session, visit } = saving
  const { settings, req, engine } = visit
  const { text: data, changed } = saving.data
  const { port, tokens, door } = settings
  const isNew = known.version === null
  if (attempt === 1 && door.warns && !settings.production) warnOfLosses(session, port.store.keepsTypes === true)
  const merged = known.storedData === known.data || data === known.storedData ? data : mergedText(known, data)
  const state = stateOf(session)!
  const usedAt = isNew || (settings.extend?.(req) ?? true) ? Date.now() : lastUse(engine, saving.id, known)
  const before = known.meta?.i
  const told = settings.userId?.(session) ?? saving.user
  const user = told ?? (before === undefined ? undefined : assignedUser(settings, session, known))
  const meta = settings.writesMeta ? metaFor(saving, known, usedAt, user) : known.meta
  if (state.cookie !== undefined) door.checkCookie(state.cookie)
  const { native } = port
  // Stores of ours are given the text, others the object: of neither is made what nobody reads.
  const record = native ? encodeRecord(jsonOfCookie(state), meta, merged) : ''
  const times = { createdAt: state.createdAt, usedAt }
  const expiresAt = (native ? keptDeadline : deadline)(settings, req, state.cookie ?? state.keptCookie!.cookie, times)
  const token = tokens.seal?.(record, settings.keys!)
  if (isNew) saving.offered?.push(record)
  // Made now: the session may change while the store is asked. Our own stores ask for it only where they keep objects.
  const given = native ? undefined : objectOf(saving, meta, { text: merged, theirs }, data)
  const version = native ? record : merged
  const saved: Snapshot = {
    version,
    // A save may write what is there already: that is not an earlier version.
    own: isNew ? NONE : [...(known.own ?? NONE), known.version].filter((text) => text !== version),
    writtenAt: Date.now(),
    data,
    storedData: merged,
    savedData: data,
    meta,
    usedAt,
    attributes: state.cookie && attributesOf(state.cookie),
    // Of what another writer left, JSON has lost the types.
    record: merged === data ? changed && rewritten(state, known.record, changed, meta) : theirs,
    storeId: known.storeId,
    token
  }
  let isAmended = false
  const written = port.write({
    id: port.keyOf(known.storeId),
    text: record,
    expected: known.version,
    life: { usedAt, expiresAt },
    user: before === undefined && user === undefined ? undefined : { from: before, to: user },
    live: () => given ?? objectOf(saving, meta, { text: merged, theirs }, stringifyData(session)),
    // What the store changes later comes after express-session's headers.
    called: () => (isAmended = door.countsStoreChanges && given !== undefined && amended(known, saved, given)),
    earlier: known.own && shownLate(known)
  })
  if (written === true && !isAmended) return saved
  return chain(written, (answer) => {
    if (answer !== true) return notTaken(saving, known, saved, record, answer, attempt)
    return isAmended ? { ...saved, isAmended } : saved
  })
}

// Whether the store has changed the session that it was given. It is looked at only where nothing else has changed: the
// text of a whole session is not free.
function amended(known: Snapshot, saved: Snapshot, { cookie: _cookie, ...data }: Session): boolean {
  return saved.data === known.data && saved.meta === undefined && JSON.stringify(data) !== saved.storedData
}

// The store has not taken a write as it was: it has given the session another ID, keeps something else, or nothing.
function notTaken(
  saving: Saving,
  known: Snapshot,
  saved: Snapshot,
  record: string,
  answer: string | Found | null,
  attempt: number
): MaybePromise<Snapshot | 'gone'> {
  const { id, visit } = saving
  const { engine, settings } = visit
  if (answer === null) return 'gone'
  if (typeof answer === 'string') return { ...saved, storeId: answer }
  const isNew = known.version === null
  const found = decodeFound(answer)
  // A first write whose answer never came, or that a client sent twice, has arrived all the same.
  const isOwn = isNew && answer.record === undefined && (saving.offered ?? [record]).includes(answer.text)
  if (isOwn && answer.text === record) return saved
  if (!isNew) engine.monitor.note('conflict', settings.name, id)
  else if (!isOwn && !settings.door.replacesTakenId) throw idTakenError()
  if ((saving.exact && !isOwn) || attempt >= ATTEMPTS_MAX || found === undefined) throw conflictError()
  if (found.meta?.n !== undefined) return 'gone'
  const next = {
    ...known,
    data: isNew ? '{}' : known.data,
    storedData: isNew ? '{}' : found.dataText,
    version: versionOf(answer, found),
    meta: found.meta ?? known.meta
  }
  const again = () => saveSession(saving, next, found, attempt + 1)
  return attempt > 1 || saving.inTurn ? again() : inWritersTurn(settings.port, known.storeId, again)
}

// The session as a store of the contract is given it; `merged` where that differs from the data it has now.
function objectOf({ visit, session }: Saving, meta: Meta | undefined, merged: Merged, now: string): Session {
  return sessionToGive(visit.req, session, meta, now === merged.text ? undefined : merged)
}

// What the store keeps, with our changes since `data` laid over it.
function mergedText({ data: base, storedData }: Snapshot, data: string): string {
  return withinStack(() => JSON.stringify(mergeData(parseData(base), parseData(data), parseData(storedData))))
}

function metaFor(saving: Saving, known: Snapshot, usedAt: Milliseconds, user: string | undefined): Meta {
  const { visit, id, session } = saving
  const { settings, req } = visit
  const { tokens, port, door } = settings
  const meta: Meta = { u: usedAt, c: stateOf(session)!.createdAt }
  // A record that leaves this process may come back as another's. express-session's door adds nothing to its records but
  // in stores of ours, which know what is asked of them.
  if (port.native ? port.own!.remote : door.marksForeignRecords) meta.h = markOf(tokens.assigned ? id : known.storeId)
  const bound = known.meta?.b ?? (settings.bind && bindingOf(settings, req))
  if (bound !== undefined) meta.b = bound
  if (user !== undefined) meta.i = user
  if (tokens.selfContained) meta.d = id
  if (known.meta?.t !== undefined) meta.t = known.meta.t
  return meta
}

/** How a session is written. */
interface Writing extends Pick<Saving, 'exact'> {
  /** `touched`: a cookie that is the record is written anew to extend it. */
  readonly event?: 'saved' | 'touched'
}

/** Writes the session. `false` when it is gone. */
export function writeSession(
  handle: Handle,
  session: Session,
  data: TakenData,
  { exact, event = 'saved' }: Writing = {}
): MaybePromise<boolean> {
  const { engine, settings, id, status, snapshot: before, user, updating: inTurn } = handle
  const taken = ++handle.taken
  handle.writeAttempted = true
  const offered = before.version === null ? (handle.offered ??= []) : undefined
  const saving = { visit: handle, id, session, data, user, exact, inTurn, offered }
  return chain(saveSession(saving, before), (outcome) => {
    // Another object of the same session (from before a reload) has saved its own data.
    const isOther = outcome !== 'gone' && session !== handle.latest && id === handle.id
    // An update has begun from later data while this was written: its own changes are counted from there.
    if (outcome !== 'gone' && taken < handle.based) handle.apply(id, handle.snapshot)
    else {
      handle.based = taken
      handle.apply(id, isOther ? { ...outcome, data: before.data } : outcome, data.text !== before.data)
    }
    if (outcome === 'gone') return false
    const state = stateOf(session)!
    if (outcome.isAmended && handle.isPresented && (state.cookie ?? state.keptCookie!.cookie).expires != null) {
      handle.outgoing = 'send'
    }
    const { record, version, storeId } = outcome
    if (record !== undefined && outcome.storedData === data.text && state.cookie === undefined) {
      // The next request of a burst will ask for what was just written: it need not be parsed then.
      state.keptCookie = record
      remember(storeId, settings.port.native ? version! : undefined, record)
    }
    if (!tellsExtension(settings)) engine.extended.set(id, outcome.usedAt)
    if (before.version === null) {
      const key = firstKey(session)
      engine.monitor.note('created', settings.name, id, key === undefined ? {} : { key })
    }
    engine.monitor.note(event, settings.name, id)
    // The store has assigned another token with the write.
    const isReassigned = outcome.storeId !== before.storeId && status !== 'gone' && !handle.isPresented
    if (settings.tokens.selfContained ? handle.status === 'stored' : isReassigned) announce(handle, before, outcome)
    const owner = outcome.meta?.i
    const arrived = settings.maxPerUser !== undefined && owner !== undefined && owner !== before.meta?.i
    return arrived ? evictSurplus(engine, settings, id, owner).then(() => true) : true
  })
}

// The client has to be told of this write, also where it was the application's own and nothing is left for the end.
function announce(handle: Handle, { version, data }: Snapshot, now: Snapshot): void {
  if (!handle.isLate) handle.outgoing = 'send'
  // What it has already need not be sent again.
  else if (version === null || data !== now.data) {
    const { code, message } = tooLateError(version === null)
    handle.engine.withhold(handle.settings, handle.id, code, message)
  }
}

// The record of what is written, where all of it is known in parts: with the cookie of the last one, which nobody has
// looked at.
function rewritten(
  { cookie, keptCookie }: SessionState,
  before: ParsedRecord | undefined,
  changed: WrittenData,
  meta: Meta | undefined
): ParsedRecord | undefined {
  return cookie === undefined && keptCookie === before ? before?.rewritten(changed, meta) : undefined
}

/** The same for a verb. @throws {SessionError} `ERR_SESSION_DESTROYED` when it is gone, or the store's fault */
export async function writeNow(handle: Handle, session: Session, data: string, exact = false): Promise<void> {
  if (!(await guarded(handle, 'save the session', () => writeSession(handle, session, { text: data }, { exact })))) {
    throw destroyedError()
  }
}

/** Whose session it is where its data does not say: a release knew, or `auth.create` was told. */
export function assignedUser(
  settings: Settings,
  session: Session,
  { meta, data }: Pick<Snapshot, 'meta' | 'data'>
): string | undefined {
  if (meta?.i === undefined) return undefined
  if (settings.userId === undefined) return meta.i
  // If the data said so until now, the user has logged out.
  const { verbs, id } = stateOf(session)!
  const before = new Session({}, parseData(data), { verbs, id })
  return settings.userId(before) === undefined ? meta.i : undefined
}
