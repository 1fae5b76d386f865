import { BOOL, BYTES, deeper, FLOAT, GobError, GobReader, INT, INTERFACE, STRING, UINT } from './gob-read'
import { readWireType, type WireType } from './gob-types'
import { BYTES_NAME, TIME, type GoPayload, type GoValue } from './gob-values'

/** Names under which encoding/gob registers basic types, and the wire type each must have. */
const BASIC = new Map<string, number>([
  ...([
    ['bool', BOOL],
    ['string', STRING],
    [BYTES_NAME, BYTES],
    ['float32', FLOAT],
    ['float64', FLOAT]
  ] as const),
  ...(['int', 'int8', 'int16', 'int32', 'int64'] as const).map((name) => [name, INT] as const),
  ...(['uint', 'uint8', 'uint16', 'uint32', 'uint64', 'uintptr'] as const).map((name) => [name, UINT] as const)
])
const NAMES = new Map([...BASIC].map(([name, id]) => [id, name] as const).reverse())
// Lists and maps of what a session holds: `[]string`, `map[string]interface {}`, `[]map[string]int`, ...
const CONTAINER = /^(?:\[\]|map\[string\])+(?:interface \{\}|bool|string|float(?:32|64)|u?int(?:8|16|32|64)?)$/

/** Decodes what gorilla/sessions encodes: one `map[interface{}]interface{}` with string keys. @throws {GobError} */
export function decodeGob(bytes: Uint8Array): Map<string, GoValue> {
  return new Decoder(new GobReader(bytes)).session()
}

class Decoder {
  readonly #stream: GobReader
  readonly #types = new Map<number, WireType>()

  constructor(stream: GobReader) {
    this.#stream = stream
  }

  session(): Map<string, GoValue> {
    const stream = this.#stream
    while (!stream.done) {
      // Messages are not kept apart: a definition inside a value ends one, and the value goes on in the next.
      stream.count()
      const id = Number(stream.int())
      if (id < 0) {
        this.#define(-id, stream)
        continue
      }
      const type = this.#types.get(id)
      if (type?.kind !== 'map' || type.key !== INTERFACE || type.element !== INTERFACE) throw new GobError('not a map')
      zero(stream)
      const map = this.#map(stream, type, 0)
      if (!stream.done) throw new GobError('more input than one value')
      return map
    }
    throw new GobError('no value')
  }

  #define(id: number, reader: GobReader): void {
    if (this.#types.has(id) || id < 64) throw new GobError('a type defined twice')
    this.#types.set(id, readWireType(reader))
  }

  #payload(reader: GobReader, id: number, depth: number): GoPayload {
    if (id === BOOL) return reader.uint() !== 0n
    if (id === INT) return reader.int()
    if (id === UINT) return reader.uint()
    if (id === FLOAT) return reader.float()
    if (id === BYTES) return reader.bytes()
    if (id === STRING) return reader.text()
    const type = this.#types.get(id)
    if (type === undefined) throw new GobError('an unknown type')
    if (type.kind === 'binary') return timeOf(reader.bytes())
    if (type.kind === 'map') return this.#map(reader, type, deeper(depth))
    const count = reader.count()
    if (type.kind === 'array') throw new GobError('an array')
    return Array.from({ length: count }, () => this.#element(reader, type.element, deeper(depth)))
  }

  #element(reader: GobReader, id: number, depth: number): GoValue {
    if (id === INTERFACE) return this.#interface(reader, deeper(depth))
    return { type: NAMES.get(id) ?? '', value: this.#payload(reader, id, depth) }
  }

  #map(reader: GobReader, type: { key: number; element: number }, depth: number): Map<string, GoValue> {
    const map = new Map<string, GoValue>()
    for (let left = reader.count(); left > 0; left--) {
      const key = this.#element(reader, type.key, depth).value
      if (typeof key !== 'string') throw new GobError('a key that is no string')
      map.set(key, this.#element(reader, type.element, depth))
    }
    return map
  }

  // An interface value: registered name, definitions (each followed by a length), type ID, length, zero, value. Like
  // Go, this takes no notice of the lengths: they end at the next definition, not with the value.
  #interface(reader: GobReader, depth: number): GoValue {
    const name = reader.text()
    if (name === '') return { type: 'nil', value: null }
    let id = Number(reader.int())
    while (id < 0) {
      this.#define(-id, reader)
      reader.uint()
      id = Number(reader.int())
    }
    reader.uint()
    zero(reader)
    const basic = BASIC.get(name)
    if (basic === undefined && name !== TIME && !CONTAINER.test(name))
      throw new GobError('a type that is not known here')
    if ((basic !== undefined && basic !== id) || (name === TIME) !== (this.#types.get(id)?.kind === 'binary')) {
      throw new GobError('a name that does not fit its type')
    }
    return { type: name, value: this.#payload(reader, id, depth) }
  }
}

// A value that is no struct is preceded by a zero.
function zero(reader: GobReader): void {
  if (reader.uint() !== 0n) throw new GobError('no value')
}

/** Seconds from the year 1 to 1970: time.Time counts from the former. */
export const UNIX_EPOCH = 62_135_596_800n

// time.Time.MarshalBinary: version, seconds, nanoseconds, zone offset in minutes.
function timeOf(bytes: Uint8Array): Date {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (!((bytes[0] === 1 && bytes.length === 15) || (bytes[0] === 2 && bytes.length === 16))) {
    throw new GobError('a time of another version')
  }
  const seconds = Number(view.getBigInt64(1) - UNIX_EPOCH)
  const date = new Date(seconds * 1000 + Math.floor(view.getInt32(9) / 1e6))
  if (Number.isNaN(date.valueOf())) throw new GobError('a time beyond what Date holds')
  return date
}
