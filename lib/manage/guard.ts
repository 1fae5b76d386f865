import type { ServerResponse } from 'node:http'
import { demand } from '../base/errors'
import type { Handler, HttpRequest } from '../base/http'
import { givenOptions } from '../base/warnings'
import { sessionsOf } from '../request/properties'
import { infoOf } from '../session/info'
import type { Session } from '../session/session'

/** Options of `requireSession()`. */
export interface RequireSessionOptions {
  /** Where visitors without the session go instead of a 401. */
  redirectTo?: string | undefined
}

/**
 * Route guard: lets a request pass that has a session which is not new, or one that passes `check`.
 *
 * Others get 401, or a redirect (303) to `redirectTo`. What `check` throws goes to the error handler.
 */
export function requireSession(
  check?: ((session: any, req: any) => unknown) | RequireSessionOptions,
  options?: RequireSessionOptions
): Handler {
  const isCheck = check == null || typeof check === 'function' || typeof check === 'object'
  demand(isCheck, 'requireSession()', 'check', 'a function or options', check)
  // What the session's data is called decides nothing.
  const test = typeof check === 'function' ? check : (session: Session) => !infoOf(session).isNew
  const given = typeof check === 'object' ? (check ?? options) : options
  const { redirectTo } = givenOptions('requireSession()', given, ['redirectTo'])
  const isPlace = redirectTo === undefined || (typeof redirectTo === 'string' && redirectTo !== '')
  demand(isPlace, 'requireSession()', 'redirectTo', 'a URL or path', redirectTo)
  return async function sessionGuard(req: HttpRequest, res: ServerResponse, next) {
    try {
      // The application may have put a property of its own in the place of req.sessions.
      const session = await sessionsOf(req)?.sessions.load()
      if (session && (await test(req.session, req))) return next()
    } catch (err) {
      return next(err)
    }
    if (redirectTo !== undefined) {
      res.statusCode = 303
      res.setHeader('Location', redirectTo)
      return void res.end()
    }
    res.statusCode = 401
    res.setHeader('Content-Type', 'text/plain; charset=utf-8')
    res.end('Unauthorized')
  }
}
