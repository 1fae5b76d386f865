'use strict'

const { csrfToken } = require('./csrf')
const { Problem, asProblem } = require('./problem')
const views = require('./views')

/** How pages answer: `show` a view, or `submit` a form and redirect with a flash. */
function createResponder(accounts) {
  function send(req, res, view, { data, problem, input = {} } = {}) {
    const page = Object.assign(pageOf(req, accounts), { problem, input })
    if (problem?.retryAfter) res.set('Retry-After', String(problem.retryAfter))
    res.status(problem?.status ?? 200).send(String(view(page, data)))
  }

  return {
    /** Renders a view with what `load` finds for this request. */
    show(view, load) {
      return async (req, res) => send(req, res, view, { data: await load?.(req) })
    },

    /**
     * Runs an action, then redirects `to` a page with a `flash`. On a problem the form comes back as it was filled
     * in (`again`, with what `load` finds), or there is an error page.
     */
    submit(action, { to, flash, again, load }) {
      return async (req, res) => {
        let result
        try {
          result = await action(req)
        } catch (problem) {
          if (!(problem instanceof Problem) || !again) throw problem
          return send(req, res, again, { data: await load?.(req), problem, input: req.body })
        }
        if (flash) req.session.addFlash(flash(result))
        res.redirect(303, to(req))
      }
    }
  }
}

/** The page for any error. It leaves the session alone, which may be what failed. */
function pageFailed(err, req, res, next) {
  if (res.headersSent) return next(err)
  const problem = asProblem(err)
  res.status(problem.status).send(String(views.failure(problem)))
}

function pageOf(req, accounts) {
  return {
    path: req.path,
    user: accounts.userOf(req.session),
    theme: req.session.theme,
    flashes: req.session.flashes(),
    signedOut: 'signed-out' in req.query,
    // Getters: a page without a form must not make a token, and with it a session.
    get csrf() {
      return csrfToken(req)
    },
    get hasSession() {
      return req.session.csrf !== undefined
    }
  }
}

module.exports = { createResponder, pageFailed }
