import type { Found } from '../../store/contract'
import { unavailable } from '../../base/errors'
import { MINUTE, type Milliseconds } from '../../base/time'
import { sift, type UserIndex } from '../user-index'
import { exptimeOf, type MemcachedLink } from './link'

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
export function memcachedUsers(link: MemcachedLink, keyOf: (user: string) => string, records: Records): UserIndex {
  const change = async (user: string, edit: (entries: Entry[]) => Entry[] | undefined): Promise<void> => {
    const key = keyOf(user)
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const kept = await link.gets(key)
      const entries = edit(entriesOf(kept?.value))
      if (entries === undefined) return
      const last = entries.reduce((latest, [, until]) => Math.max(latest, until), 0)
      const exptime = last >= NEVER ? 0 : exptimeOf(last)
      const written =
        kept === undefined ? await link.add(key, entries, exptime) : await link.cas(key, entries, kept.version, exptime)
      if (written) return
    }
    throw unavailable("memcached did not take a change of a user's list of sessions")
  }
  // A list is exact without it.
  const tidy = (user: string, isOver: (id: string, until: Milliseconds) => boolean): Promise<void> => {
    const edit = (entries: Entry[]) => {
      const kept = entries.filter((entry) => !isOver(...entry))
      return kept.length === entries.length ? undefined : kept
    }
    return change(user, edit).catch(() => undefined)
  }
  return {
    async enter(user, id, expiresAt, when) {
      const end = expiresAt ?? NEVER
      let surplus: Entry[] = []
      await change(user, (entries) => {
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
      for (const [each] of surplus) await records.remove(each)
    },
    leave: (user, id) => tidy(user, (each) => each === id),
    async list(user) {
      const entries = entriesOf((await link.gets(keyOf(user)))?.value)
      const { live, dead } = await sift(user, entries, records.read, BATCH)
      // If they are still what was read.
      const over = new Map(dead)
      if (dead.length > 0) await tidy(user, (id, until) => over.get(id) === until)
      return live
    }
  }
}

function entriesOf(value: unknown): Entry[] {
  const now = Date.now()
  return Array.isArray(value) ? (value as Entry[]).filter((each) => Array.isArray(each) && each[1] > now) : []
}
