import { decodeFound } from '../store/found'
import type { Found, Listed } from '../store/contract'
import { reviveCookie } from '../cookie/cookie'
import { reasonOf, type Engine } from '../engine/engine'
import { OptionError, SessionError } from '../base/errors'
import { deadline, isOver } from '../lifecycle/lifetime'
import type { SessionStats } from '../engine/monitor'
import { type Decoded } from '../record/record'
import { shaped } from '../engine/schema'
import { serializeSession } from '../session/serialize'
import { userText } from '../options/option-checks'
import { NoRequest } from './outside'
import { stateOf, type Session } from '../session/session'
import { Slot } from '../lifecycle/slot'
import { storedIdOf, type Tracked } from '../lifecycle/tracked'
import type { Milliseconds } from '../base/time'
import { watch, type OpenOptions } from './watch'

/** A stored session, seen from outside a request. Times in ms since 1970. */
export interface SessionEntry<Data = Record<string, any>> {
  id: string
  createdAt: Milliseconds | undefined
  lastUsedAt: Milliseconds | undefined
  /** `null`: never by itself. */
  expiresAt: Milliseconds | null
  /** The session given as `current` to `list`. */
  current: boolean
  data: Data
  /** Listed sessions only: the schema refuses what is stored, so `data` is empty, and requests get a new session. */
  error?: SessionError
}

/** What the middleware can do beside serving requests. */
export interface SessionManager<Data = Record<string, any>> {
  /** The session of a request without a response (a WebSocket upgrade): save it by hand, watch `session.signal`. */
  open(req: any, options?: OpenOptions): Promise<Session & Data>
  /** A stored session, its data as requests see it; `null` where they would find none. */
  get(id: string): Promise<SessionEntry<Data> | null>
  /** Stores a new session. @throws {SessionError} `ERR_SESSION_SCHEMA` when the schema refuses its data */
  create(data: Partial<Data>, options?: { userId?: string }): Promise<SessionEntry<Data>>
  /** Extends the lifetime of a session. `false` when there is none. */
  extend(id: string): Promise<boolean>
  /** Destroys a session; destroying what is absent does nothing. */
  destroy(id: string): Promise<void>
  /** The live sessions of a user. @throws {OptionError} without the option `userId`, or on a store without an index */
  list(userId: string, options?: { current?: string | Session }): Promise<SessionEntry<Data>[]>
  /** Destroys the sessions of a user, all or all but one. Resolves with their number. */
  revoke(userId: string, options?: { except?: string | Session }): Promise<number>
  /** Counters since set-up. */
  stats(): SessionStats
}

/** A session that was found, and its record. */
interface Hit {
  record: Decoded
  entry: Omit<SessionEntry, 'data'>
}

/** Makes the manager half of a middleware. */
export class Manager implements SessionManager {
  readonly #engine: Engine

  constructor(engine: Engine) {
    this.#engine = engine
  }

