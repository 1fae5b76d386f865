import { types } from 'node:util'
import { SessionError } from '../base/errors'
import { warnOnce } from '../base/warnings'
import type { Cookie } from '../cookie/cookie'
import { copyJson, isExact, isSameJson } from '../record/json'
import { META, OLD_META, type ParsedRecord, type WrittenData } from '../record/record'
import { copyValue, put } from './values'

/** What an application keeps in its sessions: augment it with `declare module`. */
export interface SessionData {
  cookie: Cookie
}

/** What express-session's sessions have beside `cookie`. */
export const MEMBERS = ['req', 'id', 'touch', 'resetMaxAge', 'save', 'reload', 'destroy', 'regenerate']
/** Keys that express-session never copies out of a record: they would shadow a method or a built-in. */
const CLASSIC_RESERVED = new Set([...Object.getOwnPropertyNames(Object.prototype), ...MEMBERS])

/** Kinds of which JSON loses what they hold, whatever properties they have beside it. */
const LOSSY = [types.isMap, types.isSet, types.isDate, types.isRegExp, types.isNativeError, ArrayBuffer.isView]
/** How deep values that JSON changes are looked for. */
const LOSSES_DEPTH = 8

type Data = Record<string, unknown>

/** Puts data into a session; the reserved property and `cookie` stay out. */
export function assignData(session: object, data: Data, classic: boolean): void {
  const target = session as Data
  for (const key in data) {
    if (key !== META && key !== OLD_META && key !== 'cookie' && !(classic && CLASSIC_RESERVED.has(key)))
      target[key] = data[key]
  }
}

/** The same with copies, for a record that its store may keep as it is, or that others read as well. */
export function assignCopy(session: object, record: ParsedRecord, classic: boolean): void {
  const { keys, values, isJson, dataText } = record
  const target = session as Data
  const copy = isJson ? copyJson : copyValue
  try {
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i]!
      if (!classic || !CLASSIC_RESERVED.has(key)) target[key] = copy(values[i])
    }
  } catch {
    // Nested too deeply for the stack; the parser needs none.
    if (isJson) assignData(session, JSON.parse(dataText) as Data, classic)
    else assignData(session, Object.fromEntries(keys.map((key, i) => [key, values[i]])), classic)
  }
}

/**
 * JSON of a session's data, made of the parts of its record that have not changed; `'none'`: it is the record's, letter for
 * letter. `undefined`: it cannot be told in parts, and all of it has to be serialized.
 */
export function changesOf(session: object, record: ParsedRecord): WrittenData | 'none' | undefined {
  const data = session as Data
  try {
    const all = Object.keys(data)
    let same = 0
    let at = 0
    for (; at < all.length; at++) {
      if (all[at] === 'cookie') continue
      if (all[at] !== record.keys[same] || !isSameJson(data[all[at]!], record.values[same])) break
      same++
    }
    if (at === all.length && same === record.keys.length) return 'none'
    if (!record.isKept || !record.comesAgain) return undefined
    const keys = record.keys.slice(0, same)
    const values = record.values.slice(0, same)
    const parts = record.parts.slice(0, same)
    let places: Map<string, number> | undefined
    for (; at < all.length; at++) {
      const key = all[at]!
      if (key === 'cookie') continue
      const value = data[key]
      if (key === '__proto__' || value === undefined || typeof value === 'function') return undefined
      // Most changes leave a property where it was.
      const isInPlace = record.keys[keys.length] === key
      const known = isInPlace ? keys.length : (places ??= new Map(record.keys.map((name, i) => [name, i]))).get(key)
      keys.push(key)
      if (known !== undefined && isSameJson(value, record.values[known])) {
        values.push(record.values[known])
        parts.push(record.parts[known]!)
      } else if (isExact(value)) {
        values.push(value)
        parts.push(`${JSON.stringify(key)}:${JSON.stringify(value)}`)
      } else {
        const made = JSON.stringify({ [key]: value })
        // A copy of what `JSON.parse` makes of such a key would have another prototype.
        if (made === '{}' || made.includes('__proto__')) return undefined
        values.push((JSON.parse(made) as Data)[key])
        parts.push(made.slice(1, -1))
      }
    }
    return { text: `{${parts.join(',')}}`, keys, values, parts }
  } catch {
    return undefined
  }
}

/** The first property that was put into a session; `undefined`: it is empty. */
export function firstKey(session: object): string | undefined {
  for (const key in session) if (key !== 'cookie') return key
  return undefined
}

/** JSON of a session's data, without its cookie. @throws whatever `JSON.stringify` and the data's own code throw */
export function stringifyData(session: object): string {
  // Of an object with an accessor, as the cookie is one, it would take twice as long.
  const data: Data = {}
  for (const key of Object.keys(session)) if (key !== 'cookie') put(data, key, (session as Data)[key])
  return JSON.stringify(data) ?? 'null'
}

