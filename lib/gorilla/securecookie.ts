import { createCipheriv, createDecipheriv, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { OptionError, SessionError } from '../errors'
import { DAY, SECOND, type Milliseconds } from '../time'

/** One pair of keys: `hashKey` authenticates (32 or 64 bytes), `blockKey` encrypts (16, 24 or 32 bytes: AES). */
export interface KeyPair {
  hashKey: string | Uint8Array
  blockKey?: string | Uint8Array | undefined
}

/** Options of `securecookie()`. */
export interface SecureCookieOptions {
  /** How old a value may be. Securecookie counts in seconds. @default 30 days */
  maxAge?: Milliseconds | null | undefined
  /** Longest value in bytes. @default 4096 */
  maxLength?: number | undefined
}

interface Pair {
  hash: Buffer
  block: Buffer | undefined
}

/** The wire format of github.com/gorilla/securecookie, for serialized values. */
export class SecureCookie {
  readonly #pairs: readonly Pair[]
  readonly #maxAge: Milliseconds | null
  readonly #maxLength: number

  /** @throws {OptionError} for a key of the wrong length */
  constructor(pairs: readonly KeyPair[], { maxAge = 30 * DAY, maxLength = 4096 }: SecureCookieOptions = {}) {
    if (pairs.length === 0) throw new OptionError('keyPairs must hold at least one pair of keys')
    this.#pairs = pairs.map(({ hashKey, blockKey }) => {
      const hash = Buffer.from(hashKey as string)
      const block = blockKey === undefined ? undefined : Buffer.from(blockKey as string)
      if (hash.length === 0) throw new OptionError('hashKey must not be empty; 32 or 64 random bytes are right')
      if (block !== undefined && ![16, 24, 32].includes(block.length)) {
        throw new OptionError(`blockKey must have 16, 24 or 32 bytes, got ${block.length}`)
      }
      return { hash, block }
    })
    this.#maxAge = maxAge
    this.#maxLength = maxLength
  }

  /** @throws {SessionError} `ERR_SESSION_COOKIE_TOO_LARGE` */
  encode(name: string, serialized: Uint8Array): string {
    const { hash, block } = this.#pairs[0]!
    // 1. Encrypt, if there is a block key: AES in CTR mode, the random IV in front.
    let value: Uint8Array = serialized
    if (block !== undefined) {
      const iv = randomBytes(16)
      const cipher = createCipheriv(`aes-${block.length * 8}-ctr`, block, iv)
      value = Buffer.concat([iv, cipher.update(serialized), cipher.final()])
    }
    // 2. MAC over name, time in seconds and value.
    const time = Math.floor(Date.now() / SECOND)
    const covered = Buffer.from(`${name}|${time}|${encodeBase64(value)}|`)
    const mac = createHmac('sha256', hash)
      .update(covered.subarray(0, covered.length - 1))
      .digest()
    // 3. The name itself does not travel.
    const text = encodeBase64(Buffer.concat([covered.subarray(name.length + 1), mac]))
    if (this.#maxLength !== 0 && text.length > this.#maxLength) {
      throw new SessionError(
        'ERR_SESSION_COOKIE_TOO_LARGE',
        `The session takes ${text.length} bytes of cookie; the limit is ${this.#maxLength}. Keep less in it.`
      )
    }
    return text
  }

  /** The serialized value, its age in ms since 1970, and whether an older pair opened it. */
  decode(name: string, text: string): { value: Buffer; issuedAt: Milliseconds; stale: boolean } {
    let reason = refused('ERR_SESSION_SIGNATURE')
    for (const [index, pair] of this.#pairs.entries()) {
      const result = this.#open(pair, name, text)
      if (!(result instanceof SessionError)) return { ...result, stale: index > 0 }
      if (result.code !== 'ERR_SESSION_SIGNATURE') reason = result
    }
    throw reason
  }

  #open({ hash, block }: Pair, name: string, text: string): { value: Buffer; issuedAt: Milliseconds } | SessionError {
    // 1. Length, then base64: padded, URL-safe, nothing else.
    if (this.#maxLength !== 0 && text.length > this.#maxLength) return refused('ERR_SESSION_SIGNATURE')
    const bytes = decodeBase64(text)
    if (bytes === undefined) return refused('ERR_SESSION_SIGNATURE')
    // 2. Three parts: time, value, MAC. The MAC may hold any byte.
    const first = bytes.indexOf(0x7c)
    const second = bytes.indexOf(0x7c, first + 1)
    if (first === -1 || second === -1) return refused('ERR_SESSION_SIGNATURE')
    const given = bytes.subarray(second + 1)
    const expected = createHmac('sha256', hash).update(`${name}|`).update(bytes.subarray(0, second)).digest()
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return refused('ERR_SESSION_SIGNATURE')
    // 3. Age.
    const time = bytes.toString('latin1', 0, first)
    if (!/^-?\d{1,18}$/.test(time)) return refused('ERR_SESSION_CORRUPT')
    const issuedAt = Number(time) * SECOND
    const oldest = Math.floor(Date.now() / SECOND) * SECOND - (this.#maxAge ?? Infinity)
    if (this.#maxAge !== null && this.#maxAge !== 0 && issuedAt < oldest) return refused('ERR_SESSION_EXPIRED')
    // 4. Value, decrypted if there is a block key.
    const value = decodeBase64(bytes.toString('latin1', first + 1, second))
    if (value === undefined) return refused('ERR_SESSION_CORRUPT')
    if (block === undefined) return { value, issuedAt }
    if (value.length <= 16) return refused('ERR_SESSION_CORRUPT')
    const decipher = createDecipheriv(`aes-${block.length * 8}-ctr`, block, value.subarray(0, 16))
    return { value: Buffer.concat([decipher.update(value.subarray(16)), decipher.final()]), issuedAt }
  }
}

function refused(code: 'ERR_SESSION_SIGNATURE' | 'ERR_SESSION_CORRUPT' | 'ERR_SESSION_EXPIRED'): SessionError {
  return new SessionError(code, 'The value is not one that these keys made for this name, or it is too old.')
}

function encodeBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').replaceAll('+', '-').replaceAll('/', '_')
}

function decodeBase64(text: string): Buffer | undefined {
  if (!/^[A-Za-z0-9_-]*={0,2}$/.test(text)) return undefined
  const bytes = Buffer.from(text, 'base64url')
  // Stricter than Go, which forgives spare bits and line breaks: a value has exactly one spelling.
  return encodeBase64(bytes) === text ? bytes : undefined
}
