import { Unreadable } from './wire'
import { numberText, unserializable, type GoNode, type Opaque } from './nodes'
import { hiddenEntries, naturalType, nodeOf, shape, type Hint } from './shape'
import { encodeStruct, readStruct } from './structs'
import { namedType, STRING, VALUES, type GoType } from './types'
import type { Definitions } from './definitions'

/** What an application has said of the values of its Go program, by key: a type, or the name of one of its own. */
export type Declared = ReadonlyMap<string, GoType | string>

/** The values of a Go session as JSON data, and what JSON does not tell of them. */
export interface Data {
  readonly json: Record<string, unknown>
  readonly hint: Hint
}

/**
 * Keys that a session of ours keeps for itself. Values of Go's under them are carried: nothing that a member stands for
 * is hidden by one.
 */
const MEMBERS = new Set([
  ...Object.getOwnPropertyNames(Object.prototype),
  ...['cookie', 'id', 'req', 'isNew', 'touch', 'resetMaxAge', 'save', 'reload', 'destroy', 'regenerate'],
  ...['update', 'lock', 'addFlash', 'flashes', 'toJSON']
])

/** Whether a key of Go's cannot be one of a session here. */
export function isMember(key: string): boolean {
  return MEMBERS.has(key)
}

const UNSAFE = new Set(['__proto__'])
const BASIC = new Set<GoType['kind']>(['bool', 'int', 'float', 'string', 'bytes'])

/**
 * The JSON data of `session.Values`, in the texts of Go's encoding/json: RFC 3339 for times, base64 for bytes, decimal
 * digits for integers beyond the safe ones. What JSON cannot say is in the hint, and goes back as it came.
 */
export function dataOf(values: GoNode, declared: Declared, definitions: Definitions): Data {
  return new Reader(declared, definitions).entries(values, MEMBERS)
}

/**
 * `session.Values` of JSON data. A value keeps the type it was read with as long as it fits, except where `declared`
 * gives one; what was carried is there again.
 * @throws {SessionError} `ERR_SESSION_UNSERIALIZABLE` for a value that does not fit its declared type
 */
export function valuesOf(
  data: Record<string, unknown>,
  hint: Hint | undefined,
  declared: Declared,
  definitions: Definitions
): GoNode {
  const valueOf = (key: string, value: unknown): GoNode => {
    const path = ['session', key]
    const known = hint?.inner?.get(key)
    const type = declared.get(key)
    const isAsItCame = known?.was !== undefined && JSON.stringify(value) === known.was.json
    if (type === undefined || value === null || isAsItCame) return nodeOf(value, known, path)
    if (typeof type !== 'string') return shape(value, type, known?.type?.name === type.name ? known : undefined, path)
    // A type of the program's own: a struct that was read as an object, or a basic type under a name.
    if (known?.was !== undefined && known.type === undefined) return encodeStruct(value, known.was, definitions, path)
    if (known?.type?.named) return nodeOf(value, known, path)
    const node = nodeOf(value, undefined, path)
    if (!BASIC.has(node.type.kind)) throw unserializable(path, `only Go can make the first ${type} of a session`)
    return { type: namedType(Buffer.from(type).toString('latin1'), node.type.kind), value: node.value }
  }
  const present = Object.entries(data).filter(([, value]) => value !== undefined)
  const entries = present.map(([key, value]): [GoNode, GoNode] => [{ type: STRING, value: key }, valueOf(key, value)])
  if (hint !== undefined) entries.push(...hiddenEntries(VALUES, hint, (key) => Object.hasOwn(data, key)))
  return { type: VALUES, value: entries }
}

interface Told {
  json: unknown
  hint: Hint | undefined
}

class Reader {
  constructor(
    private readonly declared: Declared,
    private readonly definitions: Definitions
  ) {}

  entries(node: GoNode, members: ReadonlySet<string>): Data {
    const { type } = node
    const json = Object.create(null) as Record<string, unknown>
    const inner = new Map<string, Hint>()
    const hidden: [string, Opaque | null][] = []
    const entries: [Opaque | null, Opaque | null][] = []
    for (const [key, item] of node.value as [GoNode, GoNode][]) {
      if (type.key!.kind === 'interface' && (key.type.kind !== 'string' || key.type.named)) {
        entries.push([key.raw ?? null, item.raw ?? rawless(type, item)])
        continue
      }
      const text = String(key.value)
      const told = members.has(text) ? undefined : this.#slot(item, type.elem!, members === MEMBERS ? text : undefined)
      delete json[text]
      if (told === undefined) {
        hidden.push([text, item.raw ?? rawless(type, item)])
        continue
      }
      json[text] = told.json
      if (told.hint !== undefined) inner.set(text, told.hint)
    }
    return { json, hint: { type, inner, ...(hidden.length > 0 && { hidden }), ...(entries.length > 0 && { entries }) } }
  }

