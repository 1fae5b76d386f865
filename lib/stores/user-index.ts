import type { Milliseconds } from '../base/time'
import type { Found, Listed, Write } from '../store/contract'
import { decodeFound } from '../store/record-cache'

/**
 * Which sessions a user has, beside the records: it may name too many, never too few. What it names is checked against
 * the records whenever it is listed.
 */
export interface UserIndex {
  /** `before` the record says whose it is, `after` that, or `beside` a write that leaves its user. */
  enter(user: string, id: string, expiresAt: Milliseconds | null, when: 'before' | 'beside' | 'after'): Promise<unknown>
  /** Takes an entry out, if that can be done: one too many does no harm. */
  leave(user: string, id: string): Promise<unknown>
}

/**
 * Writes a record, and what the index has to know of it.
 *
 * The index learns of a session before the record says whose it is, lest a crash in between hides it, and once more
 * afterwards, lest a list made in between drops it. Where the user stays the same, one update beside the write is enough.
 * The index of `from` is left alone: the next list sees whose the session is.
 */
export async function writeIndexed(
  index: UserIndex,
  { id, user }: Pick<Write, 'id' | 'user'>,
  expiresAt: Milliseconds | null,
  write: () => Promise<true | Found | null>
): Promise<true | Found | null> {
  const { from, to } = user ?? {}
  if (to === undefined) return write()
  const moved = from !== to
  const entered = index.enter(to, id, expiresAt, moved ? 'before' : 'beside')
  if (moved) await entered
  const [written] = await Promise.all([write(), entered])
  if (written === null) await index.leave(to, id)
  if (written === true && moved) await index.enter(to, id, expiresAt, 'after')
  return written
}

/** Of the entries of a user those whose sessions live and are the user's, as they were read, and all others. */
export async function sift<E extends readonly [id: string, ...rest: unknown[]]>(
  user: string,
  entries: readonly E[],
  read: (id: string) => Promise<Found | null>,
  most: number
): Promise<{ live: Listed[]; dead: E[] }> {
  const live: Listed[] = []
  const dead: E[] = []
  for (let i = 0; i < entries.length; i += most) {
    const batch = entries.slice(i, i + most)
    const records = await Promise.all(batch.map(([id]) => read(id)))
    batch.forEach((entry, at) => {
      const found = records[at]
      if (found != null && decodeFound(found)?.meta?.i === user) live.push({ ...found, id: entry[0] })
      else dead.push(entry)
    })
  }
  return { live, dead }
}
