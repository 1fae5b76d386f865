import { madeFor } from '../base/maps'
import { timeOf, type Milliseconds } from '../base/time'
import { reviveCookie } from '../cookie/cookie'
import { decodeObject, META, OLD_META } from '../record/record'
import { Session } from '../session/session'
import { put } from '../session/values'
import type { Found, Life, StoreContract } from './contract'

type Data = Record<string, unknown>

// What makes a record: a method that is called so, or a word of SQL. Parts of a date are set, too.
const CREATES =
  /[.#]_*(?:set(?!Time|Date|Month|(?:UTC)?(?:Milli)?[sS]econds|Minutes|Hours|FullYear)|put|save|write|insert|replace|create|store|add)\w*\s*\(|[Uu]psert|INSERT|REPLACE|MERGE|\[native code\]/

/** Whether a store's `touch` looks as if it could make a record that is not there, itself or as it was inherited. */
export function mayCreate(store: StoreContract): boolean {
  return looksCreating((store as { touch: object }).touch, store)
}

const looksCreating = madeFor((_touch: object, store: object) => {
  for (let owner: object | null = store; owner !== null; owner = Object.getPrototypeOf(owner) as object | null) {
    const own: unknown = Object.getOwnPropertyDescriptor(owner, 'touch')?.value
    if (typeof own === 'function' && CREATES.test(Function.prototype.toString.call(own))) return true
  }
  return false
})

/** A touch of this process, and whether a later read shows what came of it. */
export interface Touched {
  readonly id: string
  readonly usedAt: Milliseconds
  readonly end: Milliseconds
}

interface KeptCookie {
  readonly expires?: unknown
  readonly originalMaxAge?: unknown
  /** Of a cookie object that a store keeps as it is. */
  readonly data?: KeptCookie
}

/** A record as a store hands it out. */
export type KeptRecord = Data & { readonly cookie?: KeptCookie | null }

function cookieIn({ cookie }: KeptRecord): KeptCookie | undefined {
  return cookie?.data ?? cookie ?? undefined
}

/** Which part of a touch a record shows: the time of last use, and the end of its cookie. */
export function shownBy(record: KeptRecord, { usedAt, end }: Touched): { usedAt: boolean; end: boolean } {
  const meta = (record[META] ?? record[OLD_META]) as { u?: unknown } | undefined
  return { usedAt: meta?.u === usedAt, end: endIn(record) === end }
}

/** The end that a record tells; `undefined`: none. */
export function endIn(record: KeptRecord): Milliseconds | undefined {
  return timeOf(cookieIn(record)?.expires)
}

/**
 * Stores of the contract keep a session as long as its cookie. One that ends with the browser says nothing of that, and
 * neither does one that outlives the session: what the store is given tells when the session itself ends.
 */
export function withDeadline(session: object, { expiresAt }: Life): object {
  const { cookie } = session as KeptRecord
  if (expiresAt === null || !cookie || Number(cookie.expires) === expiresAt) return session
  const until = reviveCookie({ ...(cookie.data ?? cookie), expires: new Date(expiresAt) })
  // A session object is a copy, made to be given away; a record is the store's own.
  return session instanceof Session ? Object.assign(session, { cookie: until }) : { ...session, cookie: until }
}

/** The way back: no cookie but such a one has an end without a span. */
export function withoutDeadline(record: KeptRecord): object {
  const cookie = cookieIn(record)
  const expires = cookie?.expires
  if (cookie === undefined || !expires) return record
  const isDeadline = cookie.originalMaxAge === null && (record[META] ?? record[OLD_META]) !== undefined
  const untold = typeof expires === 'object' && !(expires instanceof Date)
  if (!isDeadline && !untold) return record
  const kept: Data = { ...(isDeadline ? cookie : record.cookie), expires: null }
  // Beside an end that is told in no way there may be the `maxAge` that was left: the cookie's own, or the deadline's.
  if (isDeadline) delete kept.maxAge
  return { ...record, cookie: kept }
}

/** A session to extend by writing, with the data that is kept now: what its request holds may be older. */
export function upToDate(session: object, found: Found): object {
  const seen = decodeObject(found.record)
  if (seen === undefined) return session
  const given = session as Data
  const copy = Object.create(Session.prototype) as Data
  for (const key of ['id', 'req']) Object.defineProperty(copy, key, { value: given[key] })
  copy.cookie = given.cookie
  for (const [key, value] of Object.entries(seen.data)) put(copy, key, value)
  if (Object.hasOwn(given, META)) put(copy, META, given[META])
  return copy
}

/** Whether two records differ in what does not change by itself, as three reads in a row tell. */
export function differBeside(own: string, reads: readonly [string, string, string]): boolean {
  const [first, second, third] = reads.map(parse) as [Data, Data, Data]
  const known = parse(own)
  for (const key of new Set([...Object.keys(known), ...Object.keys(first)])) {
    const isVolatile = !isSame(first, second, key) && !isSame(second, third, key)
    if (!isVolatile && !isSame(known, first, key)) return true
  }
  return false
}

function isSame(one: Data, other: Data, key: string): boolean {
  return JSON.stringify(one[key]) === JSON.stringify(other[key])
}

function parse(text: string): Data {
  return (text === '' ? {} : JSON.parse(text)) as Data
}
