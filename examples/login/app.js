'use strict'

const path = require('node:path')
const express = require('express')
const { CookieStore, sessions } = require('silverback')
const { Accounts } = require('./accounts')
const { watchActivity } = require('./activity')
const { createApi, apiFailed } = require('./api')
const { Endings } = require('./endings')
const { noStore, securityHeaders } = require('./headers')
const { createLimits } = require('./limits')
const { isStream } = require('./live')
const { createPages } = require('./pages')
const { pageFailed } = require('./respond')
const { memoryDocuments } = require('./storage/memory')
const { Users } = require('./users')

const MONTH = 30 * 24 * 60 * 60 * 1000

/**
 * Makes the application.
 *
 * @param {object} [options]
 * @param {string | string[]} [options.secret] Signs the session cookie; required in production.
 * @param {object} [options.store] Where sessions live. Default: the memory of this process.
 * @param {ReturnType<typeof memoryDocuments>} [options.documents] Where accounts live. Default: the same.
 * @param {number | string} [options.trustProxy] Express's `trust proxy`.
 * @param {object} [options.limits] Attempts with a password in 15 minutes: `perAccount` (5) and `perAddress` (100).
 */
function createApp({ secret, store, documents = memoryDocuments(), trustProxy, limits = {} } = {}) {
  const app = express()
  app.disable('x-powered-by')
  if (trustProxy !== undefined) app.set('trust proxy', trustProxy)

  const auth = sessions({
    ...(secret && { secret }),
    ...(store && { store }),
    userId: (session) => session.userId,
    extend: (req) => !isStream(req),
    named: {
      // Outlives a logout: it is nobody's but this browser's.
      cart: { idle: MONTH, absolute: null, cookie: { maxAge: MONTH } },
      // Sealed in its cookie, so that nothing is kept of it: which session this browser had.
      device: { store: new CookieStore(), idle: null }
    }
  })
  const users = new Users(documents)
  const endings = new Endings(documents)
  const services = {
    accounts: new Accounts({ auth, users, endings }),
    activity: watchActivity(auth),
    endings,
    limits: createLimits(limits)
  }

  app.use(securityHeaders)
  app.use(express.static(path.join(__dirname, 'public')))
  app.use(noStore)
  app.use(auth)
  app.use(async (req, res, next) => {
    req.user = await users.byId(req.session.userId)
    next()
  })
  app.use('/api', createApi(services))
  app.use(createPages(services))
  // Last of all: a store that fails is told before any route runs, or after, when the response is about to leave.
  app.use('/api', apiFailed)
  app.use(pageFailed)
  return app
}

module.exports = { createApp }
