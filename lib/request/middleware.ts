import { advise } from '../base/advice'
import { SessionError } from '../base/errors'
import type { Handler, HttpRequest, HttpResponse, Next } from '../base/http'
import { isPromise, type MaybePromise } from '../base/time'
import { explains, serveExplained } from '../base/diagnostics'
import type { Engine } from '../engine/engine'
import { cookieOptions, coversRequest } from '../engine/identify'
import { loadSession } from '../lifecycle/load'
import type { Settings } from '../options/settings'
import { explain } from '../reply/explain'
import { sessionsOf } from './properties'
import { RequestSessions } from './request-sessions'

/** The request handler of both doors: finds out as little as it can, and leaves the rest to whoever asks. */
export function handlerOf(engine: Engine): Handler {
  const { settings } = engine
  const { cookie, door, keys } = settings
  const loads = loadingOf(settings)
  // Options that may be others with each request have to be asked.
  const coversAll = typeof cookie === 'object' && !door.liveCookieOptions && (cookie.path || '/') === '/'
  const handler = function session(req: HttpRequest, res: HttpResponse | undefined, next: Next): void {
    const before = sessionsOf(req)
    if (before === undefined ? Boolean(req.session) : before.present) {
      if (!settings.production && before?.engine !== engine) advise('MOUNTED_TWICE', settings.name)
      return next()
    }
    // Destroyed or unset in this request, which is held already: it goes on with another session.
    if (before?.engine === engine) return goOn(before.remount(), next)
    const ready = engine.connected || engine.asksAgain()
    if (!ready && !admitsWithoutStore(engine, req, next)) return
    if (!ready && door.servesWithoutStore) return next()
    try {
      if (!coversAll && !isCovered(settings, req)) return next()
      if (keys === undefined && !req.secret) throw new Error('secret option required for sessions')
      keys?.refresh()
    } catch (error) {
      // Not thrown: a server without Express would end.
      engine.monitor.note('error', settings.name, undefined, { error })
      return next(error)
    }
    const sessions = new RequestSessions(engine, req, res, next)
    if (!ready) sessions.main.standIn()
    if (!ready || loads === 'never' || (loads === 'unless native' && settings.port.native)) return next()
    if (loads !== 'always' && !sessions.main.tokens.bringsSession) return next()
    let loading
    try {
      loading = loadSession(sessions.main, true)
    } catch (err) {
      return next(err)
    }
    goOn(loading, next)
  }
  return explains ? explained(engine, handler) : handler
}

// Whether the cookie's path covers the request. Throws what is wrong with the options that are asked at each request.
function isCovered(settings: Settings, req: HttpRequest): boolean {
  const path = cookieOptions(settings, req).path || '/'
  if (path === '/' || coversRequest(req, path, settings)) return true
  if (!settings.production && !String(path).startsWith('/')) advise('PATH', settings.name)
  return false
}

// The same handler; it prints what became of each request when that is over.
function explained(engine: Engine, handler: Handler): Handler {
  return function session(req: HttpRequest, res: HttpResponse | undefined, next: Next): void {
    const before = sessionsOf(req)
    // What happens to sessions that the request has already is told in their line.
    if (before !== undefined && (before.present || before.engine === engine)) return handler(req, res, next)
    const { method, originalUrl, url } = req as HttpRequest & { method?: string }
    const print = serveExplained(() => handler(req, res, next))
    const sessions = sessionsOf(req)
    if (sessions === undefined || sessions === before || sessions.engine !== engine) return
    const path = String(originalUrl ?? url).split('?', 1)[0]
    const response = (res ?? {}) as { once?: (event: string, listener: () => void) => void; statusCode?: number }
    response.once?.('close', () =>
      print((happened) => {
        const facts = [sessions.main, ...sessions.handles().slice(1)].map((each) => explain(each, res, happened(each)))
        return `${method} ${path} ${response.statusCode}; ${facts.join('; ')}`
      })
    )
  }
}

// On a turn of its own after a promise: what a handler throws is not a rejection of ours.
function goOn(work: MaybePromise<unknown>, next: Next): void {
  if (!isPromise(work)) return next()
  work.then(
    () => process.nextTick(next),
    (err) => process.nextTick(next, err)
  )
}

// The store said `disconnect`. express-session's door goes on with req.session undefined; the other follows its policy.
function admitsWithoutStore(engine: Engine, req: HttpRequest, next: Next): boolean {
  const { settings } = engine
  if (settings.door.servesWithoutStore) return true
  let err: unknown = new SessionError('ERR_SESSION_STORE', 'The session store is disconnected.', { status: 503 })
  try {
    if (settings.onStoreError(err, req) === 'anonymous') return true
  } catch (fault) {
    err = fault
  }
  engine.monitor.note('error', settings.name, undefined, { error: err })
  next(err)
  return false
}

/** When a session is read before the handlers run; but for `always`, only one that the request has brought. */
type Loading = 'always' | 'brought' | 'unless native' | 'never'

function loadingOf({ saveUninitialized, genid, rolling, resave, load, schema, door, port }: Settings): Loading {
  if (saveUninitialized || genid !== undefined) return 'always'
  if (rolling || resave || load === 'eager') return 'brought'
  if (load === 'lazy') return 'never'
  // A schema may answer by promise as well, which reading `req.session` could not wait for.
  const isAtOnce = port.own?.sync === true && schema === undefined
  return isAtOnce && !door.loadsEagerly ? 'unless native' : 'brought'
}
