/**
 * The text of a stored session, express-session's JSON with one reserved property:
 *
 *     {"cookie":{...},"silverback_meta":{"u":1700000000000,"c":1699990000000,...},"a":1,"b":2}
 *
 * `cookie` comes first, as in every record of express-session; the reserved property, if there is one, second.
 */
import { copyExact, copyExactly, copyJson, isSameJson, isTooDeep } from './json'
import type { Milliseconds } from '../base/time'

/**
 * The reserved property. express-session instances carry it along unharmed; applications never see it. No leading
 * underscore, which CouchDB refuses, and no `$`, which MongoDB does.
 */
export const META = 'silverback_meta'

/** Its name up to 1.20.0, read for ever and never written. */
export const OLD_META = '__silverback'

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
  #cookieText: string | undefined
  #parts: readonly string[] | undefined

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
    this.#cookieText = cookieText
    this.#parts = parts
  }

  /** JSON of `cookie`. */
  get cookieText(): string {
    return (this.#cookieText ??= JSON.stringify(this.cookie))
  }

  /** JSON of each property, its name included: what has not changed need not be written again. */
  get parts(): readonly string[] {
    return (this.#parts ??= this.keys.map((key, i) => JSON.stringify({ [key]: this.values[i] }).slice(1, -1)))
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
    return new ParsedRecord(of, written, true, this.#cookieText, written.parts)
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
    const of = ownOf(cookie, meta)
    return of && new ParsedRecord({ ...of, dataText: this.dataText, isJson: true }, this, true, undefined, this.#parts)
  }

  /** The same record with other data, whatever the text says. */
  withData(data: Record<string, unknown>, dataText = this.dataText): ParsedRecord {
    const { cookie, meta } = this
    const properties = propertiesOf(data, allKeys(data))
    return new ParsedRecord({ cookie, meta, dataText, isJson: false }, properties, this.isKept, this.#cookieText)
  }
}

// A flat JSON object: strings may hold braces, anything nested makes it no match. Unrolled, so it runs in linear time.
const STRING = String.raw`"[^"\\]*(?:\\.[^"\\]*)*"`
const FLAT = String.raw`\{[^"{}]*(?:${STRING}[^"{}]*)*\}`
const NAMES = `(?:${META}|${OLD_META})`
const HEAD = new RegExp(`^\\{"cookie":(${FLAT})(,"${NAMES}":${FLAT})?(?=[,}])`)
const RESERVED_KEY = new RegExp(`"${NAMES}":`)
const USED_AT_PREFIXES = [`"${META}":{"u":`, `"${OLD_META}":{"u":`] as const

/**
 * Joins the three parts to the stored text. `dataText` is the JSON of a plain object without `cookie`.
 *
 * Data under the reserved property is dropped: whatever a client got into the session, its metadata stays ours.
 */
export function encodeRecord(cookieText: string, meta: Meta | undefined, dataText: string): string {
  // Text without the word is told apart much faster than by the expression.
  const safe = dataText.includes('silverback') && RESERVED_KEY.test(dataText) ? withoutMeta(dataText) : dataText
  const rest = safe.length > 2 ? `,${safe.slice(1)}` : '}'
  return meta === undefined
    ? `{"cookie":${cookieText}${rest}`
    : `{"cookie":${cookieText},"${META}":${JSON.stringify(meta)}${rest}`
}

/** Takes a stored text apart; `undefined` for whatever is not a session record. Never throws. */
export function decodeRecord(text: string): ParsedRecord | undefined {
  try {
    const parsed: unknown = JSON.parse(text)
    // JSON may spell a letter of `__proto__` as \u005f, \u0070, ...
    const suspicious = text.includes('__proto__') || text.includes('\\u00')
    const clean = suspicious ? withoutProto(parsed) : parsed
    if (isTooDeep(text)) return undefined
    return takeApart(clean, clean, suspicious ? undefined : text)
  } catch {
    // No JSON, or nested too deeply to be taken apart.
    return undefined
  }
}

/** The same for a record that a store hands out as an object. */
export function decodeObject(record: unknown): ParsedRecord | undefined {
  try {
    // Copied if that is possible: a later change by the store, or by somebody else it gave the object to, is none of ours.
    const exact = isRecord(record) ? copyExactly(record, 'cookie') : undefined
    const decoded = takeApart(record, exact)
    if (!decoded?.dataText.includes('__proto__')) return decoded
    const data = withoutProto(JSON.parse(decoded.dataText)) as Record<string, unknown>
    return decoded.withData(data, JSON.stringify(data))
  } catch {
    return undefined
  }
}

// `json`: the data as if it came out of JSON.parse, where there is such a thing.
function takeApart(record: unknown, json: unknown, text?: string): ParsedRecord | undefined {
  if (!isRecord(record)) return undefined
  const { cookie, meta } = beside(record)
  if (!isRecord(cookie)) return undefined
  if (meta !== undefined && !isMeta(meta)) return undefined
  const texts = text === undefined ? undefined : cut(text, meta !== undefined)
  const raw = isRecord(json) ? json : record
  const dataText =
    texts?.dataText ?? JSON.stringify(META in raw || OLD_META in raw || 'cookie' in raw ? dataOf(raw) : raw)
  const isJson = raw === json
  const properties = propertiesOf(raw, isJson ? Object.keys(raw) : allKeys(raw))
  const own = isJson && text === undefined ? ownOf(cookie, meta) : undefined
  const of = { ...(own ?? { cookie, meta }), dataText, isJson }
  return new ParsedRecord(of, properties, texts !== undefined || own !== undefined, texts?.cookieText)
}

function beside(record: Record<string, unknown>): { cookie: unknown; meta: unknown } {
  return { cookie: record.cookie, meta: META in record ? record[META] : record[OLD_META] }
}

// Copies of what a store has handed out beside the data, where JSON keeps it as it is.
function ownOf(cookie: unknown, meta: unknown): Pick<ParsedRecord, 'cookie' | 'meta'> | undefined {
  if (meta !== undefined && !isMeta(meta)) return undefined
  const own = { cookie: copyExact(cookie), meta: meta && copyExact(meta) }
  return isRecord(own.cookie) && (meta === undefined || own.meta !== undefined) ? (own as ParsedRecord) : undefined
}

function isReserved(key: string): boolean {
  return key === 'cookie' || key === META || key === OLD_META
}

// Of an object that a store has made, express-session takes what it inherits as well; so is it with a schema's.
function allKeys(record: object): string[] {
  const keys: string[] = []
  for (const key in record) keys.push(key)
  return keys
}

/**
 * What of a store's own text (`Meta.t`) belongs to some of the keys: the text is JSON, `[common, byKey, rest]`, of which
 * `common` goes along with any key and `rest` only with all of them.
 */
export function typesOf(text: string, keys: readonly string[]): string {
  const [common, byKey] = JSON.parse(text) as [unknown, Record<string, unknown>]
  return JSON.stringify([common, Object.fromEntries(Object.entries(byKey).filter(([key]) => keys.includes(key)))])
}

/** Whether a value is an object with keys of its own: no text, number or list. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function dataOf({
  cookie: _cookie,
  [META]: _meta,
  [OLD_META]: _old,
  ...data
}: Record<string, unknown>): Record<string, unknown> {
  return data
}

function propertiesOf(raw: Record<string, unknown>, all: string[]): Properties {
  const keys = all.filter((key) => !isReserved(key))
  return { keys, values: keys.map((key) => raw[key]) }
}

/** Replaces the time of last use inside a record's text; the text itself where it has none. */
export function withUsedAt(text: string, usedAt: Milliseconds): string {
  const prefix = USED_AT_PREFIXES.find((one) => text.includes(one))
  if (prefix === undefined) return text
  let end = text.indexOf(prefix) + prefix.length
  const digits = end
  while (text.charCodeAt(end) >= 48 && text.charCodeAt(end) <= 57) end++
  return text.slice(0, digits) + String(usedAt) + text.slice(end)
}

/** Replaces the cookie inside a record's text, as express-session's `touch` does. */
export function withCookie(text: string, cookieText: string): string {
  const decoded = decodeRecord(text)
  return decoded === undefined ? text : encodeRecord(cookieText, decoded.meta, decoded.dataText)
}

// The common case, text that JSON.stringify made with `cookie` first, needs no second serialization.
function cut(text: string, hasMeta: boolean): { cookieText: string; dataText: string } | undefined {
  const head = HEAD.exec(text)
  // The reserved property stands elsewhere in the text: an express-session instance has written it.
  if (head === null || (head[2] !== undefined) !== hasMeta) return undefined
  const end = head[0].length
  const isEnd = text.charCodeAt(end) === 0x7d /* } */
  if (isEnd && end !== text.length - 1) return undefined
  return { cookieText: head[1]!, dataText: isEnd ? '{}' : `{${text.slice(end + 1)}` }
}

function withoutMeta(dataText: string): string {
  const data = JSON.parse(dataText) as Record<string, unknown>
  delete data[META]
  delete data[OLD_META]
  return JSON.stringify(data)
}

function isMeta(meta: unknown): meta is Meta {
  if (typeof meta !== 'object' || meta === null) return false
  const { u, c } = meta as Meta
  return Number.isFinite(u) && Number.isFinite(c)
}

// JSON.parse makes an own property of `__proto__`; a later Object.assign would turn it into a prototype.
function withoutProto(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutProto)
  if (typeof value !== 'object' || value === null) return value
  const clean: Record<string, unknown> = {}
  for (const key of Object.keys(value)) {
    if (key !== '__proto__') clean[key] = withoutProto((value as Record<string, unknown>)[key])
  }
  return clean
}
