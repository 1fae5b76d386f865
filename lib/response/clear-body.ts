/** Headers that describe the refused body; an error page brings its own. */
const BODY_HEADERS = [
  ...['Content-Length', 'Content-Type', 'Content-Encoding', 'Content-Range', 'Content-Disposition', 'Content-Language'],
  ...['Content-MD5', 'ETag', 'Last-Modified', 'Accept-Ranges', 'Transfer-Encoding', 'Trailer', 'Location'],
  ...['Cache-Control', 'Expires']
]

/** Makes room for an error page where a response was held back. `calls`: what the handler has called. */
export function clearBody(res: any, calls: readonly { args: any[] }[], err: unknown): void {
  // Node closes the connection after a body whose framing was taken away, even if it was never set.
  for (const name of BODY_HEADERS) if (res.hasHeader?.(name) !== false) res.removeHeader?.(name)
  const status = (err as { status?: unknown } | null)?.status
  res.statusCode = typeof status === 'number' ? status : 500
  for (const { args } of calls) dropCall(res, args)
}

/** Who waits for a call that is not carried out is told when the response has been sent. */
export function dropCall(res: any, args: any[]): void {
  const callback = args[args.length - 1]
  if (typeof callback === 'function') res.once?.('finish', () => callback())
}
