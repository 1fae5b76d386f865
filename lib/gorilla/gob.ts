import type { Definition } from './codec/definitions'
import { decodeGob } from './codec/decode'
import { encodeGob } from './codec/encode'
import { GoOpaque, toValue, unserializable, type GoNode } from './codec/nodes'
import { as, goType, nodeOf } from './codec/shape'

export { as, GoOpaque }

/**
 * Encodes a value as Go's encoding/gob does.
 *
 * boolean, string: the same. Number: `int` if it is a safe integer, else `float64`. BigInt: `int64`, or `uint64` above
 * it. Uint8Array: `[]byte`. Date: `time.Time`. Array: `[]interface {}`. Plain object: `map[string]interface {}`.
 * Map: `map[interface {}]interface {}`. Anything else with `as(type, value)`. Properties that are `undefined` are left
 * out; `null` is a nil interface, inside lists and maps only.
 *
 * A Go program must have registered types beyond the basic ones and slices of them (`gob.Register(time.Time{})`).
 * @throws {SessionError} `ERR_SESSION_UNSERIALIZABLE`, naming the key path
 */
export function encode(value: unknown): Buffer {
  const node = nodeOf(value, undefined, ['value'])
  if (node.type.kind === 'interface') throw unserializable(['value'], 'gob has no nil on its own')
  if (node.type.kind === 'opaque') throw unserializable(['value'], 'it has no name on its own')
  const definitions = new Map<number, Definition>()
  collect(node, definitions)
  return encodeGob(node, definitions)
}

/**
 * Decodes the first value of a gob stream; `type` is that of the Go variable it would be decoded into.
 *
 * Integers are numbers, beyond the safe ones BigInts; `[]byte` a Buffer; `time.Time` a Date, to the millisecond; slices
 * arrays; maps with string keys plain objects, all other maps Maps. Basic types with a name of their own (`time.Duration`)
 * are what they are made of. Structs, arrays and complex numbers are `GoOpaque`s inside a list or map, which `encode`
 * takes back, and refused on their own.
 * @throws {SessionError} `ERR_SESSION_CORRUPT` for whatever Go would refuse, or JavaScript has no counterpart for
 */
export function decode(bytes: Uint8Array, type?: string): unknown {
  const expected = type === undefined ? undefined : goType(type)
  const { node, definitions } = decodeGob(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), expected)
  return toValue(node, definitions)
}

function collect({ value, raw }: GoNode, definitions: Map<number, Definition>): void {
  if (Array.isArray(value)) for (const inner of value.flat()) collect(inner, definitions)
  for (const id of raw?.source === undefined ? [] : raw.types) {
    const definition = raw!.source!.get(id)!
    if (definitions.get(id)?.raw.equals(definition.raw) === false) {
      throw unserializable(['value'], 'it holds opaque values of different streams')
    }
    definitions.set(id, definition)
  }
}
