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
  const encoder = new Encoder(carried)
  const message = encoder.message(node)
  return Buffer.concat([...encoder.definitions, message])
}

class Encoder {
  /** Length-prefixed messages, to be sent before the value. */
  readonly definitions: Buffer[] = []
  readonly #ids = new Map<string, number>()
  readonly #carried: Definitions
  readonly #sent = new Set<number>()
  #last = FIRST_ID

  constructor(carried: Definitions) {
    this.#carried = carried
  }

  message(node: GoNode): Buffer {
    const writer = new WireWriter().int(this.#idOf(node.type)).uint(0)
    return new WireWriter().bytes(this.#value(writer, node).finish()).finish()
  }

  #idOf(type: GoType): number {
    const known = BASIC_IDS[type.kind] ?? this.#ids.get(type.name)
    if (known !== undefined) return known
    do this.#last++
    while (this.#carried.has(this.#last))
    const id = this.#last
    this.#ids.set(type.name, id)
    const definition = writeDefinition(id, type, (inner) => this.#idOf(inner))
    this.definitions.push(new WireWriter().bytes(definition).finish())
    return id
  }

  #value(writer: WireWriter, { type, value }: GoNode): WireWriter {
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
        for (const item of value as GoNode[]) this.#at(writer, type.elem!, item)
        return writer
      case 'map':
        writer.uint((value as [GoNode, GoNode][]).length)
        for (const [key, item] of value as [GoNode, GoNode][]) {
          this.#at(writer, type.key!, key)
          this.#at(writer, type.elem!, item)
        }
        return writer
      default:
        // A nil interface.
        return writer.uint(0)
    }
  }

  // In the place of an interface a value brings its type along.
  #at(writer: WireWriter, place: GoType, node: GoNode): WireWriter {
    if (node.type.kind === 'opaque') return this.#opaque(writer, node.raw!)
    if (place.kind !== 'interface' || node.type.kind === 'interface') return this.#value(writer, node)
    const id = this.#idOf(node.type)
    const inner = this.#value(new WireWriter().uint(0), node).finish()
    const { name, named } = node.type
    const registered = Buffer.from(name, named ? 'latin1' : 'utf8')
    return writer.bytes(registered).int(id).bytes(inner)
  }

  #opaque(writer: WireWriter, { name, id, bytes, types }: Opaque): WireWriter {
    for (const type of types) {
      if (this.#sent.has(type)) continue
      this.#sent.add(type)
      const definition = new WireWriter().int(-type).raw(this.#carried.get(type)!.raw)
      this.definitions.push(new WireWriter().bytes(definition.finish()).finish())
    }
    return writer.bytes(Buffer.from(name, 'latin1')).int(id).bytes(bytes)
  }
}
