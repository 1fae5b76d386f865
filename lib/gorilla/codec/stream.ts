import { BASIC_IDS, COMPLEX_ID, FIRST_ID, readDefinition, readId, refersTo, type Definition } from './definitions'
import type { Definitions } from './definitions'
import { corrupt, WireReader, WireWriter } from './wire'

/** Values inside values; nothing that fits a session has more, and no stack is spent on less. */
const DEPTH_MAX = 500

/** The first value of a gob stream without the type definitions among it. */
export interface Flat {
  readonly id: number
  /** Each interface in it holds a name, a type ID, a length and so many bytes. */
  readonly bytes: Buffer
  readonly definitions: Definitions
  /** What stands behind it, which Go does not look at. */
  readonly rest: Buffer
}

/** @throws {SessionError} `ERR_SESSION_CORRUPT`; memory is bounded by the size of the input */
export function flatten(bytes: Buffer): Flat {
  return new Walk(bytes).first()
}

/** The IDs of all defined types that a flat value needs, those of interfaces inside it as well. */
export function typesIn(id: number, bytes: Buffer, definitions: Definitions): number[] {
  const found = new Walk(bytes, definitions).typesOf(id)
  for (const known of found) {
    for (const inner of refersTo(definitions.get(known)!)) if (definitions.has(inner)) found.add(inner)
  }
  return [...found].sort((a, b) => a - b)
}

/** Walks a value along its definitions, so that its extent is known whatever it is. */
class Walk {
  readonly #definitions: Map<number, Definition>
  readonly #stream: WireReader
  readonly #used = new Set<number>()
  #message: WireReader
  #depth = 0
  // What is kept so far, and from where on in the message it goes on.
  #kept: Buffer[] = []
  #from = 0

  /** @param definitions of a stream, of which `bytes` are a flat value */
  constructor(bytes: Buffer, definitions?: Definitions) {
    this.#definitions = new Map(definitions)
    this.#stream = new WireReader(definitions === undefined ? bytes : Buffer.alloc(0))
    this.#message = new WireReader(definitions === undefined ? Buffer.alloc(0) : bytes)
  }

  first(): Flat {
    const id = this.#typeSequence(false)
    const bytes = this.#capture(() => this.#whole(id))
    const rest = this.#stream.take(this.#stream.left)
    return { id, bytes, definitions: this.#definitions, rest }
  }

  typesOf(id: number): Set<number> {
    if (id >= FIRST_ID) this.#used.add(id)
    this.#capture(() => this.#whole(id))
    return this.#used
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

  #capture(walk: () => void): Buffer {
    const outer = this.#kept
    this.#kept = []
    this.#from = this.#message.at
    walk()
    this.#keep()
    const bytes = this.#kept.length === 1 ? this.#kept[0]! : Buffer.concat(this.#kept)
    this.#kept = outer
    this.#from = this.#message.at
    return bytes
  }

  #keep(): void {
    this.#kept.push(this.#message.since(this.#from))
  }

  // A value on its own is preceded by a zero, as if it were the only field of a struct.
  #whole(id: number): void {
    if (this.#definitions.get(id)?.kind !== 'struct' && this.#message.uint() !== 0n) {
      throw corrupt('a value does not begin where it should')
    }
    this.#value(id)
  }

  #value(id: number): void {
    const message = this.#message
    if (id === BASIC_IDS.bytes || id === BASIC_IDS.string) message.bytes()
    else if (id === BASIC_IDS.interface) this.#interface()
    else if (id === COMPLEX_ID) message.uint(2)
    else if (id > 0 && id < COMPLEX_ID) message.uint()
    else this.#defined(id)
  }

  #defined(id: number): void {
    const definition = this.#definitions.get(id)
    if (definition === undefined) throw corrupt('a value is of a type that is not defined')
    if (++this.#depth > DEPTH_MAX) throw corrupt('values are nested too deeply')
    switch (definition.kind) {
      case 'encoder':
        this.#message.bytes()
        break
      case 'struct':
        this.#struct(definition.fields)
        break
      case 'array':
        if (this.#repeat([definition.elem]) !== definition.size) throw corrupt('an array has another length')
        break
      case 'slice':
        this.#repeat([definition.elem])
        break
      case 'map':
        this.#repeat([definition.key, definition.elem])
    }
    this.#depth--
  }

  #struct(fields: readonly { id: number }[]): void {
    for (let at = -1; ;) {
      const delta = this.#message.count(fields.length)
      if (delta === 0) return
      at += delta
      if (at >= fields.length) throw corrupt('a struct has more fields than its type')
      this.#value(fields[at]!.id)
    }
  }

  // An element takes a byte at least, so a count beyond what is left is a lie, and nothing is allocated for it.
  #repeat(ids: readonly number[]): number {
    const count = this.#message.count(this.#message.left + this.#stream.left)
    for (let at = 0; at < count; at++) {
      if (this.#message.left === 0) throw corrupt('a length exceeds the input')
      for (const id of ids) this.#value(id)
    }
    return count
  }

  // The registered name of the type, its ID, the length of the value, the value.
  #interface(): void {
    if (this.#message.bytes().length === 0) return
    if (++this.#depth > DEPTH_MAX) throw corrupt('values are nested too deeply')
    this.#keep()
    const id = this.#typeSequence(true)
    if (id >= FIRST_ID) this.#used.add(id)
    this.#message.uint()
    const value = this.#capture(() => this.#whole(id))
    this.#kept.push(new WireWriter().int(id).bytes(value).finish())
    this.#depth--
  }
}
