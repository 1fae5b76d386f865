import { isRecord } from './parsed-record'

type Data = Record<string, unknown>

/**
 * Joins two changes of one session: what `ours` changed since `base` is laid over `theirs`.
 *
 * Nested plain objects are merged key by key; arrays and scalars are one value, and where both sides changed it,
 * ours (the later save) wins. All three are plain JSON data; the result shares structure with them.
 */
export function mergeData(base: Data, ours: Data, theirs: Data): Data {
  const merged: Data = { ...theirs }
  for (const key of Object.keys(base)) {
    if (!Object.hasOwn(ours, key)) delete merged[key]
  }
  for (const key of Object.keys(ours)) {
    // Records drop it, and an assignment would make a prototype of it.
    if (key === '__proto__') continue
    const mine = ours[key]
    const before = Object.hasOwn(base, key) ? base[key] : undefined
    if (Object.hasOwn(base, key) && isSame(before, mine)) continue
    const other = Object.hasOwn(theirs, key) ? theirs[key] : undefined
    merged[key] = isRecord(mine) && isRecord(other) ? mergeData(isRecord(before) ? before : {}, mine, other) : mine
  }
  return merged
}

// JSON data only, so equal texts mean equal values; key order within an object does not matter to a merge.
function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (Array.isArray(a) || Array.isArray(b)) {
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, i) => isSame(item, b[i]))
  }
  if (!isRecord(a) || !isRecord(b)) return false
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && isSame(a[key], b[key]))
}

/** Data of a session, of its JSON. */
export function parseData(text: string): Data {
  return JSON.parse(text) as Data
}
