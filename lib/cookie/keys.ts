import { createSecretKey, hkdfSync, randomBytes, timingSafeEqual, KeyObject } from 'node:crypto'
import signature from 'cookie-signature'
import { OptionError, SessionError } from '../base/errors'
import { BoundedMap, compact } from '../base/maps'
import type { Milliseconds } from '../base/time'
import { MacKey } from './mac-key'

/** What signs and seals: text or bytes. */
export type Secret = string | Buffer | Uint8Array | KeyObject

/** An authentic value. */
export interface Verified {
  value: string
  /** Which key made it: 0 is the newest. */
  key: number
}

/** What came out of a sealed or signed text. */
export interface Opening {
  text: string
  issuedAt: Milliseconds
  /** Which key opened it: 0 is the newest. */
  key: number
}

/** What was found under a name, of a cookie or of what reads it: values are worth nothing under another one. */
interface Named<T> {
  readonly name: string
  readonly found: T
}

/** What `sessions()` asks of every secret, and both doors of those that seal. */
export const SECRET_BYTES_MIN = 32

const VERIFIED_MAX = 2048
// Browsers go on sending what an older secret made. Apart from what is authentic, which a flood of forgeries must not
// empty, and none of them long.
const REFUSED_MAX = 1024
const REFUSED_LENGTH_MAX = 256
// They are up to 4 KB each, and their texts as much again.
const OPENED_MAX = 128
// They end with a tag or MAC: to hash all of such a value takes longer than the rest of a look.
const TAIL_LENGTH = 24
const MAC_LENGTH = 43

/**
 * The keys of one middleware: the first signs and seals, all verify and open.
 *
 * The array given is live, as in express-session: what an application pushes, splices or pops takes effect at once.
 */
export class KeyRing {
  readonly #source: readonly Secret[]
  readonly #check: ((secrets: readonly Secret[]) => unknown) | undefined
  #snapshot: Secret[] = []
  #shortest = Infinity
  #derived = new Map<string, KeyObject[]>()
  #signing: MacKey[] | undefined
  #usedAt: (Milliseconds | null)[] = []
  readonly #verified = new BoundedMap<string, Named<Pick<Verified, 'key'>>>(VERIFIED_MAX)
  /** By the value: the name that it was refused under. */
  readonly #refused = new BoundedMap<string, string>(REFUSED_MAX)
  /** By the end of the value. */
  readonly #opened = new BoundedMap<string, Named<Opening> & { readonly value: string }>(OPENED_MAX)

  /** @param check what the secrets have passed; it is asked again when the array has changed, and throws an `OptionError` */
  constructor(secret: Secret | readonly Secret[], check?: (secrets: readonly Secret[]) => unknown) {
    this.#source = Array.isArray(secret) ? secret : [secret as Secret]
    this.refresh()
    this.#check = check
  }

  /** One key a secret for one purpose, newest first. Purposes never share a key (HKDF, RFC 5869). */
  derived(purpose: string): readonly KeyObject[] {
    this.refresh()
    let keys = this.#derived.get(purpose)
    if (keys === undefined) {
      if (this.#snapshot.length === 0) throw unusable('it is empty')
      keys = this.#snapshot.map((secret) =>
        createSecretKey(Buffer.from(hkdfSync('sha256', bytesOf(secret), 'silverback', purpose, 32)))
      )
      this.#derived.set(purpose, keys)
    }
    return keys
  }

  // The keys of signed IDs, newest first.
  get #macKeys(): readonly MacKey[] {
    this.refresh()
    return (this.#signing ??= this.derived('signed cookie').map((key) => new MacKey(key.export())))
  }

  /** Bytes of the shortest secret. */
  get shortest(): number {
    this.refresh()
    return this.#shortest
  }

