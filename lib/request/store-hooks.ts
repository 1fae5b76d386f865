import type { HttpRequest } from '../base/http'
import { isPromise, type MaybePromise } from '../base/time'
import type { Engine } from '../engine/engine'
import { SessionHandle } from '../lifecycle/verbs/session-handle'
import type { HandleOwner } from '../lifecycle/status'
import { stateOf } from '../session/session'
import { Store } from '../store/store'
import { sessionsOf } from './properties'

/** The members of a store that make sessions in express-session, and that applications wrap or replace. */
interface HookedStore {
  generate?: Generate
  createSession?: (req: HttpRequest, record: unknown) => unknown
  regenerate?: (req: HttpRequest, done: (err?: unknown) => void) => void
}

type Generate = (req: HttpRequest) => MaybePromise<void>

const ours = new WeakSet<Generate>()

/**
 * Gives a store the `generate` that express-session gives it, for those who call or wrap it.
 *
 * The request says which middleware is meant: two of them on one store do not overwrite each other's cookie options, and
 * a request that none of ours has seen is left to the `generate` that was there (express-session's own).
 */
export function offerGenerate(engine: Engine): void {
  const store = engine.settings.port.store as HookedStore
  const before = store.generate
  const generate: Generate = (req) => {
    const sessions = sessionsOf(req)
    if (sessions === undefined && before !== undefined && !ours.has(before)) return before.call(store, req)
    const generated = sessions === undefined ? begin(engine, req) : sessions.generate()
    // A `genid` that fails by promise must not end the process where the caller waits for nothing.
    if (isPromise(generated)) generated.catch(() => undefined)
    return generated
  }
  ours.add(generate)
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

/** The store's `generate`, where the application has put another one in the place of ours. */
export function replacedGenerate(store: object): ((req: HttpRequest) => unknown) | undefined {
  const { generate } = store as HookedStore
  return generate === undefined || ours.has(generate) ? undefined : generate
}

/** The store's `createSession` or `regenerate`, where it is not that of a base class of stores. */
export function replacedMember<Name extends 'createSession' | 'regenerate'>(
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
const originals: HookedStore = {
  createSession: Store.prototype.createSession as HookedStore['createSession'],
  regenerate: Store.prototype.regenerate
}
