import { createHash } from 'node:crypto'
import type { LockPower } from '../../store/contract'
import { OptionError, quote } from '../../base/errors'
import { hashOf } from '../../base/hash'
import type { Milliseconds } from '../../base/time'
import { dialectOf } from '../../stores/redis/client'
import { RedisLink } from '../../stores/redis/link'
import { redisLock } from '../../stores/redis/lock'
import { REPLACE, type Script } from '../../stores/redis/scripts'
import type { Shelf, Shelved } from './shelf'

/** A record and the ms that it has left (-1: for ever). */
const READ = script(
  'get pttl',
  `
local value = redis.call('GET', KEYS[1])
if not value then return false end
return {value, redis.call('PTTL', KEYS[1])}
`
)

/** Removes a record if its SHA-1 is that. */
const REMOVE = script(
  'get del',
  `
local value = redis.call('GET', KEYS[1])
if not value or redis.sha1hex(value) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
`
)

function script(commands: string, source: string): Script {
  return { source, sha: hashOf('sha1', source, 'hex'), commands: `evalsha eval ${commands}` }
}

// How RESP marks a bulk string; node-redis maps its types by that.
const BULK_STRING = 36

/** Records in Redis, each under a prefix and its ID, with the time that it has left. */
export class RedisShelf implements Shelf {
  readonly remote = true
  readonly lock: LockPower
  readonly #link: RedisLink
  readonly #prefix: string

  constructor(client: unknown, prefix: string) {
    const link = new RedisLink(client as object, dialectOf(inBytes(client)))
    this.#link = link
    this.#prefix = prefix
    this.lock = redisLock(link, prefix)
  }

  async read(id: string): Promise<Shelved | null> {
    const reply = (await this.#link.runOnSession(READ, this.#prefix + id)) as [unknown, unknown] | null
    if (reply === null) return null
    const [value, left] = reply
    const raw = Buffer.isBuffer(value) ? value : Buffer.from(String(value))
    const ms = Number(left)
    return { raw, version: this.versionOf(raw), expiresAt: ms < 0 ? null : Date.now() + ms }
  }

  create(id: string, raw: Buffer, end: Milliseconds | null): Promise<boolean> {
    return this.#link.set(this.#prefix + id, raw as unknown as string, leftUntil(end), null)
  }

  async replace(id: string, raw: Buffer, end: Milliseconds | null, version: string): Promise<boolean> {
    const left = leftUntil(end)
    const args = [raw as unknown as string, left === null ? '' : String(left), version, '']
    return typeof (await this.#link.runOnSession(REPLACE, this.#prefix + id, ...args)) === 'number'
  }

  async remove(id: string, version?: string): Promise<boolean> {
    if (version === undefined) return this.#link.del(this.#prefix + id)
    return (await this.#link.runOnSession(REMOVE, this.#prefix + id, version)) === 1
  }

  versionOf(raw: Buffer): string {
    return createHash('sha1').update(raw).digest('hex')
  }
}

function leftUntil(end: Milliseconds | null): Milliseconds | null {
  return end === null ? null : Math.max(1, Math.ceil(end - Date.now()))
}

type Reply = (...args: unknown[]) => Promise<unknown>

/** The same client, with replies as bytes: gob is no text. @throws {OptionError} for a client that cannot */
function inBytes(client: unknown): unknown {
  const shape = (client ?? {}) as Record<string, unknown>
  if (typeof shape.withTypeMapping === 'function') {
    return (shape as { withTypeMapping(mapping: object): object }).withTypeMapping({ [BULK_STRING]: Buffer })
  }
  if (typeof shape.evalshaBuffer !== 'function' || typeof shape.evalBuffer !== 'function') {
    throw new OptionError(
      `gorillaSessions: the backing must be a client of redis (5 or later) or ioredis, got ${quote(client)}`
    )
  }
  const { get, set, del, expire, evalshaBuffer, evalBuffer } = shape as Record<string, Reply>
  return {
    get status() {
      return shape.status
    },
    get options() {
      return shape.options
    },
    get: get!.bind(client),
    set: set!.bind(client),
    del: del!.bind(client),
    expire: expire!.bind(client),
    evalsha: evalshaBuffer!.bind(client),
    eval: evalBuffer!.bind(client)
  }
}
