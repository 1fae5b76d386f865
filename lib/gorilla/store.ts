import { createHash } from 'node:crypto'
import {
  answer,
  CARRIER,
  declareNative,
  POWERS,
  type Callback,
  type Carrier,
  type Opened,
  type StoreContract
} from '../contract'
import { OptionError, SessionError, type SessionErrorCode } from '../errors'
import { decodeRecord, encodeRecord, META, type Meta } from '../record'
import { Store } from '../store'
import { SECOND } from '../time'
import { RecentWrites } from '../stores/recent'
import { decodeGob } from './gob-decode'
import { encodeGob } from './gob-encode'
import { GobError } from './gob-read'
import { fromJson, toJson, type GoValue } from './gob-values'
import { SecureCookie, type KeyPair, type SecureCookieOptions } from './securecookie'

const REMEMBERED_MAX = 10_000

/** Options of `GorillaStore`. */
export interface GorillaStoreOptions extends SecureCookieOptions {
  /** The pairs given to `sessions.NewCookieStore(hashKey, blockKey, ...)`: the first writes, all read. */
  keyPairs: readonly KeyPair[]
}

/**
 * Reads and writes the very cookies of Go's `sessions.NewCookieStore`: a Go and an Express service behind one domain
 * share one login.
 *
 * Times appear as ISO texts, bytes as base64, integers beyond 2^53 as decimal texts; what the application leaves as it
 * is goes back with the Go type it came with. New numbers become `int` or `float64`, lists `[]interface{}`, objects
 * `map[string]interface{}`.
 *
 * @example sessions({ secret, name: 'session-name', store: new GorillaStore({ keyPairs: [{ hashKey }] }) })
 */
export class GorillaStore extends (Store as unknown as new () => Store) implements Carrier, StoreContract {
  readonly [CARRIER]: Carrier = this
  readonly [POWERS] = new RecentWrites()
  readonly #cookies: SecureCookie
  // The Go types of what was read, until it is written again.
  readonly #typed = new Map<string, Map<string, GoValue>>()

  constructor({ keyPairs, ...options }: GorillaStoreOptions) {
    super()
    if (!Array.isArray(keyPairs)) throw new OptionError('keyPairs must be an array of { hashKey, blockKey? }')
    this.#cookies = new SecureCookie(keyPairs, options)
  }

  open(value: string, name: string): Opened | SessionErrorCode {
    let session: Map<string, GoValue>
    let issuedAt: number
    let stale: boolean
    try {
      const opened = this.#cookies.decode(name, value)
      ;({ issuedAt, stale } = opened)
      session = decodeGob(opened.value)
    } catch (err) {
      if (err instanceof GobError) return 'ERR_SESSION_CORRUPT'
      if (err instanceof SessionError) return err.code
      throw err
    }
    const meta = metaOf(session, value, issuedAt)
    if (this[POWERS].isDead(meta.d!)) return 'ERR_SESSION_MISSING'
    session.delete(META)
    this.#remember(meta.d!, session)
    const data = Object.fromEntries([...session].map(([key, item]) => [key, toJson(item)]))
    const text = encodeRecord(COOKIE, meta, JSON.stringify(data))
    // The cookie is believed over what this process remembers: Go may have gone on from there within the second.
    return { id: meta.d!, text: this[POWERS].latest(meta.d!, text, Date.now() + SECOND), stale }
  }

  seal(text: string, name: string): string {
    const { meta, data } = decodeRecord(text)!
    const before = this.#typed.get(meta!.d!)
    const session = new Map(Object.entries(data).map(([key, item]) => [key, fromJson(item, before?.get(key))]))
    // Go carries a value it does not know along; ours comes back with it.
    session.set(META, { type: 'string', value: JSON.stringify(meta) })
    return this.#cookies.encode(name, encodeGob(session))
  }

  get(_id: string, callback?: Callback<null>): Promise<null> | undefined {
    return answer(() => null, callback)
  }

  set(_id: string, _session: object, callback?: Callback): Promise<void> | undefined {
    return answer(() => {
      throw new OptionError('GorillaStore works with the middleware of this package only')
    }, callback)
  }

  destroy(id: string, callback?: Callback): Promise<void> | undefined {
    return answer(() => void this[POWERS].remove(id), callback)
  }

  #remember(id: string, session: Map<string, GoValue>): void {
    this.#typed.delete(id)
    if (this.#typed.size >= REMEMBERED_MAX) this.#typed.delete(this.#typed.keys().next().value!)
    this.#typed.set(id, session)
  }
}

declareNative(GorillaStore as unknown as { prototype: StoreContract })

const COOKIE = JSON.stringify({ originalMaxAge: null, expires: null, httpOnly: true, path: '/' })

// A cookie that Go made has no metadata of ours: its time is its age, and it is named after itself.
function metaOf(session: Map<string, GoValue>, value: string, issuedAt: number): Meta {
  const carried = session.get(META)?.value
  if (typeof carried === 'string') {
    const meta = decodeRecord(`{"cookie":{},"${META}":${carried}}`)?.meta
    if (typeof meta?.d === 'string') return meta
  }
  return { u: issuedAt, c: issuedAt, d: createHash('sha256').update(value).digest('base64url').slice(0, 32) }
}
