import { types } from 'node:util'
import { BoundedMap } from '../../base/maps'
import { isRecord, META, OLD_META } from '../../record/record'
import { LEADS_ON } from '../../store/record-cache'

/** How records are kept in documents, and by which condition a write meets only what was read. */
export interface MongoFormat {
  /** A record's text, and the record itself where documents hold objects. */
  read(id: string, kept: unknown): { text: string; record?: unknown }
  /** What to keep for a text. `sources`: objects with values of BSON types, of which the text has only the JSON. */
  encode(text: string, ...sources: unknown[]): unknown
  /** What a document's `session` must be to have this text; `undefined`: not known here. */
  match(id: string, text: string): unknown
  /** Told of what is kept for a text now. */
  remember(id: string, text: string, kept: unknown): void
  /** The condition that a record does not lead on to another ID. */
  readonly stays: object
}

/** `stringify: true`: JSON text, which is compared as a whole. */
export const TEXTS: MongoFormat = {
  read: (_id, kept) => ({ text: typeof kept === 'string' ? kept : '' }),
  encode: (text) => text,
  match: (_id, text) => text,
  remember: () => undefined,
  stays: { session: { $not: LEADS_ON } }
}

const REMEMBERED = 512
const REMEMBERED_MAX = 16 * 1024

/**
 * `stringify: false`: a document in the document, with its Dates, ObjectIds and so on.
 *
 * A write compares the whole of it, field by field in their order, so nothing that anybody else wrote is lost. A
 * version or a digest beside it would not do: connect-mongo replaces the session and leaves what is beside it alone.
 * The documents behind the texts that the engine knows are remembered here; for others a write reads first.
 */
export class Objects implements MongoFormat {
  readonly stays = {
    [`session.${META}.n`]: { $exists: false },
    [`session.${OLD_META}.n`]: { $exists: false }
  }
  readonly #recent = new BoundedMap<string, { text: string; kept: unknown }>(REMEMBERED)

  read(id: string, kept: unknown): { text: string; record?: unknown } {
    if (!isRecord(kept)) return { text: '' }
    const text = JSON.stringify(kept)
    // A copy: the application may change what it gets.
    this.remember(id, text, copyOf(kept))
    return { text, record: kept }
  }

  encode(text: string, ...sources: unknown[]): unknown {
    const { cookie, ...data } = JSON.parse(text) as { cookie?: { expires?: unknown } }
    const record = { cookie, ...(typed(data, sources) as object) }
    // As connect-mongo keeps it.
    if (typeof cookie?.expires === 'string') record.cookie = { ...cookie, expires: new Date(cookie.expires) }
    return record
  }

  match(id: string, text: string): unknown {
    const known = this.#recent.get(id)
    return known?.text === text ? known.kept : undefined
  }

  remember(id: string, text: string, kept: unknown): void {
    if (text.length <= REMEMBERED_MAX) this.#recent.set(id, { text, kept })
    else this.#recent.delete(id)
  }
}

/** A JSON value, with those of `sources` instead that have the same JSON and a type which JSON does not know. */
function typed(json: unknown, sources: unknown[]): unknown {
  const known = sources.filter((source): source is object => typeof source === 'object' && source !== null)
  if (known.length === 0) return json
  for (const source of known) {
    if (isTyped(source) && JSON.stringify(source) === JSON.stringify(json)) return copyOf(source)
  }
  const part = (key: string | number) =>
    known.map((each) => (Object.hasOwn(each, key) ? each[key as keyof typeof each] : undefined))
  if (Array.isArray(json)) return json.map((each, i) => typed(each, part(i)))
  return isRecord(json) ? mapped(json, (value, key) => typed(value, part(key))) : json
}

// BSON's own types name themselves.
function isTyped(value: object): boolean {
  return types.isDate(value) || types.isRegExp(value) || ArrayBuffer.isView(value) || '_bsontype' in value
}

function copyOf(value: unknown): unknown {
  if (types.isDate(value)) return new Date(value)
  if (Array.isArray(value)) return value.map(copyOf)
  return isRecord(value) && !isTyped(value) ? mapped(value, copyOf) : value
}

function mapped(record: Record<string, unknown>, change: (value: unknown, key: string) => unknown): object {
  const entries = Object.entries(record).filter(([key]) => key !== '__proto__')
  return Object.fromEntries(entries.map(([key, value]) => [key, change(value, key)]))
}
