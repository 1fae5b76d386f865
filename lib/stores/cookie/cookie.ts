import type { KeyObject } from 'node:crypto'
import { StorePort } from '../../store/port'
import { CARRIER, POWERS } from '../../store/contract'
import type { Carrier, Found, Life, Opened, Powers, StoreContract } from '../../store/contract'
import { demand, hasMethods, OptionError, type SessionErrorCode } from '../../base/errors'
import { givenOptions } from '../../base/warnings'
import { decodeFound, versionOf, isForwarding } from '../../store/record-cache'
import type { KeyRing, Opening } from '../../cookie/keys'
import { compact } from '../../base/maps'
import { packRecord, unpackRecord } from '../../record/packed'
import { encodeRecord, META, type Meta } from '../../record/record'
import { readSigned, seal, SEALED, SIGNED, signText, unseal } from '../../cookie/seal'
import { chain, DAY, MINUTE, SECOND, type MaybePromise, type Milliseconds } from '../../base/time'
import { KeyedQueue } from '../../store/keyed-queue'
import { CarriedStore } from './carried-store'
import { RecentWrites } from './recent'
import { FLAG } from '../option-rules'
import { COOKIE_BYTES_MAX, cookieTooLarge } from '../too-large'

/** How far another machine's clock may be ahead. */
const SKEW: Milliseconds = 5 * MINUTE
/** With revocations, no cookie is believed for longer (gorilla/securecookie's `MaxAge`): a revocation outlives them all. */
const ISSUED_FOR: Milliseconds = 30 * DAY
const REVOKED_FOR: Milliseconds = ISSUED_FOR + SKEW

/** Options of `CookieStore`. */
export interface CookieStoreOptions {
  /** Sealed (encrypted and authenticated); `false`: readable, but signed. @default true */
  encrypt?: boolean | undefined
  /**
   * Where destroyed sessions are noted, so that logout is final for copied cookies as well, in every process.
   * Any store, one round trip a request. A cookie that was not re-issued for 30 days is then refused as expired.
   * @default nowhere
   */
  revocations?: StoreContract | undefined
}

/**
 * Keeps sessions in their cookies alone: nothing on the server, 4096 bytes at most.
 *
 * Without `revocations`, logout holds within one process and for five minutes; a copied cookie lives until it
 * expires. Parallel writes are merged within one process, and the `grace` of a rotation holds there.
 *
 * @example app.use(sessions({ secret, store: new CookieStore() }))
 */
export class CookieStore extends CarriedStore implements Carrier {
  readonly [CARRIER]: Carrier = this
  readonly [POWERS]: Powers
  readonly #encrypt: boolean
  readonly #recent = new RecentWrites()
  readonly #revocations: StorePort | undefined

  constructor(options?: CookieStoreOptions) {
    super()
    const { encrypt = true, revocations } = givenOptions('CookieStore', options, ['encrypt', 'revocations'])
    demand(FLAG[1](encrypt), 'CookieStore', 'encrypt', FLAG[0], encrypt)
    this.#encrypt = encrypt
    if (revocations !== undefined) {
      if (!hasMethods(revocations, 'get', 'set', 'destroy')) {
        throw new OptionError('revocations must be a store with the methods get, set and destroy')
      }
      this.#revocations = new StorePort(revocations, { storeTimeout: 5 * SECOND, hashIds: false })
    }
    this[POWERS] = this.#revocations === undefined ? this.#recent : this.#withRevocations(this.#revocations)
  }

