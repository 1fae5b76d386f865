import { demand, demandPrivate, OptionError, SessionError } from '../base/errors'
import { EmptyRequest, type HttpRequest } from '../base/http'
import type { Milliseconds } from '../base/time'
import { givenOptions } from '../base/warnings'
import { shaped, reasonOf, type Engine } from '../engine/engine'
import { storeFault } from '../engine/faults'
import type { SessionStats } from '../base/diagnostics'
import { endRecord, noteEnd } from '../lifecycle/end'
import { SessionHandle } from '../lifecycle/verbs/session-handle'
import { isOver, keptDeadline } from '../lifecycle/lifetime'
import { isPastEnd, lastUseOf, loadSession, recordOf } from '../lifecycle/load'
import type { OpenOptions } from '../lifecycle/status'
import { userText } from '../options/option-checks'
import type { Settings } from '../options/settings'
import type { ParsedRecord } from '../record/record'
import type { ModernSession } from '../session/modern'
import { knownState } from '../session/info'
import { Session, stateOf } from '../session/session'
import { POWERS, type Found } from '../store/contract'
import { isForwarding, versionOf } from '../store/record-cache'
import type { StoreKey } from '../store/port'
import { createStored } from './create'
import { indexLoaded, reindex, type ReindexOptions, type ReindexProgress } from './reindex'

/** A stored session, seen from outside a request. Times in ms since 1970. */
export interface SessionEntry<Data = Record<string, any>> {
  id: string
  createdAt: Milliseconds | undefined
  lastUsedAt: Milliseconds | undefined
  /** `null`: never by itself. As if it were used now where neither record nor store tells: without metadata in Redis or memcached, and in foreign stores. */
  expiresAt: Milliseconds | null
  /** The session given as `current` to `list`. */
  current: boolean
  data: Data
  /** Listed sessions only: the schema refuses what is stored, so `data` is empty, and requests get a new session. */
  error?: SessionError
}

/** What the middleware can do beside serving requests. */
export interface SessionManager<Data = Record<string, any>> {
  /** The session of a request without a response (a WebSocket): save it by hand, watch `infoOf(session).signal`. */
  open(req: any, options?: OpenOptions): Promise<ModernSession & Data>
  /** A stored session, its data as requests see it; `null` where they would find none. */
  get(id: string): Promise<SessionEntry<Data> | null>
  /** Stores a new session. @throws {SessionError} `ERR_SESSION_SCHEMA` when the schema refuses its data */
  create(data: Partial<Data>, options?: { userId?: string }): Promise<SessionEntry<Data>>
  /** Extends the lifetime of a session. `false` when there is none. */
  extend(id: string): Promise<boolean>
  /** Destroys a session, under its new ID where it was rotated just now; destroying what is absent does nothing. */
  destroy(id: string): Promise<void>
  /** The live sessions of a user. @throws {OptionError} without the option `userId`, or on a store without an index */
  list(userId: string, options?: { current?: string | Session }): Promise<SessionEntry<Data>[]>
  /** Destroys the sessions of a user, all or all but one. Resolves with their number. */
  revoke(userId: string, options?: { except?: string | Session }): Promise<number>
  /**
   * Walks the store and indexes the sessions of users that were stored before the option `userId` was set; a load does
   * so for the session it finds. Resolves with what was done. @throws {OptionError} on a store that cannot list its IDs
   */
  reindex(options?: ReindexOptions): Promise<ReindexProgress>
  /** Counters since set-up. */
  stats(): SessionStats
}

/** A session that was found, its record, and what a conditional removal compares against. */
interface Hit {
  readonly key: StoreKey
  readonly id: string
  readonly record: ParsedRecord
  readonly version: string
  readonly entry: Omit<SessionEntry, 'data'>
}

const NO_REQUEST = new EmptyRequest()

/** Makes the manager half of a middleware. */
export class Manager implements SessionManager {
  readonly #engine: Engine
  /** Outside of a request there is no express-session whose faults would be kept as they are: all carry code and status. */
  readonly #settings: Settings

