'use strict'

/** Remembers the page a guest is about to be sent away from. The path alone: it can lead to no other site. */
function rememberPage(req, res, next) {
  if (req.method === 'GET' && !req.user) req.session.returnTo = req.path
  next()
}

/** Where to go after the password was given. */
function returnTo(req) {
  const { returnTo = '/profile' } = req.session
  delete req.session.returnTo
  return returnTo
}

/** The page a form was on. Pages have paths of one word: nothing else is followed. */
function backTo(req) {
  return /^\/[a-z]*$/.test(req.body.back) ? req.body.back : '/'
}

module.exports = { rememberPage, returnTo, backTo }
