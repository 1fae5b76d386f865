import { copyExact, copyJson, isSameJson } from './json'
import type { Milliseconds } from '../base/time'

/**
 * The reserved property. express-session instances carry it along unharmed; applications never see it. No leading
 * underscore, which CouchDB refuses, and no `$`, which MongoDB does.
 */
export const META = 'silverback_meta'

/** Its name up to 1.20.0, read for ever and never written. */
export const OLD_META = '__silverback'

/** Both, in an expression. */
export const NAMES = `(?:${META}|${OLD_META})`
const RESERVED_KEYS = new RegExp(`"${NAMES}":`, 'g')

/** What we keep about a session beside its data. Short keys: it is stored with every session. */
export interface Meta {
  /** Last use. First on purpose: a store may rewrite its digits in place (see `withUsedAt`). */
  u: Milliseconds
  /** Creation. */
  c: Milliseconds
  /** Hash of the session ID: a record delivered under another ID is refused. */
  h?: string
  /** Hash of what the session is bound to (User-Agent, client IP, ...). */
  b?: string
  /** The user the session belongs to. */
  i?: string
  /** The session ID itself, where the record is all there is (cookie-only sessions). */
  d?: string
  /** What the store needs to write the data back as it was, and that JSON cannot hold (Go's types): see `typesOf`. */
  t?: string
  /** A forwarding record: the ID that carries the session on (see `nameNext`), and until when it leads there. */
  n?: string
  g?: Milliseconds
}

/** A record's data, property by property: all but `cookie` and the reserved property. */
interface Properties {
  readonly keys: readonly string[]
  readonly values: readonly unknown[]
}

/** The data of a record that is written: its JSON, what `JSON.parse` makes of that, and JSON of each property. */
export interface WrittenData extends Properties {
  readonly text: string
  readonly parts: readonly string[]
}

/** A record taken apart. Whoever has one shares it: nothing in it is changed, and what is handed out is copied. */
export class ParsedRecord implements Properties {
  readonly cookie: Record<string, unknown>
  readonly meta: Meta | undefined
  readonly keys: readonly string[]
  readonly values: readonly unknown[]
  /** JSON of the data, exactly as a later `JSON.stringify` of unchanged data gives it. */
  readonly dataText: string
  /** Whether `values` are as if they came out of `JSON.parse`: they can be copied, and compared with a session's. */
  readonly isJson: boolean
  /** Whether it is kept taken apart for the requests that follow, and so nothing in it is a store's. */
  readonly isKept: boolean
  /** Whether the same session was asked for lately, and so is likely to be again: then its parts are worth making. */
  comesAgain = false
  private knownCookieText: string | undefined
  private knownParts: readonly string[] | undefined

  constructor(
    of: Pick<ParsedRecord, 'cookie' | 'meta' | 'dataText' | 'isJson'>,
    { keys, values }: Properties,
    isKept: boolean,
    cookieText?: string,
    parts?: readonly string[]
  ) {
    this.cookie = of.cookie
    this.meta = of.meta
    this.keys = keys
    this.values = values
    this.dataText = of.dataText
    this.isJson = of.isJson
    this.isKept = isKept
    this.knownCookieText = cookieText
    this.knownParts = parts
  }

  /** JSON of `cookie`. */
  get cookieText(): string {
    return (this.knownCookieText ??= JSON.stringify(this.cookie))
  }

  /** JSON of each property, its name included: what has not changed need not be written again. Of JSON values alone. */
  get parts(): readonly string[] {
    return (this.knownParts ??= this.keys.map((key, i) => `${JSON.stringify(key)}:${JSON.stringify(this.values[i])}`))
  }

  /** The application's data: the caller's own. */
  get data(): Record<string, unknown> {
    const data = Object.fromEntries(this.keys.map((key, i) => [key, this.values[i]]))
    if (!this.isJson) return data
    try {
      return copyJson(data)
    } catch {
      // Nested too deeply for the stack; the parser needs none.
      return JSON.parse(this.dataText) as Record<string, unknown>
    }
  }

