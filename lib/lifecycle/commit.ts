import { writeSession } from './save'
import { chain, isPromise, SECOND, type MaybePromise } from '../base/time'
import type { Plan } from '../doors/door'
import { tooLateError } from '../engine/faults'
import { isSameJson } from '../record/json'
import { attributesOf, keptAttributesOf } from '../session/cookie-state'
import { changesSince, dataNow } from '../session/late-changes'
import { stateOf, type Session } from '../session/session'
import type { SessionState } from '../session/verbs'
import type { Life } from '../store/contract'
import { sessionToGive } from './given-session'
import type { Handle } from './handle'
import { deadline, extendedAt, isDeleting, isDue, lastUse, tellsExtension } from './lifetime'
import { isAtRest, recordOf } from './load'
import { shownLate, takeData, type Snapshot } from './snapshot'
import type { LeftSession } from './status'

/** Stores what has to be stored of one session before the response may go, and sets `outgoing` for its cookie. */
export function commitSession(handle: Handle): MaybePromise<unknown> {
  const { settings, status, owner, latest: session, underWay } = handle
  const { door, tokens } = settings
  if (!handle.isRegistered) return sendSaved(handle)
  if (underWay !== undefined && underWay.size > 0) return Promise.allSettled(underWay).then(() => commitSession(handle))
  if (handle.left !== undefined) reportLeft(handle, handle.left)
  if (session === undefined || status === 'ended') return undefined
  const { cookie, keptCookie } = stateOf(session)!
  if (door.deletesByMaxAge && isDeleting(cookie ?? keptCookie!.cookie)) return handle.destroy(session)
  if (status === 'standin' || status === 'gone' || status === 'readonly') return dropChanges(handle, session)
  if (door.needsPublicId && owner !== undefined && typeof owner.publicId() !== 'string')
    return dropUnnamed(handle, session)
  const data = takeData(session, handle.snapshot)
  if (data.changed === undefined && data.text === handle.snapshot.data && isUntouched(handle, session)) return undefined
  const plan = planFor(handle, session, data.text)
  if (plan.sendCookie) handle.outgoing = 'send'
  else if (handle.refusal === 'ERR_SESSION_AMBIGUOUS') handle.outgoing = 'expire'
  if (plan.sendCookie && handle.isLate && isUnannounced(handle, plan)) return tooLate(handle, session)
  if (plan.store === 'touch' && needsNoTouch(handle, session)) return undefined
  if (plan.store === 'none') return plan.sendCookie && !handle.isLate ? confirm(handle) : undefined
  handle.prolong()
  if (plan.store === 'touch' && !tokens.selfContained) return touch(handle, session)
  const own = door.ownSave?.(session)
  if (own !== undefined) return new Promise<void>((done, failed) => own((err) => (err ? failed(err) : done())))
  // A cookie that is the record is written anew to extend it.
  if (plan.store === 'touch') return writeSession(handle, session, { text: handle.snapshot.data }, { event: 'touched' })
  return writeSession(handle, session, data)
}

function sendSaved(handle: Handle): void {
  const { session, status, isLate, isPresented } = handle
  if (session !== undefined && !isLate && status === 'stored' && !isPresented) handle.outgoing = 'send'
}

// Whether the session, whose data is unchanged, is as it was read: the door would neither store nor send anything.
function isUntouched(handle: Handle, session: Session): boolean {
  const { found, snapshot, settings } = handle
  if (found === undefined || found.record !== snapshot.record) return false
  if (stateOf(session)!.cookie !== undefined || !isAtRest(handle)) return false
  return settings.userId === undefined || !isUnindexed(handle, session)
}

