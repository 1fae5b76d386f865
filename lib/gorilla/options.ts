import type { CookieOptions } from '../cookie/cookie'
import type { SessionDefaults } from '../store/contract'
import { OptionError, quote } from '../base/errors'
import { DAY, type Milliseconds } from '../base/time'
import { parseGoType, type GoType } from './codec/types'
import type { Declared } from './codec/values'
import { checkPair, type Pair } from './securecookie'

type Key = string | Uint8Array

/** What is told of the sessions of any of Go's stores. */
export interface CommonOptions {
  /** What Go's store got (`hashKey, blockKey, ...`), pair by pair: the first writes, all read. */
  keyPairs: readonly (readonly [hashKey: Key, blockKey?: Key | null])[]
  /** `store.Options.MaxAge` and `store.MaxAge()`, but in ms; `null`: no limit. @default 30 days, as Go's */
  maxAge?: Milliseconds | null | undefined
  /**
   * What else `store.Options` says, under the names of the option `cookie` of `sessions()`, which goes before it.
   * @default what `sessions()` has: HttpOnly, SameSite=Lax, Secure with HTTPS
   */
  cookie?: (Pick<CookieOptions, 'path' | 'domain' | 'sameSite' | 'httpOnly'> & { secure?: boolean }) | undefined
  /**
   * Go types of values by key, for what a program in Go asserts: `{ userId: 'int64', roles: '[]string' }`. The name of a
   * type of its own (`'main.User'`, `'example.com/app/models.User'`) has its structs read as plain objects.
   * A value that was read keeps its type without this; one that is new has none yet.
   * @default integers `int`, other numbers `float64`, lists `[]interface {}`, objects `map[string]interface {}`
   */
  types?: Readonly<Record<string, string>> | undefined
}

export const COMMON: readonly (keyof CommonOptions)[] = ['keyPairs', 'maxAge', 'cookie', 'types']

// A type of a package: its path, a dot, its name; perhaps a pointer, list or map of it.
const OWN_TYPE = /^(?:\*|\[\d*\]|map\[[\w./~-]+\])*[\w./~-]*\w\.[A-Za-z_]\w*(?:\[[^\s]*\])?$/

/** @throws {OptionError} for keys that cannot work */
export function checkPairs({ keyPairs = [], maxAge }: Partial<CommonOptions>): Pair[] {
  const given: readonly unknown[] = Array.isArray(keyPairs) ? keyPairs : []
  if (given.length === 0 || !given.every((pair) => Array.isArray(pair))) {
    throw new OptionError('keyPairs must be an array of pairs: [[hashKey, blockKey], ...]')
  }
  return keyPairs.map(([hashKey, blockKey]) => checkPair({ hashKey, blockKey, maxAge }))
}

/** @throws {OptionError} for what is the name of no Go type */
export function checkTypes(types: CommonOptions['types'] = {}): Declared {
  return new Map(Object.entries(types).map(([key, type]) => [key, typeOf(type)]))
}

function typeOf(text: string): GoType | string {
  const known = typeof text === 'string' ? parseGoType(text) : undefined
  if (known !== undefined) return known
  if (typeof text === 'string' && OWN_TYPE.test(text)) return text
  throw new OptionError(
    'A Go type must be a basic type, []byte, time.Time, interface {}, a slice or map of them, or one of a package ' +
      `(main.User), got ${quote(text)}`
  )
}

/** What a store of Go's gives its sessions: `store.Options`, and no end but that. */
export function sessionDefaultsOf({ maxAge = 30 * DAY, cookie }: Partial<CommonOptions>): SessionDefaults {
  return { cookie: { ...cookie, ...(maxAge !== null && { maxAge }) }, absolute: null }
}

/** The cookie of a session that Go began: Go keeps none with it, so the options say what it is, but for its life. */
export function goCookieText(own: Milliseconds | null): string {
  return own === null ? '{}' : JSON.stringify({ originalMaxAge: own })
}
