import type { Found, Listed } from '../../store/contract'
import { hashOf } from '../../base/hash'
import { decodeFound } from '../../store/record-cache'
import { MINUTE, type Milliseconds } from '../../base/time'
import { textOf } from './dialect'
import type { RedisLink } from './link'
import { INDEX_ADD, INDEX_DROP, INDEX_LIST } from './scripts'

const BATCH = 100
// An entry outlives its session by this much: one extension whose update of the index got lost makes no live session
// disappear from the list before its next.
const MARGIN: Milliseconds = 5 * MINUTE
// A time no session lives to see, and still a number that Lua and JavaScript count exactly.
const NEVER: Milliseconds = 9e15

type Reader = (id: string) => Promise<Found | null>

/**
 * Which sessions a user has: one sorted set per user, the IDs by the time they may be forgotten.
 *
 * The index may name too many sessions, never too few: what it names is checked against the records themselves.
 * Its keys carry a hash of the user, not the user.
 */
export class RedisIndex {
  readonly #link: RedisLink
  readonly #prefix: string
  readonly #read: Reader

  constructor(link: RedisLink, prefix: string, read: Reader) {
    this.#link = link
    this.#prefix = prefix
    this.#read = read
  }

  /**
   * @param expiresAt `null`: never
   * @param confirmed The record has been written: from now on no list that found none may drop the entry.
   */
  async add(user: string, id: string, expiresAt: Milliseconds | null, confirmed = true): Promise<void> {
    const now = Date.now()
    // Already over: the entry has to be there no longer than the record it stands for.
    const last = expiresAt === null ? NEVER : Math.max(now, Math.ceil(expiresAt)) + MARGIN
    const score = String(confirmed ? last + 1 : last)
    await this.#link.run(INDEX_ADD, [this.#keyOf(user)], [String(now), score, id], done)
  }

  async drop(user: string, id: string): Promise<void> {
    await this.#link.run(INDEX_DROP, [this.#keyOf(user)], [id], done)
  }

  async list(user: string): Promise<Listed[]> {
    const members = await this.#link.run(INDEX_LIST, [this.#keyOf(user)], [String(Date.now())], (reply: unknown[]) =>
      reply.map((each) => textOf(each) ?? String(each))
    )
    const live: Listed[] = []
    const dead: string[] = []
    // IDs and their scores take turns.
    for (let i = 0; i < members.length; i += 2 * BATCH) {
      const batch = members.slice(i, i + 2 * BATCH)
      const ids = batch.filter((_, at) => at % 2 === 0)
      const records = await Promise.all(ids.map(this.#read))
      ids.forEach((id, at) => {
        const found = records[at]
        if (found != null && decodeFound(found)?.meta?.i === user) live.push({ ...found, id })
        else dead.push(id, batch[2 * at + 1]!)
      })
    }
    await this.#tidyUp(user, dead)
    return live
  }

  // With its score: what was entered again in the meantime stays.
  async #tidyUp(user: string, dead: string[]): Promise<void> {
    for (let i = 0; i < dead.length; i += 2 * BATCH) {
      const gone = dead.slice(i, i + 2 * BATCH)
      await this.#link.run(INDEX_DROP, [this.#keyOf(user)], gone, done).catch(staysForNextTime)
    }
  }

  #keyOf(user: string): string {
    return `${INDEX_PREFIX}${this.#prefix}${hashOf('sha256', user, 'base64url')}`
  }
}

/** What every index key begins with. */
export const INDEX_PREFIX = 'silverback:user:'

// A list is exact without it; a replica, for one, cannot tidy up.
function staysForNextTime(): void {}

function done(): void {}
