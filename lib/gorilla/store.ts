import { CARRIER, POWERS, type Carrier, type Opened, type SessionDefaults, type StoreContract } from '../store/contract'
import { SessionError, type SessionErrorCode } from '../base/errors'
import { hashOf } from '../base/hash'
import { isSessionId } from '../base/ids'
import { BoundedMap } from '../base/maps'
import { decodeRecord, encodeRecord, type Meta } from '../record/record'
import { CarriedStore } from '../stores/cookie/carried-store'
import { RecentWrites } from '../stores/cookie/recent'
import { COOKIE_BYTES_MAX, cookieTooLarge } from '../stores/too-large'
import { DAY, MINUTE, SECOND, type Milliseconds } from '../base/time'
import { givenOptions } from '../base/warnings'
import { decodeCarried, decodeValues, encodeCarried, encodeValues, type Carried, type Values } from './carried'
import { decodeKept, encodeKept } from './codec/kept'
import type { Declared } from './codec/values'
import { checkPairs, checkTypes, COMMON, sessionDefaultsOf, goCookieText, type CommonOptions } from './options'
import { goReason } from './reasons'
import { openBytes, sealBytes, withoutPadding, type Authentic, type Pair } from './securecookie'

/** How far another machine's clock may be ahead. */
const SKEW: Milliseconds = 5 * MINUTE
const NOTES_MAX = 10_000

/** Options of `GorillaStore`. */
export type GorillaStoreOptions = CommonOptions

/**
 * Reads and writes the very cookies of Go's `sessions.NewCookieStore`, so that programs in both share one session.
 *
 * In a session times are RFC 3339 texts, bytes base64 and integers beyond the safe ones decimal texts, as Go's
 * encoding/json has them; they go back as what they were. `secret` of `sessions()` is not used for these cookies.
 *
 * @example sessions({ name: 'session', secret, store: new GorillaStore({ keyPairs: [[hashKey, blockKey]] }) })
 */
export class GorillaStore extends CarriedStore implements Carrier, StoreContract {
  readonly [CARRIER]: Carrier = this
  readonly ownKeys = true
  readonly [POWERS]: RecentWrites
  readonly #pairs: readonly Pair[]
  readonly #types: Declared
  readonly sessionDefaults: SessionDefaults
  readonly #cookieText: string
  readonly #recent = new RecentWrites()
  /** What this process wrote last beside the values of a session. */
  readonly #written = new BoundedMap<string, string>(NOTES_MAX)

  /** @throws {TypeError} for keys or types that cannot work */
  constructor(options: GorillaStoreOptions) {
    super()
    this.#pairs = checkPairs(givenOptions('GorillaStore', options, COMMON))
    this.#types = checkTypes(options.types)
    this.#cookieText = goCookieText(options.maxAge === undefined ? 30 * DAY : options.maxAge)
    this.sessionDefaults = sessionDefaultsOf(options)
    this[POWERS] = this.#recent
  }

  /** Answers `ERR_SESSION_SIGNATURE`, `_EXPIRED`, `_CORRUPT` or `_MISSING` (destroyed here). */
  open(value: string, name: string): Opened | SessionErrorCode {
    const opened = openBytes(this.#pairs, name, value, (bytes) => decodeValues(bytes, this.#types))
    if (typeof opened === 'string') return opened
    // Authentic, but from a clock we do not share: it would outlive every deadline.
    if (opened.issuedAt > Date.now() + SKEW) return 'ERR_SESSION_EXPIRED'
    try {
      return this.#read(opened, decodeValues(opened.bytes, this.#types))
    } catch (err) {
      if (err instanceof SessionError && err.kind === 'decode') return err.code
      throw err
    }
  }

  seal(text: string, name: string): string {
    const record = decodeRecord(text)!
    const id = record.meta?.d
    const kept = decodeKept(record.meta?.t)
    const issuedAt = Math.floor(Date.now() / SECOND) * SECOND
    const carried = record.meta && encodeCarried(record, issuedAt)
    if (id !== undefined && carried !== undefined) this.#written.set(id, carried)
    const bytes = encodeValues(record.data, kept, this.#types, carried)
    const pair = { ...this.#pairs[0]!, maxLength: null }
    const value = sealBytes(pair, name, withoutPadding(bytes, pair))
    if (name.length + value.length > COOKIE_BYTES_MAX) throw cookieTooLarge(name.length + value.length, text)
    return value
  }

  reasonOf(code: SessionErrorCode): SessionError | undefined {
    return goReason(code)
  }

  #read({ issuedAt, mac, pair }: Authentic, values: Values): Opened | SessionErrorCode {
    const { json, hint, definitions, carried: ours } = values
    const carried = ownCarried(ours)
    const meta: Meta & { d: string } = carried?.meta ?? { u: issuedAt, c: issuedAt, d: idOf(mac) }
    // Go has used the session since we wrote it.
    if (carried !== undefined && issuedAt > carried.issuedAt) meta.u = Math.max(meta.u, issuedAt)
    const types = encodeKept({ hint, definitions })
    if (types !== undefined) meta.t = types
    const id = meta.d
    const text = encodeRecord(carried?.cookieText ?? this.#cookieText, meta, JSON.stringify(json))
    // Dates are whole seconds. A cookie that carries what we wrote last was made from it, however soon after.
    const written = this.#written.get(id)
    const since = written !== undefined && written === ours ? Date.now() + 1 : issuedAt
    const latest = this.#recent.latest(id, text, since)
    return latest === null ? 'ERR_SESSION_MISSING' : { id, text: latest, stale: pair > 0 }
  }
}

function ownCarried(text: unknown): (Carried & { meta: { d: string } }) | undefined {
  const carried = decodeCarried(text)
  return isSessionId(carried?.meta?.d) ? (carried as Carried & { meta: Meta & { d: string } }) : undefined
}

// A session that Go began has no ID; its MAC is as hard to guess as one. Only its hash gets about.
function idOf(mac: Buffer): string {
  return hashOf('sha256', mac, 'base64url').slice(0, 32)
}
