import { SessionError, unavailable } from '../../base/errors'
import type { Milliseconds } from '../../base/time'

/** The error of a command that did not reach a server, or that the server did not take. */
export function fault(err: unknown, command: string): SessionError {
  // The client may give one error, a list of them, or a text.
  const cause: unknown = Array.isArray(err) ? err[0] : err
  const message = cause instanceof Error ? cause.message : String(cause)
  // What the client cannot read it quotes, and that may be a session.
  const isQuoted = message.startsWith('Unknown response')
  const safe = isQuoted ? new Error('Unknown response from the memcached server') : cause
  return unavailable(`memcached did not carry out ${command}`, safe)
}

/** The server, or a proxy before it, answered SERVER_ERROR: the client keeps the reason to itself. */
export function refused(command: string): SessionError {
  return unavailable(
    `memcached refused ${command}: look at the client's events "issue" and "failure", and whether the server has memory`
  )
}

export function unanswered(command: string, timeout: Milliseconds): SessionError {
  return new SessionError(
    'ERR_SESSION_STORE_TIMEOUT',
    `memcached did not answer ${command} within ${timeout} ms; check that it is reachable, or raise storeTimeout`,
    { status: 503 }
  )
}
