import { demandPrivate, OptionError, SessionError } from '../base/errors'
import { EmptyRequest } from '../base/http'
import { shaped, type Engine } from '../engine/engine'
import { loadSession } from '../lifecycle/load'
import { SessionHandle } from '../lifecycle/verbs/session-handle'
import { userText } from '../options/option-checks'
import type { Settings } from '../options/settings'
import { MEMBERS, serializeSession } from '../session/data'
import { isModern, type Session } from '../session/session'

/** Stores a new session outside any request. */
export async function createStored(
  engine: Engine,
  settings: Settings,
  data: Record<string, any>,
  userId?: string
): Promise<{ handle: SessionHandle; session: Session; data: Record<string, unknown> }> {
  const handle = new SessionHandle(engine, settings, new EmptyRequest())
  const session = await begin(handle)
  assign(session, data)
  handle.user = userId === undefined ? undefined : userText(userId)
  // Judged as it will be loaded.
  const result = await shaped(settings, JSON.parse(serializeSession(session)) as Record<string, unknown>)
  if ('issues' in result) {
    const message = 'The schema refuses the data of the new session, which was not stored; see the cause.'
    throw new SessionError('ERR_SESSION_SCHEMA', message, { cause: result.issues })
  }
  await handle.save(session)
  return { handle, session, data: result.data }
}

// What a session has as a member takes no data at express-session's door, or hides it.
function assign(session: Session, data: unknown): void {
  demandPrivate(typeof (data ?? {}) === 'object' && !Array.isArray(data), 'auth.create()', 'data', 'an object', data)
  const name = isModern(session) ? undefined : MEMBERS.find((member) => Object.hasOwn(data ?? {}, member))
  if (name !== undefined) {
    throw new OptionError(
      `auth.create(): data named ${name} would be hidden by the session's own: give it another name`
    )
  }
  try {
    Object.assign(session, data)
  } catch (err) {
    if (err instanceof OptionError) throw err
    const message = 'The data of the new session cannot be read, so that it was not stored; see the cause.'
    throw new SessionError('ERR_SESSION_UNSERIALIZABLE', message, { cause: err })
  }
}

// No store is asked for a session that nobody brought: what fails here is a function among the options.
async function begin(handle: SessionHandle): Promise<Session> {
  try {
    return await loadSession(handle)
  } catch (err) {
    if (err instanceof SessionError || err instanceof OptionError) throw err
    throw new SessionError(
      'ERR_SESSION_OPTION',
      'A session is made here without a request: a function given as cookie or genid must do without its headers.',
      { cause: err }
    )
  }
}
