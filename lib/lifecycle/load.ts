import { stateOf, type Session } from '../session/session'
import { storeFault } from '../engine/faults'
import type { Handle } from './handle'
import type { SessionErrorCode } from '../base/errors'
import { chain, isPromise, timeOf, type MaybePromise, type Milliseconds } from '../base/time'
import { bindingOf, shaped, markOf, type Visit } from '../engine/engine'
import type { Choice } from '../engine/identify'
import type { VerifiedToken } from '../tokens/tokens'
import type { Settings } from '../options/settings'
import { isRecord, type ParsedRecord, type Meta } from '../record/record'
import { EXPIRED, type Found } from '../store/contract'
import { decodeFound, versionOf } from '../store/record-cache'
import { deadline, isDeleting, isDue, isOver } from './lifetime'
import { nextOf } from './next-id'
import { storedSession, type LoadedSession } from './snapshot'

/** Longest chain of rotations that a request with an old ID is led along. */
const HOPS_MAX = 16

/** A session that was found, or why there is none. */
type Loaded = LoadedSession | { readonly error: SessionErrorCode | undefined }

type Answer = Found | typeof EXPIRED | null

/** Checks the record of a session; throws for faults of the store alone. @param hops rotations followed so far */
function admit(visit: Visit, id: string, found: MaybePromise<Answer>, hops = 0): MaybePromise<Loaded> {
  if (isPromise(found)) return found.then((later) => admit(visit, id, later, hops))
  const { engine, settings, req } = visit
  const { port, door } = settings
  if (!settings.tokens.selfContained) engine.connected = true
  if (found === null) return refused('ERR_SESSION_MISSING')
  if (found === EXPIRED) return refused('ERR_SESSION_EXPIRED')
  const record = decodeFound(found, id)
  if (record === undefined) {
    if (door.takesAnyRecord) inflate(found)
    return refused('ERR_SESSION_CORRUPT')
  }
  const { meta, cookie } = record
  // express-session's door makes a cookie of whatever is kept, as express-session does.
  const { expires } = cookie
  if (!door.takesAnyRecord && expires != null && Number.isNaN(new Date(expires as string).valueOf())) {
    return refused('ERR_SESSION_CORRUPT')
  }
  // Where no date ends it, a record without metadata is written whenever it was used, to get them.
  const lastUse = meta !== undefined || settings.limits.endsByDate ? lastUseOf(settings, found, record) : undefined
  const usedAt = lastUse ?? meta?.u
  const loaded = { id, record, version: versionOf(found, record), usedAt, readOnly: hops > 0 }
  if (meta === undefined) return admitted(visit, loaded)
  if (meta.h !== undefined && !settings.tokens.assigned && meta.h !== markOf(id)) {
    engine.monitor.note('error', settings.name, id, { reason: 'FOREIGN_RECORD' })
    return refused('ERR_SESSION_CORRUPT')
  }
  if (meta.n !== undefined) return followForwarding(visit, nextOf(port, id, meta.n).id, meta.g ?? 0, hops)
  // No store forgets what its cookie has ended by its date.
  const isPastDate =
    settings.limits.endsByDate && settings.tokens.selfContained && isPastEnd({ expiresAt: timeOf(expires) })
  if (isPastDate || isOver(settings, req, record, lastUse)) return expired(visit, id, meta)
  if (settings.bind !== undefined && meta.b !== undefined && meta.b !== bindingOf(settings, req)) {
    return refused('ERR_SESSION_BINDING')
  }
  if (port.native || !isPastEnd(found)) return admitted(visit, loaded)
  const now = Date.now()
  const expiresAt = deadline(settings, req, cookie, { createdAt: meta.c, usedAt: now })
  const isTold = expiresAt !== null && port.tellsEnd(id, found, { usedAt: now, expiresAt })
  return chain(isTold, (isEnd) => (isEnd ? expired(visit, id, meta) : admitted(visit, loaded)))
}

function admitted({ engine, settings }: Visit, loaded: LoadedSession): MaybePromise<Loaded> {
  engine.monitor.note('loaded', settings.name, loaded.id)
  return settings.schema === undefined ? loaded : validated(settings, loaded)
}

