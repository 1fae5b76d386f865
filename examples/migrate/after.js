'use strict'

const express = require('express')
const session = require('silverback')

/** A page counter with a login: an application as express-session users have written it for years. */
function createApp(store) {
  const app = express()
  app.use(express.json())
  app.use(
    session({
      secret: 'replace me with 32 random bytes, from the environment',
      store,
      resave: false,
      saveUninitialized: false,
      cookie: { maxAge: 60 * 60 * 1000, sameSite: 'lax' }
    })
  )

  app.get('/', (req, res) => {
    req.session.views = (req.session.views || 0) + 1
    res.json({ user: req.session.user ?? null, views: req.session.views })
  })

  app.post('/login', (req, res, next) => {
    req.session.regenerate((err) => {
      if (err) return next(err)
      req.session.user = String(req.body.user)
      req.session.save((err) => (err ? next(err) : res.json({ user: req.session.user })))
    })
  })

  app.post('/logout', (req, res, next) => {
    req.session.destroy((err) => (err ? next(err) : res.clearCookie('connect.sid').json({ user: null })))
  })

  return app
}

module.exports = { createApp }

if (require.main === module) {
  const server = createApp().listen(process.env.PORT ?? 3000, () => {
    console.log(`Migration example: http://localhost:${server.address().port}`)
  })
}
