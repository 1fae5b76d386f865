/** Where the headers are in the arguments of `writeHead(status, reason?, headers?)`; a reason may be left undefined. */
export function headersAt(args: readonly any[]): 1 | 2 {
  return typeof args[1] === 'string' || args[2] != null ? 2 : 1
}

/** The arguments less the headers. HTTP/2 takes a reason of null for headers, so only a text stays. */
export function withoutHeaders(args: readonly any[]): any[] {
  return args.slice(0, typeof args[1] === 'string' ? 2 : 1)
}

/** Applies the headers given to `writeHead(status, reason?, headers)` one by one, as on-headers does. */
export function setGivenHeaders(res: any, headers: any): void {
  if (!Array.isArray(headers)) {
    for (const key of Object.keys(headers)) if (key) res.setHeader(key, headers[key])
    return
  }
  const pairs = pairsOf(headers)
  for (const [key] of pairs) if (key) res.removeHeader(key)
  for (const [key, value] of pairs) {
    if (!key) continue
    if (typeof res.appendHeader === 'function') res.appendHeader(key, value)
    else res.setHeader(key, value)
  }
}

/**
 * Lets a response show what `writeHead` was given, as if that had been sent; `args` then name no headers any more.
 *
 * @returns what takes it back. What Node refuses is left to be refused when it is sent.
 */
export function showHead(res: any, args: any[]): () => void {
  const at = headersAt(args)
  const headers = args[at]
  const { statusCode } = res
  // HTTP/2 warns of whoever touches it.
  const named = typeof args[1] === 'string'
  const reason = named ? res.statusMessage : undefined
  const before = new Map<string, unknown>()
  const hide = () => {
    res.statusCode = statusCode
    if (named) res.statusMessage = reason
    for (const [name, value] of before) {
      if (value === undefined) res.removeHeader(name)
      else res.setHeader(name, value)
    }
  }
  try {
    if (Number.isInteger(args[0])) res.statusCode = args[0]
    if (named) res.statusMessage = args[1]
    if (!headers) return hide
    const names = Array.isArray(headers) ? pairsOf(headers).map(([name]) => name) : Object.keys(headers)
    for (const name of names) if (name) before.set(name, res.getHeader(name))
    setGivenHeaders(res, headers)
    args.length = named ? 2 : 1
  } catch {
    hide()
  }
  return hide
}

function pairsOf(list: any[]): [string, any][] {
  if (Array.isArray(list[0])) return list
  if (list.length % 2 !== 0) throw new TypeError('headers array is malformed')
  const pairs: [string, any][] = []
  for (let i = 0; i < list.length; i += 2) pairs.push([list[i], list[i + 1]])
  return pairs
}
