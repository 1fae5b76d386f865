import { LOCK_PREFIX, type Found, type LockPower, type Powers, type Write } from '../../store/contract'
import { decodeFound, isForwarding } from '../../store/record-cache'
import { isPromise, SECOND, type MaybePromise, type Milliseconds } from '../../base/time'
import { enterAgain, removeIndexed, writeIndexed } from '../user-index'
import { redisIndex } from './index'
import { textOf } from './dialect'
import type { RedisLink } from './link'
import { redisRecords, type RedisSettings } from './records'
import { REMOVE, RENEW } from './scripts'

export interface RedisPowers extends Powers {
  /** Keeps what the serializer made of a session, whatever was kept before. `px`: ms, `null` for ever. */
  put(id: string, raw: string, px: Milliseconds | null, user: string | undefined): Promise<unknown>
}

/**
 * The powers of the Redis store: each one command, beside those for the index of a user.
 *
 * Extensions cost more with a `serializer` other than JSON, into whose texts the server cannot look (they read and then
 * write), and with a function as `ttl`.
 */
export function redisPowers(link: RedisLink, settings: RedisSettings): RedisPowers {
  const records = redisRecords(link, settings)
  const index = redisIndex(link, settings.prefix, records.read)
  const indexed = async (write: Write, span: MaybePromise<Milliseconds | null>) => {
    const px = await span
    return writeIndexed(index, write, px && Date.now() + px, () => records.write(write, px))
  }
  return {
    sync: false,
    remote: true,
    lock: redisLock(link, settings.prefix),
    read: records.read,
    write(write) {
      const px = records.lifeOf(write.life, () => write.live?.() ?? JSON.parse(write.text))
      const isPlain = write.user?.to === undefined && !isPromise(px)
      return isPlain ? records.write(write, px) : indexed(write, px)
    },
    put: (id, raw, px, to) =>
      writeIndexed(index, { id, user: { from: undefined, to } }, px && Date.now() + px, async () => {
        await link.set(settings.prefix + id, raw, px)
        return true
      }),
    async extend(id, life, live) {
      const { ttl, disableTTL, disableTouch } = settings
      if (disableTouch) return true
      const session = async () => live?.() ?? sessionIn(await records.read(id))
      const found = await records.touch(id, life, await records.lifeOf(life, session))
      if (found === null || isForwarding(found)) return false
      const otherwise = typeof ttl === 'number' ? Date.now() + ttl * SECOND : null
      const end = disableTTL ? null : (life.expiresAt ?? otherwise)
      enterAgain(index, decodeFound(found)?.meta?.i, id, end, 'after')
      return true
    },
    remove: (id, user, expected) => removeIndexed(index, id, user, () => records.remove(id, expected)),
    list: (user) => index.list(user)
  }
}

function sessionIn(found: Found | null): unknown {
  return found === null ? {} : (found.record ?? JSON.parse(found.text))
}

/**
 * Locks kept in Redis, each a key with the holder's token that expires by itself.
 *
 * A lock lives on one master: a failover may lose it before a replica knows of it. It spares work done twice; what
 * must not be written twice is guarded by the conditional write.
 */
export function redisLock(link: RedisLink, prefix: string): LockPower {
  const keyOf = (id: string) => LOCK_PREFIX + prefix + id
  return {
    acquire: (id, token, ttl) => link.set(keyOf(id), token, ttl, null),
    renew: (id, token, ttl) => link.run(RENEW, [keyOf(id)], [token, String(ttl)], (reply) => textOf(reply) === '+'),
    // Removed as a record is, only over the holder's own.
    release: (id, token) => link.run(REMOVE, [keyOf(id)], ['', token], () => undefined)
  }
}
