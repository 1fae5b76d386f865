import { isWide } from '../../base/bounded-map'
import type { Milliseconds } from '../../base/time'
import type { Found } from '../../store/contract'
import { sessionTooLarge } from '../too-large'
import { ShardedMap } from './sharded-map'
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
  private used: Milliseconds
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

  get usedAt(): Milliseconds {
    return START + this.used
  }

  set usedAt(time: Milliseconds) {
    this.used = time - START
  }

  isExpired(now: Milliseconds): boolean {
    return this.span !== null && this.usedAt + this.span <= now
  }

  get found(): Found {
    const { text, usedAt, span } = this
    return { text, usedAt, expiresAt: span === null ? null : usedAt + span }
  }
}

interface Bounds {
  max: number
  maxBytes: number
  /** Called whenever a session is given a time to expire at. */
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
    this.#users = new Users()
    this.#size = 0
    this.#bytes = 0
    this.#oldest = this.#newest = undefined
  }

  /** A live session. Finding counts as using; an expired one is freed. */
  find(id: string): Entry | undefined {
    const entry = this.#byId.get(id)
    if (entry === undefined || this.#freeExpired(entry, Date.now())) return undefined
    this.use(entry)
    return entry
  }

  /** A session, expired or not; nothing changes. */
  seek(id: string): Entry | undefined {
    return this.#byId.get(id)
  }

  /** Makes a session the most recently used. */
  use(entry: Entry): void {
    if (entry === this.#newest) return
    this.#unlink(entry)
    this.#link(entry)
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
    const bytes = bytesOf(text)
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
    entry.usedAt = usedAt
    entry.span = expiresAt === null ? null : expiresAt - usedAt
    if (expiresAt !== null) this.#bounds.onMortal()
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
    let now = Date.now()
    let seen = 0
    let freed = 0
    for (const entry of this.#byId.values()) {
      if (seen === SEEN_PER_SLICE || freed === FREED_PER_SLICE) {
        yield
        now = Date.now()
        seen = freed = 0
      }
      seen++
      if (this.#freeExpired(entry, now)) freed++
      else if (entry.span !== null) this.#bounds.onMortal()
    }
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

function bytesOf(text: string): number {
  return text.length << (isWide(text) ? 1 : 0)
}
