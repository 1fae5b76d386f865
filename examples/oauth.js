// A strict main session, and a lax one for each OAuth round trip: the provider's redirect is a cross-site navigation, on
// which browsers withhold strict cookies. Every attempt has a session and a cookie of its own, so that tabs never meet.
const express = require('express')
const { sessions, generateKey } = require('silverback')

const TEN_MINUTES = 10 * 60 * 1000
const ROUND_TRIP = { idle: TEN_MINUTES, cookie: { sameSite: 'lax', path: '/oauth', maxAge: TEN_MINUTES } }

const app = express()
app.use(sessions({ secret: process.env.SESSION_SECRET, cookie: { sameSite: 'strict' } }))

app.get('/oauth/start', async (req, res) => {
  const state = generateKey()
  const attempt = await req.sessions.get(`oauth-${state}`, ROUND_TRIP)
  attempt.returnTo = pathOf(req.query.returnTo)
  res.redirect(`${process.env.PROVIDER}?state=${state}`)
})

app.get('/oauth/callback', async (req, res) => {
  const { state } = req.query
  const attempt = /^[\w-]{43}$/.test(state) ? await req.sessions.get(`oauth-${state}`, ROUND_TRIP) : {}
  const { returnTo } = attempt
  if (returnTo === undefined) return res.status(400).send('This login was not started in this browser.')
  await attempt.destroy()
  await req.session.regenerate()
  req.session.user = 'whom the provider names for req.query.code'
  // No redirect: it would still be the provider's navigation, and so come without the strict cookie.
  res.set('Refresh', `0; url=${returnTo}`).send('Signed in.')
})

app.get(/.*/, (req, res) => res.json({ path: req.path, user: req.session.user ?? null }))

// Never another site's address: `/.//evil.example` is a path here, `//evil.example`, and another site in a redirect.
function pathOf(address) {
  const { origin, pathname } = new URL(String(address ?? '/'), 'http://this')
  return origin === 'http://this' && !pathname.startsWith('//') ? pathname : '/'
}

module.exports = { app }
if (require.main === module) app.listen(process.env.PORT ?? 3000)
