import { LOCK_PREFIX, type Found, type Life } from '../../store/contract'
import { unavailable } from '../../base/errors'
import { hashOf } from '../../base/hash'
import { BoundedMap } from '../../base/maps'
import type { Milliseconds } from '../../base/time'
import { decodeFound, isForwarding } from '../../store/record-cache'
import { extendedText, isSameText, type RecordPowers } from '../record-store'
import { sessionTooLarge } from '../too-large'
import { enterAgain, removeIndexed, USER_PREFIX, writeIndexed } from '../user-index'
import { AT_ONCE, exptimeOf, type MemcachedClient, type MemcachedLink } from './link'
import { memcachedUsers } from './users'

/** What a client sends at most as one value, unless told otherwise: a server's own limit, of which a header takes part. */
const VALUE_MAX = 1024 * 1024
const HEADER = 1024
// Whoever gets in the way of a write or of an extension has made a change of its own.
const ATTEMPTS_MAX = 8
const REMEMBERED = 512
/** The longest key that memcached takes, and the prefix for which ours are not longer. */
const KEY_MAX = 250
export const PREFIX_MAX = KEY_MAX - LOCK_PREFIX.length - digest('').length
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
export function memcachedPowers(
  link: MemcachedLink,
  { maxValue }: MemcachedClient,
  prefix: string,
  ttl: Milliseconds
): RecordPowers {
  const sizeMax = (maxValue ?? VALUE_MAX) - HEADER
  // What was read last, so that a write needs no second look.
  const recent = new BoundedMap<string, Kept>(REMEMBERED)
  const keyOf = (id: string) => keyIn(prefix, id)
  const endOf = ({ expiresAt }: Life) => expiresAt ?? Date.now() + ttl
  const find = async (key: string): Promise<Kept | undefined> => {
    const kept = await link.gets(key)
    if (kept === undefined) {
      recent.delete(key)
      return undefined
    }
    const { value, version } = kept
    const text = typeof value === 'object' ? JSON.stringify(value) : typeof value === 'string' ? value : ''
    recent.set(key, { text, version })
    return { text, version }
  }
  const read = async (id: string) => found(await find(keyOf(id)))
  const userKey = (user: string) => USER_PREFIX + prefix + digest(user)
  const users = memcachedUsers(link, userKey, { read, remove: (id) => link.del(keyOf(id)) })

  // The client marks as JSON, for whoever reads it with connect-memcached, what it has serialized itself.
  const valueOf = (text: string): unknown => {
    const size = Buffer.byteLength(text)
    if (size <= sizeMax) return JSON.parse(text)
    // A server that refuses a value is taken for broken by the client, and left alone for a while.
    const bound = `the ${sizeMax} that fit (the client's option maxValue, which must not exceed the server's -I)`
    throw sessionTooLarge(size, bound, text)
  }
  const create = async (key: string, text: string, exptime: number): Promise<true | Found | null> => {
    const value = valueOf(text)
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      if (await link.add(key, value, exptime)) return true
      const kept = await find(key)
      // A first write whose answer never came has arrived all the same.
      if (kept !== undefined) return isSameText(kept.text, text) ? true : found(kept)
      // It was forgotten just then.
    }
    throw unavailable('memcached neither has nor takes a new session')
  }
  const replace = async (key: string, value: unknown, exptime: number, expected: string) => {
    const known = recent.get(key)
    let kept = known !== undefined && isSameText(known.text, expected) ? known : await find(key)
    for (let attempt = 0; kept !== undefined && attempt < ATTEMPTS_MAX; attempt++) {
      if (!isSameText(kept.text, expected)) break
      if (await link.cas(key, value, kept.version, exptime)) {
        recent.delete(key)
        return true
      }
      kept = await find(key)
    }
    return found(kept)
  }

  const lockOf = (id: string) => keyIn(LOCK_PREFIX + prefix, id)
  // A delete knows no condition: what is to go is replaced, if it still is what it was, by one that is over.
  const relock = async (id: string, token: string, exptime: number): Promise<boolean> => {
    const held = await link.gets(lockOf(id))
    return held?.value === token && link.cas(lockOf(id), token, held.version, exptime)
  }

  return {
    sync: false,
    remote: true,
    ttl,
    // memcached counts seconds, so the lock of a holder that died is free up to two seconds after `ttl`; and it may drop
    // a lock, as any value, when memory is short. What must not be written twice is guarded by the conditional write.
    lock: {
      acquire: (id, token, ttl) => link.add(lockOf(id), token, exptimeOf(Date.now() + ttl)),
      renew: (id, token, ttl) => relock(id, token, exptimeOf(Date.now() + ttl)),
      release: async (id, token) => void (await relock(id, token, AT_ONCE))
    },
    read,
    write(write) {
      const { id, text, expected, life } = write
      return writeIndexed(users, write, endOf(life), async () => {
        const exptime = exptimeOf(endOf(life))
        return expected === null
          ? create(keyOf(id), text, exptime)
          : replace(keyOf(id), valueOf(text), exptime, expected)
      })
    },
    put: (id, text, life, to) =>
      writeIndexed(users, { id, user: { from: undefined, to } }, endOf(life), async () => {
        await link.set(keyOf(id), valueOf(text), exptimeOf(endOf(life)))
        return true
      }),
    async extend(id, life) {
      const key = keyOf(id)
      for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        const kept = await find(key)
        const record = kept && decodeFound(kept)
        if (record === undefined || isForwarding(kept!)) return false
        const value = valueOf(extendedText(kept!.text, life))
        if (!(await link.cas(key, value, kept!.version, exptimeOf(endOf(life))))) continue
        enterAgain(users, record.meta?.i, id, endOf(life), 'beside')
        return true
      }
      return true
    },
    remove: (id, user, expected) =>
      removeIndexed(users, id, user, async () =>
        expected === undefined ? link.del(keyOf(id)) : ((await replace(keyOf(id), '', AT_ONCE, expected)) ?? false)
      ),
    list: (user) => users.list(user)
  }
}

/** Whether a store may put a text before its keys, those of locks and users as well. */
export function isPrefix(text: unknown): boolean {
  return typeof text === 'string' && PLAIN.test(text) && text.length <= PREFIX_MAX
}

// An ID that cannot be part of a key is there by its hash. The client keeps keys in objects, and shortens long ones.
function keyIn(prefix: string, id: string): string {
  return prefix + (PLAIN.test(id) && prefix + id !== '__proto__' ? id : digest(id))
}

function digest(text: string): string {
  return hashOf('sha256', text, 'base64url')
}

function found(kept: Kept | undefined): Found | null {
  return kept === undefined ? null : { text: kept.text }
}