  constructor(engine: Engine) {
    this.#engine = engine
    this.#settings = { ...engine.settings, rawFaults: false }
  }

  async open(req: HttpRequest, options?: OpenOptions): Promise<ModernSession & Record<string, any>> {
    demandPrivate(typeof req === 'object' && req !== null, 'auth.open()', 'req', 'a request', req)
    const handle = new SessionHandle(this.#engine, this.#settings, req)
    handle.openOptions = givenOptions('auth.open()', options, ['until'])
    const session = await loadSession(handle)
    await indexLoaded(handle, session)
    return session as ModernSession & Record<string, any>
  }

  async get(id: string): Promise<SessionEntry | null> {
    const hit = await this.#guarded(() => this.#find(id))
    if (hit === null) return null
    const entry = await withData(this.#engine, hit)
    return entry.error === undefined ? entry : null
  }

  async create(data: Record<string, any>, options?: { userId?: string }): Promise<SessionEntry> {
    const { userId } = givenOptions('auth.create()', options, ['userId'])
    const created = await createStored(this.#engine, this.#settings, data, userId)
    const { handle, session, data: made } = created
    const { snapshot } = handle
    const { createdAt } = stateOf(session)!
    const expiresAt = handle.endOf(session)
    return { id: snapshot.storeId, createdAt, lastUsedAt: snapshot.usedAt, expiresAt, current: false, data: made }
  }

  extend(id: string): Promise<boolean> {
    return this.#guarded(async () => {
      const hit = await this.#find(id)
      if (hit === null) return false
      const { settings } = this.#engine
      const { meta, cookie } = hit.record
      const usedAt = Date.now()
      const times = { createdAt: meta?.c ?? usedAt, usedAt }
      const expiresAt = keptDeadline(settings, NO_REQUEST, cookie, times)
      const extended = await settings.port.extend(hit.key, { usedAt, expiresAt })
      if (extended) this.#engine.noteTouch(settings, id)
      return extended
    })
  }

  async destroy(id: string): Promise<void> {
    // A session in its place would live on, and nobody would hear of it.
    demand(typeof id === 'string', 'auth.destroy()', 'id', 'a session ID', id)
    return this.#guarded(async () => {
      const { settings } = this.#engine
      const moved: StoreKey[] = []
      const hit = await this.#find(id, moved)
      if (hit !== null) return this.#end(hit)
      // Of a session in a cookie nothing is known here, and yet it can be ended.
      if (settings.tokens.selfContained && id !== '' && moved.length === 0) moved.push(settings.port.keyOf(id))
      for (const key of moved) {
        const isKnown = await endRecord(settings, { id, key })
        noteEnd(this.#engine, settings, id, undefined, isKnown || settings.tokens.selfContained)
      }
    })
  }

