import { BoundedMap, madeFor } from '../base/maps'
import { chain, HOUR, isPromise, type MaybePromise, type Milliseconds } from '../base/time'
import { reviveCookie } from '../cookie/cookie'
import { decodeRecord, META, OLD_META } from '../record/record'
import { callStore } from './call'
import type { Found, Life, Powers, SessionRecord, StoreContract, Write, Written } from './contract'
import { decodeFound, isForwarding } from './record-cache'
import { differBeside, endIn, mayCreate, shownBy, upToDate, withDeadline, withoutDeadline } from './habits'
import type { KeptRecord, Touched } from './habits'
import { KeyedQueue } from './keyed-queue'
import type { CallDeadlines } from './deadlines'

/** Longest that a request may hold a session which another one removes meanwhile. */
const REQUEST_MAX = HOUR
const REMOVED_MAX = 100_000
const FORWARDS_MAX = 10_000

/** What all middlewares of this process know of the sessions of one store, and the store cannot tell. */
class Memory {
  readonly queue = new KeyedQueue()
  /** When sessions were removed, in that order: some stores touch by writing, and would bring them back. */
  readonly removed = new Map<string, Milliseconds>()
  /** Forwarding records of rotated IDs that no request may follow: a logout does. */
  readonly forwards = new BoundedMap<string, string>(FORWARDS_MAX)
  /** A touch of this process, to see whether the store writes down what it is given with one. */
  touched: Touched | undefined
  /** Whether touching writes the time of last use into the record; `undefined`: not known yet. */
  writesUse: boolean | undefined
  /** The same for the end of the session. */
  writesEnd: boolean | undefined
}

const memoryOf = madeFor((_store: object) => new Memory())

/**
 * Gives a store that only knows the contract the powers the middleware works with, within this process: writes of one
 * session are serialised, compared with what was read, and checked against a session that is gone.
 */
export class AdaptedPowers implements Powers {
  readonly sync = false
  readonly remote = false
  readonly #memory: Memory

  constructor(
    private readonly store: StoreContract,
    private readonly deadlines: CallDeadlines
  ) {
    this.#memory = memoryOf(store)
  }

  /** Whether records say when their sessions were used last: where touching rewrites them, or only writing extends. */
  get tellsLastUse(): boolean {
    return typeof this.store.touch !== 'function' || this.#memory.writesUse === true
  }

  /** The same of the end; `undefined`: not known yet. */
  get tellsEnd(): boolean | undefined {
    return typeof this.store.touch !== 'function' || this.#memory.writesEnd
  }

