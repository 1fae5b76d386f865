import { writeSession } from '../lifecycle/save'
import { OptionError } from '../base/errors'
import { EmptyRequest } from '../base/http'
import { shaped, type Engine } from '../engine/engine'
import { isUnindexed } from '../lifecycle/commit'
import { recordOf } from '../lifecycle/load'
import { keptDeadline } from '../lifecycle/lifetime'
import { SessionHandle } from '../lifecycle/verbs/session-handle'
import { storedSession } from '../lifecycle/snapshot'
import { encodeRecord } from '../record/record'
import { asked } from '../options/option-checks'
import type { Session } from '../session/session'
import { versionOf } from '../store/record-cache'
import { callStore, type Method } from '../store/call'
import type { StoreKey } from '../store/port'

/** Sessions between two turns of the event loop: a few milliseconds. */
const AT_ONCE = 100

/** Options of `auth.reindex()`. */
export interface ReindexOptions {
  /** Ends it: what was done so far stays done. */
  signal?: AbortSignal | undefined
  /** Called after each session, and waited for. */
  onProgress?: ((progress: ReindexProgress) => unknown) | undefined
}

export interface ReindexProgress {
  /** Sessions looked at. */
  seen: number
  /** Those that belong to a user whom their record did not name. */
  indexed: number
  /** Sessions in all. */
  total: number
}

/** Indexes the sessions of users whose records do not name them yet. */
export async function reindex(engine: Engine, { signal, onProgress }: ReindexOptions): Promise<ReindexProgress> {
  const { port, userId } = engine.settings
  const { store } = port
  if (userId === undefined) throw new OptionError('Listing and revoking need the option userId')
  if (typeof store.ids !== 'function' || !port.native || port.carrier !== undefined) {
    throw new OptionError('reindex() needs a store of this package that can list its IDs')
  }
  const report = onProgress && asked('onProgress', onProgress)
  // With a callback: a store that answers at once lets others have their turn then.
  const ids = await callStore<StoreKey[]>(store, store.ids as Method, [])
  const progress = { seen: 0, indexed: 0, total: ids.length }
  for (const id of ids) {
    if (signal?.aborted) break
    if (await indexOne(engine, id)) progress.indexed++
    progress.seen++
    await report?.({ ...progress })
    // Stores that answer at once would let nothing else run until the last one.
    if (progress.seen % AT_ONCE === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  return progress
}

/**
 * Indexes a session that was loaded outside of a response: a revocation would miss its connection. Where the store takes
 * no writes for now, the session is there all the same.
 */
export async function indexLoaded(handle: SessionHandle, session: Session): Promise<void> {
  const { engine, settings, id, status } = handle
  try {
    if (status === 'stored' && isUnindexed(handle, session))
      await writeSession(handle, session, { text: handle.snapshot.data })
  } catch (error) {
    engine.monitor.note('error', settings.name, id, { error })
  }
}

// Another writer may come first: then it has indexed the session itself.
async function indexOne(engine: Engine, key: StoreKey): Promise<boolean> {
  const { settings } = engine
  const { port } = settings
  const found = await port.readKey(key)
  const record = recordOf(found)
  if (found === null || record === undefined) return false
  const shape = await shaped(settings, record.data)
  if ('issues' in shape) return false
  const handle = new SessionHandle(engine, settings, new EmptyRequest())
  const version = versionOf(found, record)
  const { session } = storedSession(handle, key, {
    record: record.withData(shape.data, record.dataText),
    version,
    usedAt: found.usedAt
  })
  const user = settings.userId!(session)
  const from = record.meta?.i
  if (user === undefined || user === from) return false
  const now = Date.now()
  const usedAt = found.usedAt ?? record.meta?.u ?? now
  const createdAt = record.meta?.c ?? now
  const meta = { ...record.meta, u: usedAt, c: createdAt, i: user }
  const expiresAt = keptDeadline(settings, handle.req, record.cookie, { createdAt, usedAt })
  const text = encodeRecord(record.cookieText, meta, record.dataText)
  const written = await port.write({
    id: key,
    text,
    expected: version,
    life: { usedAt, expiresAt },
    user: { from, to: user }
  })
  return written === true
}