/**
 * The time of last use, where a record tells it. In a foreign store an express-session instance may have written last,
 * which leaves ours as it was: a cookie that ends with the browser, and has an end all the same, is ours.
 */
export function lastUseOf({ port, limits }: Settings, found: Found, record: ParsedRecord): Milliseconds | undefined {
  const { meta, cookie } = record
  if (port.native) {
    const told = found.usedAt ?? meta?.u
    const span = limits.endsByDate && typeof cookie.originalMaxAge === 'number' ? cookie.originalMaxAge : undefined
    if (told !== undefined || span === undefined || typeof found.expiresAt !== 'number') return told
    return Math.min(found.expiresAt - span, Date.now())
  }
  const isOurs = cookie.originalMaxAge === null && typeof found.expiresAt === 'number'
  return port.tellsLastUse && isOurs ? meta?.u : undefined
}

/** Whether the end that a record tells has come. */
export function isPastEnd({ expiresAt }: Pick<Found, 'expiresAt'>): boolean {
  return typeof expiresAt === 'number' && expiresAt <= Date.now()
}

function expired(visit: Visit, id: string, { i }: Meta): MaybePromise<Loaded> {
  return chain(removeExpired(visit, id, i), () => refused('ERR_SESSION_EXPIRED'))
}

// Where the store takes no writes for now the session is refused all the same, as often as it is asked for.
function removeExpired({ engine, settings }: Visit, id: string, user?: string): MaybePromise<unknown> {
  const { port, tokens, name } = settings
  if (tokens.selfContained) return undefined
  const failed = (err: unknown) => engine.monitor.note('error', name, id, { error: err })
  try {
    const removing = port.remove(port.keyOf(id), user)
    return isPromise(removing) ? removing.catch(failed) : removing
  } catch (err) {
    return failed(err)
  }
}

// express-session lets the exceptions of the store's parser and of its own inflation through; suites in the field
// assert on them. What is no object at all is no session.
function inflate(found: Found): void {
  if (found.unreadable !== undefined) throw found.unreadable as Error
  const object = parsed(found)
  if (isRecord(object)) void (object as unknown as { cookie: { expires: unknown } }).cookie.expires
}

function parsed(found: Found): unknown {
  if (found.record !== undefined) return found.record
  try {
    return JSON.parse(found.text)
  } catch {
    return undefined
  }
}

// The old ID of a routine rotation: during the grace it leads, read-only, to the session under its new ID.
function followForwarding(visit: Visit, id: string | undefined, until: number, hops: number): MaybePromise<Loaded> {
  if (id === undefined || until <= Date.now() || hops === HOPS_MAX) return refused('ERR_SESSION_MISSING')
  return admit(visit, id, visit.settings.port.read(id), hops + 1)
}

/** The session that an ID was rotated to, for a request that has begun with it; `undefined`: it leads nowhere. */
export function ledTo(visit: Visit, id: string, found: Found | null): MaybePromise<LoadedSession | undefined> {
  if (found === null || decodeFound(found)?.meta?.n === undefined) return undefined
  return chain(admit(visit, id, found), (loaded) => ('id' in loaded ? loaded : undefined))
}

function validated(settings: Settings, loaded: LoadedSession): MaybePromise<Loaded> {
  const { record } = loaded
  return chain(shaped(settings, record.data), (result) =>
    'issues' in result ? refused('ERR_SESSION_SCHEMA') : { ...loaded, record: record.withData(result.data) }
  )
}

function refused(error: SessionErrorCode): Loaded {
  return { error }
}

/** The record of a found session, to read it; `undefined` for a forwarding record, and for what is no record. */
export function recordOf(found: Found | null): ParsedRecord | undefined {
  const record = found === null ? undefined : decodeFound(found)
  return record?.meta?.n === undefined ? record : undefined
}

/**
 * Finds the session of a request, or begins one; rejects only for a fault of the store.
 * @param prepares its record only has to be here: the session is made of it when it is asked for
 */
