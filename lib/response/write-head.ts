import { isHttp1, type HeldResponse } from './commit-hook'

type Value = number | string | string[]

/** Where the headers are in the arguments of `writeHead(status, reason?, headers?)`; a reason may be left undefined. */
export function headersAt(args: readonly unknown[]): 1 | 2 {
  return typeof args[1] === 'string' || args[2] != null ? 2 : 1
}

/** The arguments less the headers. HTTP/2 takes a reason of null for headers, so only a text stays. */
export function withoutHeaders(args: readonly unknown[]): unknown[] {
  return args.slice(0, typeof args[1] === 'string' ? 2 : 1)
}

/** Applies the headers given to `writeHead(status, reason?, headers)` one by one, as on-headers does. */
export function setGivenHeaders(res: HeldResponse, headers: object): void {
  const pairs = pairsOf(headers)
  // The pairs of a list may repeat a name: they replace what was set before, and not one another.
  const add = Array.isArray(headers) && typeof res.appendHeader === 'function' ? 'appendHeader' : 'setHeader'
  if (add === 'appendHeader') for (const [name] of pairs) res.removeHeader(name)
  for (const [name, value] of pairs) res[add]!(name, value as string)
}

function pairsOf(headers: object): [name: string, value: Value][] {
  let pairs = Object.entries(headers) as [string, Value][]
  if (Array.isArray(headers)) {
    if (Array.isArray(headers[0])) pairs = headers as [string, Value][]
    else if (headers.length % 2 !== 0) throw new TypeError('headers array is malformed')
    else pairs = headers.flatMap((name, i) => (i % 2 === 0 ? [[name as string, headers[i + 1] as Value]] : []))
  }
  return pairs.filter(([name]) => name)
}

/**
 * Lets a response show what `writeHead` was given, as if that had been sent; `args` then name no headers any more.
 * @returns what takes it back. What Node refuses is left to be refused when it is sent.
 */
export function showHead(res: HeldResponse, args: unknown[]): () => void {
  const headers = args[headersAt(args)] as object | undefined | null
  const { statusCode } = res
  // HTTP/2 warns of reading or writing a status message.
  const named = typeof args[1] === 'string'
  const reason = named ? res.statusMessage : undefined
  const before = new Map<string, Value | undefined>()
  const hide = () => {
    res.statusCode = statusCode
    if (named) res.statusMessage = reason
    for (const [name, value] of before) {
      if (value === undefined) res.removeHeader(name)
      else res.setHeader(name, value)
    }
  }
  try {
    if (Number.isInteger(args[0])) res.statusCode = args[0] as number
    if (named) res.statusMessage = args[1] as string
    if (!headers) return hide
    for (const [name] of pairsOf(headers)) before.set(name, res.getHeader(name))
    setGivenHeaders(res, headers)
    args.length = named ? 2 : 1
  } catch {
    hide()
  }
  return hide
}

/** Headers that describe the refused body; an error page brings its own. */
const BODY_HEADERS = [
  ...['Content-Length', 'Content-Type', 'Content-Encoding', 'Content-Range', 'Content-Disposition', 'Content-Language'],
  ...['Content-MD5', 'ETag', 'Last-Modified', 'Accept-Ranges', 'Transfer-Encoding', 'Trailer', 'Location'],
  ...['Cache-Control', 'Expires']
]

/**
 * Takes back the status and the headers of a refused body, to make room for an error page.
 * @param guarded whether a session cookie is among the headers, which no cache may keep
 */
export function clearHead(res: HeldResponse, err: unknown, guarded: boolean): void {
  // Node closes the connection after a body whose framing was taken away, even if it was never set.
  for (const name of BODY_HEADERS) {
    if (res.hasHeader?.(name) !== false && !(guarded && name === 'Cache-Control')) res.removeHeader?.(name)
  }
  res.statusCode = statusOf(err)
  if (isHttp1(res)) res.statusMessage = undefined
}

/** The status of an error page that chooses none. */
export function statusOf(err: unknown): number {
  const status = (err as { status?: unknown } | null)?.status
  return typeof status === 'number' ? status : 500
}

/** The error that Node throws for headers that come too late. */
export function headersSentError(verb: string): Error {
  return Object.assign(new Error(`Cannot ${verb} headers after they are sent to the client`), {
    code: 'ERR_HTTP_HEADERS_SENT'
  })
}
