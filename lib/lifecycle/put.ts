import { attributesOf, keptAttributesOf } from '../session/cookie-state'
import { stateOf, type Session } from '../session/session'
import type { Handle } from './handle'
import { newSession } from './snapshot'

/** The application puts another session object on the request (`store.createSession`), or begins one (`generate`). */
export function putSession(handle: Handle, session: Session, begins: boolean): void {
  const state = stateOf(session)!
  if (handle.status === 'ended') {
    handle.status = 'stored'
    handle.session = handle.latest
  }
  const { latest, id, snapshot } = handle
  if (latest === session) return
  const before = latest === undefined ? undefined : stateOf(latest)!
  if (before !== undefined && (begins || id === state.id)) {
    const { createdAt, isNew, error } = before
    Object.assign(state, { createdAt, isNew, error })
  }
  if (before !== undefined && id === state.id) {
    const attributes = snapshot.attributes ?? keptAttributesOf(before)
    handle.session = handle.latest = session
    handle.snapshot = { ...snapshot, attributes, record: undefined }
    return
  }
  const fresh = { ...newSession(handle, state.id).snapshot, attributes: state.cookie && attributesOf(state.cookie) }
  handle.start({ id: state.id, session, snapshot: fresh }, begins && handle.status === 'new' ? 'new' : 'renewed')
}

/** What the application's changes are counted from: the store's own `createSession` has changed the record first. */
export function rebase(handle: Handle, data: string): void {
  const { snapshot } = handle
  if (data === snapshot.data) return
  const savedData = snapshot.savedData === undefined ? undefined : data
  handle.snapshot = { ...snapshot, data, storedData: data, savedData, record: undefined }
}
