import type { Found } from './contract'
import { decodeObject, decodeRecord, type Decoded } from './record'

/** Takes apart what a store found, text or object; `undefined` when it is no session record. */
export function decodeFound(found: Found): Decoded | undefined {
  return found.record === undefined ? decodeRecord(found.text) : decodeObject(found.record)
}

/** What a later conditional write compares against: the text as it is kept, or the data of a store of objects. */
export function keptText(found: Found, record: Decoded): string {
  return found.record === undefined ? found.text : record.dataText
}