export function loadSession(handle: Handle, prepares?: false): MaybePromise<Session>
export function loadSession(handle: Handle, prepares: boolean): MaybePromise<Session | undefined>
export function loadSession(handle: Handle, prepares = false): MaybePromise<Session | undefined> {
  const { tokens, settings, latest, loading } = handle
  if (latest !== undefined) return latest
  if (loading !== undefined) return loading.then(() => loadSession(handle))
  if (handle.status === 'found') return take(handle, handle.found!, false)
  if (!tokens.bringsSession) return beginFirst(handle, tokens.refusal)
  const { token } = tokens
  let loaded: MaybePromise<Loaded>
  try {
    // A token that is the record may have to be asked for.
    if (token === undefined) loaded = chain(tokens.open(), (choice) => admitToken(handle, choice))
    else loaded = admit(handle, token.id, token.found ?? settings.port.load(token.id))
    if (tokens.values.length > 1) loaded = orAnother(handle, loaded, tokens.others()[Symbol.iterator]())
  } catch (err) {
    return failLoad(handle, err)
  }
  if (!isPromise(loaded)) return take(handle, loaded, prepares)
  return keepLoading(
    handle,
    loaded.then(
      (later) => take(handle, later, prepares),
      (err) => failLoad(handle, err)
    )
  )
}

// Whoever asks meanwhile waits for the same.
function keepLoading<T>(handle: Handle, loading: Promise<T>): Promise<T> {
  const done = () => void (handle.loading = undefined)
  handle.loading = loading
  loading.then(done, done)
  return loading
}

// Of several authentic tokens the first that has a session; none: why the first is refused.
function orAnother(
  handle: Handle,
  loaded: MaybePromise<Loaded>,
  others: Iterator<VerifiedToken>
): MaybePromise<Loaded> {
  return chain(loaded, (first) => {
    const next = 'id' in first ? undefined : others.next()
    if (next === undefined || next.done) return first
    const { value: token } = next
    const other = chain(admitToken(handle, token), (found) => {
      if ('id' in found) Object.assign(handle.tokens, { token, id: token.id, isStale: token.stale })
      return found
    })
    return chain(orAnother(handle, other, others), (found) => ('id' in found ? found : first))
  })
}

function admitToken(handle: Handle, choice: Choice): MaybePromise<Loaded> {
  if (typeof choice !== 'object') return { error: choice }
  return admit(handle, choice.id, choice.found ?? handle.settings.port.load(choice.id))
}

/** Makes the session of what was loaded, unless it is only prepared, or begins one. */
function take(handle: Handle, loaded: Loaded, prepares: boolean): MaybePromise<Session | undefined> {
  if (!('id' in loaded)) return beginFirst(handle, loaded.error)
  handle.found = loaded
  handle.status = 'found'
  if (prepares && isAtRest(handle)) return undefined
  return handle.first(storedSession(handle, loaded.id, loaded), loaded.readOnly ? 'readonly' : 'stored')
}

/** Whether nothing has to be stored or sent for the session that was found unless the application changes it. */
export function isAtRest(handle: Handle): boolean {
  const { settings, req } = handle
  const { record, usedAt, readOnly } = handle.found!
  if (usedAt === undefined || readOnly || handle.tokens.isStale || handle.tokens.hasDuplicates) return false
  if (settings.door.touchesCookie || settings.rolling || settings.resave || settings.schema !== undefined) return false
  if (settings.userId !== undefined && record.meta?.i === undefined) return false
  return !isDeleting(record.cookie) && !isDue(settings, req, record.cookie, usedAt)
}

function failLoad(handle: Handle, err: unknown): MaybePromise<Session> {
  const { engine, settings, req } = handle
  engine.monitor.note('error', settings.name, handle.tokens.id, { error: err })
  const fault = storeFault(err, 'read the session', 503)
  // A mistake of the application is no outage.
  if (fault.kind === 'usage' || settings.onStoreError(err, req) !== 'anonymous') throw settings.rawFaults ? err : fault
  const session = handle.standIn()
  stateOf(session)!.error = fault
  return session
}

function beginFirst(handle: Handle, error: SessionErrorCode | undefined): MaybePromise<Session> {
  const { engine, settings } = handle
  const reason = error === undefined ? undefined : engine.reject(settings, error, handle.tokens.id)
  handle.refusal = error
  const began = handle.begin()
  if (reason === undefined && !isPromise(began)) return handle.first(began, 'new')
  const session = chain(began, (later) => {
    stateOf(later.session)!.error = reason
    return handle.first(later, 'new')
  })
  return isPromise(session) ? keepLoading(handle, session) : session
}