  // `undefined`: to be carried.
  #slot(node: GoNode, place: GoType, key?: string): Told | undefined {
    try {
      const declared = key === undefined ? undefined : this.declared.get(key)
      if (node.raw !== undefined && typeof declared === 'string') {
        if (isCalled(node.raw.name, declared) && !node.type.named) {
          const json = readStruct(node.raw, this.definitions)
          return { json, hint: { was: { json: JSON.stringify(json), raw: node.raw } } }
        }
      }
      return node.type.kind === 'opaque' ? undefined : this.#told(node, place, declared)
    } catch (err) {
      if (err instanceof Unreadable && node.raw !== undefined) return undefined
      throw err
    }
  }

  #told(node: GoNode, place: GoType, declared?: GoType | string): Told {
    const { type, value, raw } = node
    let json: unknown = value
    let hint: Hint = { type }
    if (type.kind === 'slice') ({ json, hint } = this.#list(node))
    else if (type.kind === 'map') ({ json, hint } = this.entries(node, UNSAFE))
    else if (typeof value === 'bigint') json = numberText(value)
    else if (Buffer.isBuffer(value)) json = value.toString('base64')
    else if (typeof value === 'number' && !Number.isFinite(value)) {
      json = Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf'
    }
    const stays = node.lossy || (declared !== undefined && value !== null && !becomes(json, hint, declared))
    if (stays && raw !== undefined) hint = { ...hint, was: { json: JSON.stringify(json), raw } }
    // In a place with a type of its own nothing has to be told but what is inside.
    const told = value === null || place.kind !== 'interface' || naturalType(json, []).name === type.name
    if (!told || hint.was !== undefined) return { json, hint }
    const { inner, hidden, entries } = hint
    const empty = (inner?.size ?? 0) === 0 && hidden === undefined && entries === undefined
    return { json, hint: empty ? undefined : { inner, hidden, entries } }
  }

  #list(node: GoNode): { json: unknown[]; hint: Hint } {
    const { type } = node
    const json: unknown[] = []
    const inner = new Map<string, Hint>()
    const hidden: [number, Opaque | null][] = []
    for (const [at, item] of (node.value as GoNode[]).entries()) {
      const told = this.#slot(item, type.elem!)
      // Elements change places: what an element carries inside would come to belong to another.
      if (told === undefined || carries(told.hint)) hidden.push([at, item.raw ?? rawless(type, item)])
      else {
        if (told.hint !== undefined) inner.set(String(json.length), told.hint)
        json.push(told.json)
      }
    }
    return { json, hint: { type, inner, ...(hidden.length > 0 && { hidden }) } }
  }
}

// Of a map or list whose values have a type of their own there is no single value to be carried.
function rawless({ elem }: GoType, item: GoNode): null {
  if (elem!.kind !== 'interface' || item.value !== null) throw new Unreadable('a map or list cannot be shown in part')
  return null
}

function carries(hint: Hint | undefined): boolean {
  if (hint === undefined) return false
  if (hint.hidden !== undefined || hint.entries !== undefined) return true
  for (const inner of hint.inner?.values() ?? []) if (carries(inner)) return true
  return false
}

// Whether a value that nobody changes is to become what is declared: it is of that type, or of the one that it would
// have got here. Another that Go has chosen stays.
function becomes(json: unknown, hint: Hint, declared: GoType | string): boolean {
  if (hint.type!.name === (typeof declared === 'string' ? declared : declared.name)) return true
  if (typeof declared === 'string' || hint.type!.name !== naturalType(json, []).name || carries(hint)) return false
  try {
    return shape(json, declared, undefined, []) !== undefined
  } catch {
    return false
  }
}

// Registered as a pointer it is the same struct.
function isCalled(registered: string, name: string): boolean {
  return registered.replace(/^\*/, '') === Buffer.from(name.replace(/^\*/, '')).toString('latin1')
}
