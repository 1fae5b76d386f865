// One Express application in a process of its own; tells its parent the port. Given a port, it keeps sessions in the
// Redis that listens there.
import { createRequire } from 'node:module'
import { classic, secret } from './contenders.mjs'
import { payload } from './scenarios.mjs'

const require = createRequire(import.meta.url)
const express = require('express')
const silverback = require('../dist/index.js')
const expressSession = require('express-session')

const [name, redis] = process.argv.slice(2)

const MIDDLEWARE = {
  'bare Express': () => undefined,
  'silverback sessions()': (stores) => silverback.sessions({ secret, store: stores?.ours('sessions:') }),
  'silverback session()': (stores) => silverback({ ...classic, store: stores?.ours('session:') }),
  'express-session': (stores) =>
    expressSession({ ...classic, store: stores?.theirs('theirs:') ?? new expressSession.MemoryStore() })
}

async function storesIn(port) {
  const client = await require('redis')
    .createClient({ url: `redis://127.0.0.1:${port}` })
    .connect()
  const { RedisStore } = require('../dist/redis.js')
  const { RedisStore: ConnectRedis } = require('connect-redis')
  return {
    ours: (prefix) => new RedisStore({ client, prefix }),
    theirs: (prefix) => new ConnectRedis({ client, prefix })
  }
}

const app = express()
const middleware = MIDDLEWARE[name](redis && (await storesIn(redis)))
// Without sessions, what the handlers look at lies on the prototype of all requests: no middleware at all.
if (middleware === undefined) app.request.session = {}
else app.use(middleware)

app.get('/login', (req, res) => {
  Object.assign(req.session, payload(300), { n: 0 })
  res.send('ok')
})
app.get('/anonymous', (_req, res) => res.send('ok'))
app.get('/read', (req, res) => res.send(req.session.user === undefined ? 'nobody' : 'ok'))
app.get('/write', (req, res) => {
  req.session.n++
  res.send('ok')
})
app.get('/written', (req, res) => res.send(String(req.session.n)))

const server = app.listen(0, '127.0.0.1', () => process.send(server.address().port))
process.once('disconnect', () => process.exit())
