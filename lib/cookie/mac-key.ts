import { hashOf } from '../base/hash'

/** Of SHA-256, in bytes. */
const BLOCK = 64

/**
 * A key of HMAC-SHA256, up to 64 bytes long.
 *
 * Its two hashes, each in one step, take half the time of an Hmac object.
 * @see RFC 2104 2
 */
export class MacKey {
  /** A block made of the key; behind it the text, and in the other one the first hash. */
  #inner: Buffer
  readonly #outer: Buffer

  constructor(key: Uint8Array) {
    this.#inner = padded(key, 0x36)
    this.#outer = Buffer.concat([padded(key, 0x5c)], BLOCK + 32)
  }

  /** The MAC of a text, as base64url. */
  of(text: string): string {
    // No character takes more than three bytes.
    const most = BLOCK + 3 * text.length
    if (most > this.#inner.length) this.#inner = Buffer.concat([this.#inner.subarray(0, BLOCK)], most)
    const end = BLOCK + this.#inner.write(text, BLOCK)
    this.#outer.write(hashOf('sha256', this.#inner.subarray(0, end), 'hex'), BLOCK, 'hex')
    return hashOf('sha256', this.#outer, 'base64url')
  }
}

function padded(key: Uint8Array, pad: number): Buffer {
  const block = Buffer.alloc(BLOCK)
  block.set(key)
  return block.map((byte) => byte ^ pad) as Buffer
}
