import type { LockPower } from '../../store/contract'
import type { Milliseconds } from '../../base/time'

const PURGE_FROM = 1024

interface Held {
  token: string
  until: Milliseconds
}

/** Locks inside one process. */
export class Locks implements LockPower {
  readonly #held = new Map<string, Held>()
  #purgeAt = PURGE_FROM

  acquire(id: string, token: string, ttl: Milliseconds): boolean {
    const now = Date.now()
    const held = this.#held.get(id)
    if (held !== undefined && held.token !== token && held.until > now) return false
    if (held === undefined && this.#held.size >= this.#purgeAt) this.#purge(now)
    this.#held.set(id, { token, until: now + ttl })
    return true
  }

  renew(id: string, token: string, ttl: Milliseconds): boolean {
    const held = this.#held.get(id)
    const now = Date.now()
    if (held === undefined || held.token !== token || held.until <= now) return false
    held.until = now + ttl
    return true
  }

  release(id: string, token: string): void {
    if (this.#held.get(id)?.token === token) this.#held.delete(id)
  }

  // Locks whose holders never released them. Looked for only once there are twice as many as were alive last time.
  #purge(now: Milliseconds): void {
    for (const [id, held] of this.#held) if (held.until <= now) this.#held.delete(id)
    this.#purgeAt = Math.max(PURGE_FROM, 2 * this.#held.size)
  }
}
