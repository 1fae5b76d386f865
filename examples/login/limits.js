'use strict'

const { ipKeyGenerator, rateLimit } = require('express-rate-limit')
const fields = require('./fields')
const { Problem } = require('./problem')

const WITHIN = 15 * 60 * 1000

/**
 * Slows down guessing: middleware for every route that checks a password. Counted before the password is checked, so
 * parallel guesses do not slip through; a right one is taken off the account again.
 *
 * @param {object} limits Attempts in 15 minutes: `perAccount` and `perAddress`.
 */
function createLimits({ perAccount = 5, perAddress = 100 }) {
  const address = ({ ip }) => ipKeyGenerator(ip)
  const account = (req) => `${address(req)} ${req.user?.username ?? fields.lookupName(req.body)}`
  const limit = (options) => rateLimit({ windowMs: WITHIN, legacyHeaders: false, handler: tooMany, ...options })
  const byAddress = limit({ limit: perAddress, keyGenerator: address })
  return {
    register: [byAddress],
    password: [byAddress, limit({ limit: perAccount, keyGenerator: account, skipSuccessfulRequests: true })]
  }
}

function tooMany(req, res, next) {
  const retryAfter = Math.ceil((req.rateLimit.resetTime - Date.now()) / 1000)
  const minutes = Math.ceil(retryAfter / 60)
  const wait = minutes === 1 ? 'a minute' : `${minutes} minutes`
  next(new Problem(429, `Too many attempts. Please try again in ${wait}.`, { retryAfter }))
}

module.exports = { createLimits }
