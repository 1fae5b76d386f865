import { BASIC_IDS, FIRST_ID, readDefinition, readId, type Definition } from './gob-definitions'
import { corrupt, WireReader } from './gob-wire'
import { timeFromBinary } from './go-time'
import {
  BOOL,
  BYTES,
  FLOAT64,
  INT64,
  INTERFACE,
  mapOf,
  parseGoType,
  sliceOf,
  STRING,
  UINT64,
  type GoType
} from './go-types'
import { fitsBits, NIL, type GoNode } from './go-nodes'

/** Interfaces inside interfaces; no cookie has room for more, and no stack is spent on less. */
export const DEPTH_MAX = 100

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Decodes the first value of a gob stream, as Go's `Decoder.Decode` does into a variable of type `expected`.
 *
 * What follows the value is not looked at, in Go neither. Memory is bounded by the size of the input.
 * @throws {SessionError} `ERR_SESSION_CORRUPT`
 */
export function decodeGob(bytes: Buffer, expected?: GoType): GoNode {
  return new Decoder(bytes).decode(expected)
}

class Decoder {
  readonly #stream: WireReader
  readonly #definitions = new Map<number, Definition>()
  #message = new WireReader(Buffer.alloc(0))
  #depth = 0

  constructor(bytes: Buffer) {
    this.#stream = new WireReader(bytes)
  }

  decode(expected?: GoType): GoNode {
    const id = this.#typeSequence(false)
    const type = expected ?? this.#typeOf(id, 0)
    return this.#single(id, type)
  }

  // Definitions may come before any value, between messages and in the middle of one; the ID of the value ends them.
  #typeSequence(nested: boolean): number {
    for (;;) {
      if (this.#message.left === 0) this.#message = new WireReader(this.#stream.bytes())
      const id = readId(this.#message)
      if (id >= 0) return id
      if (-id < FIRST_ID || this.#definitions.has(-id)) throw corrupt('a type is defined twice')
      this.#definitions.set(-id, readDefinition(this.#message))
      if (this.#message.left === 0) continue
      if (!nested) throw corrupt('a type definition is followed by other data')
      // Inside an interface the length of the rest stands here, as if a new message began.
      this.#message.uint()
    }
  }

  // A value on its own is preceded by a zero, as if it were the only field of a struct.
  #single(id: number, type: GoType): GoNode {
    if (!this.#isCompatible(type, id)) throw corrupt(`a value is not the ${type.name} it should be`)
    if (this.#message.uint() !== 0n) throw corrupt('a value does not begin where it should')
    return this.#value(type)
  }

  #value(type: GoType): GoNode {
    const message = this.#message
    switch (type.kind) {
      case 'bool':
        return { type, value: message.uint() !== 0n }
      case 'int':
        return this.#integer(type, message.int())
      case 'uint':
        return this.#integer(type, message.uint())
      case 'float':
        return this.#float(type, message.float())
      case 'string':
        return { type, value: text(message.bytes()) }
      case 'bytes':
        return { type, value: Buffer.from(message.bytes()) }
      case 'time':
        return this.#time(type, message.bytes())
      case 'interface':
        return this.#interface()
      case 'slice':
        return { type, value: this.#repeat(() => this.#value(type.elem!)) }
      case 'map':
        return { type, value: this.#repeat((): [GoNode, GoNode] => [this.#key(type.key!), this.#value(type.elem!)]) }
    }
  }

  #integer(type: GoType, value: bigint): GoNode {
    if (!fitsBits(type, value)) throw corrupt(`a number is out of range for ${type.name}`)
    return { type, value }
  }

  #float(type: GoType, value: number): GoNode {
    if (type.bits === 32 && Number.isFinite(value) && Math.abs(value) > 3.4028234663852886e38) {
      throw corrupt('a number is out of range for float32')
    }
    return { type, value: type.bits === 32 ? Math.fround(value) : value }
  }

  #time(type: GoType, bytes: Buffer): GoNode {
    const value = timeFromBinary(bytes)
    if (value === undefined) throw corrupt('a time is none, or outside the years 1 to 9999')
    return { type, value }
  }

  // An element takes a byte at least, so a count beyond what is left is a lie, and nothing is allocated for it.
  #repeat<T>(read: () => T): T[] {
    const count = this.#message.count(this.#message.left + this.#stream.left)
    const items: T[] = []
    while (items.length < count) {
      if (this.#message.left === 0) throw corrupt('a length exceeds the input')
      items.push(read())
    }
    return items
  }

  #key(type: GoType): GoNode {
    const key = this.#value(type)
    // Go panics: slices and maps cannot be compared.
    if (Array.isArray(key.value) || Buffer.isBuffer(key.value)) throw corrupt('a map has a key that cannot be one')
    return key
  }

  // The registered name of the type, its ID, the length of the value, the value.
  #interface(): GoNode {
    const name = this.#message.bytes()
    if (name.length === 0) return NIL
    const type = name.length <= 1024 ? parseGoType(name.toString('latin1')) : undefined
    if (type === undefined || type.kind === 'interface' || type.name !== name.toString('latin1')) {
      throw corrupt('a value is of a Go type that has no counterpart; store basic types, lists and maps of them')
    }
    if (++this.#depth > DEPTH_MAX) throw corrupt('values are nested too deeply')
    const id = this.#typeSequence(true)
    this.#message.uint()
    const node = this.#single(id, type)
    this.#depth--
    return node
  }

  #isCompatible(type: GoType, id: number): boolean {
    const basic = BASIC_IDS[type.kind]
    if (basic !== undefined) return id === basic
    const definition = this.#definitions.get(id)
    if (definition?.kind !== type.kind) return false
    if (definition.kind === 'time') return true
    if (definition.kind === 'map' && !this.#isCompatible(type.key!, definition.key)) return false
    return this.#isCompatible(type.elem!, definition.elem)
  }

  // The widest Go type that fits what the stream says, for a value nobody has announced.
  #typeOf(id: number, depth: number): GoType {
    const basic = [BOOL, INT64, UINT64, FLOAT64, BYTES, STRING, INTERFACE].find(({ kind }) => BASIC_IDS[kind] === id)
    if (basic !== undefined) return basic
    const definition = this.#definitions.get(id)
    if (definition === undefined || definition.kind === 'time' || depth > 16) {
      throw corrupt('the value is of a type that cannot be told without its name')
    }
    const elem = this.#typeOf(definition.elem, depth + 1)
    if (definition.kind === 'slice') return sliceOf(elem)
    // Keys are of basic types: with that, a definition leads on to one other at most.
    if (definition.key >= FIRST_ID) throw corrupt('a map has keys of a type that cannot be one')
    return mapOf(this.#typeOf(definition.key, depth + 1), elem)
  }
}

function text(bytes: Buffer): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw corrupt('a string is not UTF-8; store bytes as []byte')
  }
}
