/**
 * What a Go type is made of, as far as JavaScript has a counterpart: no structs, arrays, complex numbers. `opaque` is
 * whatever is carried as it came.
 */
export interface GoType {
  readonly kind:
    'bool' | 'int' | 'uint' | 'float' | 'string' | 'bytes' | 'time' | 'interface' | 'slice' | 'map' | 'opaque'
  /** As Go's reflect package spells it: the name under which gob registers the type. */
  readonly name: string
  /** A basic type under a name of its own (`main.UserID`, `time.Duration`). */
  readonly named?: true
  readonly bits?: number
  /** Of a map. */
  readonly key?: GoType
  /** Of a slice or map. */
  readonly elem?: GoType
}

const NAME_MAX = 1024
const DEPTH_MAX = 16

const BASIC = new Map<string, GoType>([
  ['bool', { kind: 'bool', name: 'bool' }],
  ['string', { kind: 'string', name: 'string' }],
  ['time.Time', { kind: 'time', name: 'time.Time' }],
  ['interface {}', { kind: 'interface', name: 'interface {}' }],
  ...numbers('int', [8, 16, 32, 64]),
  ...numbers('uint', [8, 16, 32, 64]),
  ...numbers('float', [32, 64]),
  ['int', { kind: 'int', name: 'int', bits: 64 }],
  ['uint', { kind: 'uint', name: 'uint', bits: 64 }],
  ['uintptr', { kind: 'uint', name: 'uintptr', bits: 64 }]
])

const ALIASES = new Map([
  ['interface{}', 'interface {}'],
  ['any', 'interface {}'],
  ['byte', 'uint8']
])

const WORD = /^(?:interface ?\{\}|time\.Time|[a-z]+\d*)/
const KEY_KINDS = new Set<GoType['kind']>(['bool', 'int', 'uint', 'float', 'string', 'interface'])

export const BOOL = BASIC.get('bool')!
export const STRING = BASIC.get('string')!
export const TIME = BASIC.get('time.Time')!
export const INTERFACE = BASIC.get('interface {}')!
export const INT = BASIC.get('int')!
export const INT64 = BASIC.get('int64')!
export const UINT64 = BASIC.get('uint64')!
export const FLOAT64 = BASIC.get('float64')!
export const BYTES: GoType = { kind: 'bytes', name: '[]uint8' }
export const LIST = sliceOf(INTERFACE)
export const DICTIONARY = mapOf(STRING, INTERFACE)
export const OPAQUE: GoType = { kind: 'opaque', name: '' }
/** The type of `session.Values` in gorilla/sessions. */
export const VALUES = mapOf(INTERFACE, INTERFACE)

export function sliceOf(elem: GoType): GoType {
  return elem.name === 'uint8' ? BYTES : { kind: 'slice', name: `[]${elem.name}`, elem }
}

export function mapOf(key: GoType, elem: GoType): GoType {
  return { kind: 'map', name: `map[${key.name}]${elem.name}`, key, elem }
}

/** Reads a Go type such as `map[string][]int64`; `undefined` for one that has no counterpart here. */
export function parseGoType(text: string): GoType | undefined {
  if (text.length > NAME_MAX) return undefined
  const parsed = parse(text, 0)
  return parsed?.rest === '' ? parsed.type : undefined
}

/** A basic type under a registered name. Its width is nowhere told. */
export function namedType(name: string, kind: GoType['kind']): GoType {
  return { kind, name, named: true, bits: 64 }
}

function parse(text: string, depth: number): { type: GoType; rest: string } | undefined {
  if (depth > DEPTH_MAX) return undefined
  if (text.startsWith('[]')) {
    const elem = parse(text.slice(2), depth + 1)
    return elem && { type: sliceOf(elem.type), rest: elem.rest }
  }
  if (text.startsWith('map[')) {
    const key = parse(text.slice(4), depth + 1)
    if (key === undefined || !key.rest.startsWith(']') || !KEY_KINDS.has(key.type.kind)) return undefined
    const elem = parse(key.rest.slice(1), depth + 1)
    return elem && { type: mapOf(key.type, elem.type), rest: elem.rest }
  }
  const word = WORD.exec(text)?.[0] ?? ''
  const type = BASIC.get(ALIASES.get(word) ?? word)
  return type && { type, rest: text.slice(word.length) }
}

function numbers(kind: 'int' | 'uint' | 'float', widths: number[]): [string, GoType][] {
  return widths.map((bits) => [`${kind}${bits}`, { kind, name: `${kind}${bits}`, bits }])
}
