import { hasMethods, unavailable } from '../../base/errors'
import type { Milliseconds } from '../../base/time'
import { dialectOf } from '../../stores/redis/client'
import { listOf, textOf, type Dialect } from '../../stores/redis/dialect'
import { absentIfOther, redisLink } from '../../stores/redis/link'
import { ioRedis, type IoRedisShape } from '../../stores/redis/node-clients'
import { redisLock } from '../../stores/redis/powers'
import { resultOf } from '../../stores/redis/records'
import { REMOVE, script, WRITE } from '../../stores/redis/scripts'
import { demandBacking, digestOf, type Shelf } from './shelf'

/** What it was asked for, the record, and the ms that it has left (-1: for ever). */
const READ = script(
  'get pttl',
  `
local value = redis.call('GET', KEYS[1])
if not value then return false end
return {ARGV[1], value, tostring(redis.call('PTTL', KEYS[1]))}
`
)

// How RESP marks a bulk string; node-redis maps its types by that.
const BULK_STRING = 36

/** Records in Redis, each under a prefix and its ID, with the time that it has left. */
export function redisShelf(client: unknown, prefix: string): Shelf {
  const link = redisLink(client as object, inBytes(client))
  return {
    remote: true,
    lock: redisLock(link, prefix),
    async read(id) {
      const parts = (reply: unknown) => (reply === null ? null : listOf(reply, 3))
      const found = await link.run(READ, [prefix + id], [id], parts, absentIfOther)
      if (found === null) return null
      const [asked, value, left] = found
      // Go's records do not tell whose they are, and a connection out of step hands out those of others.
      if (String(asked) !== id) throw unavailable('Redis answered something else than it was asked')
      const raw = Buffer.isBuffer(value) ? value : Buffer.from(String(value))
      const ms = Number(String(left))
      return { raw, version: digestOf(raw), expiresAt: ms < 0 ? null : Date.now() + ms }
    },
    write(id, raw, end, version) {
      // Clients take bytes as well.
      const value = raw as unknown as string
      if (version === null) return link.set(prefix + id, value, leftUntil(end), null)
      const read = async (replies: unknown) => (await resultOf(listOf(replies, 1)[0], version)) === true
      return link.run(WRITE, [prefix + id], ['', value, String(leftUntil(end) ?? ''), version, ''], read)
    },
    remove(id, version) {
      if (version === undefined) return link.del(prefix + id)
      const isRemoved = (reply: unknown) => textOf(reply) === '+'
      return link.run(REMOVE, [prefix + id], [version, ''], isRemoved, (err) => absentIfOther(err) !== null)
    },
    versionOf: digestOf
  }
}

function leftUntil(end: Milliseconds | null): Milliseconds | null {
  return end === null ? null : Math.max(1, Math.ceil(end - Date.now()))
}

/** Whose replies come as bytes: gob is no text. @throws {OptionError} for a client that cannot */
function inBytes(client: unknown): Dialect {
  if (hasMethods(client, 'withTypeMapping')) {
    return dialectOf(
      (client as { withTypeMapping(mapping: object): object }).withTypeMapping({ [BULK_STRING]: Buffer })
    )
  }
  const isRedis = hasMethods(client, 'evalshaBuffer', 'evalBuffer')
  demandBacking(isRedis, 'redisstore or redistore', 'a client of redis (5 or later) or ioredis', client)
  return ioRedis(client as IoRedisShape, 'Buffer')
}
