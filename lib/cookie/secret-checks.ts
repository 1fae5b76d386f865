import { randomBytes } from 'node:crypto'
import { OptionError } from '../base/errors'
import { SECRET_BYTES_MIN, sizeOf, type Secret } from './keys'
import { isProduction, warnOnce } from '../base/warnings'

const KNOWN_SECRETS = /keyboard.?cat|change.?me|your.?secret|replace.?me|insert.?secret/i
// Long enough, and printed in the documents of iron-session, @fastify/secure-session and @fastify/session.
const PUBLISHED_SECRETS = new Set([
  'complex_password_at_least_32_characters_long',
  'averylogphrasebiggerthanthirtytwochars',
  'a secret with minimum length of 32 characters'
])

/** A random secret for a process that was given none. @throws {OptionError} in production */
export function missingSecret(): Secret {
  if (isProduction()) {
    throw new OptionError(
      'secret is required in production: pass a random string of at least 32 bytes, for example from generateKey()'
    )
  }
  warnOnce(
    'SILVERBACK_SECRET',
    'No secret given: using a random one, so every session ends with this process. Pass secret to sessions().'
  )
  return randomBytes(SECRET_BYTES_MIN)
}

/** express-session finds out at the first request. @throws {OptionError} for a secret that can sign nothing */
export function checkSecretTypes(secret: unknown): void {
  for (const item of Array.isArray(secret) ? (secret as unknown[]) : [secret]) {
    if (item && typeof item !== 'string' && typeof item !== 'object') {
      throw new OptionError(`secret must be a string or Buffer, got a ${typeof item}`)
    }
  }
}

/** @throws {OptionError} unless every secret is long enough and not one from a tutorial */
export function checkSecret(secret: Secret | readonly Secret[]): Secret | readonly Secret[] {
  const list = (Array.isArray(secret) ? secret : [secret]) as unknown[]
  if (list.length === 0) throw new OptionError('secret must not be an empty array: pass at least one secret')
  for (const item of list) {
    const size = sizeOf(item)
    if (size < SECRET_BYTES_MIN) {
      throw new OptionError(
        `secret must be a string or Buffer of at least ${SECRET_BYTES_MIN} random bytes, got ${size} bytes; generateKey() makes one`
      )
    }
    if (typeof item === 'string' && (KNOWN_SECRETS.test(item) || PUBLISHED_SECRETS.has(item))) {
      throw new OptionError(
        'secret is a well-known example: anybody can forge sessions with it; generateKey() makes one'
      )
    }
  }
  return secret
}
