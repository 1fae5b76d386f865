import type { Listed } from '../../store/contract'
import { SessionError } from '../../base/errors'
import { decodeFound } from '../../store/record-cache'
import { MINUTE, type Milliseconds } from '../../base/time'
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

/**
 * Which sessions a user has: one value per user, a list that is changed under `cas`.
 *
 * The list may name too many sessions; what it names is checked against the records. It names too few when memcached
 * had to drop it: each session enters itself again with its next change or extension.
 */
export class MemcachedUsers {
  readonly #link: MemcachedLink
  readonly #keyOf: (user: string) => string
  readonly #read: (id: string) => Promise<string | null>

  constructor(link: MemcachedLink, keyOf: (user: string) => string, read: (id: string) => Promise<string | null>) {
    this.#link = link
    this.#keyOf = keyOf
    this.#read = read
  }

  /**
   * Enters a session.
   *
   * @param moved It was somebody else's. Its entry then changes in any case, so that no list made before drops it.
   * @returns the sessions that had to leave the list, for there were too many
   */
  async enter(user: string, id: string, expiresAt: Milliseconds | null, moved: boolean): Promise<string[]> {
    const end = expiresAt ?? NEVER
    let surplus: Entry[] = []
    await this.#change(user, (entries) => {
      const known = entries.find(([each]) => each === id)?.[1] ?? 0
      surplus = []
      if (!moved && known >= end) return undefined
      const kept = entries.filter(([each]) => each !== id)
      // Those that end first.
      if (kept.length >= SESSIONS_MAX) {
        surplus = kept.sort((a, b) => a[1] - b[1]).splice(0, kept.length - SESSIONS_MAX + 1)
      }
      return [...kept, [id, Math.max(end + MARGIN, known + 1)]]
    })
    return surplus.map(([each]) => each)
  }

  async leave(user: string, id: string): Promise<void> {
    await this.#change(user, (entries) => without(entries, (each) => each === id))
  }

  /** The live sessions of a user. Entries of dead ones are dropped, if they are still what was read. */
  async list(user: string): Promise<Listed[]> {
    const entries = entriesOf((await this.#link.gets(this.#keyOf(user)))?.value)
    const live: Listed[] = []
    const dead = new Map<string, Milliseconds>()
    for (let i = 0; i < entries.length; i += BATCH) {
      const batch = entries.slice(i, i + BATCH)
      const texts = await Promise.all(batch.map(([id]) => this.#read(id)))
      batch.forEach(([id, until], at) => {
        const text = texts[at]
        if (text != null && decodeFound({ text })?.meta?.i === user) live.push({ id, text })
        else dead.set(id, until)
      })
    }
    const tidy = () => this.#change(user, (now) => without(now, (id, until) => dead.get(id) === until))
    if (dead.size > 0) await tidy().catch(staysForNextTime)
    return live
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
    throw new SessionError('ERR_SESSION_STORE', "memcached did not take a change of a user's list of sessions", {
      status: 503
    })
  }
}

function entriesOf(value: unknown): Entry[] {
  const now = Date.now()
  return Array.isArray(value) ? (value as Entry[]).filter((each) => Array.isArray(each) && each[1] > now) : []
}

function without(entries: Entry[], drop: (id: string, until: Milliseconds) => boolean): Entry[] | undefined {
  const kept = entries.filter(([id, until]) => !drop(id, until))
  return kept.length === entries.length ? undefined : kept
}

// A list is exact without it.
function staysForNextTime(): void {}
