import type { Cookie } from '../cookie/cookie'
import { copyJson, isExact, isSameJson } from '../record/json'
import { META, OLD_META, type ParsedRecord, type WrittenData } from '../record/record'
import { copyValue } from './values'

/** What an application keeps in its sessions: augment it with `declare module`. */
export interface SessionData {
  cookie: Cookie
}

/** What express-session's sessions have beside `cookie`. */
export const MEMBERS = ['req', 'id', 'touch', 'resetMaxAge', 'save', 'reload', 'destroy', 'regenerate']
/** Keys that express-session never copies out of a record: they would shadow a method or a built-in. */
const CLASSIC_RESERVED = new Set([...Object.getOwnPropertyNames(Object.prototype), ...MEMBERS])

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
 * What a session's data would be written as, `'none'` where that is, letter for letter, what it was made of; of what has
 * not changed, all comes from its record. `undefined` where that cannot be told: serializing it all then knows, or says
 * what is wrong.
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
    const placeOf = (key: string) => {
      // Most changes leave a property where it was.
      if (record.keys[keys.length] === key) return keys.length
      places ??= new Map(record.keys.slice(same).map((name, i) => [name, same + i]))
      return places.get(key)
    }
    for (; at < all.length; at++) {
      const key = all[at]!
      if (key === 'cookie') continue
      const value = data[key]
      if (key === '__proto__' || value === undefined || typeof value === 'function') return undefined
      const known = placeOf(key)
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
