type Data = Record<string, unknown>

/** A deep copy of what came out of `JSON.parse`. */
export function copyJson<T>(value: T): T
export function copyJson(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map((each: unknown) => copyJson(each))
  const copy: Data = {}
  for (const key of Object.keys(value)) copy[key] = copyJson((value as Data)[key])
  return copy
}

/** A deep copy of a value that JSON keeps exactly as it is; `undefined` for any other. */
export function copyExact(value: unknown): unknown {
  if (typeof value !== 'object') return isExact(value) ? value : undefined
  if (value === null) return null
  if ((value as { toJSON?: unknown }).toJSON !== undefined) return undefined
  if (Array.isArray(value)) {
    const list: unknown[] = []
    for (let i = 0; i < value.length; i++) if ((list[i] = copyExact(value[i])) === undefined) return undefined
    return list
  }
  return Object.getPrototypeOf(value) === Object.prototype ? copyExactly(value as Data, undefined) : undefined
}

/** The same for the enumerable properties of any object, one of them left out. */
export function copyExactly(data: Data, except: string | undefined): Data | undefined {
  const copy: Data = {}
  for (const key of Object.keys(data)) {
    if (key === except) continue
    if (key === '__proto__' || (copy[key] = copyExact(data[key])) === undefined) return undefined
  }
  return copy
}

/** Whether JSON keeps a value that is no object exactly as it is. */
export function isExact(value: unknown): boolean {
  if (typeof value === 'number') return Number.isFinite(value) && !Object.is(value, -0)
  return typeof value === 'string' || typeof value === 'boolean'
}

/**
 * Whether a value is still, letter for letter of its JSON, what came out of `JSON.parse` as `kept`.
 *
 * Whatever JSON.stringify treats in a way of its own (toJSON, another prototype, another order of keys) counts as
 * different.
 */
export function isSameJson(live: unknown, kept: unknown): boolean {
  if (live === kept) return true
  if (typeof live !== 'object' || live === null || typeof kept !== 'object' || kept === null) return false
  if ((live as { toJSON?: unknown }).toJSON !== undefined) return false
  if (Array.isArray(kept)) {
    if (!Array.isArray(live) || live.length !== kept.length) return false
    for (let i = 0; i < kept.length; i++) if (!isSameJson(live[i], kept[i])) return false
    return true
  }
  if (Object.getPrototypeOf(live) !== Object.prototype) return false
  const keys = Object.keys(live)
  let at = 0
  for (const key in kept) if (keys[at++] !== key || !isSameJson((live as Data)[key], (kept as Data)[key])) return false
  return at === keys.length
}
