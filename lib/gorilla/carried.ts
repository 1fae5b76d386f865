import { isSessionId } from '../base/ids'
import { decodeRecord, encodeRecord, type Decoded, type Meta } from '../record/record'
import type { Milliseconds } from '../base/time'

/**
 * What a session of ours keeps beside its values: a JSON text under the reserved key of `session.Values`. Go programs
 * carry it along, as they do with every value they do not know.
 */
export interface Carried {
  /** When we wrote it, as the value's own date has it: a later date is Go's. */
  readonly issuedAt: Milliseconds
  readonly meta: Meta & { d: string }
  readonly cookieText: string
}

/** `version` tells one writing from every other, so that a cookie tells which one it goes on from. */
export function encodeCarried(record: Decoded, issuedAt: Milliseconds, version: string): string | undefined {
  if (record.meta === undefined) return undefined
  // The values tell their types themselves.
  const { t: _types, ...meta } = record.meta
  return JSON.stringify([version, issuedAt, meta, record.cookie])
}

/** `undefined` for whatever is not ours. */
export function decodeCarried(text: unknown): Carried | undefined {
  if (typeof text !== 'string') return undefined
  try {
    const [, issuedAt, meta, cookie] = JSON.parse(text) as [unknown, unknown, Meta, unknown]
    const cookieText = JSON.stringify(cookie)
    // Checked as every record is.
    const record = decodeRecord(encodeRecord(cookieText, meta, '{}'))
    if (typeof issuedAt !== 'number' || !isSessionId(record?.meta?.d)) return undefined
    return { issuedAt, meta: meta as Carried['meta'], cookieText }
  } catch {
    return undefined
  }
}
