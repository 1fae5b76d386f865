// A CSRF token in every form, kept in the session by csrf-sync. A new session ID at login brings a new token.
// npm i csrf-sync
const express = require('express')
const { csrfSync } = require('csrf-sync')
const { sessions } = require('silverback')

const { csrfSynchronisedProtection, generateToken } = csrfSync({ getTokenFromRequest: (req) => req.body.token })

const app = express()
app.use(express.urlencoded({ extended: false }))
app.use(sessions({ secret: process.env.SESSION_SECRET }))
app.use(csrfSynchronisedProtection)

app.get('/', (req, res) => {
  const token = generateToken(req)
  res.send(
    `<form method="post" action="/name"><input type="hidden" name="token" value="${token}"><input name="name"></form>`
  )
})

app.post('/name', (req, res) => {
  req.session.name = req.body.name
  res.json({ name: req.session.name })
})

module.exports = { app }
if (require.main === module) app.listen(process.env.PORT ?? 3000)
