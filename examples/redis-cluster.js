// The same on a Redis Cluster: name a few of its nodes, the client finds the others.
const express = require('express')
const { createCluster } = require('redis')
const { sessions } = require('silverback')
const { RedisStore } = require('silverback/redis')

const urls = (process.env.REDIS_NODES ?? 'redis://127.0.0.1:7000').split(',')
const client = createCluster({ rootNodes: urls.map((url) => ({ url })) })
client.on('error', (err) => console.error('Redis Cluster:', err.code ?? err.name))

const app = express()
app.use(sessions({ secret: process.env.SESSION_SECRET, store: new RedisStore({ client }) }))

app.get('/', (req, res) => {
  req.session.views = (req.session.views ?? 0) + 1
  res.json({ views: req.session.views })
})

module.exports = { app, client }
if (require.main === module) client.connect().then(() => app.listen(process.env.PORT ?? 3000))
