'use strict'

const { Problem } = require('./problem')

/** Lets administrators pass. For routes that have made sure already that somebody is signed in. */
function adminOnly(accounts) {
  return function adminMiddleware(req, res, next) {
    if (accounts.userOf(req.session).role === 'admin') return next()
    throw new Problem(403, 'This page is for administrators.')
  }
}

/** Sends those who are signed in already on to their profile. */
function guestOnly(accounts) {
  return function guestMiddleware(req, res, next) {
    if (accounts.userOf(req.session)) return res.redirect('/profile')
    next()
  }
}

module.exports = { adminOnly, guestOnly }
