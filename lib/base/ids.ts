import { SessionError } from './errors'
import { withRandom } from './random'

const ID_BYTES = 24

/** A new session ID: 192 random bits (OWASP asks for 64, ASVS 7.2.3 for 128), 32 characters of base64url. */
export function randomId(): string {
  return withRandom(ID_BYTES, (bytes, start, end) => bytes.toString('base64url', start, end))
}

// No separator of paths, keys or globs can occur: an ID is safe as part of a file name and a Redis key.
const ID = /^[A-Za-z0-9_-][A-Za-z0-9_.~-]{0,127}$/

/** Whether a text can be a session ID of `sessions()`. */
export function isSessionId(id: unknown): id is string {
  return typeof id === 'string' && ID.test(id)
}

/** @throws {SessionError} for what a `genid` must not return */
export function checkGeneratedId(id: unknown, previous: string | undefined): string {
  if (!isSessionId(id)) {
    throw new SessionError(
      'ERR_SESSION_OPTION',
      'genid must return 1 to 128 letters, digits, "-", "_", "." or "~", not beginning with "." or "~"'
    )
  }
  if (id === previous) throw new SessionError('ERR_SESSION_OPTION', 'genid returned the same session ID twice')
  return id
}
