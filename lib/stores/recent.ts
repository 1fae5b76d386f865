import type { Found, Life, Powers } from '../contract'
import type { Milliseconds } from '../time'

const REMEMBER: Milliseconds = 5 * 60 * 1000
const MAX = 10_000

/**
 * The powers of a store whose records travel in cookies: what this process wrote lately.
 *
 * It is enough to merge parallel writes and to keep a destroyed session dead within one process; beyond it, a copied
 * cookie lives until it expires, unless there is a store of revocations.
 */
export class RecentWrites implements Powers {
  readonly sync = true
  readonly remote = false
  readonly #entries = new Map<string, { text: string | null; until: Milliseconds }>()

  read(id: string): Found | null {
    const text = this.#lookUp(id)
    return typeof text === 'string' ? { text } : null
  }

  /** Whether the session was destroyed here. */
  isDead(id: string): boolean {
    return this.#lookUp(id) === null
  }

  write(id: string, text: string, expected: string | null, life: Life): true | Found | null {
    const known = this.#lookUp(id)
    if (known === null) return null
    if (known !== undefined && known !== expected) return { text: known }
    this.#remember(id, text, life)
    return true
  }

  extend(id: string): boolean {
    return !this.isDead(id)
  }

  remove(id: string): boolean {
    const alive = !this.isDead(id)
    this.#remember(id, null)
    return alive
  }

  #lookUp(id: string): string | null | undefined {
    const entry = this.#entries.get(id)
    if (entry === undefined) return undefined
    if (entry.until > Date.now()) return entry.text
    this.#entries.delete(id)
    return undefined
  }

  #remember(id: string, text: string | null, life?: Life): void {
    this.#entries.delete(id)
    if (this.#entries.size >= MAX) this.#entries.delete(this.#entries.keys().next().value!)
    const until = Date.now() + REMEMBER
    this.#entries.set(id, { text, until: life?.expiresAt == null ? until : Math.min(until, life.expiresAt) })
  }
}