  async list(userId: string, options?: { current?: string | Session }): Promise<SessionEntry[]> {
    const isCurrent = this.#is(givenOptions('auth.list()', options, ['current']).current)
    const hits = await this.#guarded(() => this.#listed(userId))
    return Promise.all(hits.map(async (hit) => ({ ...(await withData(this.#engine, hit)), current: isCurrent(hit) })))
  }

  async revoke(userId: string, options?: { except?: string | Session }): Promise<number> {
    const isExcepted = this.#is(givenOptions('auth.revoke()', options, ['except']).except)
    return this.#guarded(async () => {
      const others = (await this.#listed(userId)).filter((hit) => !isExcepted(hit))
      for (const hit of others) await this.#end(hit, 'revoked')
      return others.length
    })
  }

  async reindex(options?: ReindexOptions): Promise<ReindexProgress> {
    const given = givenOptions('auth.reindex()', options, ['signal', 'onProgress'])
    return this.#guarded(() => reindex(this.#engine, given))
  }

  stats(): SessionStats {
    const { monitor, settings } = this.#engine
    const { port } = settings
    const store = port.store as {
      lastCleanup?: number | null
      [POWERS]?: { countsAtOnce?: boolean; count(): number }
    }
    const live = store[POWERS]?.countsAtOnce ? store[POWERS].count() : undefined
    const keys = (settings.keys?.lastUses() ?? []).map((lastUsedAt) => ({ lastUsedAt }))
    return monitor.stats(keys, store.lastCleanup ?? null, live)
  }

  /** @param moved takes the key of a record that leads to another ID, where the session was rotated */
  async #find(id: string, moved?: StoreKey[]): Promise<Hit | null> {
    const { port } = this.#engine.settings
    if (typeof id !== 'string' || id === '') return null
    // With hashed IDs, what `list` gives is already the hash.
    for (const key of new Set([port.keyOf(id), id as StoreKey])) {
      const found = await port.readKey(key)
      const hit = found === null ? null : hitOf(this.#engine, id, key, found)
      if (hit !== null) return hit
      if (found !== null && isForwarding(found)) moved?.push(key)
    }
    return null
  }

  async #end({ key, id, version, record }: Hit, reason?: string): Promise<void> {
    const { settings } = this.#engine
    await endRecord(settings, { id, key, version, user: record.meta?.i })
    noteEnd(this.#engine, settings, id, reason)
    if (key !== id) this.#engine.ended(key)
  }

  async #listed(userId: string): Promise<Hit[]> {
    const { port, userId: option } = this.#engine.settings
    if (option === undefined) throw new OptionError('Listing and revoking need the option userId')
    const list = await port.list(userText(userId))
    if (list !== undefined) return list.flatMap((item) => hitOf(this.#engine, item.id, item.id, item) ?? [])
    throw new OptionError(
      'This store keeps no index of users: use a store of this package (memory, files, a database, Redis) to list and revoke'
    )
  }

  // With hashed IDs, what `list` gives is already the hash.
  #is(session: string | Session | undefined): (hit: Hit) => boolean {
    if (session === undefined) return () => false
    const id = typeof session === 'string' ? session : knownState('auth.list() or auth.revoke', session).id
    const own = this.#engine.settings.port.keyOf(id)
    return ({ key }) => key === own || key === id
  }

  // Faults of the store carry a status, as those of a request do.
  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (err) {
      const { monitor, settings } = this.#engine
      if (err instanceof OptionError || (err instanceof SessionError && err.kind !== 'store')) throw err
      monitor.note('error', settings.name, undefined, { error: err })
      throw storeFault(err, 'answer', settings.port.remote ? 503 : 500)
    }
  }
}

// Puts the data into an entry, as the schema has it.
async function withData({ settings }: Engine, { record, entry }: Hit): Promise<SessionEntry> {
  const result = await shaped(settings, record.data)
  if ('issues' in result) return { ...entry, data: {}, error: reasonOf('ERR_SESSION_SCHEMA') }
  return { ...entry, data: result.data }
}

function hitOf({ settings }: Engine, id: string, key: StoreKey, found: Found): Hit | null {
  const record = recordOf(found)
  if (record === undefined) return null
  const { meta } = record
  const lastUsedAt = found.usedAt ?? meta?.u
  const now = Date.now()
  // Not what a store of others left in the record as it extended the session.
  const lastUse = lastUseOf(settings, found, record)
  if (isOver(settings, NO_REQUEST, record, lastUse)) return null
  if (meta !== undefined && settings.port.knowsEnd && isPastEnd(found)) return null
  const times = { createdAt: meta?.c ?? now, usedAt: lastUse ?? now }
  const end = keptDeadline(settings, NO_REQUEST, record.cookie, times)
  // The store may keep it for less: one that others have stored, or that no request has extended since the options changed.
  const kept = settings.port.native ? found.expiresAt : undefined
  const expiresAt = typeof kept === 'number' ? Math.min(kept, end ?? Infinity) : end
  const entry = { id, createdAt: meta?.c, lastUsedAt, expiresAt, current: false }
  return { key, id, record, version: versionOf(found, record), entry }
}