  /** Finds out whether `touch` writes the end into records, by touching a session whose record says that it is over. */
  probeEnd(id: string, { record }: Found, { usedAt, expiresAt }: Life): MaybePromise<boolean> {
    const memory = this.#memory
    const { [OLD_META]: old, ...kept } = record as Record<string, unknown>
    const meta = kept[META] ?? old
    const session = withDeadline({ ...kept, [META]: { ...(meta as object), u: usedAt } }, { usedAt, expiresAt })
    return this.#inTurn('touch', id, () => {
      memory.touched = { id, usedAt, end: expiresAt! }
      return chain(callStore<unknown>(this.store, this.store.touch!, [id, session]), () =>
        chain(this.read(id), (found) => found === null || memory.writesEnd === true)
      )
    })
  }

  /** Whether this process has removed it. */
  hasRemoved(id: string): boolean {
    return this.#memory.removed.has(id)
  }

  read(id: string): MaybePromise<Found | null> {
    const store = this.store
    const wasRemoved = this.#memory.removed.has(id)
    const found = (record: unknown): Found | null => {
      if (!record) {
        const forward = this.#memory.forwards.get(id)
        return forward === undefined ? null : { text: forward }
      }
      const hit: Found = { text: '', record: withoutDeadline(record as KeptRecord) }
      const end = endIn(record as KeptRecord)
      if (end !== undefined) hit.expiresAt = end
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

  write({ id, text, expected, life, live, called, earlier }: Write): MaybePromise<Written> {
    const { removed } = this.#memory
    if (expected === null) removed.delete(id)
    return this.#inTurn('set', id, () => {
      const set = () => this.#set(id, withDeadline(live?.() ?? revive(text), life), called)
      if (expected === null) return set()
      const wasRemoved = removed.has(id)
      return chain(this.read(id), (current): MaybePromise<Written> => {
        // A read may lag behind what this very request has written; what was destroyed stays destroyed.
        if (current === null) return earlier !== undefined && !wasRemoved ? set() : null
        // A store that keeps sessions in their cookies finds what was removed as before.
        if (wasRemoved && !isForwarding(current)) {
          this.#remember(id)
          return null
        }
        return chain(this.#differs(id, current, expected, earlier), (differs) => {
          if (differs) return current
          if (isForwarding({ text })) return this.#forward(id, text, set)
          return set()
        })
      })
    })
  }

  /** Extends by `touch`; a store without it is written to, as is all that it can do. */
  extend(id: string, life: Life, live?: () => object): MaybePromise<boolean> {
    const { touch } = this.store
    const extended = (session: object): MaybePromise<boolean> => {
      const given = withDeadline(session, life)
      if (typeof touch !== 'function') return chain(this.#set(id, given), () => true)
      const { usedAt, expiresAt } = life
      if (expiresAt !== null) this.#memory.touched ??= { id, usedAt, end: expiresAt }
      return chain(callStore<unknown>(this.store, touch, [id, given]), () => true)
    }
    return this.#inTurn('touch', id, () => {
      if (this.#memory.removed.has(id)) return false
      // A touch that writes brings back what another process has removed: look first.
      if (live !== undefined && typeof touch === 'function' && !mayCreate(this.store)) return extended(live())
      return chain(this.read(id), (found) => {
        if (found === null || isForwarding(found)) return false
        return extended(live === undefined ? (found.record as object) : upToDate(live(), found))
      })
    })
  }

  remove(id: string, _user?: string, expected?: string): MaybePromise<boolean | Found> {
    const { forwards } = this.#memory
    return this.#inTurn('destroy', id, () => {
      const forward = forwards.get(id)
      if (forward !== undefined && expected !== undefined) return { text: forward }
      const wasRemoved = this.#memory.removed.has(id)
      return chain(callStore(this.store, this.store.destroy, [id]), () => {
        this.#remember(id)
        return !wasRemoved
      })
    })
  }

  // A call that is never answered must not keep its turn for ever.
  #inTurn<T>(verb: string, id: string, work: () => MaybePromise<T>): MaybePromise<T> {
    return this.#memory.queue.take(id, () => {
      const result = work()
      return isPromise(result) ? this.deadlines.until(result, verb) : result
    })
  }

  // A store may add to its records what is new at every read (a counter, the time): such a difference is no other writer.
  // Neither is what this very request has written over, in a read that lags behind.
  #differs(id: string, current: Found, expected: string, earlier: Write['earlier']): MaybePromise<boolean> {
    const first = dataOf(id, current)
    if (first === expected || earlier?.includes(first)) return false
    return chain(this.read(id), (again) => {
      const second = again === null ? first : dataOf(id, again)
      if (second === first) return true
      return chain(this.read(id), (last) => last === null || differBeside(expected, [first, second, dataOf(id, last)]))
    })
  }

  // A forwarding record that only a logout follows is not stored, but remembered in this process.
  #forward(id: string, text: string, set: () => MaybePromise<Written>): MaybePromise<Written> {
    const { forwards } = this.#memory
    this.#remember(id)
    // Before the record is gone: a read in between must not take the session for ended.
    forwards.set(id, text)
    const failed = (err: unknown): never => {
      forwards.delete(id)
      throw err
    }
    try {
      const isFollowed = (decodeRecord(text)?.meta?.g ?? 0) > Date.now()
      const done: unknown = isFollowed ? set() : callStore(this.store, this.store.destroy, [id])
      return isPromise(done) ? done.then(() => true as const, failed) : true
    } catch (err) {
      return failed(err)
    }
  }

  #learn(record: unknown): void {
    const memory = this.#memory
    const shown = shownBy(record as KeptRecord, memory.touched!)
    memory.writesUse = shown.usedAt || memory.writesUse === true
    memory.writesEnd = shown.end || memory.writesEnd === true
    memory.touched = undefined
  }

  #set(id: string, live: object, called?: () => void): MaybePromise<true | string> {
    const store = this.store
    if (this.#memory.touched?.id === id) this.#memory.touched = undefined
    const answer = callStore<unknown>(store, store.set, [id, live])
    called?.()
    return chain(answer, (value) =>
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

/** The data text a found record is compared by, whichever way the store hands it out. */
function dataOf(id: string, current: Found): string {
  return current.record === undefined ? current.text : (decodeFound(current, id)?.dataText ?? '')
}

function unlessFault(err: unknown): Found | null {
  const { code, name } = (err ?? {}) as { code?: unknown; name?: unknown }
  // express-session's rule: a file store whose file is missing has no session, not a fault.
  if (code === 'ENOENT') return null
  // Their parser has met what is no JSON.
  if (name === 'SyntaxError') return { text: '', unreadable: err }
  throw err
}

function revive(text: string): SessionRecord {
  const { cookie, meta, data } = decodeRecord(text)!
  return { cookie: reviveCookie(cookie), ...(meta && { [META]: meta }), ...data }
}
