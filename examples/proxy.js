// Behind a proxy or load balancer that speaks HTTPS to the browser, and plain HTTP to this process.
const express = require('express')
const { sessions } = require('silverback')

const app = express()
app.set('trust proxy', 1) // one proxy: its X-Forwarded-Proto is believed
// A name with __Host- makes browsers insist on HTTPS, on this very host and on the path /.
app.use(sessions({ secret: process.env.SESSION_SECRET, name: '__Host-sid' }))

app.get('/', (req, res) => {
  req.session.views = (req.session.views ?? 0) + 1
  res.json({ views: req.session.views, secure: req.secure })
})

module.exports = { app }
if (require.main === module) app.listen(process.env.PORT ?? 3000)
