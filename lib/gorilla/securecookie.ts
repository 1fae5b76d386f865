import { createCipheriv, createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { isAboveZero, must, oneOf, OptionError, SessionError, type SessionErrorCode } from '../base/errors'
import { givenOptions } from '../base/warnings'
import { DAY, SECOND, type Milliseconds } from '../base/time'
import { decode, encode } from './gob'

/** One pair of keys of gorilla/securecookie. Texts are taken as UTF-8, never as hex or base64. */
export interface SecureCookieOptions {
  /** Authenticates (HMAC-SHA256). As long as Go's; 32 bytes or more for a new one. */
  hashKey: string | Uint8Array
  /** Encrypts (AES in counter mode): 16, 24 or 32 bytes. @default nothing is encrypted */
  blockKey?: string | Uint8Array | null | undefined
  /** ms until a value is refused, counted from when it was made; `null`: no limit. @default 30 days, as Go's */
  maxAge?: Milliseconds | null | undefined
  /** Most characters of a value; `null`: no limit. @default 4096, as Go's */
  maxLength?: number | null | undefined
  /** What `HashFunc` was given: `sha512.New`, say. @default 'sha256' */
  hash?: 'sha1' | 'sha224' | 'sha256' | 'sha384' | 'sha512' | 'sha512-256' | undefined
  /** What `BlockFunc` was given: `des.NewTripleDESCipher` takes a `blockKey` of 24 bytes. @default 'aes' */
  block?: 'aes' | 'des3' | undefined
  /** What `SetSerializer` was given; `'nop'`: bytes as they are. @default 'gob' */
  serializer?: 'gob' | 'json' | 'nop' | undefined
}

/** What `securecookie()` makes. */
export interface SecureCookie {
  /** @throws {SessionError} `ERR_SESSION_UNSERIALIZABLE`, `ERR_SESSION_COOKIE_TOO_LARGE` */
  encode(name: string, value: unknown): string
  /** @throws {SessionError} `ERR_SESSION_SIGNATURE`, `ERR_SESSION_EXPIRED`, `ERR_SESSION_CORRUPT` */
  decode(name: string, cookie: string, type?: string): unknown
}

export interface Pair {
  readonly hashKey: Buffer
  readonly blockKey: Buffer | undefined
  readonly maxAge: Milliseconds | null
  readonly maxLength: number | null
  readonly hash: string
  readonly block: 'aes' | 'des3'
  readonly serializer: 'gob' | 'json' | 'nop'
}

/** An authentic value, decrypted but not decoded. */
export interface Authentic {
  readonly bytes: Buffer
  readonly issuedAt: Milliseconds
  /** The MAC that vouches for it: one value has one. */
  readonly mac: Buffer
  /** Which pair opened it; 0 is the newest. */
  readonly pair: number
}

const PIPE = 0x7c

/**
 * Encodes and decodes the values of Go's gorilla/securecookie, byte for byte.
 *
 * With gob a value is what `gob.encode` and `gob.decode` make of it; with JSON what `JSON` makes of it; `'nop'` takes
 * bytes and gives a Buffer. Of several pairs the first encodes and all decode: key rotation.
 * @example const codec = securecookie({ hashKey, blockKey }); codec.decode('session', req.cookies.session)
 * @see github.com/gorilla/securecookie
 */
export function securecookie(options: SecureCookieOptions | readonly SecureCookieOptions[]): SecureCookie {
  const list = Array.isArray(options) ? options : [options]
  if (list.length === 0) throw new OptionError('securecookie needs at least one pair of keys')
  const pairs = list.map(checkPair)
  return {
    encode: (name, value) => sealBytes(pairs[0]!, name, serialize(pairs[0]!, value)),
    decode(name, cookie, type) {
      const opened = openBytes(pairs, name, cookie, (bytes, pair) => parse(pair, bytes, type))
      if (typeof opened === 'string') throw new SessionError(opened, REASONS[opened] ?? 'The value was refused.')
      return parse(pairs[opened.pair]!, opened.bytes, type)
    }
  }
}

function serialize({ serializer }: Pair, value: unknown): Buffer {
  if (serializer === 'gob') return encode(value)
  if (serializer === 'json') {
    const text = JSON.stringify(value)
    if (text !== undefined) return Buffer.from(`${text}\n`)
  } else if (value instanceof Uint8Array) return Buffer.from(value)
  throw new SessionError('ERR_SESSION_UNSERIALIZABLE', `The serializer ${serializer} has no text for this value.`)
}

function parse({ serializer }: Pair, bytes: Buffer, type: string | undefined): unknown {
  if (serializer === 'gob') return decode(bytes, type)
  if (serializer === 'nop') return bytes
  try {
    return JSON.parse(bytes.toString())
  } catch {
    // What the parser says quotes the text.
    throw new SessionError('ERR_SESSION_CORRUPT', 'The value is authentic, but no JSON.')
  }
}

const REASONS: Partial<Record<SessionErrorCode, string>> = {
  ERR_SESSION_SIGNATURE: 'The value is not one that these keys made under this name: forged, damaged or too long.',
  ERR_SESSION_EXPIRED: 'The value is older than maxAge.',
  ERR_SESSION_CORRUPT: 'The value is authentic, but its time or its encryption is not as it should be.'
}

/** @throws {OptionError} for keys that cannot work */
export function checkPair(options: SecureCookieOptions): Pair {
  const known = ['hashKey', 'blockKey', 'maxAge', 'maxLength', 'hash', 'block', 'serializer']
  const given = givenOptions('securecookie', options, known)
  const { hashKey, blockKey, maxAge = 30 * DAY, maxLength = 4096 } = given
  const hash = oneOf('hash', given.hash ?? 'sha256', ['sha1', 'sha224', 'sha256', 'sha384', 'sha512', 'sha512-256'])
  const block = oneOf('block', given.block ?? 'aes', ['aes', 'des3'])
  const serializer = oneOf('serializer', given.serializer ?? 'gob', ['gob', 'json', 'nop'])
  const authentic = keyBytes(hashKey)
  if (authentic === undefined || authentic.length === 0) {
    throw new OptionError('hashKey must be a string or bytes, not empty')
  }
  const secret = blockKey === undefined || blockKey === null ? undefined : (keyBytes(blockKey) ?? Buffer.alloc(0))
  const lengths = block === 'aes' ? [16, 24, 32] : [24]
  if (secret !== undefined && !lengths.includes(secret.length)) {
    throw new OptionError(`blockKey must be ${lengths.join(' or ')} bytes, got ${secret.length}`)
  }
  checkLimits({ maxAge, maxLength })
  return { hashKey: authentic, blockKey: secret, maxAge, maxLength, hash, block, serializer }
}

/** @throws {OptionError} for what is no limit */
export function checkLimits(limits: Readonly<Record<string, number | null | undefined>>): void {
  for (const [option, value] of Object.entries(limits)) {
    must(value == null || isAboveZero(value), option, 'a number above 0, or null for no limit', value)
  }
}

/** @throws {SessionError} `ERR_SESSION_COOKIE_TOO_LARGE` */
export function sealBytes(pair: Pair, name: string, bytes: Buffer): string {
  const { maxLength } = pair
  // 1. The value is serialized already. 2. Encrypt it.
  const value = base64(pair.blockKey === undefined ? bytes : encrypt(pair, bytes))
  // 3. Create the MAC for "name|date|value"; the name itself stays out of the result.
  const covered = `${Math.floor(Date.now() / SECOND)}|${value}`
  const mac = macOf(pair, name, Buffer.from(covered))
  // 4. Encode to base64.
  const cookie = base64(Buffer.concat([Buffer.from(`${covered}|`), mac]))
  // 5. Check the length.
  if (maxLength !== null && cookie.length > maxLength) {
    throw new SessionError(
      'ERR_SESSION_COOKIE_TOO_LARGE',
      `The value takes ${cookie.length} characters; ${maxLength} are allowed. Keep less in it.`
    )
  }
  return cookie
}

/**
 * Opens a value with any of the pairs; the reason when none can. Never throws.
 * @param read what is made of the bytes: throws what they are not
 */
export function openBytes(
  pairs: readonly Pair[],
  name: string,
  cookie: string,
  read: (bytes: Buffer, pair: Pair) => unknown = (bytes, pair) => parse(pair, bytes, undefined)
): Authentic | SessionErrorCode {
  let refused: SessionErrorCode = 'ERR_SESSION_SIGNATURE'
  let unreadable: Authentic | undefined
  for (const [index, pair] of pairs.entries()) {
    const opened = openWith(pair, name, cookie)
    if (typeof opened === 'object') {
      const found = { ...opened, pair: index }
      // Of pairs with one hashKey (encryption came, or went) Go takes the first whose bytes can be deserialized.
      if (
        !pairs.some((other) => other !== pair && other.hashKey.equals(pair.hashKey)) ||
        isReadable(() => read(found.bytes, pair))
      ) {
        return found
      }
      unreadable ??= found
      continue
    }
    // An authentic value's own fault says more than that it is not authentic with other keys.
    if (opened !== 'ERR_SESSION_SIGNATURE') refused = opened
  }
  return unreadable ?? refused
}

function isReadable(read: () => unknown): boolean {
  try {
    read()
    return true
  } catch {
    return false
  }
}

function openWith(pair: Pair, name: string, cookie: string): Omit<Authentic, 'pair'> | SessionErrorCode {
  // 1. Check the length.
  if (pair.maxLength !== null && cookie.length > pair.maxLength) return 'ERR_SESSION_SIGNATURE'
  // 2. Decode from base64.
  const decoded = unbase64(cookie)
  if (decoded === undefined) return 'ERR_SESSION_SIGNATURE'
  // 3. Verify the MAC. The value is "date|value|mac".
  const first = decoded.indexOf(PIPE)
  const second = first === -1 ? -1 : decoded.indexOf(PIPE, first + 1)
  if (second === -1) return 'ERR_SESSION_SIGNATURE'
  const given = decoded.subarray(second + 1)
  const mac = macOf(pair, name, decoded.subarray(0, second))
  if (given.length !== mac.length || !timingSafeEqual(given, mac)) return 'ERR_SESSION_SIGNATURE'
  // 4. Verify the date.
  const date = decoded.toString('latin1', 0, first)
  if (!/^\d{1,12}$/.test(date)) return 'ERR_SESSION_CORRUPT'
  const issuedAt = Number(date) * SECOND
  const now = Math.floor(Date.now() / SECOND) * SECOND
  if (pair.maxAge !== null && issuedAt < now - Math.floor(pair.maxAge / SECOND) * SECOND) return 'ERR_SESSION_EXPIRED'
  // 5. Decrypt. 6. Deserializing is left to the caller.
  const value = unbase64(decoded.toString('latin1', first + 1, second))
  if (value === undefined) return 'ERR_SESSION_CORRUPT'
  const bytes = pair.blockKey === undefined ? value : decrypt(pair, value)
  return bytes === undefined ? 'ERR_SESSION_CORRUPT' : { bytes, issuedAt, mac }
}

function macOf({ hashKey, hash }: Pair, name: string, covered: Buffer): Buffer {
  return createHmac(hash, hashKey).update(`${name}|`).update(covered).digest()
}

function encrypt(pair: Pair, bytes: Buffer): Buffer {
  const iv = randomBytes(blockSize(pair))
  return Buffer.concat([iv, inCounterMode(pair, iv, bytes)])
}

function decrypt(pair: Pair, bytes: Buffer): Buffer | undefined {
  const size = blockSize(pair)
  return bytes.length <= size ? undefined : inCounterMode(pair, bytes.subarray(0, size), bytes.subarray(size))
}

/** Bytes that encryption puts in front: the initialization vector. */
function blockSize({ block }: Pick<Pair, 'block'>): number {
  return block === 'aes' ? 16 : 8
}

// Encrypting and decrypting are the same: the bytes are mixed with an encrypted counter.
function inCounterMode({ block, blockKey }: Pair, iv: Buffer, bytes: Buffer): Buffer {
  const key = blockKey!
  if (block === 'aes') return createCipheriv(`aes-${key.length * 8}-ctr`, key, iv).update(bytes)
  const counters = Buffer.alloc(Math.ceil(bytes.length / 8) * 8)
  for (let at = 0; at < counters.length; at += 8) {
    counters.writeBigUInt64BE(BigInt.asUintN(64, iv.readBigUInt64BE() + BigInt(at / 8)), at)
  }
  const stream = createCipheriv('des-ede3', key, null).update(counters)
  return Buffer.from(bytes.map((byte, at) => byte ^ stream[at]!))
}

function base64(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('+', '-').replaceAll('/', '_')
}

// As Go's base64.URLEncoding: padding is required, line breaks are ignored, spare bits are not looked at.
function unbase64(text: string): Buffer | undefined {
  const compact = text.replace(/[\r\n]/g, '')
  return compact.length % 4 === 0 && /^[\w-]*={0,2}$/.test(compact) ? Buffer.from(compact, 'base64url') : undefined
}

function keyBytes(key: unknown): Buffer | undefined {
  if (typeof key === 'string') return Buffer.from(key)
  return key instanceof Uint8Array ? Buffer.from(key) : undefined
}

/**
 * Lengthens a stream until its cookie needs no `=`: the middleware percent-encodes values, and Go does not decode that.
 * A gob decoder looks at nothing behind the value.
 */
export function withoutPadding(bytes: Buffer, { blockKey, block, hash }: Pair): Buffer {
  const date = String(Math.floor(Date.now() / SECOND)).length
  const around = date + '||'.length + createHash(hash).digest().length
  let length = bytes.length
  const iv = blockKey === undefined ? 0 : blockSize({ block })
  while ((around + Math.ceil((iv + length) / 3) * 4) % 3 !== 0) length++
  return Buffer.concat([bytes, Buffer.alloc(length - bytes.length)])
}
