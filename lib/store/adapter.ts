import { BoundedMap } from '../base/bounded-map'
import { chain, HOUR, isPromise, type MaybePromise, type Milliseconds } from '../base/time'
import { reviveCookie } from '../cookie/cookie'
import { decodeObject, decodeRecord, META, OLD_META } from '../record/record'
import { Session } from '../session/session'
import { callStore } from './call'
import type { Found, Life, Powers, SessionRecord, StoreContract, Write, Written } from './contract'
import { isForwarding } from './record-cache'
import { StoreQueues } from './keyed-queue'
import type { CallDeadlines } from './deadlines'

/** Longest that a request may hold a session which another one removes meanwhile. */
const REQUEST_MAX = HOUR
const REMOVED_MAX = 100_000
const FORWARDS_MAX = 10_000
// Every middleware on a store knows of the others' work.
const queues = new StoreQueues()

/** What this process knows of the sessions of one store, and the store cannot tell. */
class Memory {
  /** When sessions were removed, in that order: some stores touch by writing, and would bring them back. */
  readonly removed = new Map<string, Milliseconds>()
  /** Forwarding records of rotated IDs that no request may follow: a logout does. */
  readonly forwards = new BoundedMap<string, string>(FORWARDS_MAX)
  /** A touch of this process, to see whether the store writes down what it is given with one. */
  touched: { id: string; usedAt: Milliseconds } | undefined
  /** Whether touching writes the time of last use into the record; `undefined`: not known yet. */
  writesTouches: boolean | undefined
}

const memories = new WeakMap<object, Memory>()

function memoryOf(store: object): Memory {
  let memory = memories.get(store)
  if (memory === undefined) memories.set(store, (memory = new Memory()))
  return memory
}

/**
 * Gives a store that only knows the contract the powers the middleware works with, within this process: writes of one
 * session are serialised, compared with what was read, and checked against a session that is gone.
 */
export class AdaptedPowers implements Powers {
  readonly sync = false
  readonly remote = false
  readonly #store: StoreContract
  readonly #deadlines: CallDeadlines
  readonly #memory: Memory

  constructor(store: StoreContract, deadlines: CallDeadlines) {
    this.#store = store
    this.#deadlines = deadlines
    this.#memory = memoryOf(store)
  }

  /** Whether records say when their sessions were used last: where touching rewrites them, or only writing extends. */
  get tellsLastUse(): boolean {
    return typeof this.#store.touch !== 'function' || this.#memory.writesTouches === true
  }

  read(id: string): MaybePromise<Found | null> {
    const store = this.#store
    const wasRemoved = this.#memory.removed.has(id)
    const found = (record: unknown): Found | null => {
      if (!record) {
        const forward = this.#memory.forwards.get(id)
        return forward === undefined ? null : { text: forward }
      }
      const hit = { text: '', record: withoutDeadline(record as Data) }
      if (this.#memory.touched?.id === id) this.#learn(record)
      // It was made anew elsewhere.
      if (wasRemoved && !isForwarding(hit)) this.#memory.removed.delete(id)
      return hit
    }
    try {
      const record = callStore<unknown>(store, store.get, [id])
      return isPromise(record) ? record.then(found, unlessFault) : found(record)
    } catch (err) {
      return unlessFault(err)
    }
  }

  write({ id, text, expected, life, live, known }: Write): MaybePromise<Written> {
    const { removed } = this.#memory
    if (expected === null) removed.delete(id)
    return this.#inTurn('set', id, () => {
      const set = () => this.#set(id, withDeadline(live?.() ?? revive(text), life))
      if (expected === null) return set()
      const wasRemoved = removed.has(id)
      return chain(this.read(id), (current): MaybePromise<Written> => {
        // A read may lag behind what this very request has written; what was destroyed stays destroyed.
        if (current === null) return known && !wasRemoved ? set() : null
        // A store that keeps sessions in their cookies finds what was removed as before.
        if (wasRemoved && !isForwarding(current)) {
          this.#remember(id)
          return null
        }
        return chain(this.#differs(id, current, expected), (differs) => {
          if (differs) return current
          if (isForwarding({ text })) return this.#forward(id, text, set)
          return set()
        })
      })
    })
  }

  /** Extends by `touch`; a store without it is written to, as is all that it can do. */
  extend(id: string, life: Life, live?: () => object): MaybePromise<boolean> {
    const { touch } = this.#store
    const extended = (session: object): MaybePromise<boolean> => {
      const given = withDeadline(session, life)
      if (typeof touch !== 'function') return chain(this.#set(id, given), () => true)
      this.#memory.touched ??= { id, usedAt: life.usedAt }
      return chain(callStore<unknown>(this.#store, touch, [id, given]), () => true)
    }
    return this.#inTurn('touch', id, () => {
      if (this.#memory.removed.has(id)) return false
      // A touch that writes brings back what another process has removed: look first.
      if (live !== undefined && typeof touch === 'function' && !mayCreate(touch)) return extended(live())
      return chain(this.read(id), (found) => {
        if (found === null || isForwarding(found)) return false
        return extended(live?.() ?? (found.record as object))
      })
    })
  }

  remove(id: string, _user?: string, expected?: string): MaybePromise<boolean | Found> {
    const { forwards } = this.#memory
    return this.#inTurn('destroy', id, () => {
      const forward = forwards.get(id)
      if (forward !== undefined && expected !== undefined) return { text: forward }
      return chain(callStore(this.#store, this.#store.destroy, [id]), () => {
        this.#remember(id)
        return true
      })
    })
  }

  // A call that is never answered must not keep its turn for ever.
  #inTurn<T>(verb: string, id: string, work: () => MaybePromise<T>): MaybePromise<T> {
    return queues.take(this.#store, id, () => {
      const result = work()
      return isPromise(result) ? this.#deadlines.until(result, verb) : result
    })
  }

  // A store may add to its records what is new at every read (a counter, the time): such a difference is no other writer.
  #differs(id: string, current: Found, expected: string): MaybePromise<boolean> {
    const seen = dataOf(current)
    if (seen === expected) return false
    return chain(this.read(id), (again) => again === null || dataOf(again) === seen)
  }

  // What only leads a logout on is not worth a record: it is remembered here, where the logout would come.
  #forward(id: string, text: string, set: () => MaybePromise<Written>): MaybePromise<Written> {
    const { forwards } = this.#memory
    this.#remember(id)
    // Before the record is gone: who reads in between must not take the session for ended.
    forwards.set(id, text)
    const failed = (err: unknown): never => {
      forwards.delete(id)
      throw err
    }
    try {
      const isFollowed = (decodeRecord(text)?.meta?.g ?? 0) > Date.now()
      const done: unknown = isFollowed ? set() : callStore(this.#store, this.#store.destroy, [id])
      return isPromise(done) ? done.then(() => true as const, failed) : true
    } catch (err) {
      return failed(err)
    }
  }

  #learn(record: unknown): void {
    const { usedAt } = this.#memory.touched!
    const meta = (record as Record<string, { u?: unknown } | undefined>)[META]
    if (typeof meta?.u === 'number') this.#memory.writesTouches = meta.u >= usedAt
    this.#memory.touched = undefined
  }

  #set(id: string, live: object): MaybePromise<true | string> {
    const store = this.#store
    return chain(callStore<unknown>(store, store.set, [id, live]), (value) =>
      store.tokens !== undefined && typeof value === 'string' && value !== id ? value : true
    )
  }

  #remember(id: string): void {
    const { removed } = this.#memory
    const now = Date.now()
    removed.delete(id)
    removed.set(id, now)
    for (const [oldest, at] of removed) {
      if (at + REQUEST_MAX > now && removed.size <= REMOVED_MAX) break
      removed.delete(oldest)
    }
  }
}

