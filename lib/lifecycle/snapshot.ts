import type { HttpRequest } from '../base/http'
import { SECOND, type Milliseconds } from '../base/time'
import { MAX_AGE, type Cookie, type CookieOptions } from '../cookie/cookie'
import { isSecure } from '../engine/identify'
import { newCookie } from '../engine/new-cookie'
import type { Settings } from '../options/settings'
import type { ParsedRecord, Meta, WrittenData } from '../record/record'
import { attributesOf, cookieOf } from '../session/cookie-state'
import { assignCopy, changesOf, firstKey, serializeSession } from '../session/data'
import { isModern, stateOf, type Session } from '../session/session'
import type { KeptCookie, SessionState } from '../session/verbs'
import type { Handle } from './handle'

/** How long a store may lag behind what was written to it. */
const LAG_MAX = 5 * SECOND

/** What is known of a stored session. Never changed: replaced as a whole. */
export interface Snapshot {
  /** What the store keeps, for a conditional write to compare against; `null`: nothing yet. */
  readonly version: string | null
  /** Set where this very request wrote it: the versions that it replaced. */
  readonly own: readonly string[] | undefined
  /** When it last did. */
  readonly writtenAt?: Milliseconds
  /** JSON of the data that the application's changes are counted from. */
  readonly data: string
  /** JSON of the data in the store: differs from `data` after a merge, or where a schema has migrated it. */
  readonly storedData: string
  /** JSON of the data last saved, or loaded where nothing needs saving: express-session's `savedHash`. */
  readonly savedData: string | undefined
  readonly meta: Meta | undefined
  readonly usedAt: Milliseconds
  /** Attributes of the cookie when they were last in step with the store; `undefined`: as the record has them. */
  readonly attributes: string | undefined
  /** The record that the session object was made of, or that another writer has left since. */
  readonly record: ParsedRecord | undefined
  /** What the store knows the session by: its ID, or what a store with tokens of its own has assigned. */
  readonly storeId: string
  /** The token, where the record travels in it. */
  readonly token: string | undefined
  /** The store has changed the session that it was given, where the application had not. */
  readonly isAmended?: boolean
}

/** The versions that this request has replaced in the last seconds: a store that lags may answer one of them, or none. */
export function shownLate({ own, writtenAt }: Snapshot): readonly string[] | undefined {
  return writtenAt !== undefined && Date.now() - writtenAt < LAG_MAX ? own : undefined
}

/** A session object, its ID, and what is known of its record. */
export interface Began {
  readonly id: string
  readonly session: Session
  readonly snapshot: Snapshot
}

/** Begins a session that is not stored yet. */
export function newSession(handle: Handle, id: string): Began {
  const { settings, req } = handle
  const session = new settings.door.Session(req, undefined, { verbs: handle, id })
  const state = stateOf(session)!
  beginCookie(state, settings, req)
  state.isNew = true
  return {
    id,
    session,
    snapshot: {
      version: null,
      own: undefined,
      data: '{}',
      storedData: '{}',
      savedData: undefined,
      meta: undefined,
      usedAt: state.createdAt,
      attributes: state.cookie && attributesOf(state.cookie),
      record: undefined,
      storeId: id,
      token: undefined
    }
  }
}

// One for each set of options, and for each kind of connection where they depend on it.
const endless = new WeakMap<CookieOptions, { secure?: KeptCookie; plain?: KeptCookie }>()

// Gives a new session the cookie of the options.
function beginCookie(state: SessionState, settings: Settings, req: HttpRequest): void {
  const { cookie, door } = settings
  // A cookie that ends has a date of its own; express-session's door takes options that are changed later.
  if (door.liveCookieOptions || typeof cookie === 'function' || cookie.maxAge != null || cookie.expires != null) {
    state.cookie = newCookie(settings, req)
    return
  }
  let kinds = endless.get(cookie)
  if (kinds === undefined) endless.set(cookie, (kinds = {}))
  const kind = isSecure(req, settings.proxy) ? 'secure' : 'plain'
  state.keptCookie = kinds[kind] ??= keptOf(newCookie(settings, req))
}

function keptOf(cookie: Cookie): KeptCookie {
  const cookieText = JSON.stringify(cookie)
  return { cookie: JSON.parse(cookieText) as Record<string, unknown>, cookieText }
}

/** What a store has answered: a record, its version, and when it was used last, where that is kept beside it. */
export interface LoadedRecord {
  readonly record: ParsedRecord
  readonly version: string
  readonly usedAt: Milliseconds | undefined
}

/** A session that was found. */
export interface LoadedSession extends LoadedRecord {
  readonly id: string
  /** Reached through an ID that was rotated away: nothing is written or sent. */
  readonly readOnly: boolean
}

/** Makes the session of a record. */
export function storedSession(
  handle: Handle,
  id: string,
  { record, version, usedAt }: LoadedRecord,
  storeId = id
): Began {
  const { settings, req } = handle
  const session = new settings.door.Session(req, undefined, { verbs: handle, id, createdAt: record.meta?.c })
  const state = stateOf(session)!
  if (sendable.has(record.cookie) || isKept(record.cookie, settings)) state.keptCookie = record
  else beginAs(record, state, settings, req)
  assignCopy(session, record, !isModern(session))
  // A schema migrates data when it is loaded: what is stored is the text, what the application sees is `raw`.
  const data = settings.schema === undefined ? record.dataText : serializeSession(session)
  return {
    id,
    session,
    snapshot: {
      version,
      own: undefined,
      data,
      storedData: record.dataText,
      savedData: settings.resave ? undefined : data,
      meta: record.meta,
      usedAt: usedAt ?? record.meta?.u ?? state.createdAt,
      attributes: state.cookie && attributesOf(state.cookie),
      record,
      storeId,
      token: undefined
    }
  }
}

// Cookies of records that can be sent: many requests read one record.
const sendable = new WeakSet<object>()

// Whether a record's cookie is used as it is; else the options say what is sent. What another program (Go) has begun keeps
// no attributes, or some that cannot be sent, and perhaps a lifetime. express-session's door uses whatever is kept, except
// from a store with attributes of its own.
function isKept(cookie: Record<string, unknown>, { door: { canSend }, port }: Settings): boolean {
  const isTold = Object.keys(cookie).some((attribute) => attribute !== 'originalMaxAge')
  if (canSend === undefined) return isTold || port.store.sessionDefaults === undefined
  if (!isTold || !canSend(cookie)) return false
  sendable.add(cookie)
  return true
}

function beginAs(
  { cookie: { originalMaxAge } }: ParsedRecord,
  state: SessionState,
  settings: Settings,
  req: HttpRequest
) {
  beginCookie(state, settings, req)
  if (typeof originalMaxAge === 'number') cookieOf(state)!.maxAge = Math.min(originalMaxAge, MAX_AGE)
}

/** A session's data as it is now. */
export interface TakenData {
  readonly text: string
  /** The same with its parts, where it differs from the record. */
  readonly changed?: WrittenData | undefined
}

/** Takes a session's data; serialized only if it is not what was loaded. @throws {SessionError} as `serializeSession` */
export function takeData(session: Session, { record, data }: Snapshot): TakenData {
  if (record === undefined) return { text: firstKey(session) === undefined ? '{}' : serializeSession(session) }
  if (!record.isJson || record.dataText !== data) return { text: serializeSession(session) }
  const changed = changesOf(session, record)
  return changed === 'none' ? { text: data } : { text: changed?.text ?? serializeSession(session), changed }
}