  async open(req: any, options: OpenOptions = {}): Promise<Session & Record<string, any>> {
    const slot = new Slot(this.#engine, this.#engine.settings, req)
    const session = await slot.load()
    stateOf(session)!.signal = () => watch(this.#engine, slot, options)
    return session as Session & Record<string, any>
  }

  async get(id: string): Promise<SessionEntry | null> {
    const hit = await this.#find(id)
    if (hit === null) return null
    const entry = await dressed(this.#engine, hit)
    return entry.error === undefined ? entry : null
  }

  async create(data: Record<string, any>, options: { userId?: string } = {}): Promise<SessionEntry> {
    const { tracked, data: made } = await mint(this.#engine, data, options.userId)
    const { settings } = this.#engine
    const { createdAt, usedAt, session } = tracked
    const expiresAt = deadline(settings, session.cookie, createdAt, usedAt)
    const id = storedIdOf(settings, tracked)
    return { id, createdAt, lastUsedAt: usedAt, expiresAt, current: false, data: made }
  }

  async extend(id: string): Promise<boolean> {
    const hit = await this.#find(id)
    if (hit === null) return false
    const { settings, monitor } = this.#engine
    const { cookie, meta } = hit.record
    const now = Date.now()
    const expiresAt = deadline(settings, reviveCookie(cookie), meta?.c ?? now, now)
    const extended = await settings.backend.extendKey(hit.key, { usedAt: now, expiresAt })
    if (extended) monitor.note('touched', settings.name, id)
    return extended
  }

  async destroy(id: string): Promise<void> {
    const hit = await this.#find(id)
    if (hit !== null) await this.#remove(hit.key, id, hit.record.meta?.i)
    // Of a session in a cookie nothing is known here, and yet it can be ended.
    else if (this.#engine.settings.backend.carrier !== undefined) await this.#remove(id, id, undefined)
  }

  async list(userId: string, options: { current?: string | Session } = {}): Promise<SessionEntry[]> {
    const current = this.#keyOf(options.current)
    const hits = (await this.#listed(userId)).flatMap((item) => {
      const record = decodeFound(item)
      const entry = record === undefined ? null : entryOf(this.#engine, item.id, record, item)
      return entry === null ? [] : [{ record: record!, entry: { ...entry, current: item.id === current } }]
    })
    return Promise.all(hits.map((hit) => dressed(this.#engine, hit)))
  }

  async revoke(userId: string, options: { except?: string | Session } = {}): Promise<number> {
    const except = this.#keyOf(options.except)
    const others = (await this.#listed(userId)).filter(({ id }) => id !== except)
    for (const { id } of others) await this.#remove(id, id, userText(userId), 'revoked')
    return others.length
  }

  stats(): SessionStats {
    const { monitor, settings } = this.#engine
    const { backend } = settings
    const store = backend.store as { lastCleanup?: number | null; length?: unknown }
    const live = backend.native && backend.sync && typeof store.length === 'function' ? store.length() : undefined
    const keys = (settings.keys?.lastUses() ?? []).map((lastUsedAt) => ({ lastUsedAt }))
    return monitor.stats(keys, store.lastCleanup ?? null, typeof live === 'number' ? live : undefined)
  }

  async #find(id: string): Promise<(Hit & { key: string }) | null> {
    const { backend } = this.#engine.settings
    if (typeof id !== 'string' || id === '') return null
    // With hashed IDs, what `list` gives is already the hash.
    for (const key of new Set([backend.keyOf(id), id])) {
      const found = await backend.readKey(key)
      const record = found === null ? undefined : decodeFound(found)
      const entry = record === undefined ? null : entryOf(this.#engine, id, record, found!)
      if (entry !== null) return { key, record: record!, entry }
    }
    return null
  }

  async #remove(key: string, id: string, user: string | undefined, reason?: string): Promise<void> {
    const { settings, monitor } = this.#engine
    await settings.backend.removeKey(key, user)
    monitor.note('destroyed', settings.name, id, reason === undefined ? {} : { reason })
    this.#engine.ended(key)
    this.#engine.ended(id)
  }

  async #listed(userId: string): Promise<Listed[]> {
    const { backend, userId: option } = this.#engine.settings
    if (option === undefined) throw new OptionError('Listing and revoking need the option userId')
    const list = await backend.list(userText(userId))
    if (list !== undefined) return list
    throw new OptionError(
      'This store keeps no index of users: use MemoryStore, FileStore or RedisStore to list and revoke'
    )
  }

  #keyOf(session: string | Session | undefined): string | undefined {
    if (session === undefined) return undefined
    const id = typeof session === 'string' ? session : stateOf(session)!.id
    return this.#engine.settings.backend.keyOf(id)
  }
}

/** Stores a new session outside any request. */
export async function mint(
  engine: Engine,
  data: Record<string, any>,
  userId?: string
): Promise<{ slot: Slot; tracked: Tracked; data: Record<string, unknown> }> {
  const slot = new Slot(engine, engine.settings, new NoRequest())
  const session = await begin(slot)
  Object.assign(session, data)
  const tracked = slot.tracked!
  tracked.owner = userId === undefined ? undefined : userText(userId)
  // Judged as it will be loaded.
  const result = await shaped(engine.settings, JSON.parse(serializeSession(session)))
  if ('issues' in result) {
    const message = 'The schema refuses the data of the new session, which was not stored; see the cause.'
    throw new SessionError('ERR_SESSION_SCHEMA', message, { cause: result.issues })
  }
  await session.save()
  return { slot, tracked, data: result.data }
}

// No store is asked for a session that nobody brought: what fails here is a function among the options.
async function begin(slot: Slot): Promise<Session> {
  try {
    return await slot.load()
  } catch (err) {
    if (err instanceof SessionError || err instanceof OptionError) throw err
    throw new SessionError(
      'ERR_SESSION_OPTION',
      'A session is made here without a request: a function given as cookie or genid must do without its headers.',
      { cause: err }
    )
  }
}

// Puts the data into an entry, as the schema has it.
async function dressed({ settings }: Engine, { record, entry }: Hit): Promise<SessionEntry> {
  const result = await shaped(settings, record.data)
  if ('issues' in result) return { ...entry, data: {}, error: reasonOf('ERR_SESSION_SCHEMA') }
  return { ...entry, data: result.data }
}

function entryOf({ settings }: Engine, id: string, record: Decoded, found: Found): Hit['entry'] | null {
  const { meta } = record
  if (meta?.n !== undefined) return null
  const cookie = reviveCookie(record.cookie)
  const lastUsedAt = found.usedAt ?? meta?.u
  const now = Date.now()
  if (meta !== undefined && isOver(settings, cookie, meta, settings.backend.native ? lastUsedAt : undefined, now))
    return null
  const expiresAt = deadline(settings, cookie, meta?.c ?? now, lastUsedAt ?? now)
  return { id, createdAt: meta?.c, lastUsedAt, expiresAt, current: false }
}
