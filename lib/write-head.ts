/** Where the headers are in the arguments of `writeHead(status, reason?, headers?)`. */
export function headersAt(args: readonly any[]): 1 | 2 {
  return typeof args[1] === 'string' ? 2 : 1
}

/** Applies the headers given to `writeHead(status, reason?, headers)` one by one, as on-headers does. */
export function setGivenHeaders(res: any, headers: any): void {
  if (!Array.isArray(headers)) {
    for (const key of Object.keys(headers)) if (key) res.setHeader(key, headers[key])
    return
  }
  const pairs: [string, any][] = Array.isArray(headers[0]) ? headers : pairsOf(headers)
  for (const [key] of pairs) if (key) res.removeHeader(key)
  for (const [key, value] of pairs) {
    if (!key) continue
    if (typeof res.appendHeader === 'function') res.appendHeader(key, value)
    else res.setHeader(key, value)
  }
}

function pairsOf(flat: any[]): [string, any][] {
  if (flat.length % 2 !== 0) throw new TypeError('headers array is malformed')
  const pairs: [string, any][] = []
  for (let i = 0; i < flat.length; i += 2) pairs.push([flat[i], flat[i + 1]])
  return pairs
}
