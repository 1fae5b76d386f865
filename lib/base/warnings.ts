import { demandPrivate } from './errors'

const seen = new Set<string>()

/** Whether development aids (warnings) are on: everywhere but in production. */
export function isProduction(): boolean {
  return process.env.NODE_ENV === 'production'
}

/** Warns once for each key in the life of the process, through Node's own channel for that. */
export function warnOnce(code: string, message: string, key = code): void {
  if (seen.has(key)) return
  seen.add(key)
  process.emitWarning(message, { type: 'SilverbackWarning', code })
}

/** express-session's deprecation notices: same words, once each, silenced by the same `NO_DEPRECATION`. */
export function deprecate(message: string): void {
  const silenced = process.env.NO_DEPRECATION ?? ''
  if (process.noDeprecation || seen.has(message)) return
  if (silenced === '*' || silenced.split(/[ ,]+/).includes('express-session')) return
  seen.add(message)
  process.stderr.write(`${new Date().toUTCString()} express-session deprecated ${message}\n`)
}

/**
 * Outside production, one warning for each option that has no effect and is nearly the name of one that has.
 * @param prefix goes before both names @param otherwise what else a name may have meant
 */
export function warnOfMisspelt(
  prefix: string,
  given: object | null | undefined,
  known: readonly string[],
  otherwise?: (key: string) => string | undefined
): void {
  if (isProduction()) return
  for (const key of Object.keys(given ?? {})) {
    const meant = known.includes(key) ? undefined : (nearest(key, known) ?? otherwise?.(key))
    if (meant === undefined) continue
    warnOnce(
      'SILVERBACK_OPTION',
      `The option ${prefix}${key} is not known and has no effect; ${prefix}${meant} was probably meant.`,
      `option ${prefix}${key}`
    )
  }
}

/**
 * The options that a constructor or a function was given, none for `undefined` and `null`; misspelt ones are told.
 * @throws {OptionError} for what is no object
 */
export function givenOptions<O extends object>(
  owner: string,
  given: O | null | undefined,
  known: readonly string[]
): Partial<O> {
  const isGiven = typeof (given ?? {}) === 'object' && !Array.isArray(given)
  demandPrivate(isGiven, owner, 'options', 'an object', given)
  warnOfMisspelt(`${owner}.`, given, known)
  return given ?? {}
}

/**
 * The first of the names that is nearly a text: case aside, at most two letters added, left out, changed or swapped;
 * short names allow one.
 */
export function nearest(text: string, names: readonly string[]): string | undefined {
  const lower = text.toLowerCase()
  return names.find((name) => distance(lower, name.toLowerCase()) <= (name.length < 5 ? 1 : 2))
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
