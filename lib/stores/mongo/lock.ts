import type { LockPower } from '../../store/contract'
import type { MongoCollection } from './collection'
import { isDuplicate } from './errors'

/** What the `_id` of every lock begins with. */
const LOCK_PREFIX = 'silverback:lock:'

/**
 * Locks as documents of their own beside the sessions, each with the token of its holder and the time of its end.
 *
 * Times are those of this process, not of the server: processes whose clocks differ by more than `ttl` exclude each
 * other no longer. A lock spares work done twice; what must not be written twice is guarded by the conditional write.
 */
export function mongoLock(
  run: <T>(command: string, work: (of: MongoCollection) => Promise<T>) => Promise<T>
): LockPower {
  const own = (id: string, token: string) => ({ _id: LOCK_PREFIX + id, 'silverback.token': token })
  return {
    acquire: (id, token, ttl) =>
      run('update', async (collection) => {
        const now = Date.now()
        const free = { _id: LOCK_PREFIX + id, 'silverback.until': { $lte: new Date(now) } }
        // No session has such an end: connect-mongo sees no lock.
        const taken = { $set: { expires: null, silverback: { token, until: new Date(now + ttl) } } }
        try {
          await collection.updateOne(free, taken, { upsert: true })
          return true
        } catch (err) {
          if (isDuplicate(err)) return false
          throw err
        }
      }),
    renew: (id, token, ttl) =>
      run('update', async (collection) => {
        const now = Date.now()
        const held = { ...own(id, token), 'silverback.until': { $gt: new Date(now) } }
        const longer = { $set: { 'silverback.until': new Date(now + ttl) } }
        return (await collection.updateOne(held, longer)).matchedCount === 1
      }),
    release: (id, token) => run('delete', async (collection) => void (await collection.deleteOne(own(id, token))))
  }
}
