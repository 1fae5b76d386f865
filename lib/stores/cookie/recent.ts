import type { Found, Powers, Write } from '../../store/contract'
import { decodeFound, isForwarding } from '../../store/record-cache'
import { BoundedMap } from '../../base/maps'
import type { Milliseconds } from '../../base/time'

const REMEMBER: Milliseconds = 5 * 60 * 1000
const MAX = 10_000
const ENDED_MAX = 100_000

interface Entry {
  /** `null`: destroyed. */
  text: string | null
  writtenAt: Milliseconds
  until: Milliseconds
  /** The ID was rotated away: only the session that it leads to goes on. */
  leads: boolean
}

/**
 * The powers of a store whose records travel in cookies: what this process wrote lately.
 *
 * It is enough to merge parallel writes and to keep a destroyed session dead within one process; beyond it, a copied
 * cookie lives until it expires, unless there is a store of revocations.
 */
export class RecentWrites implements Powers {
  readonly sync = true
  readonly remote = false
  readonly #entries = new BoundedMap<string, Entry>(MAX)
  /** What was destroyed, or leads on: other visitors' writes must not push it out. */
  readonly #ended = new BoundedMap<string, Entry>(ENDED_MAX)
  /** When cookies were issued that came from a clock ahead of ours, of sessions that we have not written. */
  readonly #ahead = new BoundedMap<string, Milliseconds>(MAX)

  read(id: string): Found | null {
    const text = this.#lookUp(id)?.text
    return typeof text === 'string' ? { text } : null
  }

  /** Whether the session was destroyed here. */
  isDead(id: string): boolean {
    return this.#lookUp(id)?.text === null
  }

  /**
   * The latest text of a session of which a cookie carried this one; `null`: it was destroyed here.
   *
   * Issued before our last write, the cookie is an old one: parallel responses overtake each other. Issued after it,
   * the cookie comes from another process that went on from there, and its changes must not look like ours undone.
   */
  latest(id: string, text: string, issuedAt: Milliseconds): string | null {
    const entry = this.#lookUp(id)
    if (entry === undefined && issuedAt >= Date.now()) this.#ahead.set(id, issuedAt)
    if (entry === undefined) return text
    // Whoever issued it since did not know of the rotation.
    if (entry.text === null || entry.leads) return entry.text
    if (issuedAt >= entry.writtenAt) {
      entry.text = text
      entry.writtenAt = issuedAt
    }
    return entry.text
  }

  /**
   * The time of what is written next: after all that it goes on from. A clock that is ahead elsewhere, or was set back
   * here, must not make an older text look newer, neither here nor where the cookie is read.
   */
  nextTime(id: string): Milliseconds {
    return Math.max(Date.now(), (this.#lookUp(id)?.writtenAt ?? this.#ahead.get(id) ?? 0) + 1)
  }

  write({ id, text, expected, life }: Write): true | Found | null {
    const known = this.#lookUp(id)
    if (known?.text === null) return null
    if (known !== undefined && known.text !== expected) return { text: known.text }
    if (isForwarding({ text })) this.#moveOn(id, text, life.expiresAt!)
    else this.#remember(id, text, life.expiresAt)
    return true
  }

  /** Takes back that an ID was rotated away: what was known before is known again. */
  restore(id: string, known: Found | null): void {
    if (this.#lookUp(id)?.leads !== true) return
    this.#ended.delete(id)
    if (known !== null) this.#remember(id, known.text)
  }

  extend(id: string): boolean {
    const known = this.#lookUp(id)
    return known === undefined || (known.text !== null && !known.leads)
  }

  remove(id: string, _user?: string, expected?: string): boolean | Found {
    const known = this.#lookUp(id)
    if (expected !== undefined && typeof known?.text === 'string' && known.text !== expected)
      return { text: known.text }
    this.#remember(id, null)
    return known?.text !== null
  }

  #lookUp(id: string): Entry | undefined {
    const entry = this.#ended.get(id) ?? this.#entries.get(id)
    if (entry === undefined || entry.until > Date.now()) return entry
    this.#ended.delete(id)
    this.#entries.delete(id)
    return undefined
  }

  #remember(id: string, text: string | null, expiresAt: Milliseconds | null = null): void {
    const until = Math.max(Math.min(Date.now() + REMEMBER, expiresAt ?? Infinity), this.#lookUp(id)?.until ?? 0)
    const entry = { text, writtenAt: this.nextTime(id), until, leads: false }
    if (text === null) this.#ended.set(id, entry)
    else this.#entries.set(id, entry)
  }

  // The old ID leads on until the grace ends, and is then as dead as a destroyed one, for as long.
  #moveOn(id: string, text: string, end: Milliseconds): void {
    this.#ended.set(id, { text, writtenAt: Date.now(), until: end + REMEMBER, leads: true })
    const next = this.#lookUp(decodeFound({ text })!.meta!.n!)
    if (next !== undefined) next.until = Math.max(next.until, end)
  }
}
