import { compact, isWide, ShardedMap } from '../../base/maps'
import type { Milliseconds } from '../../base/time'
import { packRecord, unpackRecord } from '../../record/packed'
import { withCookie } from '../../record/record'
import { EXPIRED, type Found, type Life, type Listed, type Write } from '../../store/contract'
import { isForwarding } from '../../store/record-cache'
import type { ListedPowers } from '../record-store'
import { Sweeper } from '../sweeper'
import { sessionTooLarge } from '../too-large'
import { Locks } from './locks'
import type { MemoryStoreOptions } from './memory'
import { Users, type Ownership } from './users'
import { viewOf } from './view'

/** A slice of a sweep ends, for others to run, after freeing or packing so many sessions, a third of a ms's worth ... */
export const FREED_PER_SLICE = 256
/** ... or after looking at so many, a millisecond's worth. */
const SEEN_PER_SLICE = 16_384

/** To look at so many sessions takes a millisecond. */
const COUNTED_MAX = 10_000

/** V8 keeps small integers in place and boxes large ones: times since 1970 are kept as spans since then. */
const START = Date.now()

/** A session as a MemoryStore holds it, with its neighbours in the order of use. Some 100 bytes beside the texts. */
export class Entry {
  text = ''
  /** Whether the text is as `packRecord` makes it. */
  isPacked = false
  /** Of the whole text. */
  bytes = 0
  /** Last use, since `START`. */
  used: Milliseconds = 0
  /** From last use to expiry; `null`: never. */
  span: Milliseconds | null = null
  older: Entry | undefined = undefined
  newer: Entry | undefined = undefined
  ownership: Ownership | undefined = undefined

  constructor(readonly id: string) {}

  isExpired(now: Milliseconds): boolean {
    return this.span !== null && START + this.used + this.span <= now
  }

  /** Takes a quarter off what the session takes in all. */
  pack(): void {
    const packed = packRecord(this.text)
    const isShorter = packed.length < this.text.length
    if (isShorter) this.text = compact(packed)
    // What somebody else has put here may look like one that is packed.
    this.isPacked = isShorter || packed.startsWith('{')
  }

  unpack(): void {
    this.text = unpackRecord(this.text)
    this.isPacked = false
  }

  get found(): Found {
    const { span } = this
    const text = this.isPacked ? unpackRecord(this.text) : this.text
    const usedAt = START + this.used
    return { text, usedAt, expiresAt: span === null ? null : usedAt + span }
  }
}

/**
 * A MemoryStore's powers: sessions found by ID, freed when expired, the least recently used given up for new ones. Last
 * use, expiry and user lie beside the text, so that extending leaves it as it is.
 */
export class MemoryPowers implements ListedPowers {
  readonly sync = true
  readonly remote = false
  readonly ttl = null
  readonly lock = new Locks()
  /** The JSON of each live session by ID. */
  readonly texts = viewOf(this)
  /** When the last sweep ended. */
  sweptAt: Milliseconds | undefined
  readonly #max: number
  readonly #maxBytes: number
  readonly #sweeper: Sweeper
  #byId!: ShardedMap<Entry>
  #users!: Users
  #size!: number
  #bytes!: number
  #oldest: Entry | undefined
  #newest: Entry | undefined
  /** Whether a session is to expire that no sweep has looked at yet. */
  #isMortal = false
  /** When the last sweep began, since `START`. */
  #sweptFrom: Milliseconds = -Infinity

