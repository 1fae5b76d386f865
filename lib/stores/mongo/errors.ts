import { OptionError, SessionError, unavailable } from '../../base/errors'
import type { MaybePromise } from '../../base/time'

const DUPLICATE_KEY = 11000
/** Of servers before MongoDB 5: a key with `$` first. */
const DOLLAR_PREFIXED = 52

/** Asks MongoDB. @throws {SessionError} when it refuses a command, or never answers it */
export async function ask<T>(command: string, work: () => MaybePromise<T>): Promise<T> {
  try {
    return await work()
  } catch (err) {
    throw fault(err, command)
  }
}

/** `false` for what could not be inserted because there is a document with its `_id`. */
export function unlessThere(inserted: Promise<boolean>): Promise<boolean> {
  return inserted.catch((err: SessionError) => {
    if ((err.cause as { code?: unknown } | undefined)?.code !== DUPLICATE_KEY) throw err
    return false
  })
}

function fault(err: unknown, command: string): SessionError {
  if (err instanceof SessionError || err instanceof OptionError) return err
  const { code, codeName, name } = (err ?? {}) as { code?: unknown; codeName?: unknown; name?: unknown }
  if (command === 'update' && (code === DOLLAR_PREFIXED || String(name).startsWith('BSON'))) {
    return new SessionError(
      'ERR_SESSION_UNSERIALIZABLE',
      'MongoDB cannot keep the session as a document: it takes no key that is _bsontype or holds a NUL, before version 5 ' +
        'none that begins with $, and no value of another release of bson than its driver has. Take data from outside ' +
        'apart, or keep sessions as text (stringify: true).'
    )
  }
  const reason = typeof codeName === 'string' ? codeName : typeof name === 'string' ? name : 'unknown reason'
  return unavailable(`MongoDB did not carry out ${command}: ${reason}`, withoutCommand(err))
}

// Errors end up in logs with their cause, and some of the server's hold the session: they quote the command, or tell what
// a validator has against a document.
function withoutCommand(err: unknown): unknown {
  if (!(err instanceof Error)) return err
  const { name, code, codeName } = err as Error & { code?: unknown; codeName?: unknown }
  return Object.assign(new Error(err.message.split('{', 1)[0]), { name, code, codeName })
}
