import type { Listed } from '../../store/contract'
import { hashOf } from '../../base/hash'
import { decodeRecord } from '../../record/record'
import { MINUTE, type Milliseconds } from '../../base/time'
import { textOf, type RedisLink } from './link'
import { INDEX_ADD, INDEX_DROP, INDEX_LIST } from './scripts'

const BATCH = 100
// An entry outlives its session by this much: one extension whose update of the index got lost makes no live session
// disappear from the list before its next.
const MARGIN: Milliseconds = 5 * MINUTE
// A time no session lives to see, and still a number that Lua and JavaScript count exactly.
const NEVER: Milliseconds = 9e15

/** Reads the record of a session as JSON text; `null` when it is gone. */
type Reader = (id: string) => Promise<string | null>

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
    await this.#link.run(INDEX_ADD, this.#keyOf(user), String(now), String(confirmed ? last + 1 : last), id)
  }

  async drop(user: string, id: string): Promise<void> {
    await this.#link.run(INDEX_DROP, this.#keyOf(user), id)
  }

  async list(user: string): Promise<Listed[]> {
    const reply = (await this.#link.run(INDEX_LIST, this.#keyOf(user), String(Date.now()))) as unknown[]
    const members = reply.map((each) => textOf(each) ?? String(each))
    const live: Listed[] = []
    const dead: string[] = []
    // IDs and their scores take turns.
    for (let i = 0; i < members.length; i += 2 * BATCH) {
      const batch = members.slice(i, i + 2 * BATCH)
      const ids = batch.filter((_, at) => at % 2 === 0)
      const texts = await Promise.all(ids.map(this.#read))
      ids.forEach((id, at) => {
        const text = texts[at]
        if (text != null && decodeRecord(text)?.meta?.i === user) live.push({ id, text })
        else dead.push(id, batch[2 * at + 1]!)
      })
    }
    await this.#tidyUp(user, dead)
    return live
  }

  // With its score: what was entered again in the meantime stays.
  async #tidyUp(user: string, dead: string[]): Promise<void> {
    for (let i = 0; i < dead.length; i += 2 * BATCH) {
      await this.#link.run(INDEX_DROP, this.#keyOf(user), ...dead.slice(i, i + 2 * BATCH)).catch(staysForNextTime)
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
