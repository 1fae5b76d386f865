import { randomBytes } from 'node:crypto'
import { answer, declareNative, POWERS, type Callback, type Powers, type SessionRecord } from '../store/contract'
import type { Life, LockPower, SessionDefaults, StoreContract, TokenCodec } from '../store/contract'
import { OptionError, quote, type SessionError, type SessionErrorCode } from '../base/errors'
import { decodeRecord, META, type Meta } from '../record/record'
import { DAY, type Milliseconds } from '../base/time'
import { Store } from '../store/store'
import { checkCommon, checkTypes, sessionDefaultsOf, type CommonOptions } from './options'
import { goReason } from './reasons'
import type { Pair } from './securecookie'
import { GorillaStore } from './store'
import { GobFormat, JsonFormat, SealedFormat, type Format } from './stores/content'
import { FilesShelf } from './stores/files'
import { MemcachedShelf } from './stores/memcached'
import { isObjectId, MongoShelf } from './stores/mongo'
import { PostgresShelf } from './stores/postgres'
import { GoPowers } from './stores/powers'
import { RedisShelf } from './stores/redis'
import type { Shelf } from './stores/shelf'
import { BareTokens, SealedTokens, type GoTokens } from './stores/tokens'

/** Which of Go's packages keeps the sessions. */
export type GorillaFormat =
  | 'cookie'
  | 'filesystem'
  | 'redisstore'
  | 'redistore'
  | 'redistore-json'
  | 'pgstore'
  | 'memcache'
  | 'memcache-gob'
  | 'memcache-json'
  | 'mongostore'

/** Options of `gorillaSessions()`. */
export interface GorillaSessionsOptions extends Partial<CommonOptions> {
  format: GorillaFormat
  /** As of `CommonOptions`. `'redisstore'` has none; all others need them. */
  keyPairs?: CommonOptions['keyPairs']
  /** The cookie's name, under which Go seals records. @default the one that the store is used for */
  name?: string | undefined
  /**
   * What keys begin with (`SetKeyPrefix`, `KeyPrefix`).
   *
   * @default `'session:'` of redisstore, `'session_'` of redistore, none of memcache
   */
  keyPrefix?: string | undefined
  /** Table of pgstore. @default 'http_sessions' */
  table?: string | undefined
  /**
   * Longest record in bytes (`MaxLength`, `SetMaxLength`): a longer one Go would not read, or not save again. `null`: no
   * limit. @default 4096, of redisstore, memcache-gob and memcache-json none
   */
  maxLength?: number | null | undefined
}

interface Backing {
  shelf: Shelf
  lock?: LockPower
}

interface Kind {
  record: 'gob' | 'json' | 'sealed'
  maxLength: number | null
  shelf(backing: unknown, options: GorillaSessionsOptions): Backing
}

const redis =
  (prefix: string) =>
  (client: unknown, { keyPrefix = prefix }: GorillaSessionsOptions): Backing => {
    const shelf = new RedisShelf(client, keyPrefix)
    return { shelf, lock: shelf.lock }
  }
const memcache = (client: unknown, { keyPrefix = '' }: GorillaSessionsOptions): Backing => ({
  shelf: new MemcachedShelf(client, keyPrefix)
})

const KINDS: Record<Exclude<GorillaFormat, 'cookie'>, Kind> = {
  filesystem: { record: 'sealed', maxLength: 4096, shelf: (path) => ({ shelf: new FilesShelf(path) }) },
  redisstore: { record: 'gob', maxLength: null, shelf: redis('session:') },
  redistore: { record: 'gob', maxLength: 4096, shelf: redis('session_') },
  'redistore-json': { record: 'json', maxLength: 4096, shelf: redis('session_') },
  pgstore: {
    record: 'sealed',
    maxLength: 4096,
    shelf: (pool, { table = 'http_sessions' }) => ({ shelf: new PostgresShelf(pool, table) })
  },
  memcache: { record: 'sealed', maxLength: 4096, shelf: memcache },
  'memcache-gob': { record: 'gob', maxLength: null, shelf: memcache },
  'memcache-json': { record: 'json', maxLength: null, shelf: memcache },
  mongostore: { record: 'sealed', maxLength: 4096, shelf: (coll) => ({ shelf: new MongoShelf(coll, objectId) }) }
}

/**
 * The sessions of one of Go's session stores, shared with the Go program: its cookies, its records, its expiry.
 *
 * @param backing what the format keeps sessions in: a folder (`'filesystem'`), a client of Redis, a Pool of `pg`, a
 * client of `memcached`, a collection of `mongodb`; nothing for `'cookie'`
 * @example sessions({ name: 'session-name', secret, store: gorillaSessions(client, { format: 'redistore', keyPairs }) })
 * @throws {OptionError} for what cannot work
 */
