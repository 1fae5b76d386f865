import type { Found } from '../../store/contract'
import { hashOf } from '../../base/hash'
import { MINUTE, type Milliseconds } from '../../base/time'
import { sift, USER_PREFIX, type UserIndex } from '../user-index'
import { textOf } from './dialect'
import type { RedisLink } from './link'
import { INDEX_ADD, INDEX_DROP, INDEX_LIST } from './scripts'

const BATCH = 100
// An entry outlives its session by this much: one extension whose update of the index got lost makes no live session
// disappear from the list before its next.
const MARGIN: Milliseconds = 5 * MINUTE
// A time no session lives to see, and still a number that Lua and JavaScript count exactly.
const NEVER: Milliseconds = 9e15

/** One sorted set per user, the IDs by the time they may be forgotten. Its keys carry a hash of the user, not the user. */
export function redisIndex(link: RedisLink, prefix: string, read: (id: string) => Promise<Found | null>): UserIndex {
  const keyOf = (user: string) => `${USER_PREFIX}${prefix}${hashOf('sha256', user, 'base64url')}`
  // A list is exact without it; a replica, for one, cannot tidy up.
  const drop = (user: string, members: string[]) =>
    link.run(INDEX_DROP, [keyOf(user)], members, () => undefined).catch(() => undefined)
  return {
    async enter(user, id, expiresAt, when) {
      const now = Date.now()
      // Already over: the entry has to be there no longer than the record it stands for.
      const last = expiresAt === null ? NEVER : Math.max(now, Math.ceil(expiresAt)) + MARGIN
      // Once the record has been written no list that found none may drop the entry.
      const score = String(when === 'before' ? last : last + 1)
      await link.run(INDEX_ADD, [keyOf(user)], [String(now), score, id], () => undefined)
    },
    leave: (user, id) => drop(user, [id]),
    async list(user) {
      const texts = (reply: unknown[]) => reply.map((each) => textOf(each) ?? String(each))
      const members = await link.run(INDEX_LIST, [keyOf(user)], [String(Date.now())], texts)
      // IDs and their scores take turns.
      const entries = members.flatMap((id, at) => (at % 2 === 0 ? [[id, members[at + 1]!] as const] : []))
      const { live, dead } = await sift(user, entries, read, BATCH)
      // With its score: what was entered again in the meantime stays.
      for (let i = 0; i < dead.length; i += BATCH) await drop(user, dead.slice(i, i + BATCH).flat())
      return live
    }
  }
}
