import { isAboveZero } from '../../base/errors'
import { checkOptions, having, optional, TIMER_SPAN, type Rule } from '../option-rules'
import { KeyedStore } from '../record-store'
import { SECOND, type Milliseconds } from '../../base/time'
import { memcachedLink, type MemcachedClient } from './link'
import { isPrefix, memcachedPowers, PREFIX_MAX } from './powers'

const DAY_IN_SECONDS = 86_400

export interface MemcachedStoreOptions {
  /** A client of `memcached` 2: `new Memcached(servers, options)`. */
  client: MemcachedClient
  /** What every key begins with, as with connect-memcached. @default '' */
  prefix?: string
  /** Seconds to keep a session whose cookie has no expiry, and that has no idle time either. @default 86400 */
  ttl?: number
  /**
   * Ms until a command is given up: the client never answers one whose connection broke. Not less than the option
   * `storeTimeout` of the middleware. 1 to 2^31 - 1.
   * @default 5000
   */
  storeTimeout?: Milliseconds
}

const RULES: Record<keyof MemcachedStoreOptions, Rule> = {
  client: having('a client of memcached 2 (new Memcached(servers))', 'gets', 'cas', 'add', 'set', 'del'),
  prefix: optional(`ASCII without spaces, control characters and $, at most ${PREFIX_MAX} characters`, isPrefix),
  ttl: optional('seconds above 0', isAboveZero),
  storeTimeout: TIMER_SPAN
}

/**
 * Sessions in memcached: connect-memcached's keys and values, with conditional writes (`gets` and `cas`).
 *
 * memcached is a cache: a restart ends all sessions, and when memory is short it ends those that were not used for the
 * longest time. It cannot enumerate what it keeps, so there is no `all`, `ids`, `length` or `clear`.
 *
 * @example
 * const client = new Memcached('localhost:11211', { retries: 5, minTimeout: 20, factor: 2, retry: 1000, failures: 1e9 })
 * app.use(sessions({ secret, store: new MemcachedStore({ client }) }))
 * @throws {OptionError} when an option cannot work.
 */
export class MemcachedStore extends KeyedStore {
  constructor(options: MemcachedStoreOptions) {
    const {
      client,
      prefix = '',
      ttl = DAY_IN_SECONDS,
      storeTimeout = 5 * SECOND
    } = checkOptions('MemcachedStore', options, RULES)
    super(memcachedPowers(memcachedLink(client, storeTimeout), client, prefix, ttl * SECOND))
  }
}
