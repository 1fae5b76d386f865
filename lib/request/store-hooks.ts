import type { HttpRequest } from '../base/http'
import { isPromise, type MaybePromise } from '../base/time'
import type { Engine } from '../engine/engine'
import { SessionHandle } from '../lifecycle/verbs/session-handle'
import { rebase } from '../lifecycle/put'
import type { HandleOwner } from '../lifecycle/status'
import type { ParsedRecord } from '../record/record'
import { stateOf } from '../session/session'
import { Store } from '../store/store'
import { sessionsOf } from './properties'
import type { RequestSessions } from './request-sessions'

/** The members of a store that make sessions in express-session, and that applications wrap or replace. */
export interface HookedStore {
  generate?: Generate
  createSession?: (req: HttpRequest, record: unknown) => unknown
  regenerate?: (req: HttpRequest, done: (err?: unknown) => void) => void
}

interface Generate {
  (req: HttpRequest): MaybePromise<void>
  [OURS]?: Generate
  foreign?: Generate | undefined
}

/** What ours have before an application replaces it. */
export const originals: HookedStore = {
  createSession: Store.prototype.createSession as HookedStore['createSession'],
  regenerate: Store.prototype.regenerate
}

/** Marks the `generate` of ours: it names itself, so that a wrapper which copies its properties is none. */
export const OURS = Symbol('silverback.generate')

/**
 * Gives a store the `generate` that express-session gives it, for those who call or wrap it.
 *
 * The request says which middleware is meant: two of them on one store do not overwrite each other's cookie options, and
 * a request that none of ours has seen is left to the `generate` that was there (express-session's own).
 */
export function offerGenerate(engine: Engine): void {
  const store = engine.settings.port.store as HookedStore
  const before = store.generate
  const foreign = before?.[OURS] === before ? before?.foreign : before
  const generate: Generate = (req) => {
    const sessions = sessionsOf(req)
    if (sessions === undefined && foreign !== undefined) return foreign.call(store, req)
    const generated = sessions === undefined ? begin(engine, req) : sessions.generate()
    // A `genid` that fails by promise must not end the process where the caller waits for nothing.
    if (isPromise(generated)) generated.catch(() => undefined)
    return generated
  }
  generate[OURS] = generate
  generate.foreign = foreign
  store.generate = generate
}

// For a request that no middleware of ours has seen: nothing is read, and the session is in place when it returns.
function begin(engine: Engine, req: HttpRequest): MaybePromise<void> {
  const owner: HandleOwner = {
    replaced(session) {
      req.sessionID = stateOf(session)!.id
      req.session = session
    },
    ended: () => void delete req.session,
    publicId: () => req.sessionID,
    began: () => undefined
  }
  return new SessionHandle(engine, engine.settings, req, undefined, owner).restart()
}

/** Lets the store's own `generate` or `createSession` make the session of a request, or change it. */
export function makeAsTheStore(sessions: RequestSessions, record: ParsedRecord | undefined): void {
  const { req, main } = sessions
  const store = sessions.engine.settings.port.store as HookedStore
  if (record === undefined) {
    if (store.generate !== undefined) whileHooked(sessions, () => void store.generate!(req))
    return
  }
  const createSession = replacedMember(store, 'createSession')
  if (createSession === undefined) return
  const given = { cookie: main.session!.cookie.toJSON(), ...record.data }
  whileHooked(sessions, () => void createSession.call(store, req, given))
  const { cookie: _cookie, ...data } = given
  rebase(main, JSON.stringify(data))
}

function whileHooked(sessions: RequestSessions, make: () => void): void {
  const hooked: RequestSessions['hooked'] = (sessions.hooked = {})
  try {
    make()
    if (hooked.draft === undefined) return
    const { cookie: _cookie, ...data } = hooked.draft as Record<string, unknown>
    Object.assign(sessions.main.session!, data)
  } finally {
    sessions.hooked = undefined
  }
}

/** Calls the store's own `regenerate`, where it has one. */
export function regenerateAsTheStore({ engine, req }: RequestSessions): Promise<void> | undefined {
  const { store } = engine.settings.port
  const regenerate = replacedMember(store, 'regenerate')
  if (regenerate === undefined) return undefined
  return new Promise((resolve, reject) => {
    regenerate.call(store, req, (err) => (err ? reject(err as Error) : resolve()))
  })
}

// The store's `createSession` or `regenerate`, where it is not that of a base class of stores.
function replacedMember<Name extends 'createSession' | 'regenerate'>(
  store: object,
  name: Name
): HookedStore[Name] | undefined {
  const member = (store as HookedStore)[name]
  if (typeof member !== 'function' || member === originals[name]) return undefined
  let owner: object | null = store
  while (owner !== null && !Object.hasOwn(owner, name)) owner = Object.getPrototypeOf(owner) as object | null
  // express-session's base class has all three, and so has ours before an application replaced one of them.
  const isBase = owner !== null && owner !== Store.prototype && BASE.every((key) => Object.hasOwn(owner, key))
  return isBase && owner !== store ? undefined : member
}

const BASE = ['regenerate', 'load', 'createSession'] as const
