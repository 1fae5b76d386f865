import { isWide } from '../../base/bounded-map'
import type { Milliseconds } from '../../base/time'
import type { Found } from '../../store/contract'
import { sessionTooLarge } from '../too-large'
import { Users, type Ownership } from './users'

/** A slice of a sweep ends, for others to run, after freeing so many sessions, a third of a millisecond's worth ... */
export const FREED_PER_SLICE = 256
/** ... or after looking at so many, a millisecond's worth. */
const SEEN_PER_SLICE = 16_384

/** V8 keeps small integers in place and boxes large ones: times since 1970 are kept as spans since then. */
const START = Date.now()

/** A session as a MemoryStore holds it, with its neighbours in the order of use. Some 100 bytes beside the texts. */
export class Entry {
  readonly id: string
  text: string
  /** Of the text. */
  bytes = 0
  /** Last use, since `START`. */
  used: Milliseconds
  /** From last use to expiry; `null`: never. */
  span: Milliseconds | null = null
  older: Entry | undefined = undefined
  newer: Entry | undefined = undefined
  ownership: Ownership | undefined = undefined

  constructor(id: string, text: string, usedAt: Milliseconds) {
    this.id = id
    this.text = text
    this.used = usedAt - START
  }

  isExpired(now: Milliseconds): boolean {
    return this.span !== null && START + this.used + this.span <= now
  }

  get found(): Found {
    const { text, span } = this
    const usedAt = START + this.used
    return { text, usedAt, expiresAt: span === null ? null : usedAt + span }
  }
}

const SHARD_BITS = 6

/**
 * A map by name, in many small parts.
 *
 * One big Map stops the process for a tenth of a second and more when it doubles or halves at a million entries.
 */
export class ShardedMap<V> {
  readonly #shards: (Map<string, V> | undefined)[] = new Array<undefined>(1 << SHARD_BITS).fill(undefined)

  get(name: string): V | undefined {
    return this.#shards[shardOf(name)]?.get(name)
  }

