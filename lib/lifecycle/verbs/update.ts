import { SessionError } from '../../base/errors'
import { destroyedError, guarded } from '../../engine/faults'
import { parseData } from '../../record/merge'
import { changesSince, repeatChanges } from '../../session/late-changes'
import { serializeSession, withinStack } from '../../session/data'
import { replaceData, stateOf, type Session } from '../../session/session'
import { copyValues, mergeLive } from '../../session/values'
import { versionOf } from '../../store/record-cache'
import { inWritersTurn } from '../../store/keyed-queue'
import { recordOf } from '../load'
import { writeNow } from '../save'
import { shownLate } from '../snapshot'
import type { SessionHandle } from './session-handle'

const UPDATES_MAX = 1000

/** Runs `fn` on the newest data of a session and writes what it made of it, until nothing came in between. */
export function updateSession<T>(
  handle: SessionHandle,
  session: Session,
  fn: (session: Session) => T | Promise<T>
): Promise<T> {
  return inWritersTurn(handle.settings.port, stateOf(session)!.id, async () => {
    for (let count = 0; count < UPDATES_MAX; count++) {
      await refresh(handle, session)
      const before = withinStack(() => copyValues(session))
      const undo = () => replaceData(session, copyValues(before))
      let result: T
      handle.updating = true
      try {
        result = await fn(session)
      } catch (err) {
        undo()
        throw err
      } finally {
        handle.updating = false
      }
      const known = handle.writable(session)
      let made: string | undefined
      try {
        made = serializeSession(session)
        await writeNow(handle, session, made, true)
        return result
      } catch (err) {
        const isConflict = err instanceof SessionError && err.code === 'ERR_SESSION_CONFLICT'
        // It was written, and what came behind that has failed (maxPerUser).
        if (!isConflict && handle.snapshot !== known && handle.snapshot.savedData === made) throw err
        // The end of the request would save it over what others make of it by then. What the rest of the request has set
        // meanwhile is none of it.
        handle.snapshot = known
        const late = changesSince(made === undefined ? undefined : parseData(made), session)
        undo()
        repeatChanges(late, session)
        if (!isConflict) throw err
      }
    }
    throw new SessionError(
      'ERR_SESSION_CONFLICT',
      'session.update() gave up: other requests kept changing the session.'
    )
  }) as Promise<T>
}

// Brings a session up to date: what others wrote, with our unsaved changes laid over it.
async function refresh(handle: SessionHandle, session: Session): Promise<void> {
  const { settings } = handle
  const known = handle.writable(session)
  if (known.version === null) return
  const found = await guarded(handle, 'read the session', () => settings.port.read(known.storeId))
  // What a cookie carries, and what a store shows late, is not gone because it cannot be read.
  if (found === null && (settings.tokens.selfContained || shownLate(known))) return
  const record = recordOf(found)
  // A store that answers at once shows nothing late: what reads like our earlier text was written again by another.
  if (record !== undefined && !settings.port.sync && shownLate(known)?.includes(versionOf(found!, record))) return
  // A rotated ID is read-only, and an ended one nothing.
  if (found === null || record === undefined) {
    handle.lose()
    throw destroyedError()
  }
  const local = serializeSession(session)
  if (record.dataText !== local) {
    const merge = () => mergeLive(parseData(known.data), parseData(local), record.data, session)
    replaceData(session, withinStack(merge))
  }
  handle.based = ++handle.taken
  handle.snapshot = {
    ...known,
    version: versionOf(found, record),
    data: record.dataText,
    storedData: record.dataText,
    meta: record.meta ?? known.meta,
    record: undefined
  }
}
