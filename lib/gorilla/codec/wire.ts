import { SessionError } from '../../base/errors'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** A stream that is not gob, or that Go would refuse. */
export function corrupt(reason: string): SessionError {
  return new SessionError('ERR_SESSION_CORRUPT', `The gob stream cannot be read: ${reason}.`)
}

/** A value that Go reads and JavaScript has no counterpart for: it is carried as it is. */
export class Unreadable extends Error {}

/** Reads gob's basic encodings from one message. Every read is bounded by what is left. */
export class WireReader {
  at = 0

  constructor(private readonly all: Buffer) {}

  get left(): number {
    return this.all.length - this.at
  }

  /** What it has read since it was at a place. */
  since(at: number): Buffer {
    return this.all.subarray(at, this.at)
  }

  /** Up to 64 bits: a byte below 128 is the value, any other the negated count of the big-endian bytes after it. */
  uint(times = 1): bigint {
    if (times > 1) this.uint(times - 1)
    const first = this.take(1)[0]!
    if (first < 128) return BigInt(first)
    const count = 256 - first
    if (count > 8) throw corrupt('a number is longer than 64 bits')
    const bytes = this.take(count)
    return count <= 6 ? BigInt(bytes.readUIntBE(0, count)) : BigInt(`0x${bytes.toString('hex')}`)
  }

  /** The sign is the lowest bit; the others are complemented when it is set. */
  int(): bigint {
    const raw = this.uint()
    return (raw & 1n) === 1n ? ~(raw >> 1n) : raw >> 1n
  }

  /** A length or small number. @throws beyond `max` */
  count(max: number): number {
    const count = this.uint()
    if (count > BigInt(max)) throw corrupt('a length exceeds the input')
    return Number(count)
  }

  /** As many of something as it says. What each takes is a byte at least. */
  list<T>(read: () => T): T[] {
    return Array.from({ length: this.count(this.left) }, read)
  }

  /** The fields of a struct: deltas between their numbers, each followed by the field; a delta of 0 ends it. */
  fields(deltaMax: number, read: (field: number) => void): void {
    for (let field = -1; ;) {
      const delta = this.count(deltaMax)
      if (delta === 0) return
      field += delta
      read(field)
    }
  }

  /** The bits of a float64, bytes reversed, so that small integers are short. */
  float(): number {
    const bytes = Buffer.alloc(8)
    bytes.writeBigUInt64BE(this.uint())
    return bytes.readDoubleLE()
  }

  bytes(): Buffer {
    return this.take(this.count(this.left))
  }

  /** @throws {Unreadable} for a string that is no text */
  text(): string {
    const bytes = this.bytes()
    try {
      return utf8.decode(bytes)
    } catch {
      throw new Unreadable('a string is not UTF-8; store bytes as []byte')
    }
  }

  take(count: number): Buffer {
    if (count > this.left) throw corrupt('it ends too early')
    this.at += count
    return this.since(this.at - count)
  }
}

export class WireWriter {
  readonly #parts: Buffer[] = []

  uint(value: bigint | number): this {
    const number = BigInt(value)
    if (number < 128n) return this.raw(Buffer.of(Number(number)))
    const hex = number.toString(16)
    const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
    return this.raw(Buffer.of(256 - bytes.length)).raw(bytes)
  }

  int(value: bigint | number): this {
    const number = BigInt(value)
    return this.uint(number < 0n ? (~number << 1n) | 1n : number << 1n)
  }

  float(value: number): this {
    const bytes = Buffer.alloc(8)
    bytes.writeDoubleLE(value)
    return this.uint(bytes.readBigUInt64BE())
  }

  /** Bytes after their length: strings, byte slices, messages. */
  bytes(value: Buffer): this {
    return this.uint(value.length).raw(value)
  }

  raw(value: Buffer): this {
    this.#parts.push(value)
    return this
  }

  finish(): Buffer {
    return Buffer.concat(this.#parts)
  }
}
