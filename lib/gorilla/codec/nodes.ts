import { SessionError } from '../../base/errors'
import type { Definitions } from './definitions'
import { INTERFACE, OPAQUE, type GoType } from './types'

/** What stands in the place of an interface, as it came: the registered name, the type's ID, the flat value. */
export interface Opaque {
  /** Bytes as latin1. */
  readonly name: string
  readonly id: number
  readonly bytes: Buffer
  /** The IDs of the defined types it needs. */
  readonly types: readonly number[]
  /** The definitions of these, where nothing else has them. */
  readonly source?: Definitions
}

/**
 * A Go value with its type, between a gob stream and JavaScript.
 *
 * Integers are bigints, times RFC 3339 texts, slices arrays of nodes and maps arrays of pairs of nodes; a nil
 * interface is `null`. In the place of an interface stands the node of what it holds.
 */
export interface GoNode {
  readonly type: GoType
  readonly value: null | boolean | string | number | bigint | Buffer | GoNode[] | [GoNode, GoNode][]
  /** Of what stood in the place of an interface: the same as it came. */
  readonly raw?: Opaque
  /** Whether the value does not tell all of it: what nobody changes goes back as it came. */
  readonly lossy?: boolean
}

/** The node of a value that is carried and never looked into. */
export function opaqueNode(raw: Opaque): GoNode {
  return { type: OPAQUE, value: null, raw }
}

export const NIL: GoNode = { type: INTERFACE, value: null }

export function fitsBits({ kind, bits }: GoType, value: bigint): boolean {
  return value === (kind === 'int' ? BigInt.asIntN(bits!, value) : BigInt.asUintN(bits!, value))
}

/** A safe integer as a number, any other as it is. */
export function numberOf(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

/** The same for JSON: beyond the safe integers decimal digits. */
export function numberText(value: bigint): number | string {
  const number = numberOf(value)
  return typeof number === 'number' ? number : number.toString()
}

/**
 * The JavaScript value of a node: numbers (bigints beyond the safe integers), Buffers, Dates (to the millisecond),
 * arrays, plain objects for maps with string keys, and Maps for all others.
 */
export function toValue({ type, value, raw }: GoNode, definitions: Definitions): unknown {
  switch (type.kind) {
    case 'int':
    case 'uint':
      return numberOf(value as bigint)
    case 'time':
      return new Date(value as string)
    case 'slice':
      return (value as GoNode[]).map((item) => toValue(item, definitions))
    case 'map': {
      const entries = (value as [GoNode, GoNode][]).map(([key, item]): [unknown, unknown] => [
        toValue(key, definitions),
        toValue(item, definitions)
      ])
      // `fromEntries` defines its properties, so that a key `__proto__` is a key like any other.
      return type.key!.kind === 'string' ? Object.fromEntries(entries as [string, unknown][]) : new Map(entries)
    }
    case 'opaque':
      return new GoOpaque(raw!, definitions)
    default:
      return value
  }
}

/** A value that has no counterpart here, as it came: `gob.encode` takes it back. */
export class GoOpaque {
  /** The name under which Go has registered its type. */
  readonly type: string
  readonly #raw: Opaque
  readonly #definitions: Definitions

  constructor(raw: Opaque, definitions: Definitions) {
    this.type = Buffer.from(raw.name, 'latin1').toString()
    this.#raw = raw
    this.#definitions = definitions
  }

  /** Its node, for `gob.encode`. */
  get node(): GoNode {
    return opaqueNode({ ...this.#raw, types: this.#raw.types, source: this.#definitions })
  }
}

/** A value that Go cannot be given. `path` leads to it. */
export function unserializable(path: readonly string[], reason: string): SessionError {
  return new SessionError('ERR_SESSION_UNSERIALIZABLE', `${path.join('.')} cannot be stored for Go: ${reason}.`)
}
