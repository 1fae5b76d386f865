import { isDue, type Extension, type Found, type Life, type Listed, type Powers, type UserChange } from '../contract'
import { leadsOn } from '../found'
import { decodeRecord, withCookie } from '../record'
import type { Milliseconds } from '../time'
import type { Entries } from './memory-entries'
import { Locks } from './memory-locks'
import { NONE } from './memory-slots'

/** A MemoryStore's powers. Last use, expiry and user lie beside the text, so that extending leaves it as it is. */
export class MemoryPowers implements Powers {
  readonly sync = true
  readonly remote = false
  readonly lock = new Locks()
  readonly #entries: Entries

  constructor(entries: Entries) {
    this.#entries = entries
  }

  read(id: string, extend?: Extension): Found | null {
    const slot = this.#entries.find(id)
    if (slot === NONE) return null
    const found = this.#entries.found(slot)
    if (extend !== undefined && isDue(extend, found.usedAt!)) {
      found.usedAt = extend.now
      found.expiresAt = later(found.expiresAt!, deadline(found.text, extend))
      found.extended = true
      this.#entries.live(slot, found.usedAt, found.expiresAt)
    }
    return found
  }

  write(id: string, text: string, expected: string | null, life: Life, user?: UserChange): true | Found | null {
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
}

// A session that was given a longer life than the common one keeps it.
function later(known: Milliseconds | null, next: Milliseconds | null): Milliseconds | null {
  return known === null || next === null ? null : Math.max(known, next)
}

function deadline(text: string, { now, idle, absolute }: Extension): Milliseconds | null {
  const idleEnd = idle === null ? Infinity : now + idle
  // Creation is in the text alone. Taking it apart happens once every `after`, not once a read.
  const createdAt = absolute === null ? undefined : decodeRecord(text)?.meta?.c
  const end = createdAt === undefined ? idleEnd : Math.min(idleEnd, createdAt + absolute!)
  return end === Infinity ? null : end
}
