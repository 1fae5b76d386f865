/**
 * Type definitions inside a gob stream: Go's `wireType` struct and its parts, field by field.
 * @see encoding/gob type.go
 */
import type { GoType } from './types'
import { corrupt, WireWriter, type WireReader } from './wire'

export interface Field {
  readonly name: string
  readonly id: number
}

/** What a stream says about one of its own types; inner types are given by their IDs. */
type Parts =
  | { readonly kind: 'slice'; readonly elem: number }
  | { readonly kind: 'array'; readonly elem: number; readonly size: number }
  | { readonly kind: 'map'; readonly key: number; readonly elem: number }
  | { readonly kind: 'struct'; readonly fields: readonly Field[] }
  /** Bytes that the type makes itself: of GobEncode, MarshalBinary or MarshalText. */
  | { readonly kind: 'encoder'; readonly name: string; readonly method: number }

export type Definition = Parts & {
  /** As it stands in the stream. */
  readonly raw: Buffer
}

/** The definitions of a stream, by ID. */
export type Definitions = ReadonlyMap<number, Definition>

export const BASIC_IDS: Partial<Record<GoType['kind'], number>> = {
  bool: 1,
  int: 2,
  uint: 3,
  float: 4,
  bytes: 5,
  string: 6,
  interface: 8
}

/** The basic type that JavaScript has no counterpart for: two floats. */
export const COMPLEX_ID = 7

/** Streams define IDs from here on. */
export const FIRST_ID = 64
const ID_MAX = 0x7fffffffn
/** No struct here has as many fields. */
const DELTA_MAX = 16

// Fields of wireType.
const ARRAY = 0
const SLICE = 1
const STRUCT = 2
const MAP = 3
/** As `Definition.method`: the type is a GobEncoder. */
export const GOB_ENCODER = 4
const TEXT_MARSHALER = 6

/** Reads a definition. @throws {SessionError} `ERR_SESSION_CORRUPT` */
export function readDefinition(reader: WireReader): Definition {
  const start = reader.at
  let parts: Parts | undefined
  reader.fields(DELTA_MAX, (kind) => {
    if (parts !== undefined || kind > TEXT_MARSHALER) throw corrupt('a type is defined as two kinds at once, or none')
    parts = readParts(reader, kind)
  })
  if (parts === undefined) throw corrupt('a type definition is empty')
  return { ...parts, raw: reader.since(start) }
}

export function refersTo(definition: Definition): number[] {
  switch (definition.kind) {
    case 'slice':
    case 'array':
      return [definition.elem]
    case 'map':
      return [definition.key, definition.elem]
    case 'struct':
      return definition.fields.map(({ id }) => id)
    case 'encoder':
      return []
  }
}

/** The message that defines a type under an ID; inner types are given by theirs. */
export function writeDefinition(id: number, { kind, key, elem }: GoType, idOf: (type: GoType) => number): Buffer {
  const field = kind === 'slice' ? SLICE : kind === 'map' ? MAP : GOB_ENCODER
  const writer = new WireWriter()
    .int(-id)
    .uint(field + 1)
    .uint(1)
  // CommonType: a name, where there is one, and the ID.
  if (field === GOB_ENCODER) writer.uint(1).bytes(Buffer.from('Time')).uint(1)
  else writer.uint(2)
  writer.int(id).uint(0)
  for (const inner of [key, elem]) if (inner !== undefined) writer.uint(1).int(idOf(inner))
  return writer.uint(0).uint(0).finish()
}

// CommonType comes first; then, by kind, type IDs (and the length of an array), or the fields of a struct.
function readParts(reader: WireReader, kind: number): Parts {
  const last = kind >= GOB_ENCODER ? 0 : kind === MAP || kind === ARRAY ? 2 : 1
  const numbers: number[] = []
  let name = ''
  let fields: Field[] = []
  reader.fields(DELTA_MAX, (field) => {
    if (field > last) throw corrupt('a type definition has an unknown field')
    if (field === 0) name = readNamed(reader).name
    else if (kind === STRUCT) fields = reader.list(() => readNamed(reader))
    else numbers[field - 1] = readId(reader)
  })
  if (numbers.some((number) => number < 0)) throw corrupt('a type definition refers to none')
  const [first = 0, second = 0] = numbers
  if (kind === ARRAY) return { kind: 'array', elem: first, size: second }
  if (kind === SLICE) return { kind: 'slice', elem: first }
  if (kind === MAP) return { kind: 'map', key: first, elem: second }
  if (kind === STRUCT) return { kind: 'struct', fields }
  return { kind: 'encoder', name, method: kind }
}

// A name and an ID: CommonType, and a field of a struct.
function readNamed(reader: WireReader): Field {
  let name = ''
  let id = 0
  reader.fields(DELTA_MAX, (field) => {
    if (field === 0) name = reader.bytes().toString()
    else if (field === 1) id = readId(reader)
    else throw corrupt('a type definition has an unknown field')
  })
  return { name, id }
}

/** A type ID; negative where a definition follows. */
export function readId(reader: WireReader): number {
  const id = reader.int()
  if (id > ID_MAX || id < -ID_MAX) throw corrupt('a type ID is out of range')
  return Number(id)
}
