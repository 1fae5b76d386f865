import type { Found } from '../../store/contract'
import type { Milliseconds } from '../../base/time'
import { SlotIndex } from './index'
import { Recency } from './recency'
import { NONE, PAGE_MASK, PAGE_SIZE, Slots } from './slots'
import { isWide } from './text'
import { Users } from './users'
import { sessionTooLarge } from '../../store/too-large'

/**
 * A slice of a sweep ends, for others to run, after freeing so many sessions. They take a third of a millisecond, or
 * a few when the index shrinks, whose parts all do so at about the same time ...
 */
export const FREED_PER_SLICE = 256
/** ... or after looking at so many, a millisecond's worth. */
const SEEN_PER_SLICE = 256 * PAGE_SIZE

interface Bounds {
  max: number
  maxBytes: number
  /** Called whenever a session is given a time to expire at. */
  onMortal: () => void
}

/** The sessions of a MemoryStore: found by ID, freed when expired, the least recently used given up for new ones. */
export class Entries {
  readonly #bounds: Bounds
  #slots!: Slots
  #index!: SlotIndex
  #recency!: Recency
  #users!: Users
  #size!: number
  #bytes!: number

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
    this.#slots = new Slots()
    this.#index = new SlotIndex()
    this.#recency = new Recency(this.#slots)
    this.#users = new Users(this.#slots)
    this.#size = 0
    this.#bytes = 0
  }

  /** The slot of a live session, `NONE` if there is none. Finding counts as using; an expired one is freed. */
  find(id: string): number {
    const slot = this.#index.get(id)
    if (slot === undefined || this.#freeExpired(slot, Date.now())) return NONE
    this.#recency.use(slot)
    return slot
  }

  /** The slot of a session, expired or not, `NONE` if there is none; nothing changes. */
  seek(id: string): number {
    return this.#index.get(id) ?? NONE
  }

  isExpired(slot: number): boolean {
    return this.#slots.page(slot).expiresAt[slot & PAGE_MASK]! <= Date.now()
  }

  use(slot: number): void {
    this.#recency.use(slot)
  }

  /** Live sessions of a user, newest first. */
  findUser(user: string): number[] {
    const now = Date.now()
    return this.#users.slots(user).filter((slot) => !this.#freeExpired(slot, now))
  }

  /** Calls back for every live session, least recently used first. */
  each(visit: (id: string, text: string, usedAt: Milliseconds) => void): void {
    const now = Date.now()
    for (let slot = this.#recency.oldest, next; slot !== NONE; slot = next) {
      next = this.#recency.after(slot)
      const page = this.#slots.page(slot)
      const at = slot & PAGE_MASK
      if (page.expiresAt[at]! > now) visit(page.ids[at]!, page.texts[at]!, page.usedAt[at]!)
    }
  }

  countLive(): number {
    const now = Date.now()
    let expired = 0
    for (const page of this.#slots.pages) {
      if (page === undefined) continue
      for (let at = 0; at < PAGE_SIZE; at++) if (page.expiresAt[at]! <= now) expired++
    }
    return this.#size - expired
  }

  id(slot: number): string {
    return this.#slots.page(slot).ids[slot & PAGE_MASK]!
  }

  text(slot: number): string {
    return this.#slots.page(slot).texts[slot & PAGE_MASK]!
  }

  user(slot: number): string | undefined {
    return this.#users.of(slot)
  }

  found(slot: number): Found {
    const page = this.#slots.page(slot)
    const at = slot & PAGE_MASK
    const expiresAt = page.expiresAt[at]!
    return { text: page.texts[at]!, usedAt: page.usedAt[at]!, expiresAt: expiresAt === Infinity ? null : expiresAt }
  }

  /**
   * Keeps a text in the slot that `find` answered for the ID, or in a new one. Neither may be cut out of a longer text.
   *
   * @returns the slot. A new one never expires and belongs to nobody until told otherwise.
   * @throws {SessionError} `ERR_SESSION_TOO_LARGE` when the text alone exceeds the bound; nothing has changed then.
   */
  put(id: string, found: number, text: string): number {
    const wide = isWide(text) ? 1 : 0
    const bytes = text.length << wide
    if (bytes > this.#bounds.maxBytes) {
      throw sessionTooLarge(bytes, `maxBytes (${this.#bounds.maxBytes})`, text)
    }
    const slot = found === NONE ? this.#add(id) : found
    const page = this.#slots.page(slot)
    const at = slot & PAGE_MASK
    this.#bytes += bytes - (page.texts[at]!.length << page.wide[at]!)
    page.texts[at] = text
    page.wide[at] = wide
    // The slot itself is the most recently used one, and fits alone: it is never the one to go.
    while (this.#size > this.#bounds.max || this.#bytes > this.#bounds.maxBytes) this.free(this.#recency.oldest)
    return slot
  }

  /** Sets last use and expiry; `null`: never. */
  live(slot: number, usedAt: Milliseconds, expiresAt: Milliseconds | null): void {
    const page = this.#slots.page(slot)
    page.usedAt[slot & PAGE_MASK] = usedAt
    page.expiresAt[slot & PAGE_MASK] = expiresAt ?? Infinity
    if (expiresAt !== null) this.#bounds.onMortal()
  }

  assign(slot: number, user: string | undefined): void {
    this.#users.assign(slot, user)
  }

  free(slot: number): void {
    const page = this.#slots.page(slot)
    const at = slot & PAGE_MASK
    this.#users.assign(slot, undefined)
    this.#recency.remove(slot)
    this.#index.delete(page.ids[at]!)
    this.#bytes -= page.texts[at]!.length << page.wide[at]!
    this.#size--
    this.#slots.free(slot)
  }

  /**
   * Frees expired sessions from slot `from` on, boundedly many.
   *
   * @returns the slot to go on with, `undefined` after the last.
   */
  sweep(from: number): number | undefined {
    const now = Date.now()
    const enough = this.#size - FREED_PER_SLICE
    const end = Math.min(this.#slots.end, from + SEEN_PER_SLICE)
    let slot = from
    while (slot < end && this.#size > enough) {
      const page = this.#slots.pageAt(slot)
      if (page === undefined) {
        slot = (slot | PAGE_MASK) + 1
        continue
      }
      const expiresAt = page.expiresAt[slot & PAGE_MASK]!
      if (expiresAt <= now) this.free(slot)
      else if (expiresAt !== Infinity) this.#bounds.onMortal()
      slot++
    }
    return slot < this.#slots.end ? slot : undefined
  }

  #add(id: string): number {
    const slot = this.#slots.take()
    const page = this.#slots.page(slot)
    page.ids[slot & PAGE_MASK] = id
    this.#index.set(id, slot)
    this.#recency.add(slot)
    this.#size++
    return slot
  }

  #freeExpired(slot: number, now: Milliseconds): boolean {
    if (this.#slots.page(slot).expiresAt[slot & PAGE_MASK]! > now) return false
    this.free(slot)
    return true
  }
}
