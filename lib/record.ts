/**
 * The text of a stored session, express-session's JSON with one reserved property:
 *
 *     {"cookie":{...},"__silverback":{"u":1700000000000,"c":1699990000000,...},"a":1,"b":2}
 *
 * `cookie` comes first, as in every record of express-session; the reserved property, if there is one, second.
 */
import type { Milliseconds } from './time'

/** The reserved property. express-session instances carry it along unharmed; applications never see it. */
export const META = '__silverback'

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
  /** A routine rotation moved this session on: the ID that now carries it, and until when the old one leads there. */
  n?: string
  g?: Milliseconds
}

export interface Decoded {
  cookie: Record<string, unknown>
  meta: Meta | undefined
  /** The application's data, without `cookie` and the reserved property. */
  data: Record<string, unknown>
  /** JSON of `data`, exactly as a later `JSON.stringify` of unchanged data gives it. */
  dataText: string
}

const COOKIE_PREFIX = '{"cookie":{'
const META_PREFIX = `,"${META}":{`
const USED_AT_PREFIX = `"${META}":{"u":`

/** Joins the three parts to the stored text. `dataText` is the JSON of a plain object without `cookie`. */
export function encodeRecord(cookieText: string, meta: Meta | undefined, dataText: string): string {
  const rest = dataText.length > 2 ? `,${dataText.slice(1)}` : '}'
  return meta === undefined
    ? `{"cookie":${cookieText}${rest}`
    : `{"cookie":${cookieText},"${META}":${JSON.stringify(meta)}${rest}`
}

/** Takes a stored text apart; `undefined` for whatever is not a session record. Never throws. */
export function decodeRecord(text: string): Decoded | undefined {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return undefined
  }
  const suspicious = text.includes('__proto__') || text.includes('\\u005')
  return decodeObject(suspicious ? withoutProto(parsed) : parsed, suspicious ? undefined : text)
}

/** The same for a record that a store hands out as an object. */
export function decodeObject(record: unknown, text?: string): Decoded | undefined {
  if (typeof record !== 'object' || record === null || Array.isArray(record)) return undefined
  const { cookie, [META]: meta, ...data } = record as Record<string, unknown>
  if (typeof cookie !== 'object' || cookie === null || Array.isArray(cookie)) return undefined
  if (meta !== undefined && !isMeta(meta)) return undefined
  return {
    cookie: cookie as Record<string, unknown>,
    meta: meta as Meta | undefined,
    data,
    dataText: (text === undefined ? undefined : dataPart(text)) ?? JSON.stringify(data)
  }
}

/** Replaces the time of last use inside a record's text; the text itself where it has none. */
export function withUsedAt(text: string, usedAt: Milliseconds): string {
  const start = text.indexOf(USED_AT_PREFIX)
  if (start === -1) return text
  let end = start + USED_AT_PREFIX.length
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
// A '}' inside a string of the cookie makes the cut wrong, and then the result equals no JSON text:
// a needless comparison later, never a missed change.
function dataPart(text: string): string | undefined {
  if (!text.startsWith(COOKIE_PREFIX)) return undefined
  let end = text.indexOf('}', COOKIE_PREFIX.length) + 1
  if (text.startsWith(META_PREFIX, end)) end = text.indexOf('}', end + META_PREFIX.length) + 1
  const next = text.charCodeAt(end)
  if (next === 0x7d /* } */ && end === text.length - 1) return '{}'
  return next === 0x2c /* , */ ? `{${text.slice(end + 1)}` : undefined
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
