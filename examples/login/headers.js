'use strict'

const helmet = require('helmet')

/** The response headers of every page: nothing is loaded from elsewhere, and nothing runs inline. */
const securityHeaders = helmet({
  contentSecurityPolicy: {
    useDefaults: false,
    directives: {
      defaultSrc: ["'none'"],
      styleSrc: ["'self'"],
      scriptSrc: ["'self'"],
      connectSrc: ["'self'"],
      imgSrc: ["'self'"],
      formAction: ["'self'"],
      baseUri: ["'none'"],
      frameAncestors: ["'none'"]
    }
  },
  referrerPolicy: { policy: 'same-origin' }
})

/** Personal pages: after a logout the back button must not bring them up again. */
function noStore(req, res, next) {
  res.set('Cache-Control', 'no-store')
  next()
}

module.exports = { securityHeaders, noStore }
