'use strict'

const express = require('express')
const { sessions } = require('silverback')
const { Accounts } = require('./accounts')
const { createApi, apiFailed } = require('./api')
const { createLimiter } = require('./limiter')
const { createPages } = require('./pages')
const { pageFailed } = require('./respond')
const { createUsers } = require('./users')
const { securityHeaders } = require('./headers')

const MINUTE = 60 * 1000

/**
 * Makes the application.
 *
 * @param {object} [options]
 * @param {string | string[]} [options.secret] Signs the session cookie; required in production.
 * @param {object} [options.store] Where sessions live. Default: the memory of this process.
 * @param {ReturnType<typeof createUsers>} [options.users] Default: an empty repository.
 * @param {number | string} [options.trustProxy] Express's `trust proxy`.
 * @param {object} [options.limits] Sign-in attempts in 15 minutes: `perAccount` (5) and `perAddress` (100).
 */
function createApp({ secret, store, users = createUsers(), trustProxy, limits = {} } = {}) {
  const app = express()
  app.disable('x-powered-by')
  if (trustProxy !== undefined) app.set('trust proxy', trustProxy)

  const auth = sessions({
    ...(secret && { secret }),
    ...(store && { store }),
    userId: (session) => session.userId
  })
  const accounts = new Accounts({
    auth,
    users,
    perAccount: createLimiter({ attempts: limits.perAccount ?? 5, within: 15 * MINUTE }),
    perAddress: createLimiter({ attempts: limits.perAddress ?? 100, within: 15 * MINUTE })
  })

  app.use(securityHeaders)
  app.use(auth)
  app.use('/api', createApi(accounts))
  app.use(createPages(accounts))
  // Last of all: a store that fails is told before any route runs, or after, when the response is about to leave.
  app.use('/api', apiFailed)
  app.use(pageFailed)
  return app
}

module.exports = { createApp }
