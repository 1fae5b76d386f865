import { randomFillSync } from 'node:crypto'
import { SessionError } from './errors'
import { SECOND, type Milliseconds } from './time'

const pool = Buffer.allocUnsafeSlow(4096)
// What a copy of this process (a virtual machine restored from a snapshot) finds here is too old to be handed out again.
const LIFE: Milliseconds = SECOND
let used = pool.length
let filledAt: Milliseconds = 0

/**
 * Calls back with so many random bytes, 4096 at most; they are wiped afterwards, so copy what is to stay.
 *
 * Asking the system for each ID and each nonce takes longer than all that is done with them.
 */
export function withRandom<T>(length: number, use: (bytes: Buffer, start: number, end: number) => T): T {
  const now = Date.now()
  if (used + length > pool.length || now < filledAt || now - filledAt >= LIFE) {
    randomFillSync(pool)
    used = 0
    filledAt = now
  }
  const start = used
  used += length
  try {
    return use(pool, start, used)
  } finally {
    pool.fill(0, start, start + length)
  }
}

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

/** @throws {SessionError} for half a surrogate pair: stores would take all of them for one, and no cookie carries it */
export function checkAnyId(id: unknown): string {
  if (typeof id === 'string' && /\p{Surrogate}/u.test(id)) {
    throw new SessionError('ERR_SESSION_OPTION', 'genid must return a well-formed text, without half a surrogate pair')
  }
  return id as string
}
