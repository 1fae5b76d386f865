import { EXPIRED, type Found, type Life, type Listed, type Write } from '../../store/contract'
import { isForwarding } from '../../store/record-cache'
import type { ListedPowers } from '../record-store'
import { Sweeper } from '../sweeper'
import { withCookie } from '../../record/record'
import type { Milliseconds } from '../../base/time'
import { Entries, type Entry } from './entries'
import { Locks } from './locks'
import { compact } from '../../base/bounded-map'
import { viewOf } from './view'

/** To look at so many sessions takes a millisecond. */
const COUNTED_MAX = 10_000

export interface MemorySettings {
  max: number
  maxBytes: number
  sweepEvery: Milliseconds
}

/** A MemoryStore's powers. Last use, expiry and user lie beside the text, so that extending leaves it as it is. */
export class MemoryPowers implements ListedPowers {
  readonly sync = true
  readonly remote = false
  readonly ttl = null
  readonly lock = new Locks()
  /** The JSON of each live session by ID. */
  readonly texts = viewOf(this)
  /** When the last sweep ended. */
  sweptAt: Milliseconds | undefined
  readonly #entries: Entries
  readonly #sweeper: Sweeper

  constructor({ max, maxBytes, sweepEvery }: MemorySettings) {
    this.#sweeper = new Sweeper(
      'MemoryStore',
      () => sweepEvery,
      () => this.#sweep()
    )
    this.#entries = new Entries({ max, maxBytes, onMortal: () => this.#sweeper.arm() })
  }

  read(id: string): Found | null {
    return this.#entries.find(id)?.found ?? null
  }

  load(id: string): Found | typeof EXPIRED | null {
    let expired: Entry | undefined
    const entry = this.#entries.find(id, (freed) => void (expired = freed))
    if (entry !== undefined) return entry.found
    return expired === undefined || isForwarding(expired) ? null : EXPIRED
  }

  write({ id, text, expected, life, user }: Write): true | Found | null {
    const found = this.#entries.find(id)
    if (found === undefined && expected !== null) return null
    if (found !== undefined && found.text !== expected) return found.found
    const entry = this.#entries.put(id, found, text, life.usedAt, life.expiresAt)
    if (user !== undefined) this.#entries.assign(entry, user.to)
    return true
  }

  extend(id: string, { usedAt, expiresAt, cookieText }: Life): boolean {
    const entry = this.#entries.find(id)
    if (entry === undefined || isForwarding(entry)) return false
    if (cookieText === undefined) this.#entries.live(entry, usedAt, expiresAt)
    else this.#entries.put(id, entry, withCookie(entry.text, cookieText), usedAt, expiresAt)
    return true
  }

  remove(id: string, _user?: string, expected?: string): boolean | Found {
    const entry = this.#entries.find(id)
    if (entry === undefined) return false
    if (expected !== undefined && entry.text !== expected) return entry.found
    this.#entries.free(entry)
    return true
  }

  list(user: string): Listed[] {
    return this.#entries.findUser(user).map(({ id, found }) => ({ id, ...found }))
  }

  put(id: string, text: string, life: Life, user: string | undefined): void {
    const entry = this.#entries.put(compact(id), this.#entries.find(id), text, life.usedAt, life.expiresAt)
    this.#entries.assign(entry, user)
  }

  each(visit: (found: Listed) => void): void {
    this.#entries.each(({ id, found }) => visit({ id, ...found }))
  }

  ids(): string[] {
    const ids: string[] = []
    this.#entries.each(({ id }) => ids.push(id))
    return ids
  }

  /** Of many sessions, those that expired since the last sweep are counted as well: to look at each takes too long. */
  count(): number {
    if (this.#entries.size > COUNTED_MAX) return this.#entries.size
    let live = 0
    this.#entries.each(() => live++)
    return live
  }

  clear(): void {
    this.#entries.clear()
  }

  close(): void {
    void this.#sweeper.close()
  }

  #sweep(): Promise<void> | void {
    const slices = this.#entries.sweep()
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
}
