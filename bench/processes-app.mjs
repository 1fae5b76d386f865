// An application of several processes behind one port (node:cluster); the first of them tells its parent the port.
import cluster from 'node:cluster'
import { createRequire } from 'node:module'
import { secret } from './contenders.mjs'
import { payload } from './scenarios.mjs'

const require = createRequire(import.meta.url)
const express = require('express')
const { FileStore, MemoryStore, sessions } = require('../dist/index.js')

const [name, count, place] = process.argv.slice(2)

const STORES = {
  MemoryStore: () => new MemoryStore(),
  FileStore: () => new FileStore({ path: place }),
  SqliteStore() {
    const { SqliteStore } = require('../dist/sqlite.js')
    return new SqliteStore({ path: place })
  },
  async RedisStore() {
    const { RedisStore } = require('../dist/redis.js')
    const client = require('redis').createClient({ url: `redis://127.0.0.1:${place}` })
    return new RedisStore({ client: await client.connect() })
  }
}

function lead() {
  let ready = 0
  cluster.on('listening', (_worker, { port }) => ++ready === Number(count) && process.send(port))
  cluster.on('exit', (_worker, code) => code && process.exit(code))
  for (let i = 0; i < Number(count); i++) cluster.fork()
}

async function work() {
  const app = express().use(sessions({ secret, store: await STORES[name]() }))
  app.get('/login', (req, res) => {
    Object.assign(req.session, payload(300), { n: 0 })
    res.send('ok')
  })
  app.get('/read', (req, res) => res.send(req.session.user === undefined ? 'nobody' : 'ok'))
  app.get('/write', (req, res) => {
    req.session.n++
    res.send('ok')
  })
  app.listen(0, '127.0.0.1')
}

process.once('disconnect', () => process.exit())
if (cluster.isPrimary) lead()
else await work()
