import { createHash } from 'node:crypto'
import type { Listed } from '../contract'
import { decodeRecord } from '../record'
import { MINUTE, type Milliseconds } from '../time'
import { textOf, type RedisLink } from './redis-link'
import { INDEX_ADD, INDEX_DROP, INDEX_LIST } from './redis-scripts'

const BATCH = 100
// An entry outlives its session by this much: one extension whose update of the index got lost makes no live session
// disappear from the list before its next.
const MARGIN: Milliseconds = 5 * MINUTE

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

  /** @param expiresAt `null`: never */
  async add(user: string, id: string, expiresAt: Milliseconds | null): Promise<void> {
    const now = Date.now()
    // Already over: the entry has to be there no longer than the record it stands for.
    const score = expiresAt === null ? '+inf' : String(Math.max(now, Math.ceil(expiresAt)) + MARGIN)
    await this.#link.run(INDEX_ADD, this.#keyOf(user), String(now), score, id)
  }

  async drop(user: string, ids: string[]): Promise<void> {
    for (let i = 0; i < ids.length; i += BATCH) {
      await this.#link.run(INDEX_DROP, this.#keyOf(user), ...ids.slice(i, i + BATCH))
    }
  }

  async list(user: string): Promise<Listed[]> {
    const reply = (await this.#link.run(INDEX_LIST, this.#keyOf(user), String(Date.now()))) as unknown[]
    const ids = reply.map((member) => textOf(member) ?? String(member))
    const live: Listed[] = []
    const dead: string[] = []
    for (let i = 0; i < ids.length; i += BATCH) {
      const batch = ids.slice(i, i + BATCH)
      const texts = await Promise.all(batch.map(this.#read))
      batch.forEach((id, at) => {
        const text = texts[at]
        if (text != null && decodeRecord(text)?.meta?.i === user) live.push({ id, text })
        else dead.push(id)
      })
    }
    if (dead.length > 0) await this.drop(user, dead).catch(staysForNextTime)
    return live
  }

  #keyOf(user: string): string {
    return `${INDEX_PREFIX}${this.#prefix}${createHash('sha256').update(user).digest('base64url')}`
  }
}

/** What every index key begins with. */
export const INDEX_PREFIX = 'silverback:user:'

// A list is exact without it; a replica, for one, cannot tidy up.
function staysForNextTime(): void {}
