import { bindingOf } from '../engine/binding'
import { decodeFound, keptText } from '../store/found'
import { EXPIRED, type Found, type Opened } from '../store/contract'
import type { Engine } from '../engine/engine'
import { markOfId } from '../engine/engine'
import type { SessionErrorCode } from '../base/errors'
import { isOver } from './lifetime'
import type { Settings } from '../options/options'
import { chooseAuthentic, fromCookieParser, presentedValues, type Presented } from '../engine/presented'
import { isRecord, type Decoded } from '../record/record'
import { shaped } from '../engine/schema'
import { chain, isPromise, type MaybePromise } from '../base/time'

/** What came of a request's cookie. */
export interface Loaded extends Presented {
  /** The authentic session ID, whether or not the store knows it. */
  id: string | undefined
  stale: boolean
  /** The ID is what a store of the contract answered to `set`. */
  answered: boolean
  /** Values that are not the chosen session came along with it. */
  surplus: boolean
  record: Decoded | undefined
  kept: string
  usedAt: number | undefined
  /** Found through a rotated ID in its grace period. */
  rotated: boolean
  error: SessionErrorCode | undefined
}

/** Identifies the session of a request without asking any store. `undefined` values: an anonymous visitor. */
export function identify(engine: Engine, settings: Settings, req: any): Loaded {
  const presented = presentedValues(req, settings)
  // Spelled out: a spread here costs more than everything around it.
  const loaded: Loaded = {
    values: presented.values,
    viaHeader: presented.viaHeader,
    id: undefined,
    stale: false,
    answered: false,
    surplus: false,
    record: undefined,
    kept: '',
    usedAt: undefined,
    rotated: false,
    error: undefined
  }
  if (settings.backend.carrier !== undefined) return loaded
  const keys = engine.keysFor(settings, req)
  if (keys === undefined) return loaded
  let chosen = chooseAuthentic(presented.values, settings, keys)
  if (typeof chosen !== 'object' && settings.classic) chosen = fromCookieParser(req, settings, keys) ?? chosen
  if (typeof chosen === 'object') {
    loaded.id = chosen.id
    loaded.stale = chosen.stale
    loaded.answered = chosen.answered
    noteSurplus(engine, settings, loaded)
  } else {
    loaded.error = chosen
  }
  return loaded
}

// Beside the authentic cookie there were others of its name: outdated, or planted by a neighbouring subdomain.
function noteSurplus(engine: Engine, settings: Settings, loaded: Loaded): void {
  loaded.surplus = hasOthers(loaded.values)
  if (loaded.surplus) engine.monitor.note('rejected', settings.name, loaded.id, { reason: 'DUPLICATE' })
}

function hasOthers(values: readonly string[]): boolean {
  for (let i = 1; i < values.length; i++) if (values[i] !== values[0]) return true
  return false
}

/** Whether a request brought anything that may be a session. */
export function bringsSession({ backend }: Settings, { id, values }: Loaded): boolean {
  return backend.carrier === undefined ? id !== undefined : values.length > 0
}

/** Reads and checks the record of an identified session; decides nothing by exception but faults of the store. */
export function loadRecord(engine: Engine, settings: Settings, req: any, loaded: Loaded): MaybePromise<Loaded> {
  if (settings.backend.carrier !== undefined) return openCarried(engine, settings, req, loaded)
  if (loaded.id === undefined) return loaded
  return chain(settings.backend.load(loaded.id), (found) => {
    if (found === null) return refuse(loaded, 'ERR_SESSION_MISSING')
    if (found === EXPIRED) return refuse(loaded, 'ERR_SESSION_EXPIRED')
    return admit(engine, settings, req, loaded, found)
  })
}

// Every value is tried; of several authentic ones that are not the same session none is believed.
function openCarried(engine: Engine, settings: Settings, req: any, loaded: Loaded, index = 0): MaybePromise<Loaded> {
  const keys = engine.keysFor(settings, req)
  const value = loaded.values[index]
  if (value === undefined || keys === undefined) return loaded
  return chain(settings.backend.carrier!.open(value, settings.name, keys), (opened) => {
    if (typeof opened === 'string') {
      loaded.error ??= opened
      return openCarried(engine, settings, req, loaded, index + 1)
    }
    return chain(otherSession(engine, settings, req, loaded, opened, index + 1), (ambiguous) => {
      if (ambiguous) return refuse(loaded, 'ERR_SESSION_AMBIGUOUS')
      loaded.id = opened.id
      loaded.stale = opened.stale
      noteSurplus(engine, settings, loaded)
      loaded.error = undefined
      return admit(engine, settings, req, loaded, opened)
    })
  })
}

