import { OptionError, SessionError } from '../base/errors'
import type { MaybePromise } from '../base/time'
import type { Visit } from './engine'

/** A fault of the store as the application meets it: with a status, and the store's own error as its cause. */
export function storeFault(err: unknown, verb: string, status: number): SessionError {
  if (err instanceof SessionError && err.kind !== 'store') return err
  // A mistake of the application, noticed only now.
  if (err instanceof OptionError) return new SessionError(err.code, err.message, { cause: err })
  if (err instanceof SessionError && err.code !== 'ERR_SESSION_STORE') {
    return new SessionError(err.code, err.message, { cause: err.cause, status })
  }
  const cause = err instanceof SessionError && err.cause !== undefined ? err.cause : err
  const message =
    err instanceof SessionError
      ? err.message
      : `The session store failed to ${verb}; see the cause, and check that the store is reachable.`
  return new SessionError('ERR_SESSION_STORE', message, { cause, status })
}

/** The session of an anonymous request, because the store could not be read: asked for by name, saving it fails. */
export function standInError(): SessionError {
  return new SessionError(
    'ERR_SESSION_STORE',
    'The session of this request could not be read; the one that stands in for it is not saved.',
    { status: 503 }
  )
}

/** The session is gone, and no save brings it back. */
export function destroyedError(): SessionError {
  return new SessionError(
    'ERR_SESSION_DESTROYED',
    'The session was destroyed, regenerated or revoked meanwhile; its data was not saved. Let the visitor log in again.'
  )
}

/** A session that begins, or whose cookie changes with it, after the cookie could still be sent. */
export function tooLateError(begins: boolean): SessionError {
  const what = begins
    ? 'A session was begun after the response had started: its cookie cannot be sent, and it is not stored. '
    : 'A session whose cookie changes with it was changed after the response had started: the cookie cannot be sent, ' +
      'and the change is lost. '
  const remedy = 'Write to req.session before the first byte of the response.'
  return new SessionError('ERR_SESSION_HEADERS_SENT', what + remedy)
}

/** Does what a verb asks of the store; a fault is counted, and left unchanged where express-session's ways were asked for. */
export async function guarded<T>({ engine, settings }: Visit, verb: string, work: () => MaybePromise<T>): Promise<T> {
  try {
    return await work()
  } catch (err) {
    if (err instanceof SessionError && err.kind === 'usage') throw err
    if (!(err instanceof SessionError && err.code === 'ERR_SESSION_CONFLICT')) {
      engine.monitor.note('error', settings.name, undefined, { error: err })
    }
    throw settings.rawFaults ? err : storeFault(err, verb, settings.port.remote ? 503 : 500)
  }
}

/** `req.session` is read before its store, which answers later, was asked. */
export function notLoadedError(): SessionError {
  return new SessionError(
    'ERR_SESSION_NOT_LOADED',
    'The session is not loaded yet: call "await req.sessions.load()" before reading req.session, or use the option load: "eager".'
  )
}

/** The store does not know the session (any more). */
export function missingError(): SessionError {
  return new SessionError('ERR_SESSION_MISSING', 'failed to load session')
}

/** `genid` has answered an ID that the store has a session of. */
export function idTakenError(): SessionError {
  return new SessionError(
    'ERR_SESSION_OPTION',
    'The new session ID is already in use: genid must never return the same ID twice.'
  )
}

/** A write lost against others as often as it may. */
export function conflictError(): SessionError {
  return new SessionError(
    'ERR_SESSION_CONFLICT',
    'The session could not be written: other requests kept changing it. Use session.update() or session.lock().'
  )
}
