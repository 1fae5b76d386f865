import type { Milliseconds } from '../base/time'
import type { Found, Listed, Write } from '../store/contract'
import { decodeFound } from '../store/record-cache'

/** What the keys of users begin with, in stores that keep them beside the sessions. */
export const USER_PREFIX = 'silverback:user:'

type Entry = [id: string, expiresAt: Milliseconds | null, when: 'before' | 'beside' | 'after']

/**
 * Which sessions a user has, beside the records: it may name too many, never too few. What it names is checked against
 * the records whenever it is listed.
 */
export interface UserIndex {
  /** `before` the record says whose it is, `after` that, or `beside` a write that leaves its user. */
  enter(user: string, ...entry: Entry): Promise<unknown>
  /** Takes an entry out, if that can be done: one too many does no harm. */
  leave(user: string, id: string): Promise<unknown>
  /** The live sessions of a user, exactly: entries of dead ones are dropped on the way. */
  list(user: string): Promise<Listed[]>
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

/** Removes a record, and then its entry, unless what is kept is another one than was expected. */
export async function removeIndexed(
  index: UserIndex,
  id: string,
  user: string | undefined,
  remove: () => Promise<boolean | Found>
): Promise<boolean | Found> {
  const removed = await remove()
  if (user !== undefined && typeof removed === 'boolean') await index.leave(user, id)
  return removed
}

/** Of a session that lives longer. Not waited for, nor missed: the entry that is there lasts until the next extension. */
export function enterAgain(index: UserIndex, user: string | undefined, ...entry: Entry): void {
  if (user !== undefined) void index.enter(user, ...entry).catch(() => undefined)
}

/** Divides a user's entries into the live sessions of that user, as they were read, and all others. */
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