/**
 * JSON of a session's data.
 * @throws {SessionError} `ERR_SESSION_UNSERIALIZABLE`, naming the key path, for a BigInt, a cycle, a throwing getter
 */
export function serializeSession(session: object): string {
  if (typeof (session as { toJSON?: unknown }).toJSON === 'function') {
    throw unserializable('toJSON', 'a session must not have a toJSON function: it would hide what is stored')
  }
  try {
    return stringifyData(session)
  } catch (cause) {
    const found = faultOf(session)
    const reason = isTooDeep(cause) ? TOO_DEEP : 'a value of it cannot be stored as JSON'
    throw unserializable(found?.path ?? '', found?.reason ?? reason, cause)
  }
}

function unserializable(path: string, reason: string, cause?: unknown): SessionError {
  const where = path === '' ? 'The session' : `session.${path}`
  return new SessionError('ERR_SESSION_UNSERIALIZABLE', `${where} cannot be stored: ${reason}.`, { cause })
}

/** Does what takes more of the stack than JSON.stringify. @throws {SessionError} as `serializeSession` where none is left */
export function withinStack<T>(work: () => T): T {
  try {
    return work()
  } catch (err) {
    throw isTooDeep(err) ? unserializable('', TOO_DEEP, err) : err
  }
}

function isTooDeep(err: unknown): boolean {
  return err instanceof RangeError && err.message.includes('call stack')
}

const UNREADABLE = 'reading it throws an error'
const TOO_DEEP = 'it is nested too deeply'

interface Fault {
  path: string
  reason: string
}

function faultOf(session: object): Fault | undefined {
  const path: string[] = []
  try {
    return findFault(session, path, new Set())
  } catch (err) {
    // Or a Proxy does not tell its keys.
    return isTooDeep(err) ? { path: '', reason: TOO_DEEP } : { path: path.join('.'), reason: UNREADABLE }
  }
}

// One path for the whole search: a copy at each level would make deeply nested data a long wait.
function findFault(value: unknown, path: string[], above: Set<unknown>): Fault | undefined {
  if (typeof value === 'bigint') return { path: path.join('.'), reason: 'a BigInt has no JSON; store a string' }
  if (typeof value !== 'object' || value === null) return undefined
  if (above.has(value)) return { path: path.join('.'), reason: 'it refers back to itself' }
  above.add(value)
  for (const key of Object.keys(value)) {
    if (path.length === 0 && key === 'cookie') continue
    path.push(key)
    let item: unknown
    try {
      item = (value as Record<string, unknown>)[key]
      if (typeof (item as { toJSON?: unknown } | null | undefined)?.toJSON === 'function') JSON.stringify(item)
    } catch {
      return { path: path.join('.'), reason: UNREADABLE }
    }
    const fault = findFault(item, path, above)
    if (fault !== undefined) return fault
    path.pop()
  }
  above.delete(value)
  return undefined
}

/** For development: one warning for each key whose value JSON, or a store that keeps types, changes without a word. */
export function warnOfLosses(data: object, keepsTypes: boolean, path = '', depth = 0): void {
  for (const key of Object.keys(data)) {
    if (depth === 0 && key === 'cookie') continue
    try {
      const value = (data as Data)[key]
      if (keepsTypes && (types.isDate(value) || types.isUint8Array(value))) continue
      const at = depth === 0 ? key : `${path}.${key}`
      const loss = lossOf(value)
      if (loss !== undefined) {
        const said = `session.${at} is ${loss}: it does not survive being stored as JSON.`
        warnOnce('SILVERBACK_LOSSY', said, `lossy ${at}`)
      } else if (typeof value === 'object' && value !== null && depth < LOSSES_DEPTH) {
        warnOfLosses(value, keepsTypes, at, depth + 1)
      }
    } catch {
      // Code of the data's own, a Symbol.toStringTag say: what can be stored is, also where nothing can be told of it.
    }
  }
}

function lossOf(value: unknown): string | undefined {
  if (value === undefined) return 'undefined'
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'symbol') return 'a symbol'
  if (typeof value === 'number')
    return Number.isFinite(value) ? (Object.is(value, -0) ? '-0' : undefined) : String(value)
  if (typeof value !== 'object' || value === null) return undefined
  if (types.isUint8Array(value)) return 'binary data'
  if (types.isPromise(value)) return 'a promise'
  const keys = Object.keys(value).length
  if (Array.isArray(value))
    return keys === value.length ? undefined : 'an array with holes, or with properties of its own'
  // What JSON finds nothing in, or takes apart: of which built-in kind it is.
  if (keys > 0 && !LOSSY.some((is) => is(value))) return undefined
  const kind = Object.prototype.toString.call(value).slice('[object '.length, -1)
  if (kind === 'Object' || types.isBoxedPrimitive(value)) return undefined
  return `${/^[AEIO]/.test(kind) ? 'an' : 'a'} ${kind}`
}
