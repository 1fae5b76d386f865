import type { Milliseconds } from '../base/time'
import type { Engine } from '../engine/engine'
import type { HttpRequest } from '../base/http'
import type { Plan } from '../doors/door'
import type { Settings } from '../options/settings'
import { attributesOf, keptAttributesOf } from '../session/cookie-state'
import { stateOf, type Session } from '../session/session'
import { isDue, lifeOfCookie, type CookieLife } from './lifetime'
import type { Snapshot } from './snapshot'

/** A session at the end of its request. */
export interface Planned {
  readonly engine: Engine
  readonly settings: Settings
  readonly req: HttpRequest
  readonly id: string
  readonly snapshot: Snapshot
  /** What the request began with. */
  readonly original: { readonly id: string; readonly data: string }
  /** The request proved to have this ID. */
  readonly isPresented: boolean
  readonly tokens: { readonly isStale: boolean }
  /** `renewed`: its ID is new since the request began, and it is stored and sent even if it is empty. */
  readonly status: string
}

/** Gathers the facts about a session, whose data is now `data`, and lets the door decide. */
export function planFor(planned: Planned, session: Session, data: string): Plan {
  const { settings, snapshot, original, id, isPresented } = planned
  const { door, tokens, port, rolling, resave, saveUninitialized, limits, writesMeta } = settings
  const { selfContained } = tokens
  const state = stateOf(session)!
  const cookie = lifeOfCookie(state)
  const stored = snapshot.version !== null
  const attributes = door.watchesCookie || original.id !== id ? attributesOf(state) : undefined
  const cookieChanged = attributes !== undefined && attributes !== (snapshot.attributes ?? keptAttributesOf(state))
  // A record of express-session does not say when the session began: unless that is written down, it never gets old.
  const lacksMeta = stored && writesMeta && !selfContained && !snapshot.meta
  const mustSave = planned.status === 'renewed' || lacksMeta || isUnindexed(planned, session)
  const plan = door.plan({
    presented: isPresented,
    stored,
    modified: door.isModified({ original, id, data, base: snapshot.data, mustSave }),
    // What an application gives the cookie after an explicit save is stored with the session's new ID (passport).
    saved: snapshot.savedData === data && !cookieChanged && !mustSave,
    everSaved: snapshot.savedData !== undefined,
    cookieChanged,
    persistent: door.endsByDate ? cookie.expires != null : typeof cookie.originalMaxAge === 'number',
    due: isDue(settings, planned.req, cookie, extendedAt(planned)),
    stale: planned.tokens.isStale,
    // A store without touch() is extended by writing; express-session leaves it alone.
    canTouch: limits.idle !== null || (selfContained ? door.resendsToExtend : port.touches || door.marksForeignRecords),
    selfContained,
    rolling,
    resave,
    saveUninitialized
  })
  if (!selfContained) return plan
  // A cookie that is the record can only be sent by writing it, and written by sending it.
  if (plan.store === 'none') return plan.sendCookie ? { ...plan, store: 'touch' } : plan
  return { ...plan, sendCookie: true }
}

/** Whether the record does not name the session's user: the option may be younger than the session, or have changed. */
export function isUnindexed({ settings, snapshot }: Pick<Planned, 'settings' | 'snapshot'>, session: Session): boolean {
  if (settings.userId === undefined || snapshot.version === null) return false
  const user = settings.userId(session)
  return user !== undefined && user !== snapshot.meta?.i
}

type Extended = Pick<Planned, 'engine' | 'settings' | 'req' | 'id' | 'snapshot'>

function extendedAt({ engine, settings, id, snapshot }: Extended): Milliseconds {
  if (tellsExtension(settings)) return snapshot.usedAt
  return Math.max(engine.extended.get(id) ?? 0, snapshot.meta?.u ?? 0)
}

/** When a session was used last, for its lifetime: now, if the response extends it. */
export function lastUse(planned: Extended, cookie: CookieLife): Milliseconds {
  const last = extendedAt(planned)
  return isDue(planned.settings, planned.req, cookie, last) ? Date.now() : Math.max(planned.snapshot.usedAt, last)
}

/** Remembers when a session was extended, where its record will not tell. */
export function noteExtended({ extended }: Engine, settings: Settings, id: string, usedAt: Milliseconds): void {
  if (!tellsExtension(settings)) extended.set(id, usedAt)
}

// A record of ours says when it was last extended, in a store of ours.
function tellsExtension({ port, writesMeta, touchAfter }: Settings): boolean {
  return touchAfter === 0 || (writesMeta && port.native)
}
