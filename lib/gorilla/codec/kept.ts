import { readDefinition, type Definition, type Definitions } from './definitions'
import type { Opaque } from './nodes'
import type { Hint } from './shape'
import { BYTES, namedType, parseGoType, type GoType } from './types'
import { WireReader } from './wire'

/** What a record of ours keeps of a Go session beside its JSON data, so that every value goes back as it came. */
export interface Kept {
  readonly hint: Hint
  /** Of the types of what is carried. */
  readonly definitions: Definitions
  /** Which of the records of its ID it was read from, as its backing tells them apart. */
  readonly version?: string | undefined
  /** The cookie name it was sealed under. */
  readonly name?: string | undefined
}

type OpaqueJson = [name: string, id: number, bytes: string, types: readonly number[]] | null
interface HintJson {
  /** All of it is carried. */
  o?: OpaqueJson
  t?: string
  i?: Record<string, HintJson | string>
  h?: [string | number, OpaqueJson][]
  e?: [OpaqueJson, OpaqueJson][]
  w?: [string, OpaqueJson]
}
/** Of all values, by key, and of what is under keys that are no strings; see `typesOf` in record.ts. */
type KeptJson = [
  common: { v?: string | undefined; n?: string | undefined; d?: [number, string][] },
  keys: Record<string, HintJson | string>,
  rest?: [OpaqueJson, OpaqueJson][] | undefined
]

/** The text that travels in the metadata of a record; `undefined` where nothing is to be told. */
export function encodeKept({ hint, definitions, version, name }: Kept): string | undefined {
  const used = new Set<number>()
  const { i = {}, h = [], e } = hintJson(hint, used)
  const carried = h.map(([key, o]) => [key, { o }] as const)
  const keys = Object.fromEntries<HintJson | string>([...Object.entries(i), ...carried])
  if (version === undefined && e === undefined && Object.keys(keys).length === 0) return undefined
  const d = [...used].map((id): [number, string] => [id, definitions.get(id)!.raw.toString('base64')])
  return JSON.stringify([{ v: version, n: name, ...(d.length > 0 && { d }) }, keys, e] satisfies KeptJson)
}

/** `undefined` for no text of ours. */
export function decodeKept(text: string | undefined): Kept | undefined {
  if (text === undefined) return undefined
  try {
    const [{ v, n, d = [] }, keys, rest] = JSON.parse(text) as KeptJson
    const definitions = new Map<number, Definition>()
    for (const [id, raw] of d) definitions.set(id, readDefinition(new WireReader(Buffer.from(raw, 'base64'))))
    const all = Object.entries(keys)
    const i = Object.fromEntries(all.filter(([, hint]) => !isCarried(hint)))
    const h = all.flatMap(([key, hint]): [string, OpaqueJson][] => (isCarried(hint) ? [[key, hint.o!]] : []))
    return { hint: hintOf({ i, h, ...(rest && { e: rest }) }), definitions, version: v, name: n }
  } catch {
    return undefined
  }
}

function isCarried(hint: HintJson | string): hint is HintJson {
  return typeof hint === 'object' && hint.o !== undefined
}

function hintJson({ type, inner, hidden, entries, was }: Hint, used: Set<number>): HintJson {
  const opaque = (raw: Opaque | null): OpaqueJson => {
    if (raw === null) return null
    for (const id of raw.types) used.add(id)
    return [raw.name, raw.id, raw.bytes.toString('base64'), raw.types]
  }
  const json: HintJson = {}
  if (type !== undefined) json.t = type.named ? `${type.name}=${type.kind}` : type.name
  if (inner !== undefined && inner.size > 0) {
    // `fromEntries` defines its properties, whatever their names.
    json.i = Object.fromEntries([...inner].map(([key, hint]) => [key, shortest(hintJson(hint, used))]))
  }
  if (hidden !== undefined) json.h = hidden.map(([at, raw]) => [at, opaque(raw)])
  if (entries !== undefined) json.e = entries.map(([key, raw]) => [opaque(key), opaque(raw)])
  if (was !== undefined) json.w = [was.json, opaque(was.raw)]
  return json
}

function shortest(json: HintJson): HintJson | string {
  return json.t !== undefined && Object.keys(json).length === 1 ? json.t : json
}

function hintOf(json: HintJson | string): Hint {
  if (typeof json === 'string') return { type: typeOf(json) }
  const { t, i, h, e, w } = json
  return {
    type: t === undefined ? undefined : typeOf(t),
    inner: i && new Map(Object.entries(i).map(([key, inner]) => [key, hintOf(inner)])),
    hidden: h?.map(([at, raw]) => [at, opaqueOf(raw)]),
    entries: e?.map(([key, raw]) => [opaqueOf(key), opaqueOf(raw)]),
    was: w && { json: w[0], raw: opaqueOf(w[1])! }
  }
}

function opaqueOf(json: OpaqueJson): Opaque | null {
  if (json === null) return null
  const [name, id, bytes, types] = json
  return { name, id, bytes: Buffer.from(bytes, 'base64'), types }
}

function typeOf(text: string): GoType | undefined {
  const at = text.lastIndexOf('=')
  if (at !== -1) return namedType(text.slice(0, at), text.slice(at + 1) as GoType['kind'])
  return text === BYTES.name ? BYTES : parseGoType(text)
}