export function gorillaSessions(backing: unknown, options: GorillaSessionsOptions): Store & StoreContract {
  const { format, keyPairs } = options ?? {}
  if (format === 'cookie') return new GorillaStore({ ...options, keyPairs: keyPairs! })
  if (typeof format !== 'string' || !Object.hasOwn(KINDS, format)) {
    throw new OptionError(`format must be one of cookie, ${Object.keys(KINDS).join(', ')}, got ${quote(format)}`)
  }
  return new GorillaServerStore(backing, options)
}

/** A server-side store of Go's. */
class GorillaServerStore extends (Store as unknown as new () => Store) implements StoreContract {
  declare readonly [POWERS]: Powers
  declare readonly tokens: TokenCodec
  declare readonly sessionDefaults: SessionDefaults
  readonly #powers: GoPowers
  readonly #maxAge: Milliseconds | null

  constructor(backing: unknown, options: GorillaSessionsOptions) {
    super()
    const { maxAge = 30 * DAY, name, types = {} } = options
    const kind = KINDS[options.format as keyof typeof KINDS]
    const bare = options.format === 'redisstore'
    const keyPairs = bare && options.keyPairs === undefined ? undefined : options.keyPairs!
    const pairs = keyPairs === undefined && bare ? [] : checkCommon({ ...options, keyPairs: keyPairs! }).pairs
    const { maxLength = kind.maxLength } = options
    const { shelf, lock } = kind.shelf(backing, options)
    const declared = checkTypes(types)
    const tokens = bare ? new BareTokens(name) : tokensOf(options.format, pairs, name)
    const format = formatOf(kind.record, declared, pairs)
    this.#maxAge = maxAge
    this.#powers = new GoPowers(shelf, format, tokens, { maxAge, maxLength }, lock)
    // Not enumerable, as the methods: a store may be logged.
    Object.defineProperty(this, POWERS, { value: this.#powers })
    Object.defineProperty(this, 'tokens', { value: tokens })
    Object.defineProperty(this, 'sessionDefaults', { value: sessionDefaultsOf(options) })
  }

  get(id: string, callback?: Callback<SessionRecord | null>): Promise<SessionRecord | null> | undefined {
    return answer(async () => {
      const found = await this.#powers.read(id)
      const record = found === null ? undefined : decodeRecord(found.text)
      return record === undefined ? null : { cookie: record.cookie, ...record.data }
    }, callback)
  }

  /** Keeps a session, whatever was kept before, and what is carried for Go along. */
  set(id: string, session: SessionRecord, callback?: Callback): Promise<void> | undefined {
    return answer(() => this.#powers.put(id, JSON.stringify(session), this.#lifeOf(session)), callback)
  }

  reasonOf(code: SessionErrorCode, id: string | undefined): SessionError | undefined {
    return goReason(code, code === 'ERR_SESSION_CORRUPT' ? this.#powers.faultOf(id) : undefined)
  }

  destroy(id: string, callback?: Callback): Promise<void> | undefined {
    return answer(async () => void (await this.#powers.remove(id)), callback)
  }

  override touch(id: string, session: SessionRecord, callback?: Callback): Promise<void> | undefined {
    return answer(async () => void (await this.#powers.extend(id, this.#lifeOf(session))), callback)
  }

  #lifeOf(session: Partial<SessionRecord> | null | undefined): Life {
    const now = Date.now()
    const { expires: given } = (session?.cookie ?? {}) as { expires?: Date | string | null }
    const expires = new Date(given ?? NaN).valueOf()
    const fallback = this.#maxAge === null ? null : now + this.#maxAge
    return {
      usedAt: (session?.[META] as Partial<Meta> | undefined)?.u ?? now,
      expiresAt: Number.isNaN(expires) ? fallback : expires
    }
  }
}

declareNative(GorillaServerStore)

function tokensOf(format: GorillaFormat, pairs: readonly Pair[], name: string | undefined): GoTokens {
  if (format !== 'mongostore') return new SealedTokens(pairs, name)
  return new SealedTokens(pairs, name, () => randomBytes(12).toString('hex'), isObjectId)
}

function formatOf(record: Kind['record'], declared: ReturnType<typeof checkTypes>, pairs: readonly Pair[]): Format {
  if (record === 'gob') return new GobFormat(declared)
  return record === 'json' ? new JsonFormat() : new SealedFormat(declared, pairs)
}

// The driver is the application's; it is here because the collection is.
function objectId(hex: string): unknown {
  const { ObjectId } = require('mongodb') as { ObjectId: new (hex: string) => unknown }
  return new ObjectId(hex)
}
