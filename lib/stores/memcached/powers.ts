import type { Found, Life, Listed, LockPower, UserChange, Write } from '../../store/contract'
import { SessionError } from '../../base/errors'
import { hashOf } from '../../base/hash'
import { BoundedMap } from '../../base/bounded-map'
import type { Milliseconds } from '../../base/time'
import { withCookie, withUsedAt } from '../../record/record'
import { decodeFound, isForwarding } from '../../store/record-cache'
import type { RecordPowers } from '../../store/record-store'
import { sessionTooLarge } from '../../store/too-large'
import { AT_ONCE, exptimeOf } from './exptime'
import { memcachedLock } from './lock'
import type { MemcachedClient, MemcachedLink } from './link'
import { MemcachedUsers } from './users'

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
  readonly #users: MemcachedUsers
  readonly #sizeMax: number
  /** What was read last, so that a write needs no second look. */
  readonly #recent = new BoundedMap<string, Kept>(REMEMBERED)

  constructor(link: MemcachedLink, { maxValue }: MemcachedClient, prefix: string, ttl: Milliseconds) {
    this.#link = link
    this.#prefix = prefix
    this.#sizeMax = (maxValue ?? VALUE_MAX) - HEADER
    this.ttl = ttl
    const userKey = (user: string) => `silverback:user:${prefix}${hashOf('sha256', user, 'base64url')}`
    this.#users = new MemcachedUsers(link, userKey, async (id) => (await this.#find(this.#keyOf(id)))?.text ?? null)
    this.lock = memcachedLock(link, (id) => `silverback:lock:${this.#keyOf(id)}`)
  }

  async read(id: string): Promise<Found | null> {
    return found(await this.#find(this.#keyOf(id)))
  }

  write(write: Write): Promise<true | Found | null> {
    return this.#indexed(write.id, write.user, write.life, () => this.#write(write))
  }

  async put(id: string, text: string, life: Life, user: string | undefined): Promise<void> {
    const change = user === undefined ? undefined : { from: undefined, to: user }
    await this.#indexed(id, change, life, async () => {
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
      const value = this.#valueOf(extended(kept!.text, life))
      if (!(await this.#link.cas(key, value, kept!.version, this.#exptimeOf(life)))) continue
      const user = record.meta?.i
      // Not waited for: the entry that is there lasts until the next extension.
      if (user !== undefined) void this.#enter(id, user, life, false).catch(listTidiesUp)
      return true
    }
    return true
  }

  async remove(id: string, user?: string, expected?: string): Promise<boolean | Found> {
    const key = this.#keyOf(id)
    // A delete knows no condition: the value is replaced, if it still is what it was, by one that is over.
    const removed = await (expected === undefined
      ? this.#link.del(key)
      : this.#replace(key, '', AT_ONCE, expected).then((answer) => answer ?? false))
    if (user !== undefined && typeof removed === 'boolean') await this.#users.leave(user, id).catch(listTidiesUp)
    return removed
  }

  list(user: string): Promise<Listed[]> {
    return this.#users.list(user)
  }

  // The index learns of a session before the record says whose it is, lest a crash in between hides it, and once more
  // afterwards, lest a list made in between drops it. Where the user stays the same, a look beside the write is enough.
  // The index of `from` is left alone: the next list sees whose the session is.
  async #indexed(
    id: string,
    user: UserChange | undefined,
    life: Life,
    write: () => Promise<true | Found | null>
  ): Promise<true | Found | null> {
    const { from, to } = user ?? {}
    if (to === undefined) return write()
    if (from === to) return (await Promise.all([write(), this.#enter(id, to, life, false)]))[0]
    await this.#enter(id, to, life, true)
    const written = await write()
    if (written === true) await this.#enter(id, to, life, true)
    if (written === null) await this.#users.leave(to, id).catch(listTidiesUp)
    return written
  }

  // Sessions that no list can name any more would outlive a revocation.
  async #enter(id: string, user: string, life: Life, moved: boolean): Promise<void> {
    const surplus = await this.#users.enter(user, id, this.#endOf(life), moved)
    for (const each of surplus) await this.#link.del(this.#keyOf(each))
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
      if (kept !== undefined) return isSame(kept.text, text) ? true : found(kept)
      // It was forgotten just then.
    }
    throw new SessionError('ERR_SESSION_STORE', 'memcached neither has nor takes a new session', { status: 503 })
  }

  async #replace(key: string, value: unknown, exptime: number, expected: string): Promise<true | Found | null> {
    const known = this.#recent.get(key)
    let kept = known !== undefined && isSame(known.text, expected) ? known : await this.#find(key)
    for (let attempt = 0; kept !== undefined && attempt < ATTEMPTS_MAX; attempt++) {
      if (!isSame(kept.text, expected)) break
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

function extended(text: string, { usedAt, cookieText }: Life): string {
  const used = withUsedAt(text, usedAt)
  return cookieText === undefined ? used : withCookie(used, cookieText)
}

// What was given is compared with what the client's parser made of it, which may order the keys in another way.
function isSame(text: string, expected: string): boolean {
  return text === expected || text === JSON.stringify(JSON.parse(expected))
}

function found(kept: Kept | undefined): Found | null {
  return kept === undefined ? null : { text: kept.text }
}

// What the index names is checked whenever it is listed, so an entry too many does no harm.
function listTidiesUp(): void {}
