type Data = Record<string, unknown>

/** A deep copy of what came out of `JSON.parse`. */
export function copyJson<T>(value: T): T
export function copyJson(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(copyJson)
  const copy: Data = {}
  for (const key of Object.keys(value)) copy[key] = copyJson((value as Data)[key])
  return copy
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
  const keys = Object.keys(kept)
  const liveKeys = Object.keys(live)
  if (liveKeys.length !== keys.length) return false
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!
    if (liveKeys[i] !== key || !isSameJson((live as Data)[key], (kept as Data)[key])) return false
  }
  return true
}
