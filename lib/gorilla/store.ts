import { createHash } from 'node:crypto'
import { answer, CARRIER, declareNative, POWERS } from '../store/contract'
import type { Callback, Carrier, Opened, StoreContract } from '../store/contract'
import { OptionError, SessionError, type SessionErrorCode } from '../base/errors'
import { randomId } from '../base/ids'
import { BoundedMap } from '../base/bounded-map'
import { decodeRecord, encodeRecord, META, type Meta } from '../record/record'
import { Store } from '../store/store'
import { RecentWrites } from '../stores/cookie/recent'
import { COOKIE_BYTES_MAX, cookieTooLarge } from '../store/too-large'
import { MINUTE, SECOND, type Milliseconds } from '../base/time'
import { decodeCarried, encodeCarried } from './carried'
import { decodeGob } from './gob-decode'
import { encodeGob } from './gob-encode'
import type { GoNode } from './go-nodes'
import { goType, type Hint } from './go-shape'
import { STRING, VALUES, type GoType } from './go-types'
import { checkPair, openBytes, sealBytes, type Authentic, type Pair } from './securecookie'
import { dataOf, valuesOf } from './values-text'

/** How far another machine's clock may be ahead. */
const SKEW: Milliseconds = 5 * MINUTE
const NOTES_MAX = 10_000

type Key = string | Uint8Array

/** Options of `GorillaStore`. */
export interface GorillaStoreOptions {
  /** What Go's `sessions.NewCookieStore(hashKey, blockKey, ...)` got, pair by pair: the first writes, all read. */
  keyPairs: readonly (readonly [hashKey: Key, blockKey?: Key | null])[]
  /** ms until a cookie is refused; `null`: no limit. @default 30 days, as Go's */
  maxAge?: Milliseconds | null | undefined
  /**
   * Go types of values by key, for what a program in Go asserts: `{ userId: 'int64', roles: '[]string' }`.
   *
   * A value that was read keeps its type without this; one that is new has none yet.
   *
   * @default integers `int`, other numbers `float64`, lists `[]interface {}`, objects `map[string]interface {}`
   */
  types?: Readonly<Record<string, string>> | undefined
}

// What this process knows of a session between reading and writing it.
interface Note {
  readonly hints: ReadonlyMap<string, Hint>
  /** What we wrote last beside the values. */
  readonly carried: string | undefined
}

/**
 * Reads and writes the very cookies of Go's `sessions.NewCookieStore`, so that programs in both share one session.
 *
 * In a session times are RFC 3339 texts, bytes base64 and integers beyond the safe ones decimal texts, as Go's
 * encoding/json has them; they go back as what they were. `secret` of `sessions()` is not used for these cookies.
 *
 * @example sessions({ name: 'session', secret, store: new GorillaStore({ keyPairs: [[hashKey, blockKey]] }) })
 */
export class GorillaStore extends (Store as unknown as new () => Store) implements Carrier, StoreContract {
  readonly [CARRIER]: Carrier = this
  readonly ownKeys = true
  readonly [POWERS]: RecentWrites
  readonly #pairs: readonly Pair[]
  readonly #types: ReadonlyMap<string, GoType>
  readonly #recent = new RecentWrites()
  readonly #notes = new BoundedMap<string, Note>(NOTES_MAX)

  /** @throws {TypeError} for keys or types that cannot work */
  constructor({ keyPairs, maxAge, types = {} }: GorillaStoreOptions) {
    super()
    if (!Array.isArray(keyPairs) || keyPairs.length === 0 || !keyPairs.every(Array.isArray)) {
      throw new OptionError('keyPairs must be an array of pairs: [[hashKey, blockKey], ...]')
    }
    this.#pairs = keyPairs.map(([hashKey, blockKey]) => checkPair({ hashKey, blockKey, maxAge }))
    this.#types = new Map(Object.entries(types).map(([key, type]) => [key, goType(type)]))
    this[POWERS] = this.#recent
  }

