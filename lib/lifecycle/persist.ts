import { decodeFound, keptText, rememberWritten } from '../store/found'
import type { UserChange } from '../store/contract'
import { SessionError } from '../base/errors'
import { asCookie, jsonOfCookie, lifeOfCookie } from '../session/kept-cookie'
import { lifeOf } from './lifetime'
import { mergeData } from '../record/merge'
import type { Monitor } from '../engine/monitor'
import type { Settings } from '../options/options'
import { encodeRecord, META, type Meta } from '../record/record'
import { Session, stateOf } from '../session/session'
import { storedIdOf, toldOwner, type Tracked } from './tracked'
import { chain, type MaybePromise, type Milliseconds } from '../base/time'
import { writers } from '../store/turns'

/** Writers that keep getting in each other's way give up here; far beyond what real traffic needs. */
const ATTEMPTS_MAX = 64

/** What a write needs beside the session itself. */
export interface WriteContext {
  settings: Settings
  monitor: Monitor
  /** The time of use that is written down: now, or the old one where the request must not extend. */
  usedAt: Milliseconds
  /** Hash of what the session is bound to. */
  binding: string | undefined
  /** Hash that ties the record to its ID, where records leave the process. */
  owner: string | undefined
}

/**
 * Writes a session's data against what was read: merged with what others wrote meanwhile, never over it.
 *
 * @returns `false` when the session is gone. @throws {SessionError} `ERR_SESSION_CONFLICT`, or the store's fault
 */
export function persist(tracked: Tracked, dataText: string, context: WriteContext): MaybePromise<boolean> {
  return attempt(tracked, dataText, context, 1)
}

function attempt(tracked: Tracked, dataText: string, context: WriteContext, count: number): MaybePromise<boolean> {
  const { settings, monitor } = context
  const { session, id } = tracked
  const merged = mergedText(tracked, dataText)
  const state = stateOf(session)!
  const user = settings.userId?.(session) ?? toldOwner(settings, tracked)
  const meta = settings.writesMeta ? metaFor(tracked, user, context) : tracked.meta
  const cookieText = jsonOfCookie(state)
  const record = encodeRecord(cookieText, meta, merged)
  const change: UserChange | undefined =
    user === undefined && tracked.meta?.i === undefined ? undefined : { from: tracked.meta?.i, to: user }
  const life = lifeOf(settings, lifeOfCookie(state), tracked.createdAt, context.usedAt)
  const { carrier } = settings.backend
  const value = carrier === undefined ? undefined : carrier.seal(record, settings.name, settings.keys!)
  const live = () => liveRecord(tracked, merged, dataText, meta)

  return chain(
    settings.backend.write({
      id: storedIdOf(settings, tracked),
      text: record,
      expected: tracked.kept,
      life,
      user: change,
      live
    }),
    (result) => {
      if (result === null) {
        tracked.dead = true
        return false
      }
      if (result === true || typeof result === 'string') {
        const { native } = settings.backend
        const { record: before, copy } = tracked
        if (native && before?.cookieText === cookieText && copy?.text === merged) {
          rememberWritten(record, before.rewritten(copy, meta))
        }
        tracked.kept = native ? record : merged
        tracked.keptData = merged
        tracked.base = dataText
        tracked.meta = meta
        tracked.usedAt = context.usedAt
        tracked.value = value ?? (result === true ? tracked.value : result)
        return true
      }
      // Somebody else wrote in between.
      if (tracked.kept !== null) monitor.note('conflict', settings.name, id)
      else if (!settings.classic) throw idTaken()
      if (tracked.exact || count >= ATTEMPTS_MAX) throw conflict()
      const found = decodeFound(result)
      if (found === undefined) throw conflict()
      if (found.meta?.n !== undefined) {
        tracked.dead = true
        return false
      }
      if (tracked.kept === null) tracked.base = tracked.keptData = '{}'
      else tracked.keptData = found.dataText
      tracked.kept = keptText(result, found)
      tracked.meta = found.meta ?? tracked.meta
      const again = () => attempt(tracked, dataText, context, count + 1)
      // An update has its turn already, also for what it saves on the way.
      return count > 1 || tracked.updating ? again() : writers.take(settings.backend.store, id, again)
    }
  )
}

// What the store keeps, with our changes since `base` laid over it.
function mergedText({ base, keptData }: Tracked, dataText: string): string {
  if (keptData === base || dataText === keptData) return dataText
  return JSON.stringify(mergeData(JSON.parse(base), JSON.parse(dataText), JSON.parse(keptData)))
}

function metaFor(tracked: Tracked, user: string | undefined, context: WriteContext): Meta {
  const meta: Meta = { u: context.usedAt, c: tracked.createdAt }
  if (context.owner !== undefined) meta.h = context.owner
  const binding = tracked.meta?.b ?? context.binding
  if (binding !== undefined) meta.b = binding
  if (user !== undefined) meta.i = user
  if (context.settings.backend.carrier !== undefined) meta.d = tracked.id
  return meta
}

/**
 * What stores of the contract take: the session itself, with its live cookie, and they may add to it
 * (session-file-store does). Only where the record holds more than the application's view do they get a copy.
 */
export function liveRecord(tracked: Tracked, merged: string, dataText: string, meta: Meta | undefined): object {
  const { session } = tracked
  if (meta === undefined && merged === dataText) return session
  const copy = new Session({}, JSON.parse(merged), stateOf(session)!.host, tracked.id)
  copy.cookie = asCookie(session.cookie)
  if (meta !== undefined) Object.defineProperty(copy, META, { configurable: true, enumerable: true, value: meta })
  return copy
}

function idTaken(): SessionError {
  return new SessionError(
    'ERR_SESSION_OPTION',
    'The new session ID is already in use: genid must never return the same ID twice.'
  )
}

function conflict(): SessionError {
  return new SessionError(
    'ERR_SESSION_CONFLICT',
    'The session could not be written: other requests kept changing it. Use session.update() or session.lock().'
  )
}
