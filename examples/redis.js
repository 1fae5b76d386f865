// Sessions in Redis: one command for a read, one more for a change.
const express = require('express')
const { createClient } = require('redis')
const { sessions } = require('silverback')
const { RedisStore } = require('silverback/redis')

const client = createClient({ url: process.env.REDIS_URL })
client.on('error', (err) => console.error('Redis:', err.code ?? err.name))

const app = express()
app.use(sessions({ secret: process.env.SESSION_SECRET, store: new RedisStore({ client }) }))

app.get('/', (req, res) => {
  req.session.views = (req.session.views ?? 0) + 1
  res.json({ views: req.session.views })
})

module.exports = { app, client }
if (require.main === module) client.connect().then(() => app.listen(process.env.PORT ?? 3000))
