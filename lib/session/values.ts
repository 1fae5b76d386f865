import { mergeData } from '../record/merge'
import { isRecord } from '../record/record'
import type { RegenerateOptions } from './verbs'

type Data = Record<string, unknown>

/** Sets a property of data. An assignment would call the accessors that keep some names from being data. */
export function put(target: Data, key: string, value: unknown): void {
  if (!(key in target) || Object.hasOwn(target, key)) target[key] = value
  else Object.defineProperty(target, key, { configurable: true, enumerable: true, writable: true, value })
}

/** A copy of a value of data: of plain objects and lists; what has a class of its own (a Date) is a value. */
export function copyValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copyValue)
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value
  const copy: Data = {}
  for (const key of Object.keys(value)) {
    const own = copyValue((value as Data)[key])
    // The only name that is an accessor of a plain object.
    if (key === '__proto__') put(copy, key, own)
    else copy[key] = own
  }
  return copy
}

/** Copies all properties of data but `cookie`. */
export function copyValues(data: object, to: Data = {}): Data {
  for (const key of Object.keys(data)) if (key !== 'cookie') put(to, key, copyValue((data as Data)[key]))
  return to
}

/** JSON data with the values that it stands for, where one of the sources has them: a Date in the place of its text. */
export function withTypes(json: Data, sources: readonly (object | undefined)[]): Data {
  for (const key of Object.keys(json)) {
    const values = sources.flatMap((one) => (one !== undefined && Object.hasOwn(one, key) ? [(one as Data)[key]] : []))
    put(json, key, typed(json[key], values))
  }
  return json
}

function typed(value: unknown, sources: readonly unknown[]): unknown {
  const text = JSON.stringify(value)
  const source = sources.find((one) => isText(one, text))
  if (source !== undefined) return source
  return isPlain(value) ? withTypes({ ...value }, sources.filter(isRecord)) : value
}

function isPlain(value: unknown): value is Data {
  return isRecord(value) && Object.getPrototypeOf(value) === Object.prototype
}

function isText(value: unknown, text: string): boolean {
  try {
    return JSON.stringify(value) === text
  } catch {
    return false
  }
}

/** What `live` has changed since `base`, laid over `theirs`; its JSON is `ours`. */
export function mergeLive(base: Data, ours: Data, theirs: Data, live: object): Data {
  return withTypes(mergeData(base, ours, theirs), [live])
}

/** What `keep` keeps of a session's data. */
export function partOf(data: Data, keep: RegenerateOptions['keep']): Data {
  const part: Data = {}
  if (keep === undefined) return part
  for (const key of keep === true ? Object.keys(data) : keep) {
    // Hidden members of a session are no data.
    if (key !== 'cookie' && Object.prototype.propertyIsEnumerable.call(data, key)) part[key] = data[key]
  }
  return part
}
