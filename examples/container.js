// For Docker and Kubernetes: a probe that costs no session, sessions that outlive the container, and an orderly end.
const express = require('express')
const { createClient } = require('redis')
const { sessions } = require('silverback')
const { RedisStore } = require('silverback/redis')

const client = createClient({ url: process.env.REDIS_URL })
client.on('error', (err) => console.error('Redis:', err.code ?? err.name))

const app = express()
app.get('/healthz', (req, res) => res.send('ok')) // before the sessions: it must not depend on Redis
app.set('trust proxy', 1)
app.use(sessions({ secret: process.env.SESSION_SECRET, store: new RedisStore({ client }) }))

app.get('/', (req, res) => {
  req.session.views = (req.session.views ?? 0) + 1
  res.json({ views: req.session.views })
})

// Responses under way still need the store: it is closed after the last of them.
async function stop(server) {
  await new Promise((done) => server.close(done))
  await client.close()
}

module.exports = { app, client, stop }
if (require.main === module) {
  client.connect().then(() => {
    const server = app.listen(process.env.PORT ?? 3000)
    process.once('SIGTERM', () => void stop(server))
  })
}
