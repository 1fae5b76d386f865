// Sessions and their store among the numbers of prom-client, on a port that the public does not reach.
// npm i prom-client
const express = require('express')
const { register, collectDefaultMetrics } = require('prom-client')
const { sessions } = require('silverback')
const { metricsOf } = require('silverback/metrics')

const app = express()
const auth = sessions({ secret: process.env.SESSION_SECRET })
app.use(auth)

app.get('/', (req, res) => {
  req.session.views = (req.session.views ?? 0) + 1
  res.json({ views: req.session.views })
})

const internal = express()
const metrics = metricsOf(auth)
collectDefaultMetrics()
internal.get('/metrics', async (req, res) => {
  res.set('Content-Type', register.contentType)
  res.send((await register.metrics()) + metrics.text())
})

module.exports = { app, internal }
if (require.main === module) {
  app.listen(process.env.PORT ?? 3000)
  internal.listen(9464, '127.0.0.1')
}
