import { isProduction, warnOnce } from '../base/warnings'

const OPTIONS = (
  'secret store name cookie idle absolute touchAfter extend rolling resave saveUninitialized unset genid proxy ' +
  'transport hashIds load storeTimeout onStoreError bind userId schema adopt cacheGuard maxPerUser named'
).split(' ')
const ATTRIBUTES = 'path domain httpOnly secure sameSite maxAge expires partitioned priority signed encode'.split(' ')

/** Outside production, one warning for each option that has no effect and is nearly the name of one that has. */
export function warnOfMisspelt(options: object, prefix = ''): void {
  if (isProduction()) return
  const { cookie, adopt } = options as { cookie?: unknown; adopt?: unknown }
  warnOf(prefix, Object.keys(options), OPTIONS, ATTRIBUTES)
  if (typeof cookie === 'object' && cookie !== null) warnOfAttributes(cookie, prefix)
  if (typeof adopt === 'object' && adopt !== null)
    warnOf(`${prefix}adopt.`, Object.keys(adopt), ['from', 'reissue'], [])
}

/** The same for the attributes of a cookie. */
export function warnOfAttributes(cookie: object, prefix = ''): void {
  if (!isProduction()) warnOf(`${prefix}cookie.`, Object.keys(cookie), ATTRIBUTES, [])
}

function warnOf(prefix: string, keys: readonly string[], known: readonly string[], inCookie: readonly string[]): void {
  for (const key of keys) {
    if (known.includes(key)) continue
    const attribute = nearest(key, inCookie)
    const near = nearest(key, known) ?? (attribute && `cookie.${attribute}`)
    if (near === undefined) continue
    warnOnce(
      'SILVERBACK_OPTION',
      `The option ${prefix}${key} is not known and has no effect; ${prefix}${near} was probably meant.`,
      `option ${prefix}${key}`
    )
  }
}

// express-session's door knows `name` as `key`, too. Else: case aside, at most two letters added, left out, changed or swapped; short names allow one.
function nearest(key: string, known: readonly string[]): string | undefined {
  if (key === 'key' && known === OPTIONS) return 'name'
  const lower = key.toLowerCase()
  return known.find((name) => distance(lower, name.toLowerCase()) <= (name.length < 5 ? 1 : 2))
}

// Damerau-Levenshtein, optimal string alignment.
function distance(a: string, b: string): number {
  const rows = Array.from({ length: a.length + 1 }, (_, i) => [i, ...new Array<number>(b.length).fill(0)])
  for (let j = 0; j <= b.length; j++) rows[0]![j] = j
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1
      let best = Math.min(rows[i - 1]![j]! + 1, rows[i]![j - 1]! + 1, rows[i - 1]![j - 1]! + change)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, rows[i - 2]![j - 2]! + 1)
      rows[i]![j] = best
    }
  }
  return rows[a.length]![b.length]!
}
