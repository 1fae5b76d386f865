import { OptionError, type SessionError } from '../base/errors'
import type { Milliseconds } from '../base/time'
import { stateOf, type Session } from './session'
import type { SessionState } from './verbs'

/** What is known of a session and is no data of the application. */
export interface SessionInfo<Store = unknown> {
  /** The cookie name it travels under: gorilla's `Name()`. */
  readonly name: string | undefined
  /** Where it is kept: gorilla's `Store()`. */
  readonly store: Store
  /** `true` until it has been stored and came back: gorilla's `IsNew`. */
  readonly isNew: boolean
  /** Why the visitor's earlier session was not accepted, if there was one. */
  readonly error: SessionError | undefined
  readonly createdAt: Milliseconds
  /** When it ends if it is not used again; `null`: not by itself. */
  readonly expiresAt: Milliseconds | null
  /** Fires when the session is destroyed, revoked, given another ID or expires. */
  readonly signal: AbortSignal | undefined
}

/** The state of what is given to a function for sessions. @throws {OptionError} for what is no session of this package */
export function knownState(asker: string, session: Session): SessionState {
  const state = typeof session === 'object' && session !== null ? stateOf(session) : undefined
  if (state === undefined) throw new OptionError(`${asker}() needs a session, req.session say`)
  return state
}

/** Tells what is known of a session, behind both doors. @throws {OptionError} for what is no session of this package */
export function infoOf(session: Session): SessionInfo {
  const state = knownState('infoOf', session)
  return {
    name: state.verbs.name,
    store: state.verbs.store,
    isNew: state.isNew,
    get error() {
      return typeof state.error === 'function' ? (state.error = state.error()) : state.error
    },
    createdAt: state.createdAt,
    get expiresAt() {
      return state.verbs.expiresAt(session)
    },
    get signal() {
      return (state.signal ??= state.verbs.watch(session))
    }
  }
}
