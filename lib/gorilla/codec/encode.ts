import { BASIC_IDS, FIRST_ID, writeDefinition, type Definitions } from './definitions'
import { WireWriter } from './wire'
import { timeToBinary } from './time'
import type { GoType } from './types'
import type { GoNode, Opaque } from './nodes'

const NONE: Definitions = new Map()

/**
 * Encodes a value as a gob stream of its own: all type definitions first, then the value.
 *
 * Go itself sends a definition where it first needs it; its decoder takes both.
 * @param carried the definitions of the values in it that are carried: these keep their IDs
 */
export function encodeGob(node: GoNode, carried = NONE): Buffer {
  const definitions: Buffer[] = []
  const ids = new Map<string, number>()
  const sent = new Set<number>()
  let last = FIRST_ID
  const define = (definition: Buffer) => definitions.push(new WireWriter().bytes(definition).finish())

  const idOf = (type: GoType): number => {
    const known = BASIC_IDS[type.kind] ?? ids.get(type.name)
    if (known !== undefined) return known
    do last++
    while (carried.has(last))
    const id = last
    ids.set(type.name, id)
    define(writeDefinition(id, type, idOf))
    return id
  }

  const put = (writer: WireWriter, { type, value }: GoNode): WireWriter => {
    switch (type.kind) {
      case 'bool':
        return writer.uint(value === true ? 1 : 0)
      case 'int':
        return writer.int(value as bigint)
      case 'uint':
        return writer.uint(value as bigint)
      case 'float':
        return writer.float(value as number)
      case 'string':
        return writer.bytes(Buffer.from(value as string))
      case 'bytes':
        return writer.bytes(value as Buffer)
      case 'time':
        return writer.bytes(timeToBinary(value as string)!)
      case 'slice':
        writer.uint((value as GoNode[]).length)
        for (const item of value as GoNode[]) putAt(writer, type.elem!, item)
        return writer
      case 'map':
        writer.uint((value as [GoNode, GoNode][]).length)
        for (const [key, item] of value as [GoNode, GoNode][]) {
          putAt(writer, type.key!, key)
          putAt(writer, type.elem!, item)
        }
        return writer
      default:
        // A nil interface.
        return writer.uint(0)
    }
  }

  // In the place of an interface a value brings its type along.
  const putAt = (writer: WireWriter, place: GoType, node: GoNode): WireWriter => {
    if (node.type.kind === 'opaque') return putOpaque(writer, node.raw!)
    if (place.kind !== 'interface' || node.type.kind === 'interface') return put(writer, node)
    const id = idOf(node.type)
    const inner = put(new WireWriter().uint(0), node).finish()
    const { name, named } = node.type
    return writer
      .bytes(Buffer.from(name, named ? 'latin1' : 'utf8'))
      .int(id)
      .bytes(inner)
  }

  const putOpaque = (writer: WireWriter, { name, id, bytes, types }: Opaque): WireWriter => {
    for (const type of types) {
      if (sent.has(type)) continue
      sent.add(type)
      define(new WireWriter().int(-type).raw(carried.get(type)!.raw).finish())
    }
    return writer.bytes(Buffer.from(name, 'latin1')).int(id).bytes(bytes)
  }

  const message = put(new WireWriter().int(idOf(node.type)).uint(0), node).finish()
  return Buffer.concat([...definitions, new WireWriter().bytes(message).finish()])
}
