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
