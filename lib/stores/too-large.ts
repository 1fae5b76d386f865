import { quote, SessionError } from '../base/errors'
import { decodeRecord } from '../record/record'

/** What browsers keep of a cookie: bytes of name and value together. @see RFC 6265bis 5.7 */
export const COOKIE_BYTES_MAX = 4096

/** The error for a session that no cookie can hold: names the largest keys, never their values. */
export function cookieTooLarge(size: number, text: string): SessionError {
  return new SessionError(
    'ERR_SESSION_COOKIE_TOO_LARGE',
    `The session takes ${size} bytes of cookie; browsers keep ${COOKIE_BYTES_MAX}. ` +
      `${largestKeys(text)} Keep less in it, or use a store on the server.`
  )
}

/** The error for a session that alone exceeds the bound of its store: names the largest keys, never their values. */
export function sessionTooLarge(size: number, bound: string, text: string): SessionError {
  return new SessionError(
    'ERR_SESSION_TOO_LARGE',
    `The session takes ${size} bytes, more than ${bound}. ${largestKeys(text)} Keep less in it, or raise the bound.`
  )
}

function largestKeys(text: string): string {
  const { data = {}, meta } = decodeRecord(text) ?? {}
  // What a Go session carries beside its data takes room as well.
  const carried = meta?.t === undefined ? {} : (JSON.parse(meta.t) as [unknown, Record<string, unknown>])[1]
  const sizeOf = (of: Record<string, unknown>, key: string) =>
    Object.hasOwn(of, key) ? Buffer.byteLength(JSON.stringify({ [key]: of[key] })) - '{}'.length : 0
  const largest = Object.keys({ ...carried, ...data })
    .map((key) => ({ key, bytes: sizeOf(data, key) + sizeOf(carried, key) }))
    .sort((a, b) => b.bytes - a.bytes)
    .slice(0, 3)
    .map(({ key, bytes }) => `${quote(key)} (${bytes} bytes)`)
  return `Largest keys: ${largest.join(', ') || 'none'}.`
}
