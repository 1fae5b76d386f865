import { deeper, GobError, type GobReader } from './gob-read'

/** A type that a gob stream defines. Structs and the rest are not what gorilla/sessions stores by default. */
export type WireType =
  | { kind: 'slice'; element: number }
  | { kind: 'array'; element: number; length: number }
  | { kind: 'map'; key: number; element: number }
  | { kind: 'binary' }

// Fields of encoding/gob's wireType struct, in order.
const WIRE_FIELDS = ['array', 'slice', 'struct', 'map', 'gob', 'binary', 'text'] as const

/**
 * Reads a type definition: encoding/gob's `wireType` struct, whose fields are delta-encoded.
 * @throws {GobError} for a struct or any other type that a session does not hold by default
 */
export function readWireType(reader: GobReader): WireType {
  let type: WireType | undefined
  eachField(reader, WIRE_FIELDS.length, (field) => {
    const kind = WIRE_FIELDS[field]!
    if (kind === 'array') type = readParts(reader, (element, length) => ({ kind: 'array', element, length }))
    else if (kind === 'slice') type = readParts(reader, (element) => ({ kind: 'slice', element }))
    else if (kind === 'map') type = readParts(reader, (key, element) => ({ kind: 'map', key, element }))
    else if (kind === 'gob' || kind === 'binary') type = readParts(reader, () => ({ kind: 'binary' }))
    else throw new GobError(`a ${kind} type`)
  })
  if (type === undefined) throw new GobError('an empty type definition')
  return type
}

// CommonType (name and id), then up to two integers.
function readParts(reader: GobReader, make: (first: number, second: number) => WireType): WireType {
  const parts = [0, 0]
  eachField(reader, 3, (field) => {
    if (field > 0) parts[field - 1] = Number(reader.int())
    else {
      eachField(reader, 2, (common) => {
        if (common === 0) reader.text()
        else reader.int()
      })
    }
  })
  return make(parts[0]!, parts[1]!)
}

function eachField(reader: GobReader, fields: number, read: (field: number) => void, depth = 0): void {
  deeper(depth)
  let field = -1
  for (let delta = reader.uint(); delta !== 0n; delta = reader.uint()) {
    field += Number(delta)
    if (field >= fields) throw new GobError('an unknown field')
    read(field)
  }
}
