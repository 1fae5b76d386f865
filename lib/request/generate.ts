import type { Engine } from '../engine/engine'
import { sessionsOf } from './request-properties'
import { Slot } from '../lifecycle/slot'
import { chain, isPromise, type MaybePromise } from '../base/time'

/**
 * Gives a store the `generate` that express-session gives it, for whoever calls `store.generate(req)`.
 *
 * The request says which middleware is meant: two of them on one store do not overwrite each other's cookie options.
 */
export function offerGenerate(engine: Engine): void {
  const store = engine.settings.backend.store as { generate?: (req: any) => MaybePromise<void> }
  store.generate = (req) => {
    const sessions = sessionsOf(req)
    const generated = sessions === undefined ? generate(engine, req) : sessions.restart()
    // A `genid` that fails by promise must not end the process where the caller waits for nothing.
    if (isPromise(generated)) generated.catch(() => undefined)
    return generated
  }
}

function generate(engine: Engine, req: any): MaybePromise<void> {
  const slot = new Slot(engine, engine.settings, req)
  return chain(slot.load(), (session) => {
    req.sessionID = slot.tracked!.id
    req.session = session
  })
}
