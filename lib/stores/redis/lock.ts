import type { LockPower } from '../../store/contract'
import type { RedisLink } from './link'
import { LOCK_RELEASE, LOCK_RENEW } from './scripts'

/** What every lock's key begins with. */
export const LOCK_PREFIX = 'silverback:lock:'

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
    renew: async (id, token, ttl) => (await link.run(LOCK_RENEW, keyOf(id), token, String(ttl))) === 1,
    release: async (id, token) => void (await link.run(LOCK_RELEASE, keyOf(id), token))
  }
}
