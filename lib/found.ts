import type { Found } from './contract'
import { decodeObject, decodeRecord, type Decoded } from './record'

/** Requests of one visitor come in bursts: so many records, none of them large, are kept taken apart. */
const RECENT_MAX = 128
const TEXT_MAX = 4096

// By their text, so that nothing here can be out of date.
const recent = new Map<string, Decoded>()

/** Takes apart what a store found, text or object; `undefined` when it is no session record. */
export function decodeFound(found: Found): Decoded | undefined {
  return found.record === undefined ? decodeText(found.text) : decodeObject(found.record)
}

function decodeText(text: string): Decoded | undefined {
  if (text.length > TEXT_MAX) return decodeRecord(text)
  const known = recent.get(text)
  if (known !== undefined) return known
  const decoded = decodeRecord(text)
  if (decoded !== undefined) remember(text, decoded)
  return decoded
}

function remember(text: string, decoded: Decoded): void {
  if (recent.size === RECENT_MAX) recent.clear()
  recent.set(text, decoded)
}

/** Keeps a record just written at hand, as the next request of a burst will ask for it; nobody asks for `old` again. */
export function rememberWritten(text: string, decoded: Decoded, old: string): void {
  recent.delete(old)
  if (text.length <= TEXT_MAX) remember(text, decoded)
}

/** What a later conditional write compares against: the text as it is kept, or the data of a store of objects. */
export function keptText(found: Found, record: Decoded): string {
  return found.record === undefined ? found.text : record.dataText
}

/** Whether an ID was rotated away, and only leads to the session that carries on (see `Meta.n`). */
export function leadsOn(found: Found): boolean {
  // Most texts say at a glance that they do not.
  if (found.record === undefined && !found.text.includes('"n":')) return false
  return decodeFound(found)?.meta?.n !== undefined
}