  set(name: string, value: V): void {
    ;(this.#shards[shardOf(name)] ??= new Map<string, V>()).set(name, value)
  }

  delete(name: string): void {
    const number = shardOf(name)
    const shard = this.#shards[number]
    if (shard === undefined) return
    shard.delete(name)
    if (shard.size === 0) this.#shards[number] = undefined
  }

  /** Every value, in no order. The map may change meanwhile. */
  *values(): Generator<V> {
    for (const shard of this.#shards) if (shard !== undefined) yield* shard.values()
  }
}

// Only spreads the load: inside a part, Map's own seeded hash decides. The ends of random IDs and of counted users are
// what differs.
function shardOf(name: string): number {
  const end = name.length
  const hash = (name.charCodeAt(end - 1) | 0) * 31 + (name.charCodeAt(end - 2) | 0)
  return Math.imul(hash * 31 + (name.charCodeAt(end - 3) | 0), 0x9e3779b1) >>> (32 - SHARD_BITS)
}

interface Bounds {
  max: number
  maxBytes: number
  /** Called when a session is given a time to expire at, once before each sweep. */
  onMortal: () => void
}

/** The sessions of a MemoryStore: found by ID, freed when expired, the least recently used given up for new ones. */
export class Entries {
  readonly #bounds: Bounds
  #byId!: ShardedMap<Entry>
  #users!: Users
  #size!: number
  #bytes!: number
  #oldest: Entry | undefined
  #newest: Entry | undefined
  /** Whether a session is to expire that no sweep has looked at yet. */
  #isMortal = false

  constructor(bounds: Bounds) {
    this.#bounds = bounds
    this.clear()
  }

  /** Sessions held, those that expired and were not freed yet among them. */
  get size(): number {
    return this.#size
  }

  /** Bytes of their texts. */
  get bytes(): number {
    return this.#bytes
  }

  clear(): void {
    this.#byId = new ShardedMap()
    this.#users = new Users(new ShardedMap())
    this.#size = 0
    this.#bytes = 0
    this.#oldest = this.#newest = undefined
  }

  /** A live session. Finding counts as using; an expired one is freed, and told of. */
  find(id: string, freed?: (expired: Entry) => void): Entry | undefined {
    const entry = this.#byId.get(id)
    if (entry === undefined) return undefined
    if (entry.isExpired(Date.now())) {
      this.free(entry)
      freed?.(entry)
      return undefined
    }
    if (entry !== this.#newest) {
      this.#unlink(entry)
      this.#link(entry)
    }
    return entry
  }

  /** Live sessions of a user, newest first. */
  findUser(user: string): Entry[] {
    const now = Date.now()
    return this.#users.entries(user).filter((entry) => !this.#freeExpired(entry, now))
  }

  /** Calls back for every live session, least recently used first. */
  each(visit: (entry: Entry) => void): void {
    const now = Date.now()
    for (let entry = this.#oldest, next; entry !== undefined; entry = next) {
      next = entry.newer
      if (!entry.isExpired(now)) visit(entry)
    }
  }

  /**
   * Keeps a text in the entry that `find` answered for the ID, or in a new one. Neither may be cut out of a longer text.
   *
   * @param expiresAt `null`: never
   * @throws {SessionError} `ERR_SESSION_TOO_LARGE` when the text alone exceeds the bound; nothing has changed then.
   */
  put(id: string, found: Entry | undefined, text: string, usedAt: Milliseconds, expiresAt: Milliseconds | null): Entry {
    const bytes = text.length << (isWide(text) ? 1 : 0)
    if (bytes > this.#bounds.maxBytes) throw sessionTooLarge(bytes, `maxBytes (${this.#bounds.maxBytes})`, text)
    const entry = found ?? this.#add(new Entry(id, text, usedAt))
    this.#bytes += bytes - entry.bytes
    entry.text = text
    entry.bytes = bytes
    this.live(entry, usedAt, expiresAt)
    // The entry itself is the most recently used one, and fits alone: it is never the one to go.
    while (this.#size > this.#bounds.max || this.#bytes > this.#bounds.maxBytes) this.free(this.#oldest!)
    return entry
  }

  /** Sets last use and expiry; `null`: never. */
  live(entry: Entry, usedAt: Milliseconds, expiresAt: Milliseconds | null): void {
    entry.used = usedAt - START
    entry.span = expiresAt === null ? null : expiresAt - usedAt
    if (expiresAt !== null && !this.#isMortal) this.#noteMortal()
  }

  assign(entry: Entry, user: string | undefined): void {
    this.#users.assign(entry, user)
  }

  free(entry: Entry): void {
    this.#users.assign(entry, undefined)
    this.#unlink(entry)
    this.#byId.delete(entry.id)
    this.#bytes -= entry.bytes
    this.#size--
  }

  /** Frees expired sessions, boundedly many at each step. */
  *sweep(): Generator<void> {
    this.#isMortal = false
    let now = Date.now()
    let seen = 0
    let freed = 0
    const swept = this.#byId
    for (const entry of swept.values()) {
      if (seen === SEEN_PER_SLICE || freed === FREED_PER_SLICE) {
        yield
        // Emptied meanwhile: the rest is freed already.
        if (swept !== this.#byId) return
        now = Date.now()
        seen = freed = 0
      }
      seen++
      if (this.#freeExpired(entry, now)) freed++
      else if (entry.span !== null && !this.#isMortal) this.#noteMortal()
    }
  }

  #noteMortal(): void {
    this.#isMortal = true
    this.#bounds.onMortal()
  }

  #add(entry: Entry): Entry {
    this.#byId.set(entry.id, entry)
    this.#link(entry)
    this.#size++
    return entry
  }

  #link(entry: Entry): void {
    entry.older = this.#newest
    entry.newer = undefined
    if (this.#newest === undefined) this.#oldest = entry
    else this.#newest.newer = entry
    this.#newest = entry
  }

  #unlink({ older, newer }: Entry): void {
    if (older === undefined) this.#oldest = newer
    else older.newer = newer
    if (newer === undefined) this.#newest = older
    else newer.older = older
  }

  #freeExpired(entry: Entry, now: Milliseconds): boolean {
    if (!entry.isExpired(now)) return false
    this.free(entry)
    return true
  }
}