// Gathers the facts about a session, whose data is now `data`, and lets the door decide.
function planFor(handle: Handle, session: Session, data: string): Plan {
  const { settings, req, snapshot, firstId, firstData, id, isPresented } = handle
  const { door, tokens, port, rolling, resave, saveUninitialized, limits, writesMeta } = settings
  const { selfContained } = tokens
  const state = stateOf(session)!
  const cookie = state.cookie ?? state.keptCookie!.cookie
  const stored = snapshot.version !== null
  const isLookedAt = state.cookie !== undefined && (door.watchesCookie || firstId !== id)
  const cookieChanged = isLookedAt && isCookieChanged(state, snapshot)
  // A record of express-session does not say when the session began: unless that is written down, it never gets old.
  const lacksMeta = stored && writesMeta && !selfContained && !snapshot.meta
  const mustSave =
    handle.status === 'renewed' || lacksMeta || (settings.userId !== undefined && isUnindexed(handle, session))
  const modified = door.countsFromFirst ? firstId !== id || firstData !== data : mustSave || data !== snapshot.data
  const plan = door.plan({
    presented: isPresented,
    stored,
    modified,
    // What an application gives the cookie after an explicit save is stored with the session's new ID (passport).
    saved: snapshot.savedData === data && !cookieChanged && !mustSave,
    everSaved: snapshot.savedData !== undefined,
    cookieChanged,
    persistent: door.endsByDate ? cookie.originalMaxAge != null : typeof cookie.originalMaxAge === 'number',
    // What the cookie was given is stored by a touch there, as in express-session.
    due: isDue(settings, req, cookie, extendedAt(handle)) || (door.touchesCookie && isCookieChanged(state, snapshot)),
    stale: handle.tokens.isStale,
    // A store without touch() is extended by writing; express-session leaves it alone.
    canTouch: limits.idle !== null || (selfContained ? door.resendsToExtend : port.touches || door.marksForeignRecords),
    selfContained,
    rolling,
    resave,
    saveUninitialized
  })
  if (!selfContained) return plan
  // A cookie that is the record can only be sent by writing it, and written by sending it.
  if (plan.store === 'none') return plan.sendCookie ? { ...plan, store: 'touch' } : plan
  return { ...plan, sendCookie: true }
}

function isCookieChanged(state: SessionState, { attributes }: Snapshot): boolean {
  return state.cookie !== undefined && attributesOf(state.cookie) !== (attributes ?? keptAttributesOf(state))
}

/** Whether the record does not name the session's user: the option may be younger than the session, or have changed. */
export function isUnindexed({ settings, snapshot }: Pick<Handle, 'settings' | 'snapshot'>, session: Session): boolean {
  if (settings.userId === undefined || snapshot.version === null) return false
  const user = settings.userId(session)
  return user !== undefined && user !== snapshot.meta?.i
}

function dropChanges(handle: Handle, session: Session): void {
  const { status, snapshot, engine, settings, id } = handle
  handle.outgoing = 'none'
  if (status === 'gone' || takeData(session, snapshot).text === snapshot.data) return
  engine.drop(settings, id, status === 'standin' ? 'ERR_SESSION_STORE' : undefined)
}

// What was set on an object that the request went on without.
function reportLeft(handle: Handle, all: readonly LeftSession[]): void {
  const current = handle.session as unknown as Record<string, unknown> | undefined
  for (const left of all) {
    const { set } = changesSince(left.data, left.session)
    // Emptying what has ended loses nothing, nor does a value that goes on in the session (passport hands objects on).
    const isKept = ([key, value]: [string, unknown]) => value == null || isSameJson(value, current?.[key])
    if (left.session === handle.session || Object.entries(set).every(isKept)) continue
    left.data = dataNow(left.session)
    handle.engine.drop(handle.settings, handle.id)
  }
}

/** Warns of data that was set after the last write for the response, and that the application did not save itself. */
export function reportUnsaved(handle: Handle): void {
  const { session, status, snapshot, engine, settings, owner, id } = handle
  if (session === undefined || handle.underWay?.size || (status !== 'stored' && status !== 'new')) return
  if (settings.door.needsPublicId && owner !== undefined && typeof owner.publicId() !== 'string') return
  try {
    const data = takeData(session, snapshot).text
    if (data === snapshot.data || data === reported.get(handle)) return
    reported.set(handle, data)
    engine.drop(settings, id, handle.isRegistered ? 'ERR_SESSION_HEADERS_SENT' : 'UNREGISTERED')
  } catch {
    // No data that could have been stored.
  }
}

