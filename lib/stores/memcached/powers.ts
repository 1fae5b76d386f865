import type { Found, Life, Listed, LockPower, Write } from '../../store/contract'
import { unavailable } from '../../base/errors'
import { hashOf } from '../../base/hash'
import { BoundedMap } from '../../base/bounded-map'
import type { Milliseconds } from '../../base/time'
import { decodeFound, isForwarding } from '../../store/record-cache'
import { extendedText, isSameText, type RecordPowers } from '../record-store'
import { sessionTooLarge } from '../too-large'
import { enterAgain, removeIndexed, writeIndexed, type UserIndex } from '../user-index'
import { AT_ONCE, exptimeOf } from './exptime'
import { memcachedLock } from './lock'
import type { MemcachedClient, MemcachedLink } from './link'
import { memcachedUsers } from './users'

/** What a client sends at most as one value, unless told otherwise: a server's own limit, of which a header takes part. */
const VALUE_MAX = 1024 * 1024
const HEADER = 1024
// Whoever gets in the way of a write or of an extension has made a change of its own.
const ATTEMPTS_MAX = 8
const REMEMBERED = 512
/** What memcached takes for a key, without `$`, which the client would replace. */
const PLAIN = /^[\x21-\x23\x25-\x7e]*$/

/** A record as it was read, and the version that a write must meet. */
interface Kept {
  text: string
  version: string
}

/**
 * The powers of the memcached store.
 *
 * A record is kept as connect-memcached keeps it, a value that the client parses: `text` is what JSON.stringify makes
 * of that. A write compares this text with what was read, and `cas` sees to it that nothing comes in between. Nothing
 * dead comes back: there is no version of what is gone.
 */
export class MemcachedPowers implements RecordPowers {
  readonly sync = false
  readonly remote = true
  readonly ttl: Milliseconds
  readonly lock: LockPower
  readonly #link: MemcachedLink
  readonly #prefix: string
  readonly #users: UserIndex
  readonly #sizeMax: number
  /** What was read last, so that a write needs no second look. */
  readonly #recent = new BoundedMap<string, Kept>(REMEMBERED)

  constructor(link: MemcachedLink, { maxValue }: MemcachedClient, prefix: string, ttl: Milliseconds) {
    this.#link = link
    this.#prefix = prefix
    this.#sizeMax = (maxValue ?? VALUE_MAX) - HEADER
    this.ttl = ttl
    const userKey = (user: string) => `silverback:user:${prefix}${hashOf('sha256', user, 'base64url')}`
    this.#users = memcachedUsers(link, userKey, {
      read: (id) => this.read(id),
      remove: (id) => link.del(this.#keyOf(id))
    })
    this.lock = memcachedLock(link, (id) => `silverback:lock:${this.#keyOf(id)}`)
  }

  async read(id: string): Promise<Found | null> {
    return found(await this.#find(this.#keyOf(id)))
  }

  write(write: Write): Promise<true | Found | null> {
    return writeIndexed(this.#users, write, this.#endOf(write.life), () => this.#write(write))
  }

  async put(id: string, text: string, life: Life, to: string | undefined): Promise<void> {
    await writeIndexed(this.#users, { id, user: { from: undefined, to } }, this.#endOf(life), async () => {
      await this.#link.set(this.#keyOf(id), this.#valueOf(text), this.#exptimeOf(life))
      return true
    })
  }

  async extend(id: string, life: Life): Promise<boolean> {
    const key = this.#keyOf(id)
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const kept = await this.#find(key)
      const record = kept && decodeFound(kept)
      if (record === undefined || isForwarding(kept!)) return false
      const value = this.#valueOf(extendedText(kept!.text, life))
      if (!(await this.#link.cas(key, value, kept!.version, this.#exptimeOf(life)))) continue
      enterAgain(this.#users, record.meta?.i, id, this.#endOf(life), 'beside')
      return true
    }
    return true
  }

  remove(id: string, user?: string, expected?: string): Promise<boolean | Found> {
    const key = this.#keyOf(id)
    return removeIndexed(this.#users, id, user, async () =>
      // A delete knows no condition: the value is replaced, if it still is what it was, by one that is over.
      expected === undefined ? this.#link.del(key) : ((await this.#replace(key, '', AT_ONCE, expected)) ?? false)
    )
  }

  list(user: string): Promise<Listed[]> {
    return this.#users.list(user)
  }

  async #write({ id, text, expected, life }: Write): Promise<true | Found | null> {
    const key = this.#keyOf(id)
    const value = this.#valueOf(text)
    const exptime = this.#exptimeOf(life)
    if (expected !== null) return this.#replace(key, value, exptime, expected)
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      if (await this.#link.add(key, value, exptime)) return true
      const kept = await this.#find(key)
      // A first write whose answer never came has arrived all the same.
      if (kept !== undefined) return isSameText(kept.text, text) ? true : found(kept)
      // It was forgotten just then.
    }
    throw unavailable('memcached neither has nor takes a new session')
  }

  async #replace(key: string, value: unknown, exptime: number, expected: string): Promise<true | Found | null> {
    const known = this.#recent.get(key)
    let kept = known !== undefined && isSameText(known.text, expected) ? known : await this.#find(key)
    for (let attempt = 0; kept !== undefined && attempt < ATTEMPTS_MAX; attempt++) {
      if (!isSameText(kept.text, expected)) break
      if (await this.#link.cas(key, value, kept.version, exptime)) {
        this.#recent.delete(key)
        return true
      }
      kept = await this.#find(key)
    }
    return found(kept)
  }

  async #find(key: string): Promise<Kept | undefined> {
    const kept = await this.#link.gets(key)
    if (kept === undefined) {
      this.#recent.delete(key)
      return undefined
    }
    const { value, version } = kept
    const text = typeof value === 'object' ? JSON.stringify(value) : typeof value === 'string' ? value : ''
    this.#recent.set(key, { text, version })
    return { text, version }
  }

  #keyOf(id: string): string {
    return this.#prefix + (PLAIN.test(id) ? id : hashOf('sha256', id, 'base64url'))
  }

  // The client marks as JSON, for whoever reads it with connect-memcached, what it has serialized itself.
  #valueOf(text: string): unknown {
    const size = Buffer.byteLength(text)
    if (size <= this.#sizeMax) return JSON.parse(text)
    // A server that refuses a value is taken for broken by the client, and left alone for a while.
    const bound = `the ${this.#sizeMax} that fit (the client's option maxValue, which must not exceed the server's -I)`
    throw sessionTooLarge(size, bound, text)
  }

  #exptimeOf(life: Life): number {
    return exptimeOf(this.#endOf(life))
  }

  #endOf({ expiresAt }: Life): Milliseconds {
    return expiresAt ?? Date.now() + this.ttl
  }
}

/** Whether a store may put a text before its keys as it is. */
export function isPlainKey(text: string): boolean {
  return PLAIN.test(text)
}

function found(kept: Kept | undefined): Found | null {
  return kept === undefined ? null : { text: kept.text }
}
