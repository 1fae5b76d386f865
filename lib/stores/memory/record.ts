import type { SessionRecord } from '../../store/contract'
import { META, type Meta } from '../../record/record'
import type { Milliseconds } from '../../base/time'

/** What a MemoryStore keeps beside a text, as far as the text itself says it. */
export interface Facts {
  usedAt: Milliseconds
  /** `undefined`: the cookie names no time. */
  expiresAt: Milliseconds | undefined
  user: string | undefined
}

/** Takes a kept text apart, last use brought up to date; `null` for what is not JSON. */
export function parse(text: string, usedAt: Milliseconds): SessionRecord | null {
  try {
    const record = JSON.parse(text)
    const meta = metaOf(record)
    if (meta !== undefined) meta.u = usedAt
    return record
  } catch {
    return null
  }
}

/** Reads expiry as express-session's MemoryStore does, from `cookie.expires`. */
export function factsOf(text: string): Facts {
  const now = Date.now()
  const record = parse(text, now)
  const expires: unknown = record?.cookie?.expires
  const time = typeof expires === 'string' ? new Date(expires).getTime() : Number(expires)
  return {
    usedAt: now,
    // A time that is none never comes, there as here.
    expiresAt: expires && !Number.isNaN(time) ? time : undefined,
    user: metaOf(record)?.i
  }
}

/** The reserved property of a parsed text. */
export function metaOf(record: unknown): Meta | undefined {
  const meta = (record as Partial<Record<string, unknown>> | null)?.[META]
  return typeof meta === 'object' && meta !== null ? (meta as Meta) : undefined
}
