import { BASIC_IDS, FIRST_ID, GOB_ENCODER, readId, type Definitions } from './definitions'
import { fitsBits, NIL, opaqueNode, type GoNode, type Opaque } from './nodes'
import { flatten, typesIn } from './stream'
import { isTimeBinary, timeFromBinary, timeToBinary } from './time'
import { corrupt, Unreadable, WireReader } from './wire'
import { BOOL, BYTES, FLOAT64, INT64, INTERFACE, mapOf, namedType, parseGoType, sliceOf, STRING, UINT64 } from './types'
import type { GoType } from './types'

/** Interfaces inside interfaces; beyond that, what is inside is carried as it came. */
const DEPTH_MAX = 100

const NAMEABLE = [BOOL, INT64, UINT64, FLOAT64, BYTES, STRING]

/** A value, and the definitions of what in it is carried. */
export interface Decoded {
  readonly node: GoNode
  readonly definitions: Definitions
  /** What stands behind the value. */
  readonly rest: Buffer
}

/**
 * Decodes the first value of a gob stream, as Go's `Decoder.Decode` does into a variable of type `expected`. What has
 * no counterpart in JavaScript becomes an opaque node where it stood in the place of an interface.
 * @throws {SessionError} `ERR_SESSION_CORRUPT` for what Go refuses, and what is unreadable outside of an interface
 */
export function decodeGob(bytes: Buffer, expected?: GoType): Decoded {
  const { id, bytes: flat, definitions, rest } = flatten(bytes)
  try {
    const type = expected ?? typeOf(id, definitions, 0)
    return { node: new Decoder(flat, definitions, 0).whole(type, id), definitions, rest }
  } catch (err) {
    if (err instanceof Unreadable) throw corrupt(err.message)
    throw err
  }
}

class Decoder {
  readonly #reader: WireReader
  #lossy = false

  constructor(
    bytes: Buffer,
    private readonly definitions: Definitions,
    private readonly depth: number
  ) {
    this.#reader = new WireReader(bytes)
  }

  whole(type: GoType, id: number): GoNode {
    if (!this.#isCompatible(type, id)) throw corrupt(`a value is not the ${type.name} it should be`)
    this.#reader.uint()
    const node = this.#value(type)
    return this.#lossy ? { ...node, lossy: true } : node
  }

  #value(type: GoType): GoNode {
    const reader = this.#reader
    switch (type.kind) {
      case 'bool':
        return { type, value: reader.uint() !== 0n }
      case 'int':
        return this.#integer(type, reader.int())
      case 'uint':
        return this.#integer(type, reader.uint())
      case 'float':
        return this.#float(type, reader.float())
      case 'string':
        return { type, value: reader.text() }
      case 'bytes':
        return { type, value: Buffer.from(reader.bytes()) }
      case 'time':
        return this.#time(type, reader.bytes())
      case 'slice':
        return { type, value: reader.list(() => this.#value(type.elem!)) }
      case 'map':
        return { type, value: reader.list((): [GoNode, GoNode] => [this.#key(type.key!), this.#value(type.elem!)]) }
      default:
        return this.#interface()
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
    // JSON has no zero below zero.
    if (Object.is(value, -0)) this.#lossy = true
    return { type, value: type.bits === 32 ? Math.fround(value) : value }
  }

  #time(type: GoType, bytes: Buffer): GoNode {
    if (!isTimeBinary(bytes)) throw corrupt('a time is none')
    const value = timeFromBinary(bytes)
    if (value === undefined) throw new Unreadable('a time is outside the years 1 to 9999')
    if (!timeToBinary(value)!.equals(bytes)) this.#lossy = true
    return { type, value }
  }

  #key(type: GoType): GoNode {
    const key = this.#value(type)
    // Go panics: slices and maps cannot be compared.
    if (Array.isArray(key.value) || Buffer.isBuffer(key.value)) throw corrupt('a map has a key that cannot be one')
    return key
  }

  #interface(): GoNode {
    const name = this.#reader.bytes().toString('latin1')
    if (name === '') return NIL
    const id = readId(this.#reader)
    const bytes = this.#reader.bytes()
    const definitions = this.definitions
    let types: number[] | undefined
    const raw: Opaque = {
      name,
      id,
      bytes,
      get types() {
        return (types ??= typesIn(id, bytes, definitions))
      }
    }
    const type = this.#typeNamed(name, id)
    if (type === undefined || this.depth >= DEPTH_MAX) return opaqueNode(raw)
    try {
      const node = new Decoder(bytes, definitions, this.depth + 1).whole(type, id)
      return { ...node, raw }
    } catch (err) {
      if (err instanceof Unreadable) return opaqueNode(raw)
      throw err
    }
  }

  // A type that every Go program spells alike; or a basic one under a name of the program's own.
  #typeNamed(name: string, id: number): GoType | undefined {
    if (name === INTERFACE.name) throw corrupt('a value is of no type at all')
    const known = parseGoType(name)
    if (known !== undefined && known.name === name) return known
    const basic = NAMEABLE.find(({ kind }) => BASIC_IDS[kind] === id)
    // complex64 and complex128 have an ID of their own, all others that Go registers itself are known.
    return basic && namedType(name, basic.kind)
  }

  #isCompatible(type: GoType, id: number): boolean {
    const basic = BASIC_IDS[type.kind]
    if (basic !== undefined) return id === basic
    const definition = this.definitions.get(id)
    if (type.kind === 'time') return definition?.kind === 'encoder' && definition.method === GOB_ENCODER
    if (definition?.kind === 'slice') return type.kind === 'slice' && this.#isCompatible(type.elem!, definition.elem)
    if (definition?.kind !== 'map' || type.kind !== 'map') return false
    return this.#isCompatible(type.key!, definition.key) && this.#isCompatible(type.elem!, definition.elem)
  }
}

// The widest Go type that fits what the stream says, for a value nobody has announced.
function typeOf(id: number, definitions: Definitions, depth: number): GoType {
  const basic = [...NAMEABLE, INTERFACE].find(({ kind }) => BASIC_IDS[kind] === id)
  if (basic !== undefined) return basic
  const definition = definitions.get(id)
  if ((definition?.kind !== 'slice' && definition?.kind !== 'map') || depth > 16) {
    throw corrupt('the value is of a type that cannot be told without its name')
  }
  const elem = typeOf(definition.elem, definitions, depth + 1)
  if (definition.kind === 'slice') return sliceOf(elem)
  // Keys are of basic types: with that, a definition leads on to one other at most.
  if (definition.key >= FIRST_ID) throw corrupt('a map has keys of a type that cannot be one')
  return mapOf(typeOf(definition.key, definitions, depth + 1), elem)
}
