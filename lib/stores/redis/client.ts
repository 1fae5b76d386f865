import { hasMethods, OptionError, quote } from '../../base/errors'
import type { Dialect } from './dialect'
import { glide, type GlideShape } from './glide'
import { ioRedis, nodeRedis, type IoRedisShape, type NodeRedisShape } from './node-clients'

/**
 * A connected client of `redis` (5 or later: client, pool, sentinel, cluster), of `ioredis` or `iovalkey` (Redis or
 * Cluster), or of `@valkey/valkey-glide` (standalone or cluster).
 */
export type RedisClient = Record<'get' | 'set' | 'del' | 'expire', Method> &
  ({ evalSha: Method; withTypeMapping: Method } | { evalsha: Method; pipeline: Method } | { customCommand: Method })

type Method = (...args: any[]) => unknown

/**
 * Recognises a client by what it can do.
 * @throws {OptionError} when it is none of those that the store knows, or an older one.
 */
export function dialectOf(client: unknown): Dialect {
  const has = (...names: string[]) => hasMethods(client, ...names)
  if (has('get', 'set', 'del', 'expire')) {
    if (has('evalSha', 'eval', 'withTypeMapping', 'multi')) return nodeRedis(client as NodeRedisShape)
    if (has('evalsha', 'eval', 'pipeline')) return ioRedis(client as IoRedisShape)
    if (has('customCommand')) return glide(client as GlideShape)
    // Their SET ignores how version 5 is told of lifetimes and conditions, or answers by callback alone.
    if (has('evalSha') || has('evalsha')) {
      throw new OptionError(
        'RedisStore: `client` is one of redis 4 or older, which cannot be told of lifetimes and conditions as the ' +
          'store has to. Install redis@5 or later (or ioredis) and hand over its client'
      )
    }
  }
  throw new OptionError(
    'RedisStore: `client` must be a client of redis (node-redis 5 or later), of ioredis or iovalkey, or of ' +
      `@valkey/valkey-glide, for example createClient({ url }); got ${quote(client)}`
  )
}
