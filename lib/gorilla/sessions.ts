import { answer, declareNative, POWERS, type Callback, type SessionRecord } from '../store/contract'
import type { SessionDefaults, StoreContract, TokenCodec } from '../store/contract'
import { demand, OptionError, quote, type SessionError, type SessionErrorCode } from '../base/errors'
import { givenOptions } from '../base/warnings'
import { DAY } from '../base/time'
import { decodeRecord } from '../record/record'
import { afterChanges, change } from '../stores/change'
import { KeyedStore, lifeOf } from '../stores/record-store'
import type { Store } from '../store/store'
import { checkPairs, checkTypes, COMMON, sessionDefaultsOf, type CommonOptions } from './options'
import type { Declared } from './codec/values'
import { goReason } from './reasons'
import { checkLimits, type Pair } from './securecookie'
import { GorillaStore } from './store'
import { gobFormat, jsonFormat, sealedFormat, type Format } from './stores/content'
import { filesShelf } from './stores/files'
import { memcachedShelf } from './stores/memcached'
import { mongoShelf, OBJECT_IDS } from './stores/mongo'
import { postgresShelf } from './stores/postgres'
import { goPowers, type GoPowers } from './stores/powers'
import { redisShelf } from './stores/redis'
import type { Shelf } from './stores/shelf'
import { base32Ids, GoTokens } from './stores/tokens'

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

interface Kind {
  format(types: Declared, pairs: readonly Pair[]): Format
  maxLength: number | null
  shelf(backing: unknown, options: GorillaSessionsOptions): Shelf
}

const redis =
  (prefix: string): Kind['shelf'] =>
  (client, { keyPrefix = prefix }) =>
    redisShelf(client, keyPrefix)
const memcache: Kind['shelf'] = (client, { keyPrefix = '' }) => memcachedShelf(client, keyPrefix)
const postgres: Kind['shelf'] = (pool, { table = 'http_sessions' }) => postgresShelf(pool, table)

const KINDS: Record<Exclude<GorillaFormat, 'cookie'>, Kind> = {
  filesystem: { format: sealedFormat, maxLength: 4096, shelf: filesShelf },
  redisstore: { format: gobFormat, maxLength: null, shelf: redis('session:') },
  redistore: { format: gobFormat, maxLength: 4096, shelf: redis('session_') },
  'redistore-json': { format: () => jsonFormat, maxLength: 4096, shelf: redis('session_') },
  pgstore: { format: sealedFormat, maxLength: 4096, shelf: postgres },
  memcache: { format: sealedFormat, maxLength: 4096, shelf: memcache },
  'memcache-gob': { format: gobFormat, maxLength: null, shelf: memcache },
  'memcache-json': { format: () => jsonFormat, maxLength: null, shelf: memcache },
  mongostore: { format: sealedFormat, maxLength: 4096, shelf: mongoShelf }
}

/**
 * The sessions of one of Go's session stores, shared with the Go program: its cookies, its records, its expiry.
 * @param backing what the format keeps sessions in: a folder (`'filesystem'`), a client of Redis, a Pool of `pg`, a
 * client of `memcached`, a collection of `mongodb`; nothing for `'cookie'`
 * @example sessions({ name: 'session-name', secret, store: gorillaSessions(client, { format: 'redistore', keyPairs }) })
 * @throws {OptionError} for what cannot work
 */
export function gorillaSessions(backing: unknown, options: GorillaSessionsOptions): Store & StoreContract {
  const known = [...COMMON, 'format', 'name', 'keyPrefix', 'table', 'maxLength']
  const { format, keyPairs, maxAge, cookie, types, maxLength } = givenOptions('gorillaSessions', options, known)
  checkLimits({ maxAge, maxLength })
  for (const option of ['keyPrefix', 'name'] as const) {
    const given: unknown = options?.[option]
    demand(given === undefined || typeof given === 'string', 'gorillaSessions', option, 'a string', given)
  }
  if (format === 'cookie') return new GorillaStore({ keyPairs: keyPairs!, maxAge, cookie, types })
  if (typeof format !== 'string' || !Object.hasOwn(KINDS, format)) {
    throw new OptionError(`format must be one of cookie, ${Object.keys(KINDS).join(', ')}, got ${quote(format)}`)
  }
  return new GorillaServerStore(backing, options)
}

class GorillaServerStore extends KeyedStore implements StoreContract {
  declare readonly [POWERS]: GoPowers
  declare readonly tokens: TokenCodec
  declare readonly sessionDefaults: SessionDefaults

  constructor(backing: unknown, options: GorillaSessionsOptions) {
    const { maxAge = 30 * DAY, name, format } = options
    const kind = KINDS[format as keyof typeof KINDS]
    const { maxLength = kind.maxLength } = options
    const isBare = format === 'redisstore'
    const pairs = isBare && options.keyPairs === undefined ? [] : checkPairs(options)
    const ids = format === 'mongostore' ? OBJECT_IDS : base32Ids(isBare ? 103 : 52)
    const tokens = new GoTokens(name, ids, isBare ? undefined : pairs)
    const sealing = pairs.map((pair) => ({ ...pair, maxLength }))
    const spelling = kind.format(checkTypes(options.types), sealing)
    super(goPowers(kind.shelf(backing, options), spelling, tokens, { maxAge, maxLength }))
    // Not enumerable, as the methods: a store may be logged.
    const define = (key: PropertyKey, value: object) => Object.defineProperty(this, key, { value })
    define('tokens', tokens)
    define('sessionDefaults', sessionDefaultsOf(options))
  }

  // Without what is kept beside the data: `set` finds that again, so nobody need carry it along.
  override get(id: string, callback?: Callback<SessionRecord | null>): Promise<SessionRecord | null> {
    const find = async () => {
      const found = await this[POWERS].read(String(id))
      const record = found && decodeRecord(found.text)
      return record ? { cookie: record.cookie, ...record.data } : null
    }
    return answer(() => afterChanges(this, id, find), callback) as Promise<SessionRecord | null>
  }

  reasonOf(code: SessionErrorCode, id: string | undefined): SessionError | undefined {
    return goReason(code, code === 'ERR_SESSION_CORRUPT' ? this[POWERS].faultOf(id) : undefined)
  }

  // For as long as Go gives it, where the cookie does not tell.
  override touch(id: string, session: SessionRecord, callback?: Callback<null>): Promise<void> {
    const extend = () => {
      const cookie: unknown = session?.cookie
      const { life } = lifeOf(JSON.stringify({ cookie }), this[POWERS].ttl)
      return () => this[POWERS].extend(id, life)
    }
    return change(this, id, extend, callback)
  }
}

declareNative(GorillaServerStore)
