'use strict'

const { csrfSync } = require('csrf-sync')

// A synchronizer token (OWASP), made when the first form needs it: a visitor who only reads has no session. It is not
// kept over a sign-in, so every session has one of its own.
const forms = csrfSync({ size: 32, getTokenFromRequest: (req) => req.body?._csrf })
const api = csrfSync({ size: 32, getTokenFromRequest: (req) => req.get('X-CSRF-Token') })

module.exports = {
  csrfToken: forms.generateToken,
  protectForms: forms.csrfSynchronisedProtection,
  protectApi: api.csrfSynchronisedProtection
}
