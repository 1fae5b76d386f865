import { corrupt } from './gob-wire'
import { nodeOf, shape, type Hint } from './go-shape'
import { numberOf, type GoNode } from './go-nodes'
import { DICTIONARY, FLOAT64, INT, LIST, STRING, VALUES, type GoType } from './go-types'

/** The values of a Go session as JSON data, and the Go types that JSON does not tell. */
export interface Data {
  readonly json: Record<string, unknown>
  readonly hints: ReadonlyMap<string, Hint>
}

/** Keys that a session of ours keeps for itself: a value of Go's under them would be lost without a word. */
const RESERVED = new Set(['cookie', '__proto__'])

/**
 * The JSON data of `session.Values`, in the texts of Go's encoding/json: RFC 3339 for times, base64 for bytes, decimal
 * digits for integers beyond the safe ones.
 *
 * @throws {SessionError} `ERR_SESSION_CORRUPT` for keys that are not strings, or that a session cannot have
 */
export function dataOf(values: GoNode): Data {
  const { json, hint } = textOf(values)
  for (const key of Object.keys(json as object)) {
    if (RESERVED.has(key)) throw corrupt('a key of session.Values is one that sessions keep for themselves')
  }
  return { json: json as Record<string, unknown>, hints: hint?.inner ?? new Map<string, Hint>() }
}

/**
 * `session.Values` of JSON data. A value keeps the type it was read with as long as it fits, except where `declared`
 * gives one.
 *
 * @throws {SessionError} `ERR_SESSION_UNSERIALIZABLE` for a value that does not fit its declared type
 */
export function valuesOf(
  data: Record<string, unknown>,
  hints: ReadonlyMap<string, Hint> | undefined,
  declared: ReadonlyMap<string, GoType>
): GoNode {
  const entries = Object.entries(data).map(([key, value]): [GoNode, GoNode] => {
    const type = declared.get(key)
    const path = ['session', key]
    const node =
      type === undefined || value === null ? nodeOf(value, hints?.get(key), path) : shape(value, type, undefined, path)
    return [{ type: STRING, value: key }, node]
  })
  return { type: VALUES, value: entries }
}

function textOf(node: GoNode): { json: unknown; hint: Hint | undefined } {
  const { type, value } = node
  const inner = new Map<string, Hint>()
  const child = (key: string, item: GoNode): unknown => {
    const { json, hint } = textOf(item)
    if (hint !== undefined) inner.set(key, hint)
    return json
  }
  let json: unknown = value
  if (type.kind === 'slice') json = (value as GoNode[]).map((item, at) => child(String(at), item))
  else if (type.kind === 'map') json = objectOf(type, value as [GoNode, GoNode][], child)
  else if (typeof value === 'bigint') json = typeof numberOf(value) === 'number' ? Number(value) : value.toString()
  else if (Buffer.isBuffer(value)) json = value.toString('base64')
  else if (typeof value === 'number' && !Number.isFinite(value)) {
    json = Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf'
  }
  const told = value === null || naturalName(json) === type.name
  return { json, hint: told && inner.size === 0 ? undefined : { type, inner } }
}

function objectOf(
  { key: place }: GoType,
  entries: [GoNode, GoNode][],
  child: (key: string, item: GoNode) => unknown
): object {
  const object = Object.create(null) as Record<string, unknown>
  for (const [key, item] of entries) {
    // A property name tells no types: only where the map itself does may keys be other than strings.
    if (place!.kind === 'interface' && key.type.kind !== 'string') throw corrupt('a map has a key that is no string')
    const text = String(key.value)
    if (Object.hasOwn(object, text)) throw corrupt('two keys of a map have one name')
    object[text] = child(text, item)
  }
  return object
}

function naturalName(json: unknown): string {
  if (typeof json === 'number') return Number.isSafeInteger(json) ? INT.name : FLOAT64.name
  if (typeof json === 'boolean') return 'bool'
  if (typeof json === 'string') return STRING.name
  return Array.isArray(json) ? LIST.name : DICTIONARY.name
}
