// A strict main session, and a lax one for the OAuth round trip: the provider's redirect is a cross-site navigation,
// on which browsers withhold strict cookies. Each attempt has a state of its own, so two tabs do not disturb each other.
const express = require('express')
const { sessions, generateKey } = require('silverback')

const MINUTE = 60 * 1000
const app = express()
app.use(
  sessions({
    secret: process.env.SESSION_SECRET,
    cookie: { sameSite: 'strict' },
    named: { oauth: { idle: 10 * MINUTE, cookie: { sameSite: 'lax', path: '/oauth' } } }
  })
)

app.get('/oauth/start', async (req, res) => {
  const oauth = await req.sessions.get('oauth')
  const state = generateKey()
  oauth.attempts = { ...oauth.attempts, [state]: { returnTo: req.query.returnTo ?? '/' } }
  res.redirect(`${process.env.PROVIDER ?? '/provider'}?state=${state}`)
})

app.get('/oauth/callback', async (req, res) => {
  const oauth = await req.sessions.get('oauth')
  const attempt = oauth.attempts?.[req.query.state]
  if (!attempt) return res.status(400).send('This login was not started here.')
  delete oauth.attempts[req.query.state]
  await req.session.regenerate()
  req.session.user = 'the user that the provider named'
  res.redirect(attempt.returnTo)
})

module.exports = { app }
if (require.main === module) app.listen(process.env.PORT ?? 3000)
