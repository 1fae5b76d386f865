import { SessionError, unavailable } from '../../base/errors'
import type { Milliseconds } from '../../base/time'

/** How many replicas must have confirmed a removal, and within which time. */
export interface RedisWait {
  replicas: number
  timeout: Milliseconds
}

/**
 * The error of a command that Redis refused or never answered.
 * @param needed the commands an ACL must allow for it, lower case: first the one that was asked
 */
export function fault(err: unknown, needed: string): SessionError {
  if (err instanceof SessionError) return err
  const text = err instanceof Error ? err.message : ''
  return unavailable(`Redis ${reasonOf(text, needed.split(' '))}`, withoutArguments(err, text))
}

/** Redis has deleted a session, and its replicas may not have. */
export function unconfirmed(confirmed: number, { replicas, timeout }: RedisWait): SessionError {
  return unavailable(
    `Redis removed the session, but ${confirmed} of ${replicas} replicas confirmed it within ${timeout} ms: ` +
      'a failover may bring it back'
  )
}

/** Where a cluster has moved a key, so that the command has not been carried out; `asked` while it is being moved. */
export function redirectionOf(err: unknown): { asked: string | undefined } | undefined {
  const [, code, node] = /^(MOVED|ASK) \d+ (\S+)/.exec(err instanceof Error ? err.message : '') ?? []
  return code === undefined ? undefined : { asked: code === 'ASK' ? node : undefined }
}

/** Whether a key holds something that is no string, so no session of ours: absent, and left alone. */
export function isWrongType(err: unknown): boolean {
  // Before version 7 the reason stands inside the message of a script's error.
  return err instanceof Error && err.message.includes('WRONGTYPE')
}

/** Whether a server knows a command, but not one of its options; or a proxy lets it not through. */
export function isUnknownOption(err: unknown): boolean {
  return messageOfCause(err).startsWith('ERR')
}

/** Whether a server refused a command because it has several keys, or knows none that takes so many. */
export function isRefusedTogether(err: unknown): boolean {
  return /^(?:ERR|NOPERM|CROSSSLOT)\b/.test(messageOfCause(err))
}

export function isUnknownScript(err: unknown): boolean {
  return err instanceof Error && err.message.startsWith('NOSCRIPT')
}

function messageOfCause(err: unknown): string {
  const { cause } = (err ?? {}) as { cause?: unknown }
  return cause instanceof Error ? cause.message : ''
}

// Only the reply's code enters the message: the rest of it may quote keys.
function reasonOf(text: string, needed: string[]): string {
  // What replicas are to confirm goes in a batch, and so as EVAL.
  const command = needed.includes('wait') ? 'EVAL' : needed[0]!.toUpperCase()
  const allow = needed.map((name) => `+${name}`).join(' ')
  if (text.startsWith('NOPERM') || /user executing the script|ACL failure in script/.test(text)) {
    return `refuses ${command} to this user: its ACL must allow ${allow}, and the keys of the store`
  }
  if (/unknown (?:redis )?command/i.test(text)) return `has ${command} disabled: the store needs ${allow}`
  const code = /^[A-Z]{2,}(?=\s|$)/.exec(text)?.[0]
  if (code === 'MOVED' || code === 'ASK') return `refused ${command}: ${code} (a cluster needs a cluster client)`
  return code === undefined ? `did not answer ${command}` : `refused ${command}: ${code}`
}

// Errors end up in logs with their cause, and both clients' and servers' errors may quote the session.
function withoutArguments(err: unknown, text: string): unknown {
  const quoted = text.indexOf(', with args')
  if (quoted !== -1) return new Error(text.slice(0, quoted))
  const { command } = (err ?? {}) as { command?: { name?: unknown } }
  if (typeof command === 'object' && command !== null) (err as { command: unknown }).command = { name: command.name }
  return err
}
