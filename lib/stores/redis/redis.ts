import { answer, declareNative, LOCK_PREFIX, POWERS, type Callback, type SessionRecord } from '../../store/contract'
import { beside, isMeta, isRecord } from '../../record/parsed-record'
import { isAboveZero, OptionError } from '../../base/errors'
import { Store } from '../../store/store'
import { chain, SECOND, type MaybePromise, type Milliseconds } from '../../base/time'
import { ANYTHING, checkOptions, FLAG, SERIALIZER, type Rule, type Serializer } from '../option-rules'
import { USER_PREFIX } from '../user-index'
import { afterChanges, change, clearAll, nothing, respondOfAll } from '../change'
import { dialectOf, type RedisClient } from './client'
import type { RedisWait } from './errors'
import { redisLink, type RedisLink } from './link'
import { redisPowers, type RedisPowers } from './powers'
import type { RedisSettings, RedisTtl } from './records'

const DAY_IN_SECONDS = 86_400

/** The options of connect-redis 9, with its defaults. */
export interface RedisStoreOptions {
  /** A connected client of `redis` (5 or later), `ioredis`, `iovalkey` or `@valkey/valkey-glide`, alone or of a cluster. */
  client: RedisClient
  /** What every key begins with. @default 'sess:' */
  prefix?: string
  /** Seconds to keep a session whose cookie has no expiry, or the seconds for any session. @default 86400 */
  ttl?: RedisTtl
  /** Turns records into text and back. With any other than JSON an extension reads and writes. @default JSON */
  serializer?: Serializer
  /** How many keys Redis looks at in one step of `all`, `ids`, `length` and `clear`. @default 100 */
  scanCount?: number
  /** Keeps sessions in Redis until they are destroyed. @default false */
  disableTTL?: boolean
  /** Never extends a session: it lives for its idle time from its last save. @default false */
  disableTouch?: boolean
  /**
   * Confirms a removal (logout, regeneration, revocation) only when so many replicas have it as well (`WAIT`); else it
   * is an error. `timeout` in ms, 1000 by default; meanwhile other commands on the same connection wait, too.
   * @default removals are confirmed by the master alone
   */
  wait?: { replicas: number; timeout?: Milliseconds }
}

// connect-redis takes what is empty for what is left out.
const filled = (...[be, holds, told]: Rule): Rule => [be, (value) => !value || holds(value), told]

const RULES: Record<keyof RedisStoreOptions, Rule> = {
  client: ANYTHING,
  prefix: ['a string', (prefix) => prefix == null || typeof prefix === 'string'],
  ttl: filled('seconds above 0 or a function', (ttl) => typeof ttl === 'function' || isAboveZero(ttl)),
  serializer: filled(...SERIALIZER),
  scanCount: filled('a whole number above 0', isCount),
  disableTTL: FLAG,
  disableTouch: FLAG,
  wait: filled('{ replicas, timeout }, both whole numbers above 0', (wait) => {
    const { replicas, timeout } = wait as Partial<RedisWait>
    return isCount(replicas) && isCount(timeout ?? SECOND)
  })
}

/**
 * Sessions in Redis: connect-redis's options, keys and stored text, with conditional writes on the server.
 *
 * While the client reconnects every call fails at once (`ERR_SESSION_STORE`, status 503) instead of queueing up.
 * Replication is asynchronous: a failover may lose what its old master acknowledged last, unless `wait` is set a logout
 * too. Clients that send a command again after a lost connection (ioredis with `autoResendUnfulfilledCommands`, its
 * default; sentinels of node-redis) may have a write meet its own trace: a conflict, solved as any other; `update(fn)`
 * may then count twice.
 *
 * @example
 * const client = await createClient({ url: process.env.REDIS_URL }).connect()
 * app.use(sessions({ secret, store: new RedisStore({ client }) }))
 * @throws {OptionError} when an option cannot work.
 */
export class RedisStore extends Store implements RedisSettings {
  readonly client: RedisClient
  prefix: string
  ttl: RedisTtl
  serializer: Serializer
  scanCount: number
  disableTTL: boolean
  disableTouch: boolean
  wait: RedisWait | undefined
  declare readonly [POWERS]: RedisPowers
  readonly #link: RedisLink