  /** Answers `ERR_SESSION_SIGNATURE`, `_EXPIRED`, `_CORRUPT` or `_MISSING` (destroyed here). */
  open(value: string, name: string): Opened | SessionErrorCode {
    const opened = openBytes(this.#pairs, name, value)
    if (typeof opened === 'string') return opened
    // Authentic, but from a clock we do not share: it would outlive every deadline.
    if (opened.issuedAt > Date.now() + SKEW) return 'ERR_SESSION_EXPIRED'
    try {
      return this.#read(opened, decodeGob(opened.bytes, VALUES))
    } catch (err) {
      if (err instanceof SessionError && err.kind === 'decode') return err.code
      throw err
    }
  }

  seal(text: string, name: string): string {
    const record = decodeRecord(text)!
    const id = record.meta?.d
    const values = valuesOf(record.data, id === undefined ? undefined : this.#notes.get(id)?.hints, this.#types)
    const issuedAt = Math.floor(Date.now() / SECOND) * SECOND
    const carried = encodeCarried(record, issuedAt, randomId().slice(0, 8))
    if (id !== undefined) this.#notes.set(id, { hints: dataOf(values).hints, carried })
    const entries = values.value as [GoNode, GoNode][]
    const extra: [GoNode, GoNode][] = carried === undefined ? [] : [[stringNode(META), stringNode(carried)]]
    const bytes = encodeGob({ type: VALUES, value: [...entries, ...extra] })
    const pair = { ...this.#pairs[0]!, maxLength: null }
    const value = sealBytes(pair, name, withoutPadding(bytes, pair))
    if (name.length + value.length > COOKIE_BYTES_MAX) throw cookieTooLarge(name.length + value.length, text)
    return value
  }

  // The contract alone cannot carry these sessions: they need the cookie's name, which the middleware has.

  get(_id: string, callback?: Callback<null>): Promise<null> | undefined {
    return answer(() => null, callback)
  }

  set(_id: string, _session: object, callback?: Callback): Promise<void> | undefined {
    return answer(() => {
      throw new OptionError('GorillaStore works with the middleware of this package only: it needs the cookie')
    }, callback)
  }

  destroy(id: string, callback?: Callback): Promise<void> | undefined {
    return answer(() => void this.#recent.remove(id), callback)
  }

  #read({ issuedAt, mac, pair }: Authentic, values: GoNode): Opened | SessionErrorCode {
    const entries = values.value as [GoNode, GoNode][]
    const ours = entries.find(([key]) => key.value === META)?.[1].value
    const { json, hints } = dataOf({ type: VALUES, value: entries.filter(([key]) => key.value !== META) })
    const carried = decodeCarried(ours)
    const meta: Meta & { d: string } = carried?.meta ?? { u: issuedAt, c: issuedAt, d: idOf(mac) }
    // Go has used the session since we wrote it.
    if (carried !== undefined && issuedAt > carried.issuedAt) meta.u = Math.max(meta.u, issuedAt)
    const id = meta.d
    if (this.#recent.isDead(id)) return 'ERR_SESSION_MISSING'
    const text = encodeRecord(carried?.cookieText ?? '{}', meta, JSON.stringify(json))
    // Dates are whole seconds. A cookie that carries what we wrote last was made from it, however soon after.
    const note = this.#notes.get(id)
    const since = note?.carried !== undefined && note.carried === ours ? Date.now() + 1 : issuedAt
    const latest = this.#recent.latest(id, text, since)
    if (latest === text || note === undefined) this.#notes.set(id, { hints, carried: note?.carried })
    return { id, text: latest, stale: pair > 0 }
  }
}

declareNative(GorillaStore as unknown as { prototype: StoreContract })

// A session that Go began has no ID; its MAC is as hard to guess as one. Only its hash gets about.
function idOf(mac: Buffer): string {
  return createHash('sha256').update(mac).digest('base64url').slice(0, 32)
}

function stringNode(value: string): GoNode {
  return { type: STRING, value }
}

/**
 * Lengthens a stream until its cookie needs no `=`: the middleware percent-encodes values, and Go does not decode that.
 * A gob decoder looks at nothing behind the value.
 */
function withoutPadding(bytes: Buffer, { blockKey }: Pair): Buffer {
  const date = String(Math.floor(Date.now() / SECOND)).length
  const around = date + '||'.length + 32
  let length = bytes.length
  const iv = blockKey === undefined ? 0 : 16
  while ((around + Math.ceil((iv + length) / 3) * 4) % 3 !== 0) length++
  return Buffer.concat([bytes, Buffer.alloc(length - bytes.length)])
}
