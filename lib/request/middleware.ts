import { advise } from '../base/advice'
import { Context } from './context'
import type { Engine } from '../engine/engine'
import { SessionError } from '../base/errors'
import { bringsSession } from '../lifecycle/loader'
import { coversPath } from '../engine/presented'
import { sessionsOf } from './request-properties'
import { isPromise } from '../base/time'

type Next = (err?: unknown) => void

/** The request handler of both doors: finds out as little as it can, and leaves the rest to whoever asks. */
export function handle(engine: Engine, req: any, res: any, next: Next): void {
  const { settings } = engine
  if (isMounted(req)) {
    if (!settings.production && sessionsOf(req)?.engine !== engine) advise('MOUNTED_TWICE', settings.name)
    return next()
  }
  if (!engine.ready && !admitsWithoutStore(engine, req, next)) return
  if (!engine.ready && settings.classic) return next()
  const cookie = typeof settings.cookie === 'function' ? settings.cookie(req) : settings.cookie
  if (!coversPath(req, cookie.path || '/', settings.classic)) {
    if (!settings.production && !String(cookie.path).startsWith('/')) advise('PATH', settings.name)
    return next()
  }
  if (engine.keysFor(settings, req) === undefined) return next(new Error('secret option required for sessions'))

  const context = new Context(engine, req, res, next)
  context.install()
  if (!engine.ready) context.main.unsaved = true
  if (!needsLoading(engine, context)) return next()
  let loading
  try {
    loading = context.prepare()
  } catch (err) {
    return next(err)
  }
  if (!isPromise(loading)) return next()
  // On a turn of its own: what a handler throws is not a rejection of ours.
  loading.then(
    () => process.nextTick(next),
    (err) => process.nextTick(next, err)
  )
}

// A second mount is a no-op; asking must not load a session that nobody wants.
function isMounted(req: any): boolean {
  const sessions = sessionsOf(req)
  return sessions === undefined ? Boolean(req.session) : sessions.present
}

// The store said `disconnect`. express-session's door goes on with req.session undefined; the other follows its policy.
function admitsWithoutStore(engine: Engine, req: any, next: Next): boolean {
  const { settings } = engine
  if (settings.classic) return true
  const err = new SessionError('ERR_SESSION_STORE', 'The session store is disconnected.', { status: 503 })
  if (settings.onStoreError(err, req) === 'anonymous') return true
  engine.monitor.note('error', settings.name, undefined, { error: err })
  next(err)
  return false
}

function needsLoading({ settings }: Engine, { main }: Context): boolean {
  const { backend, schema } = settings
  if (settings.saveUninitialized || settings.genid !== undefined) return true
  // A schema may answer by promise, which reading `req.session` could not wait for.
  const atOnce = backend.native && backend.sync && schema === undefined
  const lazy = settings.load === 'lazy' || (settings.load === 'auto' && atOnce)
  if (lazy && !settings.rolling && !settings.resave && !(settings.classic && settings.load !== 'lazy')) return false
  return bringsSession(settings, main.identify())
}
