import { type Found, type Life, type Listed, type LockPower, type Powers, type Write } from '../../store/contract'
import { decodeFound, isForwarding } from '../../store/record-cache'
import { isPromise, SECOND, type MaybePromise, type Milliseconds } from '../../base/time'
import { enterAgain, removeIndexed, writeIndexed, type UserIndex } from '../user-index'
import { redisIndex } from './index'
import { textOf } from './dialect'
import type { RedisLink } from './link'
import { RedisRecords, type RedisSettings } from './records'
import { LOCK_RELEASE, LOCK_RENEW } from './scripts'

/** What every lock's key begins with. */
export const LOCK_PREFIX = 'silverback:lock:'

/**
 * The powers of the Redis store: each one command, beside those for the index of a user.
 *
 * Extensions cost more with a `serializer` other than JSON, into whose texts the server cannot look (they read and then
 * write), and with a function as `ttl`.
 */
export class RedisPowers implements Powers {
  readonly sync = false
  readonly remote = true
  readonly lock: LockPower
  readonly #settings: RedisSettings
  readonly #records: RedisRecords
  readonly #index: UserIndex

  constructor(link: RedisLink, settings: RedisSettings) {
    this.#settings = settings
    this.#records = new RedisRecords(link, settings)
    this.#index = redisIndex(link, settings.prefix, (id) => this.#records.read(id))
    this.lock = redisLock(link, settings.prefix)
  }

  read(id: string): Promise<Found | null> {
    return this.#records.read(id)
  }

  write(write: Write): Promise<true | Found | null> {
    const px = this.#records.lifeOf(write.life, () => write.live?.() ?? JSON.parse(write.text))
    if (write.user?.to === undefined && !isPromise(px)) return this.#records.write(write, px)
    return this.#writeIndexed(write, px)
  }

  async #writeIndexed(write: Write, span: MaybePromise<Milliseconds | null>): Promise<true | Found | null> {
    const px = await span
    const expiresAt = px === null ? null : Date.now() + px
    return writeIndexed(this.#index, write, expiresAt, () => this.#records.write(write, px))
  }

  async extend(id: string, life: Life, live?: () => object): Promise<boolean> {
    if (this.#settings.disableTouch) return true
    const session = async () => live?.() ?? sessionIn(await this.#records.read(id))
    const found = await this.#records.touch(id, life, await this.#records.lifeOf(life, session))
    if (found === null || isForwarding(found)) return false
    const { ttl, disableTTL } = this.#settings
    const otherwise = typeof ttl === 'number' ? Date.now() + ttl * SECOND : null
    const end = disableTTL ? null : (life.expiresAt ?? otherwise)
    enterAgain(this.#index, decodeFound(found)?.meta?.i, id, end, 'after')
    return true
  }

  remove(id: string, user?: string, expected?: string): Promise<boolean | Found> {
    return removeIndexed(this.#index, id, user, () => this.#records.remove(id, expected))
  }

  list(user: string): Promise<Listed[]> {
    return this.#index.list(user)
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
    renew: (id, token, ttl) =>
      link.run(LOCK_RENEW, [keyOf(id)], [token, String(ttl)], (reply) => textOf(reply) === '1'),
    release: (id, token) => link.run(LOCK_RELEASE, [keyOf(id)], [token], () => undefined)
  }
}
