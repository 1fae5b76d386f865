// Sessions in memcached: what is not used for long, or does not fit into memory any more, is gone.
const express = require('express')
const Memcached = require('memcached')
const { sessions } = require('silverback')
const { MemcachedStore } = require('silverback/memcached')

// Left to itself, the client waits minutes before it reports a failure, and gives up on a server for hours.
const client = new Memcached(process.env.MEMCACHED_SERVERS?.split(',') ?? 'localhost:11211', {
  timeout: 1000, // ms to connect
  retries: 5, // attempts to get a connection, after 20, 40, 80, 160 and 320 ms
  minTimeout: 20,
  factor: 2,
  retry: 1000, // ms until a server that failed is tried again
  failures: 1e9, // as often as it takes
  failuresTimeout: 1000 // ms that a failure keeps a process from ending
})

const app = express()
app.use(sessions({ secret: process.env.SESSION_SECRET, store: new MemcachedStore({ client }) }))

app.get('/', (req, res) => {
  req.session.views = (req.session.views ?? 0) + 1
  res.json({ views: req.session.views })
})

module.exports = { app, client }
if (require.main === module) app.listen(process.env.PORT ?? 3000)