  /**
   * The same for values that hold a session. Whoever has one can try secrets on it in peace, so none may be short.
   * @throws {SessionError} `ERR_SESSION_OPTION` for a secret under 32 bytes, which the live list may get at any time
   */
  sealing(purpose: string): readonly KeyObject[] {
    if (this.shortest < SECRET_BYTES_MIN) throw new SessionError('ERR_SESSION_OPTION', tooShortToSeal(this.#shortest))
    return this.derived(purpose)
  }

  /** The secrets themselves, newest first, for formats that others have defined. */
  get secrets(): readonly Secret[] {
    this.refresh()
    return this.#snapshot
  }

  /** Signs a session ID for one cookie name: the name is under the MAC, as in gorilla/securecookie. */
  signBound(name: string, id: string): string {
    return `${id}.${this.#macKeys[0]!.of(boundInput(name, id))}`
  }

  verifyBound(name: string, value: string): Verified | undefined {
    const dot = value.length - MAC_LENGTH - 1
    if (dot < 1 || value.charCodeAt(dot) !== 0x2e) return undefined
    const id = value.slice(0, dot)
    const key = keyOf(this.#macKeys, boundInput(name, id), value.slice(dot + 1))
    return key === undefined ? undefined : { value: compact(id), key }
  }

  /** Signs as express-session does: `s:<id>.<base64 HMAC-SHA256>`. */
  signPlain(id: string): string {
    return `s:${signature.sign(id, this.secrets[0] as string)}`
  }

  verifyPlain(value: string): Verified | undefined {
    if (!value.startsWith('s:')) return undefined
    const signed = value.slice(2)
    for (const [key, secret] of this.secrets.entries()) {
      const id = signature.unsign(signed, secret)
      if (id) return { value: compact(id), key }
    }
    return undefined
  }

  /** What `check` makes of a value, or made of it lately for the same name; `undefined`: no key has made it. */
  remembered<T extends Pick<Verified, 'key'>>(name: string, value: string, check: () => T | undefined): T | undefined {
    this.refresh()
    const known = this.#verified.get(value)
    let found = known?.name === name ? (known.found as T) : undefined
    if (found === undefined) {
      if (this.#refused.get(value) === name) return undefined
      found = check()
      if (found !== undefined) this.#verified.set(compact(value), { name, found })
      else if (value.length <= REFUSED_LENGTH_MAX) this.#refused.set(compact(value), name)
    }
    if (found !== undefined) this.#usedAt[found.key] = Date.now()
    return found
  }

  /** What came out of a value that was sealed for a name lately. Ask for the keys first: a change of them empties it. */
  openedAs(name: string, value: string): Opening | undefined {
    const known = this.#opened.get(value.slice(-TAIL_LENGTH))
    return known?.name === name && known.value === value ? known.found : undefined
  }

  /** `value` must not be cut out of a longer text: see `compact`. */
  noteOpened(name: string, value: string, found: Opening): void {
    this.#opened.set(value.slice(-TAIL_LENGTH), { name, value, found })
  }

  /** A value of one of the keys was found authentic just now. */
  noteUse(key: number): void {
    this.#usedAt[key] = Date.now()
  }

  /** When each key last found something authentic, newest key first; `null`: not yet. */
  lastUses(): (Milliseconds | null)[] {
    try {
      this.refresh()
    } catch {
      // Told to requests.
    }
    return [...this.#usedAt]
  }

  /** Looks whether the array has changed. @throws {SessionError} when it has come to hold what cannot be used */
  refresh(): void {
    const source = this.#source
    const known = this.#snapshot
    let same = source.length === known.length
    for (let i = 0; same && i < source.length; i++) same = source[i] === known[i]
    if (same) return
    try {
      this.#check?.(source)
    } catch (err) {
      throw err instanceof OptionError ? unusable(err.message) : err
    }
    // The list moved on; a secret keeps what is known of it.
    this.#usedAt = source.map((secret) => this.#usedAt[known.indexOf(secret)] ?? null)
    this.#snapshot = [...source]
    this.#shortest = source.length === 0 ? 0 : Math.min(...source.map(sizeOf))
    this.#derived.clear()
    this.#signing = undefined
    this.#verified.clear()
    this.#refused.clear()
    this.#opened.clear()
  }
}

/** Bytes of a secret; 0 for what is none. */
export function sizeOf(secret: unknown): number {
  if (typeof secret === 'string') return Buffer.byteLength(secret)
  if (secret instanceof Uint8Array) return secret.byteLength
  return (secret as { symmetricKeySize?: number } | null)?.symmetricKeySize ?? 0
}

/** Why a secret is refused for sessions that live in their cookies. */
export function tooShortToSeal(size: number): string {
  return `secret must have at least ${SECRET_BYTES_MIN} random bytes where sessions live in their cookies, got ${size} bytes; generateKey() makes one`
}

// No OptionError: nothing is set up, and a request has to answer.
function unusable(reason: string): SessionError {
  return new SessionError(
    'ERR_SESSION_OPTION',
    `The array that was given as secret has been changed, and cannot be used as it is: ${reason}. Put a secret into it, ` +
      'the newest first; it is read again at the next request.'
  )
}

/** A key fit for `secret`: 32 random bytes as base64url (gorilla's `GenerateRandomKey(32)`). */
export function generateKey(): string {
  return randomBytes(32).toString('base64url')
}

// Which of the keys has made a MAC.
function keyOf(keys: readonly MacKey[], input: string, given: string): number | undefined {
  const givenBytes = Buffer.from(given)
  for (let i = 0; i < keys.length; i++) {
    // The text of the MAC is compared, not its bytes: a decoder would forgive spare bits and stray characters.
    const expected = Buffer.from(keys[i]!.of(input))
    if (expected.length === givenBytes.length && timingSafeEqual(expected, givenBytes)) return i
  }
  return undefined
}

function boundInput(name: string, id: string): string {
  return `${name}\n${id}`
}

function bytesOf(secret: Secret): Buffer {
  if (typeof secret === 'string') return Buffer.from(secret)
  if (secret instanceof Uint8Array) return Buffer.from(secret.buffer, secret.byteOffset, secret.byteLength)
  if (secret instanceof KeyObject) return secret.export()
  throw unusable(`it holds ${typeof secret === 'object' ? 'an object' : String(typeof secret)}`)
}
