import type { Engine } from './engine'
import { sessionsOf } from './request-properties'
import { Slot } from './slot'

/**
 * Gives a store the `generate` that express-session gives it, for whoever calls `store.generate(req)`.
 *
 * The request says which middleware is meant: two of them on one store do not overwrite each other's cookie options.
 */
export function offerGenerate(engine: Engine): void {
  const store = engine.settings.backend.store as { generate?: (req: any) => void }
  store.generate = (req) => {
    const sessions = sessionsOf(req)
    if (sessions !== undefined) return sessions.restart()
    const slot = new Slot(engine, engine.settings, req)
    void slot.load()
    req.sessionID = slot.tracked!.id
    req.session = slot.tracked!.session
  }
}
