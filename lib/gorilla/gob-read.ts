/** A gob stream that is not what gorilla/sessions writes: the cookie is refused, nothing is guessed. */
export class GobError extends Error {}

const DEPTH_MAX = 32

// Builtin type IDs of encoding/gob.
export const BOOL = 1
export const INT = 2
export const UINT = 3
export const FLOAT = 4
export const BYTES = 5
export const STRING = 6
export const INTERFACE = 8

/** Reads gob's primitive encodings, never beyond the bytes there are. */
export class GobReader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length
  }

  /** An unsigned integer: one byte up to 127, otherwise the negated count of big-endian bytes, then those. */
  uint(): bigint {
    const first = this.#byte()
    if (first <= 0x7f) return BigInt(first)
    const count = 0x100 - first
    if (count > 8) throw new GobError('integer too long')
    let value = 0n
    for (let i = 0; i < count; i++) value = (value << 8n) | BigInt(this.#byte())
    return value
  }

  /** A count or length: it can never exceed the bytes that are left. */
  count(): number {
    const value = this.uint()
    if (value > BigInt(this.#bytes.length - this.#at)) throw new GobError('length beyond the input')
    return Number(value)
  }

  /** A signed integer: the sign in the lowest bit. */
  int(): bigint {
    const value = this.uint()
    return value & 1n ? ~(value >> 1n) : value >> 1n
  }

  /** A float64: its bytes reversed, as an unsigned integer. */
  float(): number {
    const view = new DataView(new ArrayBuffer(8))
    view.setBigUint64(0, this.uint(), true)
    return view.getFloat64(0, false)
  }

  bytes(): Uint8Array {
    const length = this.count()
    this.#at += length
    return this.#bytes.slice(this.#at - length, this.#at)
  }

  text(): string {
    const bytes = this.bytes()
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    } catch {
      throw new GobError('text that is not UTF-8')
    }
  }

  #byte(): number {
    if (this.done) throw new GobError('input ends early')
    return this.#bytes[this.#at++]!
  }
}

/** Keeps nested input from exhausting the stack. */
export function deeper(depth: number): number {
  if (depth >= DEPTH_MAX) throw new GobError('nested too deeply')
  return depth + 1
}
