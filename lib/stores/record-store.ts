import { declareNative, EXPIRED, POWERS, type Callback, type Found, type Life } from '../store/contract'
import type { Listed, Powers, SessionRecord } from '../store/contract'
import { decodeRecord, isRecord, withCookie, withUsedAt } from '../record/record'
import { isForwarding } from '../store/record-cache'
import { Store } from '../store/store'
import { chain, isPromise, type MaybePromise, type Milliseconds } from '../base/time'
import { afterChanges, change, clearAll, respond, respondOfAll } from './change'

/** What the verbs of our stores need beside the powers. */
export interface RecordPowers extends Powers {
  /** How long to keep a session whose cookie has no expiry; `null`: for ever. */
  readonly ttl: Milliseconds | null

  /** Keeps a session, whatever was kept before. `session`: what `text` is the JSON of. */
  put(id: string, text: string, life: Life, user: string | undefined, session: unknown): MaybePromise<unknown>
}

/** The same for a store that can enumerate its sessions. */
export interface ListedPowers extends RecordPowers {
  /** Visits every live session as it is kept. @param isPatient others may have their turn meanwhile */
  each(visit: (found: Listed) => void, isPatient?: boolean): MaybePromise<unknown>
  /** The IDs of the live sessions, for a store that need not read them for that. */
  ids?(isPatient: boolean): MaybePromise<string[]>
  /** How many sessions are live, for a store that need not list them for that. */
  count?(): MaybePromise<number>
  /** Removes every session. */
  clear(): MaybePromise<unknown>
}

/** A verb's answer: the value itself from a synchronous store, else a promise of it. */
export type Answer<T, Sync extends boolean> = Sync extends true ? T : Promise<T>

/**
 * The verbs of a store that cannot enumerate its sessions, over the powers it has.
 *
 * Without a callback they answer directly if the powers are synchronous, else by promise; a callback is called on a
 * later turn. What an application has instead of an ID (`false`, of a cookie that cookie-parser refused) is the ID of no
 * session, as in express-session.
 */
export abstract class KeyedStore<Sync extends boolean = false> extends Store {
  declare readonly [POWERS]: RecordPowers

  constructor(powers: RecordPowers) {
    super()
    // Not enumerable, as the methods: a store may be logged.
    Object.defineProperty(this, POWERS, { configurable: true, value: powers })
  }

  /** Finds a session; `null` when there is none, it is over, or what is kept is no session. */
  get(id: string): Answer<SessionRecord | null, Sync>
  get(id: string, callback: Callback<any>): void
  get(id: string, callback?: Callback<SessionRecord | null>): unknown {
    const powers = this[POWERS]
    const find = () => chain(powers.read(String(id)), (found) => (found === null ? null : parse(found)))
    return respond(powers, () => afterChanges(this, id, find), callback)
  }

  /** Keeps a session, whatever was kept before. One that is over already is removed instead. */
  set(id: string, session: SessionRecord, callback?: Callback<null>): Answer<void, Sync> {
    const powers = this[POWERS]
    const prepare = () => {
      const text = JSON.stringify(session) as string | undefined
      // JSON.stringify(undefined): nothing to keep.
      if (text === undefined) return () => powers.remove(id)
      const { life, user } = lifeOf(text, powers.ttl)
      if (life.expiresAt !== null && life.expiresAt <= life.usedAt) return () => powers.remove(id)
      return () => powers.put(id, text, life, user, session)
    }
    return change(this, id, prepare, callback)
  }

  /** Removes a session; does nothing when there is no such session. */
  destroy(id: string, callback?: Callback<null>): Answer<void, Sync> {
    return change(this, id, () => () => this[POWERS].remove(String(id)), callback)
  }

  /** Replaces the cookie of a session, and with it the expiry; does nothing when there is no such session. */
  override touch(id: string, session: SessionRecord, callback?: Callback<null>): Answer<void, Sync> {
    const powers = this[POWERS]
    const prepare = () => {
      const cookie: unknown = session?.cookie
      const usedAt = Date.now()
      const cookieText = JSON.stringify(cookie) as string | undefined
      const extendTo = (expiresAt: Milliseconds | null) =>
        powers.extend(String(id), cookieText === undefined ? { usedAt, expiresAt } : { usedAt, expiresAt, cookieText })
      const expiresAt = expiryOf(cookie)
      if (expiresAt !== undefined) return () => extendTo(expiresAt)
      return () =>
        chain(powers.read(String(id)), (found) => {
          // Ours expire also where the cookie does not: idle time is counted, whatever the browser keeps.
          if (found !== null && decodeRecord(found.text)?.meta !== undefined) return extendTo(found.expiresAt ?? null)
          return extendTo(endOf(usedAt, powers.ttl))
        })
    }
    return change(this, id, prepare, callback)
  }
}

