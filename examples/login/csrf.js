'use strict'

const { randomBytes, timingSafeEqual } = require('node:crypto')
const { Problem } = require('./problem')

const SAFE = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * The token of this session, made when the first form needs it: a visitor who only reads has no session.
 * It is not kept over a sign-in, so every session has one of its own.
 */
function csrfToken(req) {
  req.session.csrf ??= randomBytes(32).toString('base64url')
  return req.session.csrf
}

/**
 * Refuses unsafe requests that do not bring the session's token (OWASP: synchronizer token pattern).
 *
 * @param {(req: import('express').Request) => unknown} sent Where the request carries it.
 */
function requireCsrfToken(sent) {
  return function csrfMiddleware(req, res, next) {
    if (SAFE.has(req.method) || equal(sent(req), req.session.csrf)) return next()
    next(new Problem(403, 'This form has expired. Please load the page again and repeat what you did.'))
  }
}

function equal(sent, expected) {
  if (typeof sent !== 'string' || typeof expected !== 'string') return false
  const [a, b] = [Buffer.from(sent), Buffer.from(expected)]
  return a.length === b.length && timingSafeEqual(a, b)
}

module.exports = { csrfToken, requireCsrfToken }
