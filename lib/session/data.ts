import type { Cookie } from '../cookie/cookie'
import { copyJson, isExact, isSameJson } from '../record/json'
import { META, OLD_META, type ParsedRecord, type WrittenData } from '../record/record'
import { copyValue } from './values'

/** What an application keeps in its sessions: augment it with `declare module`. */
export interface SessionData {
  cookie: Cookie
}

/** Keys that express-session never copies out of a record: they would shadow a method or a built-in. */
const CLASSIC_RESERVED = new Set([
  ...Object.getOwnPropertyNames(Object.prototype),
  ...['req', 'id', 'touch', 'resetMaxAge', 'save', 'reload', 'destroy', 'regenerate']
])

type Data = Record<string, unknown>

/** Puts data into a session; the reserved property and `cookie` stay out. */
export function assignData(session: object, data: Data, classic: boolean): void {
  const target = session as Data
  for (const key in data) {
    if (key !== META && key !== OLD_META && key !== 'cookie' && !isReserved(key, classic)) target[key] = data[key]
  }
}

/** The same with copies, for a record that its store may keep as it is, or that others read as well. */
export function assignCopy(session: object, record: ParsedRecord, classic: boolean): void {
  const { keys, values, isJson, dataText } = record
  const target = session as Data
  const copy = isJson ? copyJson : copyValue
  try {
    for (let i = 0; i < keys.length; i++) if (!isReserved(keys[i]!, classic)) target[keys[i]!] = copy(values[i])
  } catch {
    // Nested too deeply for the stack; the parser needs none.
    if (isJson) assignData(session, JSON.parse(dataText) as Data, classic)
    else for (const [i, key] of keys.entries()) if (!isReserved(key, classic)) target[key] = values[i]
  }
}

/**
 * Whether a session's data is still, letter for letter of its JSON, what it was made of.
 *
 * A third of the price of serializing it. `false` may also mean "cannot tell": only JSON then knows.
 */
export function isUnchanged(session: object, { keys, values }: ParsedRecord): boolean {
  try {
    let at = 0
    for (const key of Object.keys(session)) {
      if (key === 'cookie') continue
      if (keys[at] !== key || !isSameJson((session as Data)[key], values[at])) return false
      at++
    }
    return at === keys.length
  } catch {
    return false
  }
}

/**
 * A session's data as it would be written; of what has not changed, all comes from the record that it was made of.
 * `undefined` where that cannot be told: serializing it all then knows, or says what is wrong.
 */
export function changedData(session: object, record: ParsedRecord): WrittenData | undefined {
  const keys: string[] = []
  const values: unknown[] = []
  const parts: string[] = []
  try {
    for (const key of Object.keys(session)) {
      if (key === 'cookie') continue
      const value = (session as Data)[key]
      if (key === '__proto__' || value === undefined || typeof value === 'function') return undefined
      const at = record.keys[keys.length] === key ? keys.length : record.keys.indexOf(key)
      keys.push(key)
      if (at !== -1 && isSameJson(value, record.values[at])) {
        values.push(record.values[at])
        parts.push(record.parts[at]!)
        continue
      }
      if (isExact(value)) {
        values.push(value)
        parts.push(`${JSON.stringify(key)}:${JSON.stringify(value)}`)
        continue
      }
      const made = JSON.stringify({ [key]: value })
      // A copy of what `JSON.parse` makes of such a key would have another prototype.
      if (made === '{}' || made.includes('__proto__')) return undefined
      values.push((JSON.parse(made) as Data)[key])
      parts.push(made.slice(1, -1))
    }
  } catch {
    return undefined
  }
  return { text: `{${parts.join(',')}}`, keys, values, parts }
}

/** Whether nothing has been put into a session. */
export function isEmpty(session: object): boolean {
  for (const key in session) if (key !== 'cookie') return false
  return true
}

function isReserved(key: string, classic: boolean): boolean {
  return classic && CLASSIC_RESERVED.has(key)
}