/** The verbs of a store that can enumerate its sessions. */
export abstract class RecordStore<Sync extends boolean = false> extends KeyedStore<Sync> {
  declare readonly [POWERS]: ListedPowers

  constructor(powers: ListedPowers) {
    super(powers)
  }

  /** Every live session by ID, in an object without prototype. */
  override all(): Answer<Record<string, SessionRecord>, Sync>
  override all(callback: Callback<Record<string, any>>): void
  override all(callback?: Callback<Record<string, SessionRecord>>): unknown {
    const collect = (isPatient: boolean) => {
      const records = Object.create(null) as Record<string, SessionRecord>
      const visit = (found: Listed) => {
        const record = parse(found)
        if (record !== null) records[found.id] = record
      }
      return chain(this[POWERS].each(visit, isPatient), () => records)
    }
    return respondOfAll(this, collect, callback)
  }

  /** The IDs of all live sessions. */
  ids(): Answer<string[], Sync>
  ids(callback: Callback<string[]>): void
  ids(callback?: Callback<string[]>): unknown {
    return respondOfAll(this, (isPatient) => idsOf(this[POWERS], isPatient), callback)
  }

  /** How many sessions are live. */
  override length(): Answer<number, Sync>
  override length(callback: Callback<number>): void
  override length(callback?: Callback<number>): unknown {
    const powers = this[POWERS]
    const count = (isPatient: boolean) => powers.count?.() ?? chain(idsOf(powers, isPatient), (ids) => ids.length)
    return respondOfAll(this, count, callback)
  }

  /** Removes every session. */
  override clear(callback?: Callback<null>): Answer<void, Sync> {
    return clearAll(this, () => this[POWERS].clear(), callback)
  }
}

declareNative(KeyedStore)

/** How long a record given to `set` is to live, and whose it is, by what its text says. */
export function lifeOf(text: string, ttl: Milliseconds | null): { life: Life; user: string | undefined } {
  const { cookie, meta } = decodeRecord(text) ?? {}
  const usedAt = Date.now()
  return { life: { usedAt, expiresAt: expiryOf(cookie) ?? endOf(usedAt, ttl) }, user: meta?.i }
}

/** What a read answers of a record that may be over. */
export function live(found: Found | null): Found | null {
  return found === null || isOver(found) ? null : found
}

/**
 * What a load answers of it: whoever removes one that is over may tell of it, once. Where nothing can be removed
 * everybody does.
 */
export function loaded(
  found: Found | null,
  remove: () => MaybePromise<boolean>
): MaybePromise<Found | typeof EXPIRED | null> {
  if (found === null || !isOver(found)) return found
  const tell = (mine: boolean) => (mine && !isForwarding(found) ? EXPIRED : null)
  try {
    const removed = remove()
    return isPromise(removed) ? removed.then(tell, () => tell(true)) : tell(removed)
  } catch {
    return tell(true)
  }
}

function isOver({ expiresAt }: Found): boolean {
  return expiresAt != null && expiresAt <= Date.now()
}

/** A record's text with another life. */
export function extendedText(text: string, { usedAt, cookieText }: Life): string {
  const used = withUsedAt(text, usedAt)
  return cookieText === undefined ? used : withCookie(used, cookieText)
}

/** Whether a text is what is kept, where a parser may have put the keys in another order than they were given. */
export function isSameText(text: string, expected: string): boolean {
  return text === expected || text === JSON.stringify(JSON.parse(expected))
}

function endOf(usedAt: Milliseconds, ttl: Milliseconds | null): Milliseconds | null {
  return ttl === null ? null : usedAt + ttl
}

function idsOf(powers: ListedPowers, isPatient: boolean): MaybePromise<string[]> {
  if (powers.ids !== undefined) return powers.ids(isPatient)
  const ids: string[] = []
  return chain(
    powers.each(({ id }) => ids.push(id)),
    () => ids
  )
}

/** `null` for what is not the JSON of an object. Last use is brought up to date. */
function parse({ text, record, usedAt }: Omit<Listed, 'id'>): SessionRecord | null {
  if (record !== undefined) return record as SessionRecord
  try {
    const parsed: unknown = JSON.parse(usedAt === undefined ? text : withUsedAt(text, usedAt))
    return isRecord(parsed) ? (parsed as SessionRecord) : null
  } catch {
    return null
  }
}

/** When a cookie expires, as express-session's MemoryStore reads it; `undefined`: it names no time. */
function expiryOf(cookie: unknown): Milliseconds | undefined {
  const expires = (cookie as { expires?: Date | string | number | null } | null | undefined)?.expires
  const time = expires ? new Date(expires).getTime() : NaN
  return Number.isNaN(time) ? undefined : time
}