  /** Answers `ERR_SESSION_SIGNATURE`, `_EXPIRED`, `_CORRUPT` or `_MISSING` (revoked); fails only if revocations do. */
  open(value: string, name: string, keys: KeyRing): MaybePromise<Opened | SessionErrorCode> {
    // No value of ours is longer, so nothing longer is worth decoding.
    if (name.length + value.length > COOKIE_BYTES_MAX) return 'ERR_SESSION_SIGNATURE'
    const opening = this.#open(value, name, keys)
    if (opening === undefined) return 'ERR_SESSION_SIGNATURE'
    const { text, issuedAt, key } = opening
    keys.noteUse(key)
    // Authentic, but from a clock we do not share: it would outlive every deadline.
    if (issuedAt > Date.now() + SKEW) return 'ERR_SESSION_EXPIRED'
    const id = decodeFound({ text }, idIn(text))?.meta?.d
    if (typeof id !== 'string') return 'ERR_SESSION_CORRUPT'
    const opened = (): Opened | SessionErrorCode => {
      const latest = this.#recent.latest(id, text, issuedAt)
      return latest === null ? 'ERR_SESSION_MISSING' : { id, text: latest, stale: key > 0 }
    }
    if (this.#revocations === undefined) return opened()
    if (this.#recent.isDead(id)) return 'ERR_SESSION_MISSING'
    if (issuedAt < Date.now() - ISSUED_FOR) return 'ERR_SESSION_EXPIRED'
    return chain(this.#revocations.read(id), (revoked): Opened | SessionErrorCode => {
      if (revoked === null) return opened()
      return isForwarding(revoked) ? { ...revoked, id, stale: false } : 'ERR_SESSION_MISSING'
    })
  }

  seal(text: string, name: string, keys: KeyRing): string {
    const issuedAt = this.#recent.nextTime(idIn(text))
    const key = this.#keys(keys)[0]!
    const value = this.#encrypt ? seal(key, name, packRecord(text), issuedAt) : signText(key, name, text, issuedAt)
    const size = name.length + value.length
    if (size > COOKIE_BYTES_MAX) throw cookieTooLarge(size, text)
    // The client comes back with it.
    keys.noteOpened(name, value, { text, issuedAt, key: 0 })
    return value
  }

  // The first letter of a value tells its format, so one memory serves both.
  #open(value: string, name: string, keys: KeyRing): Opening | undefined {
    const ring = this.#keys(keys)
    if (!value.startsWith(this.#encrypt ? SEALED : SIGNED)) return undefined
    const known = keys.openedAs(name, value)
    if (known !== undefined) return known
    const opening = this.#encrypt ? unseal(ring, name, value) : readSigned(ring, name, value)
    if (opening === undefined) return undefined
    opening.text = unpackRecord(opening.text)
    keys.noteOpened(name, compact(value), opening)
    return opening
  }

  #keys(keys: KeyRing): readonly KeyObject[] {
    return keys.sealing(this.#encrypt ? 'sealed cookie' : 'signed session')
  }

  #withRevocations(revocations: StorePort): Powers {
    const recent = this.#recent
    const moves = new KeyedQueue()
    const unlessRevoked = <T>(id: string, work: () => MaybePromise<T>): MaybePromise<T | Found | null> =>
      chain(revocations.read(id), (revoked): MaybePromise<T | Found | null> => {
        if (revoked === null) return work()
        return isForwarding(revoked) ? revoked : null
      })
    return {
      sync: false,
      remote: false,
      read: (id) => unlessRevoked(id, () => recent.read(id)),
      extend: (id) => chain(revocations.read(id), (revoked) => revoked === null && recent.extend(id)),
      write: (write) => {
        const { id, text, expected, life } = write
        if (!isForwarding({ text })) return unlessRevoked(id, () => recent.write(write))
        // Rotations of one process do not join each other before it is known which process was first.
        const moveOn = () => this.#moveOn(revocations, id, text, expected, life)
        return moves.take(id, () => unlessRevoked(id, moveOn))
      },
      remove: (id, user, expected) => {
        const alive = recent.remove(id, user, expected)
        if (typeof alive === 'object') return alive
        const bury = (revoked: Found | null): MaybePromise<boolean | Found> => {
          // Another process has ended it before.
          if (revoked !== null && !isForwarding(revoked)) return false
          // Or has moved it on.
          if (revoked !== null && expected !== undefined) return revoked
          // The old ID must not lead on either.
          const sign = revoked && versionOf(revoked, decodeFound(revoked)!)
          return chain(
            revocations.write({ id: revocations.keyOf(id), text: tombstone(), expected: sign, life: revokedLife() }),
            (found) => (found !== null && typeof found === 'object' ? bury(found) : alive)
          )
        }
        return chain(revocations.read(id), bury)
      }
    }
  }

  // The revocation of an ID that was rotated away tells every process where it leads, as long as the grace lasts.
  async #moveOn(
    revocations: StorePort,
    id: string,
    sign: string,
    expected: string | null,
    life: Life
  ): Promise<true | Found | null> {
    const before = this.#recent.read(id)
    const written = this.#recent.write({ id, text: sign, expected, life })
    if (written !== true) return written
    try {
      const found = await revocations.write({
        id: revocations.keyOf(id),
        text: tombstone(decodeFound({ text: sign })!.meta),
        expected: null,
        life: revokedLife()
      })
      if (found === true || typeof found === 'string') return true
      // Another process was first.
      return found !== null && isForwarding(found) ? found : null
    } catch (err) {
      this.#recent.restore(id, before)
      throw err
    }
  }
}

// Where the metadata of our own texts says it: enough to find a record that was taken apart before.
function idIn(text: string): string {
  const at = text.indexOf('"d":"', text.indexOf(META)) + 5
  return text.slice(at, text.indexOf('"', at))
}

function revokedLife(): Life {
  const now = Date.now()
  return { usedAt: now, expiresAt: now + REVOKED_FOR }
}

// A record like any other, so that every store keeps it as long as it should.
function tombstone(meta?: Meta): string {
  const expires = new Date(Date.now() + REVOKED_FOR)
  return encodeRecord(JSON.stringify({ originalMaxAge: REVOKED_FOR, expires, path: '/' }), meta, '{"revoked":true}')
}
