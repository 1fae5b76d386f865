/** A Go value as JSON can hold it, and the Go type it has to become again. */
export interface GoValue {
  /** Name under which encoding/gob registers the type: `int`, `[]interface {}`, `time.Time`, ... */
  type: string
  value: GoPayload
}

export type GoPayload = null | boolean | bigint | number | string | Uint8Array | Date | GoValue[] | Map<string, GoValue>

export const INTERFACE_LIST = '[]interface {}'
export const INTERFACE_MAP = 'map[string]interface {}'
export const TIME = 'time.Time'
export const BYTES_NAME = '[]uint8'

const INTEGERS = /^u?int(8|16|32|64)?$/

export function isInteger(type: string): boolean {
  return INTEGERS.test(type)
}

/** JSON of a Go value: times are ISO texts, bytes base64, integers beyond 2^53 decimal texts. */
export function toJson({ type, value }: GoValue): unknown {
  if (value instanceof Date) return value.toISOString()
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  if (typeof value === 'bigint') {
    const number = Number(value)
    return Number.isSafeInteger(number) ? number : value.toString()
  }
  if (Array.isArray(value)) return value.map(toJson)
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, item]) => [key, toJson(item)]))
  if (typeof value === 'number' && !Number.isFinite(value)) return null
  return type === 'nil' ? null : value
}

/**
 * The Go value of JSON. `before` is what stood there when the cookie was read: its Go type is kept where the new value
 * fits it; everything else becomes what a Go program expects of JSON: int, float64, []interface{}, map[string]interface{}.
 */
export function fromJson(value: unknown, before?: GoValue): GoValue {
  const kept = before === undefined ? undefined : keepType(value, before)
  if (kept !== undefined) return kept
  if (value === null) return { type: 'nil', value: null }
  if (typeof value === 'boolean') return { type: 'bool', value }
  if (typeof value === 'string') return { type: 'string', value }
  if (typeof value === 'number') {
    return Number.isSafeInteger(value) ? { type: 'int', value: BigInt(value) } : { type: 'float64', value }
  }
  const inner = before?.value
  if (Array.isArray(value)) {
    const items = Array.isArray(inner) && before!.type === INTERFACE_LIST ? inner : []
    return { type: INTERFACE_LIST, value: value.map((item, i) => fromJson(item, items[i])) }
  }
  const known = inner instanceof Map ? inner : new Map<string, GoValue>()
  const entries = Object.entries(value as object).map(([key, item]) => [key, fromJson(item, known.get(key))] as const)
  return { type: INTERFACE_MAP, value: new Map(entries) }
}

function keepType(value: unknown, before: GoValue): GoValue | undefined {
  const { type } = before
  // Unchanged, whatever it is: times, bytes and typed lists among them.
  if (JSON.stringify(value) === JSON.stringify(toJson(before))) return before
  if (typeof value !== 'number') return undefined
  if (type === 'float64' || type === 'float32') return { type, value }
  return isInteger(type) && Number.isSafeInteger(value) && fits(BigInt(value), type)
    ? { type, value: BigInt(value) }
    : undefined
}

function fits(value: bigint, type: string): boolean {
  const bits = Number(/\d+$/.exec(type)?.[0] ?? 64)
  return (type.startsWith('u') ? BigInt.asUintN(bits, value) : BigInt.asIntN(bits, value)) === value
}
