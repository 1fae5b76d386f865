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

/** Puts a record's data into a session; the reserved property and `cookie` stay out. */
export function assignData(session: object, data: Data, classic: boolean): void {
  const target = session as Data
  for (const key in data) if (isData(key, classic)) target[key] = data[key]
}

/** The same with copies of what is plain, for a record that its store may keep as it is. */
export function assignValues(session: object, data: Data, classic: boolean): void {
  const target = session as Data
  try {
    for (const key in data) if (isData(key, classic)) target[key] = copyValue(data[key])
  } catch {
    // Nested too deeply for the stack.
    assignData(session, data, classic)
  }
}

/** The same with copies, for a record that others read as well. It must have come out of `JSON.parse`. */
export function assignCopy(session: object, { raw, dataText }: ParsedRecord, classic: boolean): void {
  const target = session as Data
  try {
    for (const key of Object.keys(raw)) if (isData(key, classic)) target[key] = copyJson(raw[key])
  } catch {
    // Nested too deeply for the stack; the parser needs none.
    assignData(session, JSON.parse(dataText) as Data, classic)
  }
}

/**
 * Whether a session's data is still, letter for letter of its JSON, what it was made of.
 *
 * A third of the price of serializing it. `false` may also mean "cannot tell": only JSON then knows.
 */
export function isUnchanged(session: object, data: Data): boolean {
  try {
    return isSameData(session as Data, data)
  } catch {
    return false
  }
}

function isSameData(session: Data, data: Data): boolean {
  const keys = Object.keys(session)
  let at = 0
  for (const key of Object.keys(data)) {
    if (key === META || key === OLD_META || key === 'cookie') continue
    if (keys[at] === 'cookie') at++
    if (keys[at++] !== key || !isSameJson(session[key], data[key])) return false
  }
  return at === keys.length || (at === keys.length - 1 && keys[at] === 'cookie')
}

/**
 * A session's data as it would be written; of what has not changed, all comes from the record that it was made of.
 * `undefined` where that cannot be told: serializing it all then knows, or says what is wrong.
 */
export function changedData(session: object, record: ParsedRecord): WrittenData | undefined {
  const raw: Data = {}
  const parts: Record<string, string> = {}
  let text = ''
  try {
    for (const key of Object.keys(session)) {
      if (key === 'cookie') continue
      const value = (session as Data)[key]
      if (key === '__proto__' || value === undefined || typeof value === 'function') return undefined
      const known = record.raw[key]
      let part = record.parts[key]
      if (typeof part === 'string' && isSameJson(value, known)) raw[key] = known
      else {
        const made = JSON.stringify({ [key]: value })
        // A copy of what `JSON.parse` makes of such a key would have another prototype.
        if (made === '{}' || made.includes('__proto__')) return undefined
        part = made.slice(1, -1)
        raw[key] = isExact(value) ? value : (JSON.parse(made) as Data)[key]
      }
      parts[key] = part
      text += text === '' ? part : `,${part}`
    }
  } catch {
    return undefined
  }
  return { text: `{${text}}`, raw, parts }
}

/** Whether nothing has been put into a session. */
export function isEmpty(session: object): boolean {
  for (const key in session) if (key !== 'cookie') return false
  return true
}

function isData(key: string, classic: boolean): boolean {
  return key !== META && key !== OLD_META && key !== 'cookie' && !(classic && CLASSIC_RESERVED.has(key))
}
