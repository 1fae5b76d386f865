import { createCipheriv, createDecipheriv, createHmac, timingSafeEqual, type KeyObject } from 'node:crypto'
import type { Opening } from './keys'
import { withRandom } from '../base/ids'
import type { Milliseconds } from '../base/time'

const NONCE = 12
const TAG = 16
const TIME = 6
const MAC = 32

// The first character of the value names the format. One never falls back on the other: a value that fails as sealed
// is not tried as signed (rack-session CVE-2026-39324).
export const SEALED = 'E'
export const SIGNED = 'S'

/**
 * Encrypts and authenticates a text: `E` and base64url of time, nonce, ciphertext, tag (AES-256-GCM, NIST SP 800-38D).
 *
 * Format, cookie name and issue time are under the tag, so a value is worth nothing under another name. Nonces are
 * random: replace a secret before it has sealed 2^32 values (SP 800-38D 8.3). Nothing is compressed: length would
 * tell about the text, and a small value could inflate to a huge one.
 */
export function seal(key: KeyObject, name: string, text: string, now: Milliseconds): string {
  // 1. Issue time and nonce go before.
  const head = Buffer.allocUnsafe(TIME + NONCE)
  head.writeUIntBE(now, 0, TIME)
  const nonce = head.subarray(TIME)
  withRandom(NONCE, (bytes, start, end) => bytes.copy(nonce, 0, start, end))
  // 2. Encrypt; name, format and time are authenticated beside the text.
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  cipher.setAAD(associated(name, now))
  const body = cipher.update(text, 'utf8')
  cipher.final()
  // 3. The tag goes behind.
  return SEALED + Buffer.concat([head, body, cipher.getAuthTag()]).toString('base64url')
}

/** Opens what `seal` made with one of the keys; `undefined` for everything else, without an exception. */
export function unseal(keys: readonly KeyObject[], name: string, value: string): Opening | undefined {
  const bytes = bytesOf(SEALED, value, TIME + NONCE + TAG)
  if (bytes === undefined) return undefined
  const nonce = bytes.subarray(TIME, TIME + NONCE)
  const body = bytes.subarray(TIME + NONCE, bytes.length - TAG)
  const tag = bytes.subarray(bytes.length - TAG)
  const issuedAt = bytes.readUIntBE(0, TIME)
  const aad = associated(name, issuedAt)
  for (let i = 0; i < keys.length; i++) {
    try {
      const decipher = createDecipheriv('aes-256-gcm', keys[i]!, nonce, { authTagLength: TAG })
      decipher.setAAD(aad)
      decipher.setAuthTag(tag)
      const plain = decipher.update(body)
      decipher.final()
      return { text: plain.toString(), issuedAt, key: i }
    } catch {
      // Not this key, or not authentic: only the last key's refusal is final.
    }
  }
  return undefined
}

/** Authenticates a text that stays readable: `S` and base64url of time, text, HMAC-SHA256. */
export function signText(key: KeyObject, name: string, text: string, now: Milliseconds): string {
  const plain = Buffer.from(text)
  const out = Buffer.allocUnsafe(TIME + plain.length + MAC)
  out.writeUIntBE(now, 0, TIME)
  plain.copy(out, TIME)
  macOf(key, name, out.subarray(0, out.length - MAC)).copy(out, out.length - MAC)
  return SIGNED + out.toString('base64url')
}

/** Reads what `signText` made with one of the keys; `undefined` for everything else. */
export function readSigned(keys: readonly KeyObject[], name: string, value: string): Opening | undefined {
  const bytes = bytesOf(SIGNED, value, TIME + MAC)
  if (bytes === undefined) return undefined
  const covered = bytes.subarray(0, bytes.length - MAC)
  const given = bytes.subarray(bytes.length - MAC)
  for (let i = 0; i < keys.length; i++) {
    if (timingSafeEqual(macOf(keys[i]!, name, covered), given)) {
      return { text: covered.toString('utf8', TIME), issuedAt: bytes.readUIntBE(0, TIME), key: i }
    }
  }
  return undefined
}

function macOf(key: KeyObject, name: string, covered: Buffer): Buffer {
  return createHmac('sha256', key).update(`${SIGNED}\n${name}\n`).update(covered).digest()
}

// No cookie name holds a line break, so no two triples share a text.
function associated(name: string, issuedAt: Milliseconds): Buffer {
  return Buffer.from(`${SEALED}\n${name}\n${issuedAt}`)
}

function bytesOf(format: string, value: string, least: number): Buffer | undefined {
  if (!value.startsWith(format)) return undefined
  const encoded = value.slice(1)
  const bytes = Buffer.from(encoded, 'base64url')
  // The decoder forgives stray characters and spare bits; a value has exactly one spelling.
  return bytes.length >= least && bytes.toString('base64url') === encoded ? bytes : undefined
}
