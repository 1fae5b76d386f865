import { beginCookie } from '../reply/fresh-cookie'
import { attributesOf } from '../session/kept-cookie'
import type { Settings } from '../options/options'
import type { Decoded, Exact, Meta } from '../record/record'
import { Session, stateOf } from '../session/session'
import { serializeExactly, serializeSession } from '../session/serialize'
import { assignCopy, assignData, isEmpty, isUnchanged } from '../session/session-data'
import type { SessionHost, SessionRequest } from '../session/session-host'
import type { Milliseconds } from '../base/time'

/** A session together with what we know of its record: the state behind every decision about it. */
export interface Tracked {
  session: Session
  readonly id: string
  /** Data text that the application saw when it was last in step with the store. */
  base: string
  /** What the store keeps, to compare a write against; `null`: nothing yet. */
  kept: string | null
  /** A write was begun: the store may know the session, whatever came of it. */
  offered: boolean
  /** Data text of what the store keeps: differs from `base` after a merge or a migration. */
  keptData: string
  meta: Meta | undefined
  createdAt: Milliseconds
  usedAt: Milliseconds
  /** Cookie attributes when they were last in step with the store; `undefined`: as the record has them. */
  cookieText: string | undefined
  /** What the session was made of. */
  record: Decoded | undefined
  /** Its data when it was last serialized, with that JSON. */
  copy: Exact | undefined
  /** Data text last written explicitly, or loaded where nothing needs writing: express-session's savedHash. */
  savedText: string | undefined
  /** A new ID (regenerate): stored and sent even when empty. */
  mustSave: boolean
  /** Destroyed, revoked or expired meanwhile: no save brings it back. */
  dead: boolean
  /** Found through an old ID in its grace period, or made while the store was down: never written, never sent. */
  readOnly: boolean
  /** `update` is at work: a write that finds other data fails instead of merging. */
  exact: boolean
  /** `update` runs the application's function. */
  updating?: boolean
  /** Whose session it is, where its data does not say (`auth.create`). */
  owner: string | undefined
  /** What the cookie carries, where it is not the ID. */
  value: string | undefined
}

/** What the store knows a session by: its ID, or what a store of the contract answered to the last `set`. */
export function storedIdOf({ backend }: Settings, { id, value }: Tracked): string {
  return backend.carrier === undefined ? (value ?? id) : id
}

/** Begins a session that nothing is stored of. */
export function freshTracked(settings: Settings, host: SessionHost, req: SessionRequest, id: string): Tracked {
  const session = new Session(req, undefined, host, id)
  const state = stateOf(session)!
  beginCookie(state, settings, req)
  state.isNew = true
  return {
    session,
    id,
    base: '{}',
    kept: null,
    offered: false,
    keptData: '{}',
    meta: undefined,
    createdAt: state.createdAt,
    usedAt: state.createdAt,
    cookieText: attributesOf(state),
    record: undefined,
    copy: undefined,
    savedText: undefined,
    mustSave: false,
    dead: false,
    readOnly: false,
    exact: false,
    owner: undefined,
    value: undefined
  }
}

/** Makes the session of a record. `kept` is what the store compares a later write against. */
export function loadedTracked(
  settings: Settings,
  host: SessionHost,
  req: SessionRequest,
  id: string,
  record: Decoded,
  kept: string,
  usedAt: Milliseconds | undefined
): Tracked {
  const session = new Session(req, undefined, host, id)
  const state = stateOf(session)!
  if (hasAttributes(record)) state.keptCookie = record
  else beginCookie(state, settings, req)
  if (record.isJson) assignCopy(session, record, host.classic)
  else assignData(session, record.raw, host.classic)
  if (record.meta !== undefined) state.createdAt = record.meta.c
  return {
    session,
    id,
    base: record.dataText,
    kept,
    offered: true,
    keptData: record.dataText,
    meta: record.meta,
    createdAt: state.createdAt,
    usedAt: usedAt ?? record.meta?.u ?? state.createdAt,
    cookieText: attributesOf(state),
    record,
    copy: undefined,
    savedText: settings.resave ? undefined : record.dataText,
    mustSave: false,
    dead: false,
    readOnly: false,
    exact: false,
    owner: undefined,
    value: undefined
  }
}

// A session that another program began (Go, over a shared cookie) says nothing of attributes: the options do.
function hasAttributes({ cookie }: Decoded): boolean {
  for (const _ in cookie) return true
  return false
}

/** JSON of a session's data now; serialized only if it is not what was loaded. @throws {SessionError} as `serializeSession` */
export function dataTextOf(tracked: Tracked): string {
  const { session, record, base } = tracked
  if (record === undefined) return isEmpty(session) ? '{}' : serializeSession(session)
  if (record.isJson && record.dataText === base && isUnchanged(session, record.raw)) return base
  tracked.copy = serializeExactly(session, record)
  return tracked.copy?.text ?? serializeSession(session)
}

/** Whose session it is where its data does not say: `auth.create` was told, or a release that knew. */
export function toldOwner(settings: Settings, { session, id, owner, meta, base }: Tracked): string | undefined {
  if (owner !== undefined || meta?.i === undefined) return owner
  if (settings.userId === undefined) return meta.i
  // If the data said so until now, the user has logged out.
  const before = new Session({}, JSON.parse(base), stateOf(session)!.host, id)
  return settings.userId(before) === undefined ? meta.i : undefined
}