  constructor(options: RedisStoreOptions) {
    super()
    const given = checkOptions('RedisStore', options, RULES)
    const { client, prefix, ttl, serializer, scanCount, disableTTL, disableTouch, wait } = given
    this.client = client
    this.prefix = prefix ?? 'sess:'
    this.ttl = ttl || DAY_IN_SECONDS
    this.serializer = serializer || JSON
    this.scanCount = scanCount || 100
    this.disableTTL = disableTTL || false
    this.disableTouch = disableTouch || false
    this.wait = wait ? { replicas: wait.replicas, timeout: wait.timeout ?? SECOND } : undefined
    const dialect = dialectOf(client)
    if (this.wait && dialect.evalAndWait === undefined) {
      throw new OptionError(
        'RedisStore: `wait` needs a client that sends two commands on one connection: one of redis, ioredis or iovalkey'
      )
    }
    this.#link = redisLink(client, dialect)
    // Not enumerable, as the methods: a store may be logged.
    Object.defineProperty(this, POWERS, { value: redisPowers(this.#link, this) })
  }

  get(id: string, callback?: Callback<any>): Promise<SessionRecord | null> | undefined {
    return answer(() => afterChanges(this, id, () => this.#find(id)), callback)
  }

  set(id: string, session: SessionRecord, callback?: Callback<null>): Promise<null> | undefined {
    const meta = isRecord(session) ? beside(session).meta : undefined
    const user = isMeta(meta) ? meta.i : undefined
    const prepare = (seconds: number): MaybePromise<() => Promise<unknown>> => {
      if (!(seconds > 0)) return () => this.#link.del(this.prefix + id)
      const life = this.disableTTL ? null : Math.ceil(seconds * SECOND)
      return chain(this.serializer.stringify(session), (raw) => () => this[POWERS].put(id, raw, life, user))
    }
    return change(this, id, () => chain(this.#secondsOf(session), prepare), callback)
  }

  destroy(id: string, callback?: Callback<null>): Promise<null> | undefined {
    return change(this, id, () => () => this[POWERS].remove(id), callback)
  }

  override touch(id: string, session: SessionRecord, callback?: Callback<null>): Promise<null> | undefined {
    const prepare = (seconds: number) => () => this.#link.expire(this.prefix + id, Math.ceil(seconds))
    const extend = () => (this.disableTouch || this.disableTTL ? nothing : chain(this.#secondsOf(session), prepare))
    return change(this, id, extend, callback)
  }

  /** All sessions, each with its `id`. */
  override all(callback?: Callback<any>): Promise<SessionRecord[]> | undefined {
    return respondOfAll(
      this,
      async () => {
        const found: SessionRecord[] = []
        await this.#inBatches(async (id) => {
          const session = await this.#find(id)
          if (session !== null) found.push(Object.assign(session, { id }))
        })
        return found
      },
      callback
    )
  }

  ids(callback?: Callback<string[]>): Promise<string[]> | undefined {
    return respondOfAll(this, () => this.#ids(), callback)
  }

  override length(callback?: Callback<number>): Promise<number> | undefined {
    return respondOfAll(this, async () => (await this.#ids()).length, callback)
  }

  override clear(callback?: Callback<null>): Promise<null> | undefined {
    const remove = (id: string) => this.#link.del(this.prefix + id)
    return clearAll(this, () => this.#inBatches(remove), callback)
  }

  async #find(id: string): Promise<SessionRecord | null> {
    const raw = await this.#link.get(this.prefix + id)
    if (!raw) return null
    try {
      const session = await this.serializer.parse(raw)
      return typeof session === 'object' && !Array.isArray(session) ? (session as SessionRecord | null) : null
    } catch {
      return null
    }
  }

  async #ids(): Promise<string[]> {
    const keys = await this.#link.keys(this.prefix, this.scanCount)
    // A prefix short enough covers our own index and locks.
    const ours = keys.filter((key) => !key.startsWith(USER_PREFIX) && !key.startsWith(LOCK_PREFIX))
    return ours.map((key) => key.slice(this.prefix.length))
  }

  async #inBatches(work: (id: string) => Promise<unknown>): Promise<void> {
    const ids = await this.#ids()
    for (let i = 0; i < ids.length; i += this.scanCount) await Promise.all(ids.slice(i, i + this.scanCount).map(work))
  }

  #secondsOf(session: Partial<SessionRecord> | null | undefined): MaybePromise<number> {
    if (typeof this.ttl === 'function') return this.ttl(session)
    const { expires } = (session?.cookie ?? {}) as { expires?: Date | string | null }
    return expires ? Math.ceil((Number(new Date(expires)) - Date.now()) / SECOND) : this.ttl
  }
}

declareNative(RedisStore)

function isCount(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) > 0
}
