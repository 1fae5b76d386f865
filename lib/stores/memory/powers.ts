import { EXPIRED, type Found, type Life, type Listed, type Write } from '../../store/contract'
import type { ListedPowers } from '../../store/record-store'
import { leadsOn } from '../../store/found'
import { withCookie } from '../../record/record'
import type { Entries } from './entries'
import { Locks } from './locks'
import { NONE } from './slots'
import { compact } from './text'

/** A MemoryStore's powers. Last use, expiry and user lie beside the text, so that extending leaves it as it is. */
export class MemoryPowers implements ListedPowers {
  readonly sync = true
  readonly remote = false
  readonly ttl = null
  readonly lock = new Locks()
  readonly #entries: Entries

  constructor(entries: Entries) {
    this.#entries = entries
  }

  read(id: string): Found | null {
    const slot = this.#entries.find(id)
    return slot === NONE ? null : this.#entries.found(slot)
  }

  load(id: string): Found | typeof EXPIRED | null {
    const entries = this.#entries
    const slot = entries.seek(id)
    if (slot === NONE) return null
    if (!entries.isExpired(slot)) {
      entries.use(slot)
      return entries.found(slot)
    }
    const text = entries.text(slot)
    entries.free(slot)
    return leadsOn({ text }) ? null : EXPIRED
  }

  write({ id, text, expected, life, user }: Write): true | Found | null {
    const found = this.#entries.find(id)
    if (found === NONE && expected !== null) return null
    if (found !== NONE && this.#entries.text(found) !== expected) return this.#entries.found(found)
    const slot = this.#entries.put(id, found, text)
    this.#entries.live(slot, life.usedAt, life.expiresAt)
    if (user !== undefined) this.#entries.assign(slot, user.to)
    return true
  }

  extend(id: string, life: Life): boolean {
    const slot = this.#entries.find(id)
    if (slot === NONE) return false
    const text = this.#entries.text(slot)
    if (leadsOn({ text })) return false
    if (life.cookieText !== undefined) this.#entries.put(id, slot, withCookie(text, life.cookieText))
    this.#entries.live(slot, life.usedAt, life.expiresAt)
    return true
  }

  remove(id: string): boolean {
    const slot = this.#entries.find(id)
    if (slot === NONE) return false
    this.#entries.free(slot)
    return true
  }

  list(user: string): Listed[] {
    return this.#entries.findUser(user).map((slot) => ({ id: this.#entries.id(slot), ...this.#entries.found(slot) }))
  }

  put(id: string, text: string, life: Life, user: string | undefined): void {
    const slot = this.#entries.put(compact(id), this.#entries.find(id), text)
    this.#entries.live(slot, life.usedAt, life.expiresAt)
    this.#entries.assign(slot, user)
  }

  each(visit: (found: Listed) => void): void {
    this.#entries.each((id, text, usedAt) => visit({ id, text, usedAt }))
  }

  count(): number {
    return this.#entries.countLive()
  }

  clear(): void {
    this.#entries.clear()
  }
}
