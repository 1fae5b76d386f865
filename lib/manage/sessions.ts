import type { Handler } from '../base/http'
import { Engine } from '../engine/engine'
import { resolveClassicOptions, resolveSessionsOptions } from '../options/options'
import type { Settings } from '../options/settings'
import type { SessionsOptions } from '../options/sessions-options'
import { adviseOnSetup } from '../reply/cookie-advice'
import { handlerOf } from '../request/middleware'
import { offerGenerate } from '../request/store-hooks'
import { Manager, type SessionManager } from './manager'

/** The middleware, which is also the manager. */
export interface SessionsHandler<Data = Record<string, any>> extends SessionManager<Data>, Handler {}

const ENGINE = Symbol('silverback.engine')
const VERBS = ['open', 'get', 'create', 'extend', 'destroy', 'list', 'revoke', 'reindex', 'stats'] as const

/** express-session's door: its options, defaults and habits, on the engine of `sessions()`. */
export function createClassic(options?: SessionsOptions): SessionsHandler {
  return createHandler(resolveClassicOptions(options || {}))
}

/** The door with today's defaults. */
export function createSessions(options?: SessionsOptions): SessionsHandler {
  return createHandler(resolveSessionsOptions(options ?? {}))
}

/** The engine behind a middleware of ours, where nothing that prints the middleware finds it. */
export function engineOf(handler: unknown): Engine | undefined {
  return (handler as { [ENGINE]?: () => Engine } | null | undefined)?.[ENGINE]?.()
}

function createHandler(settings: Settings): SessionsHandler {
  adviseOnSetup(settings)
  const engine = new Engine(settings)
  offerGenerate(engine)
  const session = handlerOf(engine)
  const manager = new Manager(engine)
  Object.defineProperty(session, ENGINE, { value: () => engine })
  for (const verb of VERBS) {
    Object.defineProperty(session, verb, { value: (manager[verb] as () => unknown).bind(manager) })
  }
  return session as SessionsHandler
}