  constructor({ max, maxBytes, sweepEvery }: Required<MemoryStoreOptions>) {
    this.#max = max
    this.#maxBytes = maxBytes
    this.#sweeper = new Sweeper(
      'MemoryStore',
      () => sweepEvery,
      () => this.#sweepInSlices()
    )
    this.clear()
  }

  /** Sessions held, those that expired and were not freed yet among them, and bytes of their texts. */
  get held(): { size: number; bytes: number } {
    return { size: this.#size, bytes: this.#bytes }
  }

  read(id: string): Found | null {
    return this.#find(id)?.found ?? null
  }

  load(id: string): Found | typeof EXPIRED | null {
    const kept = this.#byId.get(id)
    if (kept === undefined) return null
    return this.#find(id, kept)?.found ?? (isForwarding(kept.found) ? null : EXPIRED)
  }

  write({ id, text, expected, life, user }: Write): true | Found | null {
    const found = this.#find(id)
    if (found === undefined && expected !== null) return null
    if (found !== undefined && found.text !== expected) return found.found
    const entry = this.#keep(found ?? id, text, life)
    if (user !== undefined) this.#users.assign(entry, user.to)
    return true
  }

  extend(id: string, life: Life): boolean {
    const entry = this.#find(id)
    if (entry === undefined || isForwarding(entry)) return false
    const { text } = entry
    this.#keep(entry, life.cookieText === undefined ? text : withCookie(text, life.cookieText), life)
    return true
  }

  remove(id: string, _user?: string, expected?: string): boolean | Found {
    const entry = this.#find(id)
    if (entry === undefined) return false
    if (expected !== undefined && entry.text !== expected) return entry.found
    this.free(entry)
    return true
  }

  /** Newest first. */
  list(user: string): Listed[] {
    const now = Date.now()
    const live = this.#users.entries(user).filter((entry) => !this.#freeExpired(entry, now))
    return live.map(({ id, found }) => ({ id, ...found }))
  }

  put(id: string, text: string, life: Life, user: string | undefined): void {
    this.#users.assign(this.#keep(this.#find(id) ?? compact(id), text, life), user)
  }

  each(visit: (found: Listed) => void): void {
    for (const { id, found } of this.#live()) visit({ id, ...found })
  }

  ids(): string[] {
    return Array.from(this.#live(), ({ id }) => id)
  }

  /** Without a question to anything that may be out of reach, or take long. */
  readonly countsAtOnce = true

  /** Of many sessions, those that expired since the last sweep are counted as well: to look at each takes too long. */
  count(): number {
    return this.#size > COUNTED_MAX ? this.#size : this.ids().length
  }

  clear(): void {
    this.#byId = new ShardedMap()
    this.#users = new Users()
    this.#size = 0
    this.#bytes = 0
    this.#oldest = this.#newest = undefined
  }

  close(): void {
    void this.#sweeper.close()
  }

  free(entry: Entry): void {
    this.#users.assign(entry, undefined)
    this.#unlink(entry)
    this.#byId.delete(entry.id)
    this.#bytes -= entry.bytes
    this.#size--
  }

  /** Frees expired sessions, and packs those that were not used since the last sweep, boundedly many at each step. */
  *sweep(): Generator<void> {
    this.#isMortal = false
    let now = Date.now()
    const before = this.#sweptFrom
    this.#sweptFrom = now - START
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
      else {
        if (entry.span !== null && !this.#isMortal) this.#noteMortal()
        if (entry.isPacked || entry.used >= before) continue
        entry.pack()
        freed++
      }
    }
  }

  #sweepInSlices(): Promise<void> | void {
    const slices = this.sweep()
    const isOver = () => {
      if (!this.#sweeper.closed && !slices.next().done) return false
      this.sweptAt = Date.now()
      return true
    }
    if (isOver()) return
    return new Promise((resolve) => {
      const goOn = () => (isOver() ? resolve() : setImmediate(goOn))
      // Not unref'd: an idle event loop would then take one slice a wake-up, instead of finishing at once.
      setImmediate(goOn)
    })
  }

  /** A live session. Finding counts as using. */
  #find(id: string, entry = this.#byId.get(id)): Entry | undefined {
    if (entry === undefined) return undefined
    if (entry.isExpired(Date.now())) {
      this.free(entry)
      return undefined
    }
    if (entry !== this.#newest) {
      this.#unlink(entry)
      this.#link(entry)
    }
    if (entry.isPacked) entry.unpack()
    return entry
  }

  /** Every live session, least recently used first. The one that was answered may be freed. */
  *#live(): Generator<Entry> {
    const now = Date.now()
    for (let entry = this.#oldest, next; entry !== undefined; entry = next) {
      next = entry.newer
      if (!entry.isExpired(now)) yield entry
    }
  }

  /**
   * Keeps a text in an entry, or in a new one for an ID. Neither may be cut out of a longer text.
   * @throws {SessionError} `ERR_SESSION_TOO_LARGE` when the text alone exceeds the bound; nothing has changed then.
   */
  #keep(of: Entry | string, text: string, { usedAt, expiresAt }: Life): Entry {
    const isSame = typeof of === 'object' && of.text === text
    const bytes = isSame ? of.bytes : text.length << (isWide(text) ? 1 : 0)
    if (bytes > this.#maxBytes) throw sessionTooLarge(bytes, `maxBytes (${this.#maxBytes})`, text)
    const entry = typeof of === 'object' ? of : this.#add(of)
    this.#bytes += bytes - entry.bytes
    entry.text = text
    entry.bytes = bytes
    entry.used = usedAt - START
    entry.span = expiresAt === null ? null : expiresAt - usedAt
    if (expiresAt !== null && !this.#isMortal) this.#noteMortal()
    // The entry itself is the most recently used one, and fits alone: it is never the one to go.
    while (this.#size > this.#max || this.#bytes > this.#maxBytes) this.free(this.#oldest!)
    return entry
  }

  #noteMortal(): void {
    this.#isMortal = true
    this.#sweeper.arm()
  }

  #add(id: string): Entry {
    const entry = new Entry(id)
    this.#byId.set(id, entry)
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
