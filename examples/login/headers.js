'use strict'

const { createHash } = require('node:crypto')
const { css } = require('./style')

// The one inline style is allowed by its hash; there is no script at all.
const STYLE_HASH = createHash('sha256').update(css).digest('base64')
const POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${STYLE_HASH}'`,
  'img-src data:',
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'"
].join('; ')

/** The response headers every page and answer of this application carries. */
function securityHeaders(req, res, next) {
  res.set({
    // Personal pages: after a logout the back button must not bring them up again.
    'Cache-Control': 'no-store',
    'Content-Security-Policy': POLICY,
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Referrer-Policy': 'same-origin',
    'X-Content-Type-Options': 'nosniff'
  })
  if (req.secure) res.set('Strict-Transport-Security', 'max-age=31536000')
  next()
}

module.exports = { securityHeaders }
