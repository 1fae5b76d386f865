import type { Found } from './contract'
import { decodeObject, decodeRecord, META, type ParsedRecord } from '../record/record'

/** Requests of one visitor come in bursts: so many records, none of them large, are kept taken apart. */
const PLACES = 512
/** Longer records are taken apart anew every time. */
export const REMEMBERED_MAX = 4096
/** Characters of a text that are looked at closely. */
const HEAD = 256

/** By their text, so that nothing here can be out of date. A Map would hash each text that comes anew from a server. */
const recent: ({ text: string; decoded: ParsedRecord } | undefined)[] = new Array<undefined>(PLACES).fill(undefined)

/** Takes apart what a store found, text or object; `undefined` when it is no session record. */
export function decodeFound(found: Found): ParsedRecord | undefined {
  return found.record === undefined ? decodeText(found.text) : decodeObject(found.record)
}

function decodeText(text: string): ParsedRecord | undefined {
  if (text.length > REMEMBERED_MAX) return decodeRecord(text)
  const place = placeOf(text)
  const known = recent[place]
  if (known?.text === text) return known.decoded
  const decoded = decodeRecord(text)
  if (decoded !== undefined) recent[place] = { text, decoded }
  return decoded
}

/** Keeps a record just written at hand: the next request of a burst will ask for it. */
export function rememberWritten(text: string, decoded: ParsedRecord): void {
  if (text.length <= REMEMBERED_MAX) recent[placeOf(text)] = { text, decoded }
}

// Two texts in one place only cost the price of taking one apart again. Those of two sessions differ in their hashes,
// in their times or in their first bytes of data, all of which stand in the first few hundred characters.
function placeOf(text: string): number {
  const { length } = text
  const step = (length >> 4) + 1
  let place = length
  for (let i = 0; i < length; i += i < HEAD ? 2 : step) place = (place * 31 + text.charCodeAt(i)) | 0
  return (place ^ (place >>> 16)) & (PLACES - 1)
}

/** What a later conditional write compares against: the text as it is kept, or the data of a store of objects alone. */
export function versionOf(found: Found, record: ParsedRecord): string
export function versionOf(found: Found): string | undefined
export function versionOf(found: Found, record = decodeFound(found)): string | undefined {
  if (record === undefined) return undefined
  return found.record === undefined || found.text !== '' ? found.text : record.dataText
}

const LEADS_ON = new RegExp(`"${META}":\\{"u":\\d+,"c":\\d+,"n":`)

/** Whether an ID was rotated away, and only leads to the session that carries on (see `Meta.n`). */
export function isForwarding(found: Found): boolean {
  // Most texts say at a glance that they do not: our own metadata, in the order in which `regenerate` writes it.
  if (found.record === undefined && !LEADS_ON.test(found.text)) return false
  return decodeFound(found)?.meta?.n !== undefined
}