/** Whether a store's `touch` looks as if it could make a record that is not there. */
function mayCreate(touch: object): boolean {
  let creates = creating.get(touch)
  if (creates === undefined) {
    creates = /\.(?:set|save|put|insert\w*)\s*\(|[Uu]psert|INSERT|REPLACE|\[native code\]/.test(
      Function.prototype.toString.call(touch)
    )
    creating.set(touch, creates)
  }
  return creates
}

const creating = new WeakMap<object, boolean>()

/** The data text a found record is compared by, whichever way the store hands it out. */
function dataOf(current: Found): string {
  return current.record === undefined ? current.text : (decodeObject(current.record)?.dataText ?? '')
}

function unlessFault(err: unknown): Found | null {
  const { code, name } = (err ?? {}) as { code?: unknown; name?: unknown }
  // express-session's rule: a file store whose file is missing has no session, not a fault.
  if (code === 'ENOENT') return null
  // Their parser has met what is no JSON.
  if (name === 'SyntaxError') return { text: '', unreadable: err }
  throw err
}

type Data = Record<string, unknown>

// Stores of the contract keep a session as long as its cookie. One that ends with the browser says nothing of that, and
// neither does one that outlives the session: what the store is given tells when the session itself ends.
function withDeadline(session: object, { expiresAt }: Life): object {
  const { cookie } = session as { cookie?: { expires?: unknown; data?: Data } & Data }
  if (expiresAt === null || !cookie || Number(cookie.expires) === expiresAt) return session
  const until = reviveCookie({ ...(cookie.data ?? cookie), expires: new Date(expiresAt) })
  // A session object is a copy, made to be given away; a record is the store's own.
  return session instanceof Session ? Object.assign(session, { cookie: until }) : { ...session, cookie: until }
}

// The way back: no cookie but such a one has an end without a span. An object that is no date (DynamoDB) tells nothing.
function withoutDeadline(record: Data): unknown {
  const kept = record.cookie as ({ data?: Data } & Data) | null | undefined
  const cookie = kept?.data ?? kept
  const expires: unknown = cookie?.expires
  if (!expires) return record
  const untold = typeof expires === 'object' && !(expires instanceof Date)
  if (!untold && (cookie!.originalMaxAge !== null || (record[META] ?? record[OLD_META]) === undefined)) return record
  return { ...record, cookie: { ...cookie, expires: null } }
}

function revive(text: string): SessionRecord {
  const { cookie, meta, data } = decodeRecord(text)!
  return { cookie: reviveCookie(cookie), ...(meta && { [META]: meta }), ...data }
}
