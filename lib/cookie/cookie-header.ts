/** Longest value worth looking at: browsers ignore cookies beyond 4096 bytes of name and value (RFC 6265bis 5.7). */
const VALUE_MAX = 3 * 4096
/** More cookies of one name than any browser of good will sends. */
const CANDIDATES_MAX = 16

/**
 * The decoded values of every cookie called `name`, in the order sent.
 *
 * One linear scan for this name only; pairs are cut at `;`, trimmed of space and tab only, as RFC 6265 5.4 has it.
 */
export function cookieValues(header: string, name: string): string[] {
  const values: string[] = []
  const length = header.length
  for (let start = 0; start < length && values.length < CANDIDATES_MAX;) {
    let end = header.indexOf(';', start)
    if (end === -1) end = length
    while (isBlank(header.charCodeAt(start))) start++
    const value = valueOf(header, start, end, name)
    if (value !== undefined) values.push(value)
    start = end + 1
  }
  return values
}

function valueOf(header: string, at: number, end: number, name: string): string | undefined {
  if (!header.startsWith(name, at)) return undefined
  let start = at + name.length
  while (isBlank(header.charCodeAt(start))) start++
  if (header.charCodeAt(start) !== 0x3d /* = */) return undefined
  start++
  while (isBlank(header.charCodeAt(start))) start++
  let stop = end
  while (stop > start && isBlank(header.charCodeAt(stop - 1))) stop--
  if (stop - start > VALUE_MAX) return ''
  if (stop - start >= 2 && header.charCodeAt(start) === 0x22 && header.charCodeAt(stop - 1) === 0x22) {
    start++
    stop--
  }
  const value = header.slice(start, stop)
  return value.includes('%') ? uriDecoded(value) : value
}

/** A value without percent-encoding; as it is where that is not sound. */
export function uriDecoded(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09
}