const reported = new WeakMap<Handle, string>()

// express-session stores nothing for such a request, and keeps quiet about it.
function dropUnnamed({ snapshot, engine, settings, id }: Handle, session: Session): void {
  if (takeData(session, snapshot).text !== snapshot.data) engine.drop(settings, id, 'ERR_SESSION_OPTION')
}

// The first byte of a streaming response has stored it; the last byte extends it only if that was a while ago, or to
// another end. A cookie that is the record cannot follow the first byte at all.
function needsNoTouch({ isLate, settings, snapshot }: Handle, session: Session): boolean {
  if (!isLate || settings.tokens.selfContained) return isLate
  return Date.now() - snapshot.usedAt < SECOND && !isCookieChanged(stateOf(session)!, snapshot)
}

// What the client would have to be told, and cannot be any more.
function isUnannounced({ settings, isPresented, announced, id }: Handle, { store }: Plan): boolean {
  return settings.tokens.selfContained ? store === 'save' : !isPresented && announced !== id
}

// The client would never learn this ID, so no record is made either.
function tooLate(handle: Handle, session: Session): void {
  const { engine, settings, snapshot, id } = handle
  handle.outgoing = 'none'
  const begins = snapshot.version === null
  if (begins) handle.status = 'gone'
  const reason = tooLateError(begins)
  engine.withhold(settings, id, reason.code, reason.message)
  stateOf(session)!.error = reason
}

function touch(handle: Handle, session: Session): MaybePromise<void> {
  const { settings, req, snapshot, id, engine } = handle
  const state = stateOf(session)!
  const usedAt = (settings.extend?.(req) ?? true) ? Date.now() : lastUse(engine, id, snapshot)
  const { cookie, keptCookie, createdAt } = state
  const end = deadline(settings, req, cookie ?? keptCookie!.cookie, { createdAt, usedAt })
  const life: Life = { usedAt, expiresAt: end }
  // A cookie that nobody has looked at is as it is kept; a store of the contract looks at the session's.
  const isLookedAt = settings.port.native && cookie !== undefined
  if (settings.door.touchesCookie && isLookedAt) life.cookieText = JSON.stringify(session.cookie)
  const attributes = settings.door.touchesCookie && cookie ? attributesOf(cookie) : snapshot.attributes
  const meta = snapshot.meta && { ...snapshot.meta, u: usedAt }
  const merged =
    snapshot.storedData === snapshot.data ? undefined : { text: snapshot.storedData, theirs: snapshot.record }
  // What is touched is not kept: the session itself will do where its record holds nothing more.
  const live = () => ((meta ?? merged) ? sessionToGive(req, session, meta, merged) : session)
  const extend = () => settings.port.extend(settings.port.keyOf(snapshot.storeId), life, live)
  return unlessGone(handle, extend, () => {
    handle.snapshot = { ...snapshot, usedAt, meta, attributes }
    if (!tellsExtension(settings)) engine.extended.set(id, usedAt)
    engine.noteTouch(settings, id)
  })
}

// Asks whether the session still lives before its cookie is sent again without a write: a slow response must not replace
// the cookie of the next session by that of one that has ended.
function confirm(handle: Handle): MaybePromise<void> {
  const { settings, snapshot } = handle
  if (!settings.door.watchesCookie || !handle.isPresented || shownLate(snapshot)) return undefined
  const ask = () => chain(settings.port.read(snapshot.storeId), (found) => recordOf(found) !== undefined)
  return unlessGone(handle, ask, () => undefined)
}

// Nothing is written here that could get lost: a fault of the store is noted, and spoils no response.
function unlessGone(handle: Handle, ask: () => MaybePromise<boolean>, alive: () => void): MaybePromise<void> {
  const done = (lives: boolean) => (lives ? alive() : handle.lose(false))
  const failed = (error: unknown) => {
    handle.engine.noteTouch(handle.settings, handle.id, { error })
    handle.touchError = error
  }
  try {
    const result = ask()
    return isPromise(result) ? result.then(done, failed) : done(result)
  } catch (err) {
    failed(err)
  }
}
