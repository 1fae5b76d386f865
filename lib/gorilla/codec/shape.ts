import { OptionError, quote, SessionError } from '../../base/errors'
import { fitsBits, GoOpaque, NIL, opaqueNode, unserializable, type GoNode, type Opaque } from './nodes'
import { timeFromDate, timeToBinary } from './time'
import { BOOL, BYTES, DICTIONARY, FLOAT64, INT, INT64, LIST, parseGoType, STRING, TIME, UINT64, VALUES } from './types'
import type { GoType } from './types'

const DEPTH_MAX = 100
const SPECIAL = new Map([
  ['NaN', NaN],
  ['+Inf', Infinity],
  ['-Inf', -Infinity]
])

/** What a value was when it was read, where JavaScript does not tell: Go types, and what it holds beside. */
export interface Hint {
  readonly type?: GoType | undefined
  /** Of the values inside, by key or place. */
  readonly inner?: ReadonlyMap<string, Hint> | undefined
  /** What is carried inside: at a place of a list, under a key of a map. `null` is a nil interface. */
  readonly hidden?: readonly (readonly [at: string | number, value: Opaque | null])[] | undefined
  /** The same under keys that are no strings. */
  readonly entries?: readonly (readonly [key: Opaque | null, value: Opaque | null])[] | undefined
  /** As it came; as long as its JSON is this, it goes back so. */
  readonly was?: { readonly json: string; readonly raw: Opaque } | undefined
}

/** A value that is to become one particular Go type; see `as`. */
export class GoValue {
  constructor(
    readonly type: GoType,
    readonly value: unknown
  ) {}
}

/**
 * Marks a value with the Go type it is to become, where the natural one will not do: `as('int64', 5)`,
 * `as('float64', 2)`, `as('map[string]string', { a: 'b' })`.
 *
 * Known are bool, string, the integers and floats, `[]byte`, `time.Time`, `interface {}`, and slices and maps of them.
 * @throws {TypeError} for another type
 */
export function as(type: string, value: unknown): GoValue {
  return new GoValue(goType(type), value)
}

/** @throws {OptionError} for a Go type that has no counterpart here */
export function goType(text: string): GoType {
  const type = typeof text === 'string' ? parseGoType(text) : undefined
  if (type === undefined) {
    throw new OptionError(
      `A Go type must be a basic type, []byte, time.Time, interface {}, or a slice or map of them, got ${quote(text)}`
    )
  }
  return type
}

/** The node of a value in the place of an interface: of the hinted type if it still fits, else of its natural one. */
export function nodeOf(value: unknown, hint: Hint | undefined, path: readonly string[]): GoNode {
  if (value instanceof GoValue) return shape(value.value, value.type, undefined, path)
  if (value instanceof GoOpaque) return value.node
  if (hint?.was !== undefined && JSON.stringify(value) === hint.was.json) return opaqueNode(hint.was.raw)
  if (hint?.type !== undefined) {
    try {
      return shape(value, hint.type, hint, path)
    } catch (err) {
      // The application has put something else there.
      if (!(err instanceof SessionError)) throw err
    }
  }
  if (value === null || value === undefined) return NIL
  return shape(value, naturalType(value, path), hint, path)
}

/** What is carried inside of a value that is gone; `undefined` where nothing is. */
function carriedOf(hint: Hint): GoNode | undefined {
  const isList = hint.type === undefined ? typeof hint.hidden?.[0]?.[0] === 'number' : hint.type.kind === 'slice'
  const type = hint.type ?? (isList ? LIST : DICTIONARY)
  const value = isList ? placed([], hint) : [...hiddenEntries(type, hint, () => false)]
  return value.length === 0 ? undefined : { type, value: value as GoNode[] }
}

function carriedNode(raw: Opaque | null): GoNode {
  return raw === null ? NIL : opaqueNode(raw)
}

// The elements that are carried, back in their places among the others.
function placed(items: GoNode[], hint: Hint | undefined): GoNode[] {
  for (const [at, raw] of hint?.hidden ?? []) {
    if (typeof at === 'number') items.splice(at, 0, carriedNode(raw))
  }
  return items
}

/** What of a map is carried: a value that the application has put in the place of one is the application's. */
export function* hiddenEntries(type: GoType, hint: Hint, has: (key: string) => boolean): Generator<[GoNode, GoNode]> {
  const keyNode = (key: string) => shape(keyOf(key, type.key!), type.key!, undefined, [key])
  for (const [key, raw] of hint.hidden ?? []) {
    if (typeof key === 'string' && !has(key)) yield [keyNode(key), carriedNode(raw)]
  }
  for (const [key, raw] of hint.entries ?? []) yield [carriedNode(key), carriedNode(raw)]
  if (type.elem?.kind !== 'interface') return
  for (const [key, inner] of hint.inner ?? []) {
    const rest = has(key) ? undefined : carriedOf(inner)
    if (rest !== undefined) yield [keyNode(key), rest]
  }
}

