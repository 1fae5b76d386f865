import { decodeRecord, encodeRecord, META, OLD_META, type ParsedRecord, type Meta } from '../record/record'
import type { Milliseconds } from '../base/time'
import type { GoNode } from './codec/nodes'
import { STRING, VALUES } from './codec/types'

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

/** Takes it out of `session.Values`. */
export function withoutCarried(node: GoNode): { values: GoNode; carried: unknown } {
  const entries = node.value as [GoNode, GoNode][]
  const isOurs = ([key]: [GoNode, GoNode]) => isCarriedKey(key.value) && !key.type.named
  const values = { type: VALUES, value: entries.filter((entry) => !isOurs(entry)) }
  return { values, carried: entries.find(isOurs)?.[1].value }
}

/** The values with it. */
export function withCarried(values: GoNode, carried: string): GoNode {
  const ours: [GoNode, GoNode] = [
    { type: STRING, value: META },
    { type: STRING, value: carried }
  ]
  return { type: VALUES, value: [...(values.value as [GoNode, GoNode][]), ours] }
}

/** `version` tells one writing from every other, so that a cookie tells which one it goes on from. */
export function encodeCarried(
  record: ParsedRecord,
  issuedAt: Milliseconds,
  version: string,
  end?: Milliseconds | null
): string {
  // The values tell their types themselves.
  const { t: _types, ...meta } = record.meta ?? {}
  return JSON.stringify([version, issuedAt, record.meta && meta, record.cookie, end])
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
