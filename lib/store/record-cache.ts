import type { Found } from './contract'
import { BoundedMap, compact } from '../base/maps'
import { decodeObject, decodeRecord, isRecord, META, OLD_META, type ParsedRecord } from '../record/record'

/** Requests of one visitor come in bursts: so many records of late, none of them large, are kept taken apart. */
const RECENT_MAX = 512
/** Longer records are taken apart anew every time. */
export const REMEMBERED_MAX = 4096
/** Characters of an ID that are looked at, from its end: of a random one that is all. */
const ID_LOOKED_AT = 64

/** By the session's ID; good for its text alone, or for an object with the same in it: nothing here can be out of date. */
const recent = new BoundedMap<string, Recent>(RECENT_MAX)

interface Recent {
  /** `undefined`: of an object. */
  readonly text: string | undefined
  readonly decoded: ParsedRecord
}

/**
 * Takes apart what a store found, text or object; `undefined` when it is no session record.
 * @param id the session's, for one that is likely to be asked for again soon
 */
export function decodeFound({ text, record }: Found, id?: string): ParsedRecord | undefined {
  const isText = record === undefined
  if (id === undefined || text.length > REMEMBERED_MAX) return isText ? decodeRecord(text) : decodeObject(record)
  const known = recent.get(keyOf(id))
  const before = known?.decoded
  const decoded = isText ? (known?.text === text ? before : decodeRecord(text)) : decodeLike(record, before)
  if (decoded === undefined) return undefined
  if (before !== undefined) decoded.comesAgain = true
  if (decoded !== before && (isText || decoded.isKept)) remember(id, isText ? text : undefined, decoded)
  return decoded
}

// To compare an object with what is kept costs a fraction of copying it, and of its JSON.
function decodeLike(record: unknown, known: ParsedRecord | undefined): ParsedRecord | undefined {
  return (isRecord(record) && sameOrNone(known, record)) || decodeObject(record)
}

function sameOrNone(known: ParsedRecord | undefined, record: Record<string, unknown>): ParsedRecord | undefined {
  try {
    return known?.sameIn(record)
  } catch {
    // An accessor of theirs throws, or there is no stack left.
    return undefined
  }
}

/**
 * Keeps a record at hand that was read or written: the next request of a burst will ask for it.
 * @param text `undefined` where the store was given an object
 */
export function remember(id: string, text: string | undefined, decoded: ParsedRecord): void {
  if ((text ?? decoded.dataText).length <= REMEMBERED_MAX) recent.set(keyOf(id), { text, decoded })
}

function keyOf(id: string): string {
  return id.length > ID_LOOKED_AT ? compact(id.slice(-ID_LOOKED_AT)) : id
}

/** What a later conditional write compares against: the text as it is kept, or the data of a store of objects alone. */
export function versionOf(found: Found, record: ParsedRecord): string
export function versionOf(found: Found): string | undefined
export function versionOf(found: Found, record = decodeFound(found)): string | undefined {
  if (record === undefined) return undefined
  return found.record === undefined || found.text !== '' ? found.text : record.dataText
}

/** What the text of a forwarding record has in it, and that of hardly any other. */
export const LEADS_ON = new RegExp(`"(?:${META}|${OLD_META})":\\{"u":\\d+,"c":\\d+,"n":`)

/** Whether an ID was rotated away, and only leads to the session that carries on (see `Meta.n`). */
export function isForwarding(found: Found): boolean {
  // Most texts say at a glance that they do not: our own metadata, in the order in which `regenerate` writes it. Those
  // without its end are told apart much faster than by the expression.
  const { text } = found
  if (found.record === undefined && !(text.includes(',"n":"') && LEADS_ON.test(text))) return false
  return decodeFound(found)?.meta?.n !== undefined
}