/** The Go type that a value becomes when nobody says otherwise. */
export function naturalType(value: unknown, path: readonly string[]): GoType {
  if (typeof value === 'boolean') return BOOL
  if (typeof value === 'string') return STRING
  if (typeof value === 'number') return Number.isSafeInteger(value) && !Object.is(value, -0) ? INT : FLOAT64
  if (typeof value === 'bigint') return fitsBits(INT64, value) ? INT64 : UINT64
  if (value instanceof Uint8Array) return BYTES
  if (value instanceof Date) return TIME
  if (Array.isArray(value)) return LIST
  if (value instanceof Map) return VALUES
  if (isPlain(value)) return DICTIONARY
  throw unserializable(path, 'it is neither plain data nor a Buffer, a Date, a Map or a BigInt')
}

/**
 * The node of a value for one Go type. Beside the value itself the texts of Go's encoding/json are taken: base64 for
 * bytes, RFC 3339 for times, and decimal digits for integers that a number cannot hold.
 * @throws {SessionError} `ERR_SESSION_UNSERIALIZABLE`, naming the key path
 */
export function shape(value: unknown, type: GoType, hint: Hint | undefined, path: readonly string[]): GoNode {
  if (path.length > DEPTH_MAX) throw unserializable(path.slice(0, 4), 'it is nested too deeply, or refers to itself')
  switch (type.kind) {
    case 'interface':
      return nodeOf(value, hint, path)
    case 'slice':
      if (!Array.isArray(value)) break
      return {
        type,
        value: placed(
          value.map((item, at) => shape(item, type.elem!, hint?.inner?.get(String(at)), [...path, String(at)])),
          hint
        )
      }
    case 'map':
      if (!(value instanceof Map) && !isPlain(value)) break
      return { type, value: entriesOf(value, type, hint, path) }
    case 'opaque':
      break
    default: {
      const scalar = scalarOf(value, type)
      if (scalar !== undefined) return { type, value: scalar }
    }
  }
  throw unserializable(path, `it does not fit the Go type ${type.name}`)
}

function entriesOf(
  value: Map<unknown, unknown> | Record<string, unknown>,
  type: GoType,
  hint: Hint | undefined,
  path: readonly string[]
): [GoNode, GoNode][] {
  const entries: [GoNode, GoNode][] = []
  const isMap = value instanceof Map
  for (const [key, item] of isMap ? value : Object.entries(value)) {
    if (item === undefined) continue
    const at = [...path, String(key)]
    const keyNode = shape(isMap ? key : keyOf(key as string, type.key!), type.key!, undefined, at)
    if (Array.isArray(keyNode.value) || keyNode.type.kind === 'bytes')
      throw unserializable(at, 'Go has no such map key')
    entries.push([keyNode, shape(item, type.elem!, hint?.inner?.get(String(key)), at)])
  }
  if (hint !== undefined && !isMap) entries.push(...hiddenEntries(type, hint, (key) => Object.hasOwn(value, key)))
  return entries
}

// The keys of an object are texts; those of a Go map need not be.
function keyOf(text: string, { kind }: GoType): unknown {
  if (kind === 'int' || kind === 'uint') return /^-?\d{1,20}$/.test(text) ? BigInt(text) : text
  if (kind === 'float') return SPECIAL.get(text) ?? Number(text)
  if (kind === 'bool') return text === 'true' ? true : text === 'false' ? false : text
  return text
}

function scalarOf(value: unknown, type: GoType): GoNode['value'] | undefined {
  switch (type.kind) {
    case 'bool':
      return typeof value === 'boolean' ? value : undefined
    case 'string':
      return typeof value === 'string' ? value : undefined
    case 'float':
      return floatOf(value, type)
    case 'bytes':
      return bytesOf(value)
    case 'time':
      if (value instanceof Date) return timeFromDate(value)
      return typeof value === 'string' && timeToBinary(value) !== undefined ? value : undefined
    default: {
      const integer = integerOf(value)
      return integer !== undefined && fitsBits(type, integer) ? integer : undefined
    }
  }
}

function integerOf(value: unknown): bigint | undefined {
  if (typeof value === 'bigint') return value
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : undefined
  if (typeof value !== 'string' || !/^-?[1-9]\d{15,19}$/.test(value)) return undefined
  const integer = BigInt(value)
  // Smaller ones are numbers; a text in their place is the application's own text.
  return Number.isSafeInteger(Number(integer)) ? undefined : integer
}

function floatOf(value: unknown, { bits }: GoType): number | undefined {
  const number = typeof value === 'string' ? SPECIAL.get(value) : value
  if (typeof number !== 'number') return undefined
  if (bits === 64) return number
  const narrow = Math.fround(number)
  return Number.isFinite(number) && !Number.isFinite(narrow) ? undefined : narrow
}

/** Bytes, or what base64 says. */
export function bytesOf(value: unknown): Buffer | undefined {
  if (value instanceof Uint8Array) return Buffer.from(value)
  if (typeof value !== 'string') return undefined
  const bytes = Buffer.from(value, 'base64')
  return bytes.toString('base64') === value ? bytes : undefined
}

export function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
}
