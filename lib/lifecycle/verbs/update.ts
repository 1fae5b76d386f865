import { SessionError } from '../../base/errors'
import { destroyedError } from '../../engine/faults'
import { mergeData } from '../../record/merge'
import { changesSince, repeatChanges } from '../../session/late-changes'
import { serializeSession } from '../../session/serialize'
import { replaceData, stateOf, type Session } from '../../session/session'
import type { Found } from '../../store/contract'
import { versionOf } from '../../store/record-cache'
import { writers } from '../../store/keyed-queue'
import { recordOf } from '../load'
import type { Snapshot, Maker } from '../snapshot'

const UPDATES_MAX = 1000

/** A session that is to be updated, as its handle lets it be. */
export interface Updating extends Maker {
  /** What is known of the session now. @throws {SessionError} where it cannot be written */
  known(session: Session): Snapshot
  /** Replaces what is known. */
  learn(session: Session, snapshot: Snapshot): void
  read(storeId: string): Promise<Found | null>
  /** Writes only over exactly what is known. @throws {SessionError} `ERR_SESSION_CONFLICT` */
  writeExactly(session: Session, data: string): Promise<void>
  /** The session has ended meanwhile. */
  lose(): void
  /** Marks the time in which the application's function runs. */
  setUpdating(updating: boolean): void
}

/** Runs `fn` on the newest data of a session and writes what it made of it, until nothing came in between. */
export function updateSession<T>(
  updating: Updating,
  session: Session,
  fn: (session: Session) => T | Promise<T>
): Promise<T> {
  const { settings } = updating
  return writers.take(settings.port, stateOf(session)!.id, async () => {
    for (let count = 0; count < UPDATES_MAX; count++) {
      await refresh(updating, session)
      const before = serializeSession(session)
      const undo = () => replaceData(session, JSON.parse(before) as Record<string, unknown>)
      let result: T
      updating.setUpdating(true)
      try {
        result = await fn(session)
      } catch (err) {
        undo()
        throw err
      } finally {
        updating.setUpdating(false)
      }
      const known = updating.known(session)
      const made = serializeSession(session)
      try {
        await updating.writeExactly(session, made)
        return result
      } catch (err) {
        if (!(err instanceof SessionError && err.code === 'ERR_SESSION_CONFLICT')) throw err
        updating.learn(session, known)
        // What the rest of the request has set meanwhile is none of what is done again.
        const late = changesSince(JSON.parse(made) as Record<string, unknown>, session)
        undo()
        repeatChanges(late, session)
      }
    }
    throw new SessionError(
      'ERR_SESSION_CONFLICT',
      'session.update() gave up: other requests kept changing the session.'
    )
  }) as Promise<T>
}

// Brings a session up to date: what others wrote, with our unsaved changes laid over it.
async function refresh(updating: Updating, session: Session): Promise<void> {
  const known = updating.known(session)
  if (known.version === null) return
  const found = await updating.read(known.storeId)
  // What a cookie carries, and what a store shows late, is not gone because it cannot be read.
  if (found === null && (updating.settings.tokens.selfContained || known.own)) return
  const record = recordOf(found)
  // A rotated ID is read-only, and an ended one nothing.
  if (found === null || record === undefined) {
    updating.lose()
    throw destroyedError()
  }
  const local = serializeSession(session)
  if (record.dataText !== local) {
    const [base, ours] = [JSON.parse(known.data), JSON.parse(local)] as [
      Record<string, unknown>,
      Record<string, unknown>
    ]
    replaceData(session, mergeData(base, ours, record.data))
  }
  updating.learn(session, {
    ...known,
    version: versionOf(found, record),
    data: record.dataText,
    storedData: record.dataText,
    meta: record.meta ?? known.meta,
    record: undefined
  })
}
