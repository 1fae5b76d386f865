import { BASIC_IDS, GOB_ENCODER, type Definition, type Definitions, type Field } from './definitions'
import { numberText, opaqueNode, unserializable, type GoNode, type Opaque } from './nodes'
import { bytesOf, isPlain } from './shape'
import { typesIn } from './stream'
import { timeFromBinary, timeToBinary } from './time'
import { Unreadable, WireReader, WireWriter } from './wire'

const DEPTH_MAX = 100
const INT64 = [-(2n ** 63n), 2n ** 63n - 1n] as const
const UINT64 = [0n, 2n ** 64n - 1n] as const

/**
 * A struct (or named list or map, with structs inside or without) as JSON data, along its definitions. Fields that Go
 * does not send because they are zero are there as well, where the zero value is a text, a number, `false` or a list.
 * @throws {Unreadable} for fields of interface types, complex numbers and types with an encoding of their own
 */
export function readStruct({ id, bytes }: Opaque, definitions: Definitions): unknown {
  return new StructReader(bytes, definitions).whole(id)
}

/** The struct of JSON data: what it was, as long as the data says the same. */
export function encodeStruct(
  value: unknown,
  was: { json: string; raw: Opaque },
  definitions: Definitions,
  path: readonly string[]
): GoNode {
  if (JSON.stringify(value) === was.json) return opaqueNode(was.raw)
  const { name, id } = was.raw
  const bytes = new StructWriter(definitions).whole(id, value, path)
  return opaqueNode({ name, id, bytes, types: typesIn(id, bytes, definitions) })
}

class StructReader {
  readonly #reader: WireReader
  #depth = 0

  constructor(
    bytes: Buffer,
    private readonly definitions: Definitions
  ) {
    this.#reader = new WireReader(bytes)
  }

  whole(id: number): unknown {
    if (this.definitions.get(id)?.kind !== 'struct') this.#reader.uint()
    return this.#value(id)
  }

  #value(id: number): unknown {
    const reader = this.#reader
    switch (id) {
      case BASIC_IDS.bool:
        return reader.uint() !== 0n
      case BASIC_IDS.int:
        return numberText(reader.int())
      case BASIC_IDS.uint:
        return numberText(reader.uint())
      case BASIC_IDS.float:
        return finite(reader.float())
      case BASIC_IDS.bytes:
        return reader.bytes().toString('base64')
      case BASIC_IDS.string:
        return reader.text()
    }
    const definition = this.definitions.get(id)
    if (definition === undefined || ++this.#depth > DEPTH_MAX) throw new Unreadable('a field has no counterpart')
    const value = this.#defined(definition)
    this.#depth--
    return value
  }

  #defined(definition: Definition): unknown {
    switch (definition.kind) {
      case 'struct':
        return this.#struct(definition.fields)
      case 'map': {
        const entries = this.#reader.list(() => [this.#key(definition.key), this.#value(definition.elem)] as const)
        return Object.fromEntries(entries)
      }
      case 'encoder':
        return time(definition, this.#reader.bytes())
      default:
        return this.#reader.list(() => this.#value(definition.elem))
    }
  }

  #struct(fields: readonly Field[]): Record<string, unknown> {
    const object = Object.create(null) as Record<string, unknown>
    for (const { name, id } of fields) {
      const zero = zeroOf(id, this.definitions)
      if (zero !== undefined) object[name] = zero
    }
    this.#reader.fields(fields.length, (at) => {
      object[fields[at]!.name] = this.#value(fields[at]!.id)
    })
    return object
  }

  #key(id: number): string {
    const key = this.#value(id)
    if (typeof key === 'object' || key === '__proto__') throw new Unreadable('a map has a key that is no text')
    return String(key)
  }
}

class StructWriter {
  constructor(private readonly definitions: Definitions) {}

  whole(id: number, value: unknown, path: readonly string[]): Buffer {
    const writer = new WireWriter()
    if (this.definitions.get(id)?.kind !== 'struct') writer.uint(0)
    this.#value(writer, id, value, path)
    return writer.finish()
  }