  /** The record that was written after this one with the same cookie. */
  rewritten(written: WrittenData, meta: Meta | undefined): ParsedRecord {
    const of = { cookie: this.cookie, meta, dataText: written.text, isJson: true }
    return new ParsedRecord(of, written, true, this.knownCookieText, written.parts)
  }

  /** The record of an object with the very data of this one; `undefined` where that is not so, or cannot be told. */
  sameIn(record: Record<string, unknown>): ParsedRecord | undefined {
    let same = 0
    for (const key of Object.keys(record)) {
      if (isReserved(key)) continue
      if (key !== this.keys[same] || !isSameJson(record[key], this.values[same])) return undefined
      same++
    }
    const { cookie, meta } = beside(record)
    if (!this.isJson || same !== this.keys.length) return undefined
    if (isSameJson(cookie, this.cookie) && isSameJson(meta, this.meta)) return this
    const own = ownOf(cookie, meta)
    if (own === undefined) return undefined
    const of = { cookie: own.cookie, meta: own.meta, dataText: this.dataText, isJson: true }
    return new ParsedRecord(of, this, true, undefined, this.knownParts)
  }

  /** The same record with other data, whatever the text says. */
  withData(data: Record<string, unknown>, dataText = this.dataText): ParsedRecord {
    const { cookie, meta } = this
    const properties = propertiesOf(data, allKeys(data))
    return new ParsedRecord({ cookie, meta, dataText, isJson: false }, properties, this.isKept, this.knownCookieText)
  }
}

/** Whether a value is an object with keys of its own: no text, number or list. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What a record holds beside its data. */
export function beside(record: Record<string, unknown>): { cookie: unknown; meta: unknown } {
  return { cookie: record.cookie, meta: META in record ? record[META] : record[OLD_META] }
}

/** Copies of what a store has handed out beside the data; `undefined` where JSON does not keep it as it is. */
export function ownOf(cookie: unknown, meta: unknown): Pick<ParsedRecord, 'cookie' | 'meta'> | undefined {
  if (meta !== undefined && !isMeta(meta)) return undefined
  const own = { cookie: copyExact(cookie), meta: meta && copyExact(meta) }
  return isRecord(own.cookie) && (meta === undefined || own.meta !== undefined) ? (own as ParsedRecord) : undefined
}

function isReserved(key: string): boolean {
  return key === 'cookie' || key === META || key === OLD_META
}

/** Of an object that a store has made, express-session takes what it inherits as well; so is it with a schema's. */
export function allKeys(record: object): string[] {
  const keys: string[] = []
  for (const key in record) keys.push(key)
  return keys
}

export function propertiesOf(raw: Record<string, unknown>, all: string[]): Properties {
  const keys = all.filter((key) => !isReserved(key))
  return { keys, values: keys.map((key) => raw[key]) }
}

/** Whether the reserved property holds what we put there. */
export function isMeta(meta: unknown): meta is Meta {
  if (typeof meta !== 'object' || meta === null) return false
  const { u, c } = meta as Meta
  return Number.isFinite(u) && Number.isFinite(c)
}

/**
 * Joins the three parts to the stored text. `dataText` is the JSON of a plain object without `cookie`.
 *
 * Data under the reserved property is dropped: whatever a client got into the session, its metadata stays ours.
 */
export function encodeRecord(cookieText: string, meta: Meta | undefined, dataText: string): string {
  // Text without the word is told apart much faster than by the expression.
  const data = dataText.includes('silverback') ? unmarked(dataText) : dataText
  const head =
    meta === undefined ? `{"cookie":${cookieText}` : `{"cookie":${cookieText},"${META}":${JSON.stringify(meta)}`
  return data.length > 2 ? `${head},${data.slice(1)}` : `${head}}`
}

// Stores look for the reserved property in the text, by its name: further down a letter of it is spelt otherwise.
function unmarked(dataText: string): string {
  if (dataText.search(RESERVED_KEYS) === -1) return dataText
  const data = JSON.stringify(dataOf(JSON.parse(dataText) as Record<string, unknown>))
  return data.replace(RESERVED_KEYS, (key) => key.replace('_', '\\u005f'))
}

/** What of a record is the application's. */
export function dataOf(record: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).filter(([key]) => !isReserved(key)))
}
