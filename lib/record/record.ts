/**
 * The text of a stored session, express-session's JSON with one reserved property:
 *
 *     {"cookie":{...},"silverback_meta":{"u":1700000000000,"c":1699990000000,...},"a":1,"b":2}
 *
 * `cookie` comes first, as in every record of express-session; the reserved property, if there is one, second.
 */
import { copyExactly } from './json'
import type { Milliseconds } from '../base/time'
import {
  allKeys,
  beside,
  dataOf,
  encodeRecord,
  isMeta,
  isRecord,
  META,
  NAMES,
  OLD_META,
  ownOf,
  ParsedRecord,
  propertiesOf
} from './parsed-record'

export { encodeRecord, isRecord, META, OLD_META, ParsedRecord, type Meta, type WrittenData } from './parsed-record'

// A flat JSON object: strings may hold braces, anything nested makes it no match. Unrolled, so it runs in linear time.
const STRING = String.raw`"[^"\\]*(?:\\.[^"\\]*)*"`
const FLAT = String.raw`\{[^"{}]*(?:${STRING}[^"{}]*)*\}`
const HEAD = new RegExp(`^\\{"cookie":(${FLAT})(,"${NAMES}":${FLAT})?(?=[,}])`)
const COOKIE_AT = '{"cookie":'.length
const USED_AT_PREFIXES = [`"${META}":{"u":`, `"${OLD_META}":{"u":`] as const

/** Takes a stored text apart; `undefined` for whatever is not a session record. Never throws. */
export function decodeRecord(text: string): ParsedRecord | undefined {
  try {
    const parsed: unknown = JSON.parse(text)
    // JSON may spell a letter of `__proto__` as \u005f, \u0070, ...
    const suspicious = text.includes('__proto__') || text.includes('\\u00')
    const clean = suspicious ? withoutProto(parsed) : parsed
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
    const data = withoutProto(decoded.data) as Record<string, unknown>
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
  // No spread: it would cost as much as all the rest.
  const of = { cookie: own?.cookie ?? cookie, meta: own?.meta ?? meta, dataText, isJson }
  return new ParsedRecord(of, properties, texts !== undefined || own !== undefined, texts?.cookieText)
}

/**
 * What of a store's own text (`Meta.t`) belongs to some of the keys: the text is JSON, `[common, byKey, rest]`, of which
 * `common` goes along with any key and `rest` only with all of them.
 */
export function typesOf(text: string, keys: readonly string[]): string {
  const [common, byKey] = JSON.parse(text) as [unknown, Record<string, unknown>]
  return JSON.stringify([common, Object.fromEntries(Object.entries(byKey).filter(([key]) => keys.includes(key)))])
}

/** Replaces the time of last use inside a record's text; the text itself where it has none. */
export function withUsedAt(text: string, usedAt: Milliseconds): string {
  const prefix = USED_AT_PREFIXES.find((one) => text.includes(one))
  if (prefix === undefined) return text
  const at = text.indexOf(prefix)
  if (text[at - 2] !== '}' || text.lastIndexOf('{', at) !== COOKIE_AT) {
    // Not behind the cookie: of data further down, or written by an express-session instance.
    const { cookieText, meta, dataText } = decodeRecord(text) ?? {}
    return meta === undefined ? text : encodeRecord(cookieText!, { ...meta, u: usedAt }, dataText!)
  }
  const digits = at + prefix.length
  let end = digits
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

// JSON.parse makes an own property of `__proto__`; a later Object.assign would turn it into a prototype.
function withoutProto(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutProto)
  if (typeof value !== 'object' || value === null) return value
  if (Object.getPrototypeOf(value) !== Object.prototype) {
    // A Date, an ObjectId: it keeps its type unless its JSON is suspicious itself.
    const text = JSON.stringify(value)
    return text?.includes('__proto__') ? withoutProto(JSON.parse(text)) : value
  }
  const clean: Record<string, unknown> = {}
  for (const key of Object.keys(value)) {
    if (key !== '__proto__') clean[key] = withoutProto((value as Record<string, unknown>)[key])
  }
  return clean
}
