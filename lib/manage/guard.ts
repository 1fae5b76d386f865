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
  options: RequireSessionOptions = {}
): (req: any, res: any, next: (err?: any) => void) => void {
  const test = typeof check === 'function' ? check : (session: any) => session.isNew === false
  const { redirectTo } = typeof check === 'object' && check !== null ? check : options
  return async function sessionGuard(req, res, next) {
    try {
      const session = await req.sessions?.load()
      if (session && (await test(req.session, req))) return next()
    } catch (err) {
      return next(err)
    }
    if (redirectTo !== undefined) {
      res.statusCode = 303
      res.setHeader('Location', redirectTo)
      return res.end()
    }
    res.statusCode = 401
    res.setHeader('Content-Type', 'text/plain; charset=utf-8')
    res.end('Unauthorized')
  }
}
