import type { Found, Listed } from '../../store/contract'
import { unavailable } from '../../base/errors'
import { MINUTE, type Milliseconds } from '../../base/time'
import { sift, type UserIndex } from '../user-index'
import { exptimeOf } from './exptime'
import type { MemcachedLink } from './link'

/** The most sessions of one user: all of them are read and written together. */
const SESSIONS_MAX = 1000
// Writers that change the list of one user at the same moment: one of them succeeds each time.
const ATTEMPTS_MAX = 200
const BATCH = 50
// An entry outlives its session by this much, so that a session in use need not be entered again each time.
const MARGIN: Milliseconds = 5 * MINUTE
// A time no session lives to see.
const NEVER: Milliseconds = 8.64e15

/** A session, and until when it is in the list. */
type Entry = [id: string, until: Milliseconds]

/** The records of sessions, by ID. */
interface Records {
  read(id: string): Promise<Found | null>
  remove(id: string): Promise<unknown>
}

/**
 * One value per user, a list that is changed under `cas`.
 *
 * It names too few sessions when memcached had to drop it: each session enters itself again with its next change or
 * extension.
 */
export class MemcachedUsers implements UserIndex {
  readonly #link: MemcachedLink
  readonly #keyOf: (user: string) => string
  readonly #records: Records

  constructor(link: MemcachedLink, keyOf: (user: string) => string, records: Records) {
    this.#link = link
    this.#keyOf = keyOf
    this.#records = records
  }

  async enter(user: string, id: string, expiresAt: Milliseconds | null, when: 'before' | 'beside' | 'after') {
    const end = expiresAt ?? NEVER
    let surplus: Entry[] = []
    await this.#change(user, (entries) => {
      const known = entries.find(([each]) => each === id)?.[1] ?? 0
      surplus = []
      // It changes in any case where it was somebody else's, so that no list made before drops it.
      if (when === 'beside' && known >= end) return undefined
      const kept = entries.filter(([each]) => each !== id)
      // Those that end first.
      if (kept.length >= SESSIONS_MAX) {
        surplus = kept.sort((a, b) => a[1] - b[1]).splice(0, kept.length - SESSIONS_MAX + 1)
      }
      return [...kept, [id, Math.max(end + MARGIN, known + 1)]]
    })
    // Sessions that no list can name any more would outlive a revocation.
    for (const [each] of surplus) await this.#records.remove(each)
  }

  leave(user: string, id: string): Promise<void> {
    return this.#tidy(user, (each) => each === id)
  }

  async list(user: string): Promise<Listed[]> {
    const entries = entriesOf((await this.#link.gets(this.#keyOf(user)))?.value)
    const { live, dead } = await sift(user, entries, this.#records.read, BATCH)
    // If they are still what was read.
    const over = new Map(dead)
    if (dead.length > 0) await this.#tidy(user, (id, until) => over.get(id) === until)
    return live
  }

  // A list is exact without it.
  #tidy(user: string, isOver: (id: string, until: Milliseconds) => boolean): Promise<void> {
    const edit = (entries: Entry[]) => {
      const kept = entries.filter((entry) => !isOver(...entry))
      return kept.length === entries.length ? undefined : kept
    }
    return this.#change(user, edit).catch(() => undefined)
  }

  async #change(user: string, edit: (entries: Entry[]) => Entry[] | undefined): Promise<void> {
    const key = this.#keyOf(user)
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const kept = await this.#link.gets(key)
      const entries = edit(entriesOf(kept?.value))
      if (entries === undefined) return
      const last = entries.reduce((latest, [, until]) => Math.max(latest, until), 0)
      const exptime = last >= NEVER ? 0 : exptimeOf(last)
      const written =
        kept === undefined
          ? await this.#link.add(key, entries, exptime)
          : await this.#link.cas(key, entries, kept.version, exptime)
      if (written) return
    }
    throw unavailable("memcached did not take a change of a user's list of sessions")
  }
}

function entriesOf(value: unknown): Entry[] {
  const now = Date.now()
  return Array.isArray(value) ? (value as Entry[]).filter((each) => Array.isArray(each) && each[1] > now) : []
}
