'use strict'

const { SessionError } = require('silverback')
const { countCart } = require('./cart')
const { csrfToken } = require('./csrf')
const { Problem, asProblem } = require('./problem')
const { failure } = require('./views/failure')

async function send(req, res, view, { data, problem, input = {} } = {}) {
  const page = Object.assign(await pageOf(req), { problem, input })
  if (problem?.retryAfter) res.set('Retry-After', String(problem.retryAfter))
  res.status(problem?.status ?? 200).send(String(view(page, data)))
}

/** Renders a view with what `load` finds for this request. */
function show(view, load) {
  return async (req, res) => send(req, res, view, { data: await load?.(req) })
}

/**
 * Runs an action, then redirects `to` a page with a `flash`. On a problem, also one of the middleware before it on the
 * route, the form comes back as it was filled in (`again`, with what `load` finds), or there is an error page.
 */
function submit(action, { to, flash, again, load }) {
  return [
    async (req, res) => {
      const result = await action(req)
      if (flash) req.session.addFlash(flash(result))
      res.redirect(303, to(req))
    },
    // Express knows an error handler by its four parameters.
    async (problem, req, res, _next) => {
      if (!(problem instanceof Problem) || !again) throw problem
      await send(req, res, again, { data: await load?.(req), problem, input: req.body })
    }
  ]
}

/** The page for any error, with the visitor's header and what was typed. */
async function pageFailed(err, req, res, next) {
  if (res.headersSent) return next(err)
  const problem = asProblem(err)
  // Where sessions cannot be read or kept, nobody knows who this is.
  const page = err instanceof SessionError ? {} : await pageOf(req, { isError: true }).catch(() => ({}))
  if (problem.retryAfter) res.set('Retry-After', String(problem.retryAfter))
  res.status(problem.status).send(String(failure(page, problem, typedIn(req.body))))
}

/** What somebody wrote, without what is secret. */
function typedIn(body) {
  return Object.entries(body ?? {}).filter(
    ([name, value]) => typeof value === 'string' && value.trim() !== '' && !/^_|password|token/i.test(name)
  )
}

async function pageOf(req, { isError = false } = {}) {
  return {
    path: req.path,
    query: req.query,
    user: req.user,
    theme: req.session.theme,
    cartCount: await countCart(req),
    flashes: isError ? [] : req.session.flashes(),
    // Getters: a page without a form must not make a token, and with it a session.
    get csrf() {
      return csrfToken(req)
    },
    get hasSession() {
      return req.session.csrfToken !== undefined
    }
  }
}

module.exports = { show, submit, pageFailed }
