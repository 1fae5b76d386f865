import type { LockPower } from '../../store/contract'
import type { Milliseconds } from '../../base/time'
import { AT_ONCE, exptimeOf } from './exptime'
import type { MemcachedLink, Versioned } from './link'

/**
 * Locks kept in memcached, each a value with the holder's token that is forgotten by itself.
 *
 * memcached counts seconds, so the lock of a holder that died is free up to two seconds after `ttl`. It may drop any
 * value when memory is short, a lock too. A lock spares work done twice; what must not be written twice is guarded by
 * the conditional write.
 */
export function memcachedLock(link: MemcachedLink, keyOf: (id: string) => string): LockPower {
  const end = (ttl: Milliseconds) => exptimeOf(Date.now() + ttl)
  const own = async (id: string, token: string): Promise<Versioned | undefined> => {
    const held = await link.gets(keyOf(id))
    return held?.value === token ? held : undefined
  }
  return {
    acquire: (id, token, ttl) => link.add(keyOf(id), token, end(ttl)),
    async renew(id, token, ttl) {
      const held = await own(id, token)
      return held !== undefined && link.cas(keyOf(id), token, held.version, end(ttl))
    },
    // A delete knows no condition: the value is replaced, if it still is this one, by one that is over.
    async release(id, token) {
      const held = await own(id, token)
      if (held !== undefined) await link.cas(keyOf(id), token, held.version, AT_ONCE)
    }
  }
}
