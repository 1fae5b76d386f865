'use strict'

const { requireSession } = require('silverback')
const { Problem } = require('./problem')

/** Lets those pass who are signed in; others go to the login page. */
const memberOnly = requireSession((session, req) => req.user, { redirectTo: '/login' })

/** Lets administrators pass. For routes that have made sure already that somebody is signed in. */
function adminOnly(req, res, next) {
  if (req.user.role === 'admin') return next()
  throw new Problem(403, 'This page is for administrators.')
}

/** Sends those who are signed in already on to their profile. */
function guestOnly(req, res, next) {
  if (req.user) return res.redirect(303, '/profile')
  next()
}

/** Step-up: lets those pass who gave their password a moment ago; others are asked for it. */
function confirmedOnly(accounts) {
  return function confirmedMiddleware(req, res, next) {
    if (accounts.isConfirmed(req)) return next()
    req.session.returnTo = req.path
    res.redirect(303, '/confirm')
  }
}

module.exports = { memberOnly, adminOnly, guestOnly, confirmedOnly }
