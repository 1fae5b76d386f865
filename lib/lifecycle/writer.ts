import { bindingOf } from '../engine/binding'
import type { Listed } from '../store/contract'
import { decide, type Plan } from './decide'
import { markOfId, type Engine } from '../engine/engine'
import { attributesOf, jsonOfCookie, keptAttributesOf, lifeOfCookie } from '../session/kept-cookie'
import { lifeOf } from './lifetime'
import { leadsOn } from '../store/found'
import type { Settings } from '../options/options'
import { liveRecord, persist } from './persist'
import { decodeRecord } from '../record/record'
import { warnOfLosses } from '../session/serialize'
import { stateOf } from '../session/session'
import { storedIdOf, type Tracked } from './tracked'
import { chain, isPromise, type MaybePromise, type Milliseconds } from '../base/time'

/** What the response has to tell the client about one session. */
export type Outgoing = 'none' | 'send' | 'expire'

/** A session's place in its request, as planning and writing need it. */
export interface WriterSlot {
  readonly engine: Engine
  readonly settings: Settings
  readonly req: any
  /** The cookie came verified by an older key, or in a form that is re-issued. */
  readonly stale: boolean
  /** What the request began with. */
  readonly original: { id: string; text: string } | undefined
  presented(tracked: Tracked): boolean
  outgoing: Outgoing
  touchError: unknown
}

/** Gathers the facts about a session and decides. */
export function planFor(slot: WriterSlot, tracked: Tracked, text: string): Plan {
  const { settings, req } = slot
  const cookie = lifeOfCookie(stateOf(tracked.session)!)
  const { backend, classic } = settings
  const original = slot.original!
  const modified = classic
    ? original.id !== tracked.id || original.text !== text
    : tracked.mustSave || text !== tracked.base || lacksMeta(settings, tracked)
  return decide({
    classic,
    presented: slot.presented(tracked),
    stored: tracked.kept !== null,
    modified,
    saved: tracked.savedText === text && !tracked.mustSave && !isDressedAnew(slot, tracked),
    everSaved: tracked.savedText !== undefined,
    cookieChanged: !classic && hasChangedCookie(tracked),
    persistent: classic ? cookie.expires != null : typeof cookie.originalMaxAge === 'number',
    due: Date.now() - extendedAt(slot, tracked) >= settings.touchAfter && settings.extend(req),
    stale: slot.stale && !classic,
    // express-session's door sends its cookie again for no extension but that of an idle limit.
    canTouch: backend.carrier === undefined ? backend.touches : !classic || settings.idle !== null,
    carried: backend.carrier !== undefined,
    rolling: settings.rolling,
    resave: settings.resave,
    saveUninitialized: settings.saveUninitialized
  })
}

// A record of express-session does not say when the session began: unless that is written down, it never gets old.
function lacksMeta({ writesMeta, backend }: Settings, { kept, meta }: Tracked): boolean {
  return writesMeta && backend.carrier === undefined && kept !== null && meta === undefined
}

/** Writes one session and counts it. `false` when it is gone. */
export function writeSession(slot: WriterSlot, tracked: Tracked, text: string): MaybePromise<boolean> {
  const { settings, engine, req } = slot
  if (!settings.classic && !settings.production) warnOfLosses(tracked.session)
  const first = tracked.kept === null
  tracked.offered = true
  const owner = tracked.meta?.i
  const context = {
    settings,
    monitor: engine.monitor,
    usedAt: first || settings.extend(req) ? Date.now() : tracked.usedAt,
    binding: bindingOf(settings, req),
    owner: travels(settings) ? markOfId(tracked.id) : undefined
  }
  return chain(persist(tracked, text, context), (written) => {
    if (!written) return lose(slot, tracked)
    noteExtended(slot, tracked)
    tracked.mustSave = false
    tracked.savedText = text
    tracked.cookieText = attributesOf(stateOf(tracked.session)!)
    if (first) {
      const key = Object.keys(tracked.session).find((name) => name !== 'cookie')
      engine.monitor.note('created', settings.name, tracked.id, key === undefined ? {} : { key })
    }
    engine.monitor.note('saved', settings.name, tracked.id)
    const arrived = settings.maxPerUser !== undefined && tracked.meta?.i !== owner
    return chain(arrived ? evict(slot, tracked) : undefined, () => true)
  })
}

// A record that leaves this process may come back as another's. express-session's door adds nothing to its records but
// in stores of ours, which know what is asked of them.
function travels({ writesMeta, classic, backend }: Settings): boolean {
  return writesMeta && (backend.remote || (!classic && !backend.native))
}

