// AWS Lambda behind an API gateway. Sessions in their cookies need no database; any store on a network will do as well.
// npm i serverless-http
const express = require('express')
const serverless = require('serverless-http')
const { CookieStore, sessions } = require('silverback')

const app = express()
app.set('trust proxy', 1) // the gateway speaks HTTPS to the browser
app.use(sessions({ secret: process.env.SESSION_SECRET, store: new CookieStore() }))

app.get('/', (req, res) => {
  req.session.views = (req.session.views ?? 0) + 1
  res.json({ views: req.session.views })
})

module.exports = { handler: serverless(app) }
