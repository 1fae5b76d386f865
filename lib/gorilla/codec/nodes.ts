import { SessionError } from '../base/errors'
import { INTERFACE, type GoType } from './go-types'

/**
 * A Go value with its type, between a gob stream and JavaScript.
 *
 * Integers are bigints, times RFC 3339 texts, slices arrays of nodes and maps arrays of pairs of nodes; a nil
 * interface is `null`. In the place of an interface stands the node of what it holds.
 */
export interface GoNode {
  readonly type: GoType
  readonly value: null | boolean | string | number | bigint | Buffer | GoNode[] | [GoNode, GoNode][]
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
export function toValue({ type, value }: GoNode): unknown {
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
    default:
      return value
  }
}

/** A value that Go cannot be given. `path` leads to it. */
export function unserializable(path: readonly string[], reason: string): SessionError {
  return new SessionError('ERR_SESSION_UNSERIALIZABLE', `${path.join('.')} cannot be stored for Go: ${reason}.`)
}