function otherSession(
  engine: Engine,
  settings: Settings,
  req: any,
  loaded: Loaded,
  chosen: Opened,
  index: number
): MaybePromise<boolean> {
  const value = loaded.values[index]
  if (value === undefined) return false
  const keys = engine.keysFor(settings, req)!
  return chain(settings.backend.carrier!.open(value, settings.name, keys), (opened) => {
    if (typeof opened === 'object' && opened.id !== chosen.id) return true
    return otherSession(engine, settings, req, loaded, chosen, index + 1)
  })
}

function admit(engine: Engine, settings: Settings, req: any, loaded: Loaded, found: Found): MaybePromise<Loaded> {
  const { backend } = settings
  const now = Date.now()
  const record = decodeFound(found)
  if (record === undefined) {
    if (settings.classic) inflate(found)
    return refuse(loaded, 'ERR_SESSION_CORRUPT')
  }
  if (!settings.classic && !isDate(record.cookie.expires)) return refuse(loaded, 'ERR_SESSION_CORRUPT')
  const { meta } = record
  const id = loaded.id!
  if (meta !== undefined) {
    if (meta.h !== undefined && !loaded.answered && meta.h !== markOfId(id)) {
      engine.monitor.note('error', settings.name, id, { reason: 'FOREIGN_RECORD' })
      return refuse(loaded, 'ERR_SESSION_CORRUPT')
    }
    if (meta.n !== undefined) return follow(engine, settings, req, loaded, meta.n, meta.g ?? 0)
    const usedAt = backend.native ? (found.usedAt ?? meta.u) : undefined
    const cookie = record.cookie as unknown as { originalMaxAge: number | null }
    if (isOver(settings, cookie, meta, usedAt, now)) {
      return chain(removeExpired(engine, settings, id, meta.i), () => refuse(loaded, 'ERR_SESSION_EXPIRED'))
    }
    if (settings.bind !== undefined && meta.b !== undefined && meta.b !== bindingOf(settings, req)) {
      return refuse(loaded, 'ERR_SESSION_BINDING')
    }
    loaded.usedAt = usedAt ?? meta.u
  }
  loaded.kept = keptText(found, record)
  loaded.record = record
  engine.monitor.note('loaded', settings.name, id)
  return settings.schema === undefined ? loaded : validate(settings, loaded, record)
}

// express-session's door makes a cookie of whatever is kept, as express-session does.
function isDate(expires: unknown): boolean {
  return expires === null || expires === undefined || !Number.isNaN(new Date(expires as string).valueOf())
}

// Where the store takes no writes for now the session is refused all the same, as often as it is asked for.
function removeExpired(
  { monitor }: Engine,
  { backend, name }: Settings,
  id: string,
  user?: string
): MaybePromise<unknown> {
  if (backend.carrier !== undefined) return undefined
  const failed = (err: unknown) => monitor.note('error', name, id, { error: err })
  try {
    const removing = backend.remove(id, user)
    return isPromise(removing) ? removing.catch(failed) : removing
  } catch (err) {
    return failed(err)
  }
}

// express-session lets the exceptions of the store's parser and of its own inflation through; suites in the field
// assert on them. What is no object at all is no session.
function inflate(found: Found): void {
  if (found.unreadable !== undefined) throw found.unreadable as Error
  const object = parsed(found)
  if (isRecord(object)) void (object as any).cookie.expires
}

function parsed(found: Found): unknown {
  if (found.record !== undefined) return found.record
  try {
    return JSON.parse(found.text)
  } catch {
    return undefined
  }
}

// The old ID of a routine rotation: for a moment it leads to the new session, to read only.
function follow(
  engine: Engine,
  settings: Settings,
  req: any,
  loaded: Loaded,
  nextId: string,
  until: number
): MaybePromise<Loaded> {
  if (until <= Date.now() || loaded.rotated) return refuse(loaded, 'ERR_SESSION_MISSING')
  loaded.rotated = true
  loaded.id = nextId
  return chain(settings.backend.read(nextId), (found) =>
    found === null ? refuse(loaded, 'ERR_SESSION_MISSING') : admit(engine, settings, req, loaded, found)
  )
}

function validate(settings: Settings, loaded: Loaded, record: Decoded): MaybePromise<Loaded> {
  return chain(shaped(settings, record.data), (result) => {
    if ('issues' in result) return refuse(loaded, 'ERR_SESSION_SCHEMA')
    loaded.record = record.withData(result.data)
    return loaded
  })
}

function refuse(loaded: Loaded, code: SessionErrorCode): Loaded {
  loaded.error = code
  loaded.record = undefined
  return loaded
}
