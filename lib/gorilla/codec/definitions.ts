/**
 * Type definitions inside a gob stream: Go's `wireType` struct and its parts, field by field.
 *
 * A struct travels as deltas between field numbers, each followed by the field; a delta of 0 ends it.
 * @see encoding/gob type.go
 */
import type { GoType } from './go-types'
import { corrupt, WireWriter, type WireReader } from './gob-wire'

/** What a stream says about one of its own types. */
export type Definition = { kind: 'slice'; elem: number } | { kind: 'map'; key: number; elem: number } | { kind: 'time' }

/** IDs that gob gives to basic types. */
export const BASIC_IDS: Partial<Record<GoType['kind'], number>> = {
  bool: 1,
  int: 2,
  uint: 3,
  float: 4,
  bytes: 5,
  string: 6,
  interface: 8
}

/** Streams define IDs from here on. */
export const FIRST_ID = 64
const ID_MAX = 0x7fffffffn

// Fields of wireType that have a counterpart here; the others are arrays, structs and foreign marshalers.
const SLICE = 1
const MAP = 3
const GOB_ENCODER = 4

/** Reads a definition. @throws {SessionError} `ERR_SESSION_CORRUPT` for a kind of type that has no counterpart */
export function readDefinition(reader: WireReader): Definition {
  let definition: Definition | undefined
  readStruct(reader, (field) => {
    if (definition !== undefined) throw corrupt('a type is defined as two kinds at once')
    if (field === SLICE) {
      const [elem = 0] = readIds(reader, 1)
      definition = { kind: 'slice', elem }
    } else if (field === MAP) {
      const [key = 0, elem = 0] = readIds(reader, 2)
      definition = { kind: 'map', key, elem }
    } else if (field === GOB_ENCODER) {
      readIds(reader, 0)
      definition = { kind: 'time' }
    } else {
      throw corrupt('structs, arrays and types with an encoding of their own have no counterpart')
    }
  })
  if (definition === undefined) throw corrupt('a type definition is empty')
  return definition
}

/** The message that defines a type under an ID; inner types are given by theirs. */
export function writeDefinition(id: number, type: GoType, idOf: (type: GoType) => number): Buffer {
  const writer = new WireWriter().int(-id)
  const common = (name: string) => {
    writer.uint(1)
    if (name !== '') writer.uint(1).bytes(Buffer.from(name)).uint(1)
    else writer.uint(2)
    writer.int(id).uint(0)
  }
  if (type.kind === 'slice') {
    writer.uint(SLICE + 1)
    common('')
    writer.uint(1).int(idOf(type.elem!))
  } else if (type.kind === 'map') {
    writer.uint(MAP + 1)
    common('')
    writer.uint(1).int(idOf(type.key!)).uint(1).int(idOf(type.elem!))
  } else {
    writer.uint(GOB_ENCODER + 1)
    common('Time')
  }
  return writer.uint(0).uint(0).finish()
}

// CommonType first, which says nothing we need; then `count` type IDs.
function readIds(reader: WireReader, count: number): number[] {
  const ids: number[] = []
  readStruct(reader, (field) => {
    if (field === 0) readCommon(reader)
    else if (field <= count) ids[field - 1] = readId(reader)
    else throw corrupt('a type definition has an unknown field')
  })
  return ids
}

function readCommon(reader: WireReader): void {
  readStruct(reader, (field) => {
    if (field === 0) reader.bytes()
    else if (field === 1) reader.int()
    else throw corrupt('a type definition has an unknown field')
  })
}

/** A type ID; negative where a definition follows. */
export function readId(reader: WireReader): number {
  const id = reader.int()
  if (id > ID_MAX || id < -ID_MAX) throw corrupt('a type ID is out of range')
  return Number(id)
}

function readStruct(reader: WireReader, readField: (field: number) => void): void {
  let field = -1
  while (reader.left > 0) {
    const delta = reader.count(16)
    if (delta === 0) return
    field += delta
    readField(field)
  }
}
