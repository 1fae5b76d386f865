import { OptionError, SessionError, unavailable } from '../../base/errors'

const DUPLICATE_KEY = 11000

/** Whether a document could not be inserted because there is one with its `_id`. */
export function isDuplicate(err: unknown): boolean {
  return (err as { code?: unknown } | null)?.code === DUPLICATE_KEY
}

/** The error of a command that MongoDB refused or never answered. */
export function fault(err: unknown, command: string): SessionError {
  if (err instanceof SessionError || err instanceof OptionError) return err
  const { codeName, name } = (err ?? {}) as { codeName?: unknown; name?: unknown }
  const reason = typeof codeName === 'string' ? codeName : typeof name === 'string' ? name : 'unknown reason'
  return unavailable(`MongoDB did not carry out ${command}: ${reason}`, withoutCommand(err))
}

// Errors end up in logs with their cause, and some of the server's quote the command with the session in it.
function withoutCommand(err: unknown): unknown {
  if (!(err instanceof Error)) return err
  const quoted = err.message.indexOf('{')
  if (quoted === -1) return err
  const { name, code, codeName } = err as Error & { code?: unknown; codeName?: unknown }
  return Object.assign(new Error(err.message.slice(0, quoted)), { name, code, codeName })
}
