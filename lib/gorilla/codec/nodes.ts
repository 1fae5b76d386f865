import { SessionError } from '../../base/errors'
import { corrupt } from './wire'
import { INTERFACE, OPAQUE, type GoType } from './types'

/** What stands in the place of an interface, as it came: the registered name, the type's ID, the flat value. */
export interface Opaque {
  /** Bytes as latin1. */
  readonly name: string
  readonly id: number
  readonly bytes: Buffer
  /** The IDs of the defined types it needs. */
  readonly types: readonly number[]
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

/** Whether an integer fits the width of its type. */
export function fitsBits({ kind, bits }: GoType, value: bigint): boolean {
  return value === (kind === 'int' ? BigInt.asIntN(bits!, value) : BigInt.asUintN(bits!, value))
}

/** A safe integer as a number, any other as it is. */
export function numberOf(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

/**
 * The JavaScript value of a node: numbers (bigints beyond the safe integers), Buffers, Dates (to the millisecond),
 * arrays, plain objects for maps with string keys, and Maps for all others.
 */
export function toValue({ type, value, raw }: GoNode): unknown {
  switch (type.kind) {
    case 'int':
    case 'uint':
      return numberOf(value as bigint)
    case 'time':
      return new Date(value as string)
    case 'slice':
      return (value as GoNode[]).map(toValue)
    case 'map': {
      const entries = (value as [GoNode, GoNode][]).map(([key, item]): [unknown, unknown] => [
        toValue(key),
        toValue(item)
      ])
      // `fromEntries` defines its properties, so that a key `__proto__` is a key like any other.
      return type.key!.kind === 'string' ? Object.fromEntries(entries as [string, unknown][]) : new Map(entries)
    }
    case 'opaque':
      throw noCounterpart(raw!)
    default:
      return value
  }
}

/** The error for a value that is to be read, and cannot. */
export function noCounterpart({ name }: Opaque): SessionError {
  return corrupt(`a value is of the Go type ${nameOf(name)}, which has no counterpart`)
}

/** A registered name as text. */
export function nameOf(latin1: string): string {
  return JSON.stringify(Buffer.from(latin1.slice(0, 200), 'latin1').toString())
}

/** A value that Go cannot be given. `path` leads to it. */
export function unserializable(path: readonly string[], reason: string): SessionError {
  return new SessionError('ERR_SESSION_UNSERIALIZABLE', `${path.join('.')} cannot be stored for Go: ${reason}.`)
}