/** Extends the lifetime of a session that nobody changed. */
export function touchSession(slot: WriterSlot, tracked: Tracked): MaybePromise<void> {
  const { settings, engine } = slot
  const { session, id } = tracked
  const life = lifeOf(settings, lifeOfCookie(stateOf(session)!), tracked.createdAt, Date.now())
  if (settings.classic) life.cookieText = jsonOfCookie(stateOf(session)!)
  const { keptData, meta } = tracked
  // Some stores touch by writing what they are given.
  const live = () => liveRecord(tracked, keptData, keptData, meta && { ...meta, u: life.usedAt })
  const extend = () => settings.backend.extend(storedIdOf(settings, tracked), life, live)
  return unlessGone(slot, tracked, extend, () => {
    tracked.usedAt = life.usedAt
    noteExtended(slot, tracked)
    engine.monitor.note('touched', settings.name, id)
  })
}

/**
 * Asks whether a session still lives whose cookie is to be sent again, where nothing else asks the store at the end:
 * a slow response must not put the ID of a session that ended meanwhile in the place of the next one.
 */
export function confirmSession(slot: WriterSlot, tracked: Tracked): MaybePromise<void> {
  const { settings } = slot
  if (settings.classic || !slot.presented(tracked)) return undefined
  const find = () =>
    chain(settings.backend.read(storedIdOf(settings, tracked)), (found) => found !== null && !leadsOn(found))
  return unlessGone(slot, tracked, find, () => undefined)
}

// Nothing is written here that could get lost: a fault of the store is noted, and spoils no response.
function unlessGone(
  slot: WriterSlot,
  tracked: Tracked,
  ask: () => MaybePromise<boolean>,
  alive: () => void
): MaybePromise<void> {
  const done = (lives: boolean) => {
    if (lives) alive()
    else lose(slot, tracked)
  }
  const failed = (err: unknown) => {
    slot.engine.monitor.note('error', slot.settings.name, tracked.id, { error: err })
    slot.touchError = err
  }
  try {
    const result = ask()
    return isPromise(result) ? result.then(done, failed) : done(result)
  } catch (err) {
    failed(err)
  }
}

function lose(slot: WriterSlot, tracked: Tracked): false {
  tracked.dead = true
  slot.outgoing = 'none'
  slot.engine.drop(slot.settings, tracked.id)
  return false
}

// The least recently used sessions of a user who has too many go; the one just written stays.
function evict({ settings, engine }: WriterSlot, tracked: Tracked): MaybePromise<void> {
  const { backend, maxPerUser } = settings
  const user = tracked.meta?.i
  if (user === undefined) return undefined
  return chain(backend.list(user), (listed) => {
    const own = backend.keyOf(tracked.id)
    const others = (listed ?? []).filter(({ id }) => id !== own).sort((a, b) => lastUse(a) - lastUse(b))
    let rest: MaybePromise<unknown> = undefined
    for (const { id } of others.slice(0, Math.max(0, others.length + 1 - maxPerUser!))) {
      rest = chain(rest, () => backend.removeKey(id, user))
      engine.monitor.note('destroyed', settings.name, id, { reason: 'maxPerUser' })
      engine.ended(id)
    }
    return chain(rest, () => undefined)
  })
}

function lastUse({ usedAt, text }: Listed): number {
  return usedAt ?? decodeRecord(text)?.meta?.u ?? 0
}

// A record of ours says when it was last extended, in a store of ours.
function tellsExtension({ backend, writesMeta, touchAfter }: Settings): boolean {
  return touchAfter === 0 || (backend.native && writesMeta)
}

function extendedAt({ engine, settings }: WriterSlot, tracked: Tracked): Milliseconds {
  if (tellsExtension(settings)) return tracked.usedAt
  return Math.max(engine.extended.get(tracked.id) ?? 0, tracked.meta?.u ?? 0)
}

function noteExtended({ engine, settings }: WriterSlot, tracked: Tracked): void {
  if (!tellsExtension(settings)) engine.extended.set(tracked.id, tracked.usedAt)
}

// Passport regenerates and saves; what the application then gives the cookie, a lifetime say, is stored all the same.
function isDressedAnew({ settings, original }: WriterSlot, tracked: Tracked): boolean {
  return settings.classic && original!.id !== tracked.id && hasChangedCookie(tracked)
}

function hasChangedCookie(tracked: Tracked): boolean {
  const state = stateOf(tracked.session)!
  const attributes = attributesOf(state)
  return attributes !== undefined && attributes !== (tracked.cookieText ?? keptAttributesOf(state))
}