  #value(writer: WireWriter, id: number, value: unknown, path: readonly string[]): void {
    if (id === BASIC_IDS.bool && typeof value === 'boolean') writer.uint(value ? 1 : 0)
    else if (id === BASIC_IDS.int) writer.int(integer(value, INT64, path))
    else if (id === BASIC_IDS.uint) writer.uint(integer(value, UINT64, path))
    else if (id === BASIC_IDS.float && typeof value === 'number') writer.float(value)
    else if (id === BASIC_IDS.string && typeof value === 'string') writer.bytes(Buffer.from(value))
    else if (id === BASIC_IDS.bytes && bytesOf(value)) writer.bytes(bytesOf(value)!)
    else this.#defined(writer, this.definitions.get(id), value, path)
  }

  #defined(writer: WireWriter, definition: Definition | undefined, value: unknown, path: readonly string[]): void {
    if (definition?.kind === 'struct' && isPlain(value)) this.#struct(writer, definition.fields, value, path)
    else if (definition?.kind === 'map' && isPlain(value)) {
      const entries = Object.entries(value)
      writer.uint(entries.length)
      for (const [key, item] of entries) {
        this.#value(writer, definition.key, definition.key === BASIC_IDS.string ? key : keyOf(key), [...path, key])
        this.#value(writer, definition.elem, item, [...path, key])
      }
    } else if ((definition?.kind === 'slice' || definition?.kind === 'array') && Array.isArray(value)) {
      if (definition.kind === 'array' && value.length !== definition.size) throw misfit(path)
      writer.uint(value.length)
      value.forEach((item, at) => this.#value(writer, definition.elem, item, [...path, String(at)]))
    } else {
      const bytes = isTime(definition) && typeof value === 'string' ? timeToBinary(value) : undefined
      if (bytes === undefined) throw misfit(path)
      writer.bytes(bytes)
    }
  }

  // Go sends no fields that are zero, and takes those that are missing for zero.
  #struct(writer: WireWriter, fields: readonly Field[], value: Record<string, unknown>, path: readonly string[]): void {
    const unknown = Object.keys(value).find((key) => !fields.some(({ name }) => name === key))
    if (unknown !== undefined) throw unserializable([...path, unknown], 'the struct has no such field')
    let last = -1
    for (const [at, { name, id }] of fields.entries()) {
      const item = value[name]
      if (item === undefined || item === null || isZero(item, zeroOf(id, this.definitions))) continue
      writer.uint(at - last)
      last = at
      this.#value(writer, id, item, [...path, name])
    }
    writer.uint(0)
  }
}

function zeroOf(id: number, definitions: Definitions): unknown {
  if (id === BASIC_IDS.bool) return false
  if (id === BASIC_IDS.int || id === BASIC_IDS.uint || id === BASIC_IDS.float) return 0
  if (id === BASIC_IDS.bytes || id === BASIC_IDS.string) return ''
  return definitions.get(id)?.kind === 'slice' ? [] : undefined
}

function isZero(item: unknown, zero: unknown): boolean {
  return Array.isArray(zero) ? Array.isArray(item) && item.length === 0 : item === zero && !Object.is(item, -0)
}

function isTime(definition: Definition | undefined): boolean {
  return definition?.kind === 'encoder' && definition.name === 'Time' && definition.method === GOB_ENCODER
}

function time(definition: Definition, bytes: Buffer): string {
  const value = isTime(definition) ? timeFromBinary(bytes) : undefined
  if (value === undefined || !timeToBinary(value)!.equals(bytes)) throw new Unreadable('a field has its own encoding')
  return value
}

function finite(value: number): number {
  if (!Number.isFinite(value) || Object.is(value, -0)) throw new Unreadable('a number that JSON has no text for')
  return value
}

function integer(value: unknown, [min, max]: readonly [bigint, bigint], path: readonly string[]): bigint {
  const isWhole = Number.isSafeInteger(value) || (typeof value === 'string' && DIGITS.test(value))
  const number = isWhole ? BigInt(value as number | string) : undefined
  if (number === undefined || number < min || number > max) throw misfit(path)
  return number
}

const DIGITS = /^-?\d{1,20}$/

function keyOf(key: string): unknown {
  return DIGITS.test(key) ? key : key === 'true' ? true : key === 'false' ? false : Number(key)
}

function misfit(path: readonly string[]): Error {
  return unserializable(path, 'it does not fit the type that Go has for it')
}
