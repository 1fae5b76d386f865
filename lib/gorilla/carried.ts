import { decodeRecord, encodeRecord, META, OLD_META, type ParsedRecord, type Meta } from '../record/record'
import { randomId } from '../base/ids'
import type { Milliseconds } from '../base/time'
import { decodeGob } from './codec/decode'
import type { Definition, Definitions } from './codec/definitions'
import { encodeGob } from './codec/encode'
import type { Kept } from './codec/kept'
import type { GoNode } from './codec/nodes'
import { STRING, VALUES } from './codec/types'
import { dataOf, valuesOf, type Data, type Declared } from './codec/values'

/**
 * What a session of ours keeps beside its values: a JSON text under the reserved key of `session.Values`. Go programs
 * carry it along, as they do with every value they do not know.
 */
export interface Carried {
  /** When we wrote it: what comes later is Go's. */
  readonly issuedAt: Milliseconds
  readonly meta: Meta | undefined
  readonly cookieText: string
  /** When the session was to end, where the backing does not tell; `null`: not by itself. */
  readonly end?: Milliseconds | null | undefined
}

/** Whether a key of `session.Values` is the one that holds it. */
export function isCarriedKey(key: unknown): boolean {
  return key === META || key === OLD_META
}

/** A session as its gob tells it. */
export interface Values extends Data {
  /** Of what in it is carried. */
  readonly definitions: Definitions
  /** What we keep beside the values. */
  readonly carried: unknown
  /** What stands behind the gob. */
  readonly rest: Buffer
}

/** Takes the gob of `session.Values` apart. @throws {SessionError} `ERR_SESSION_CORRUPT` */
export function decodeValues(bytes: Buffer, types: Declared): Values {
  const { node, definitions, rest } = decodeGob(bytes, VALUES)
  const entries = node.value as [GoNode, GoNode][]
  const isOurs = ([key]: [GoNode, GoNode]) => isCarriedKey(key.value) && !key.type.named
  const values = { type: VALUES, value: entries.filter((entry) => !isOurs(entry)) }
  const carried = entries.find(isOurs)?.[1].value
  return { ...dataOf(values, types, definitions), definitions, carried, rest }
}

/** The way back: data in the types that `kept` tells, and what we keep beside it. */
export function encodeValues(
  data: Record<string, unknown>,
  kept: Kept | undefined,
  types: Declared,
  carried: string | undefined
): Buffer {
  const { hint, definitions } = kept ?? { hint: undefined, definitions: new Map<number, Definition>() }
  const { value } = valuesOf(data, hint, types, definitions)
  const entries = value as [GoNode, GoNode][]
  if (carried !== undefined) entries.push([textNode(META), textNode(carried)])
  return encodeGob({ type: VALUES, value: entries }, definitions)
}

function textNode(value: string): GoNode {
  return { type: STRING, value }
}

/** Each has a version of its own, so that a cookie tells which writing it goes on from. */
export function encodeCarried(record: ParsedRecord, issuedAt: Milliseconds, end?: Milliseconds | null): string {
  // The values tell their types themselves.
  const { t: _types, ...meta } = record.meta ?? {}
  return JSON.stringify([randomId().slice(0, 8), issuedAt, record.meta && meta, record.cookie, end])
}

/** `undefined` for whatever is not ours. */
export function decodeCarried(text: unknown): Carried | undefined {
  if (typeof text !== 'string') return undefined
  try {
    const [, issuedAt, meta, cookie, end] = JSON.parse(text) as [unknown, unknown, Meta | null, unknown, unknown]
    const cookieText = JSON.stringify(cookie)
    // Checked as every record is.
    const record = decodeRecord(encodeRecord(cookieText, meta ?? undefined, '{}'))
    if (typeof issuedAt !== 'number' || record === undefined) return undefined
    return { issuedAt, meta: record.meta, cookieText, end: typeof end === 'number' ? end : null }
  } catch {
    return undefined
  }
}
