'use strict'

const express = require('express')
const { requireSession } = require('silverback')
const { csrfToken, protectApi } = require('./csrf')
const { adminOnly } = require('./guards')
const { Problem, asProblem } = require('./problem')

/** The application as JSON: the same actions as the pages, in other clothes. */
function createApi({ accounts, limits }) {
  const api = express.Router()
  const member = requireSession((session, req) => {
    if (req.user) return true
    throw new Problem(401, 'Please sign in.')
  })
  const admin = [member, adminOnly]

  // A sign-in ends the old session and its token with it: these answers bring the token that holds from now on.
  const session = (req) => {
    const user = req.user ? accounts.profile(req) : null
    return { user, csrfToken: csrfToken(req) }
  }
  const thenSession = (action) => async (req) => {
    await action(req)
    return session(req)
  }

  api.use(express.json({ limit: '10kb' }))
  api.use(protectApi)

  api.get('/session', answer(200, session))
  api.post('/register', limits.register, answer(201, thenSession(accounts.register)))
  api.post('/login', limits.password, answer(200, thenSession(accounts.login)))
  api.post('/logout', answer(204, accounts.logout))
  api.put('/theme', answer(204, accounts.chooseTheme))
  api.get('/profile', member, answer(200, accounts.profile))
  api.put('/profile', member, answer(200, accounts.updateProfile))
  api.post('/password', member, limits.password, answer(200, accounts.changePassword))
  api.get('/sessions', member, answer(200, accounts.listSessions))
  api.delete('/sessions', member, answer(200, accounts.endOtherSessions))
  api.delete('/sessions/:handle', member, answer(204, accounts.endSession))
  api.get('/users', admin, answer(200, accounts.listUsers))
  api.delete('/users/:username/sessions', admin, answer(200, accounts.signOutUser))

  api.use(() => {
    throw new Problem(404, 'There is no such resource.')
  })
  return api
}

function answer(status, action) {
  return async (req, res) => {
    const result = await action(req)
    res.status(status)
    if (result === undefined) res.end()
    else res.json(result)
  }
}

/** The JSON answer to any error: Express knows an error handler by its four parameters. */
function apiFailed(err, req, res, next) {
  if (res.headersSent) return next(err)
  const { status, message, field, retryAfter } = asProblem(err)
  if (retryAfter) res.set('Retry-After', String(retryAfter))
  res.status(status).json({ error: message, field })
}

module.exports = { createApi, apiFailed }
