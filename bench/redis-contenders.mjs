// Those that keep sessions in Redis, all over the same client.
import { createRequire } from 'node:module'
import { overRedis } from './by-hand.mjs'
import { classic, contender, secret } from './contenders.mjs'

const require = createRequire(import.meta.url)
const dist = process.env.BENCH_DIST ?? '../dist'
const silverback = require(`${dist}/index.js`)
const { RedisStore } = require(`${dist}/redis.js`)
const expressSession = require('express-session')
const { RedisStore: ConnectRedis } = require('connect-redis')

/** By name; each made for a client. */
export const REDIS_CONTENDERS = {
  'silverback sessions(), RedisStore': (name, client) =>
    contender(name, 'sid', silverback.sessions({ secret, store: new RedisStore({ client, prefix: 'sessions:' }) })),
  'silverback session(), RedisStore': (name, client) =>
    contender(name, 'connect.sid', silverback({ ...classic, store: new RedisStore({ client, prefix: 'session:' }) })),
  'silverback session(), connect-redis': (name, client) =>
    contender(name, 'connect.sid', silverback({ ...classic, store: new ConnectRedis({ client, prefix: 'ours:' }) })),
  'express-session, connect-redis': (name, client) =>
    contender(
      name,
      'connect.sid',
      expressSession({ ...classic, store: new ConnectRedis({ client, prefix: 'theirs:' }) })
    ),
  'by hand, MGET and SET': (name, client) => contender(name, 'sid', overRedis(secret, client, 'hand:'))
}
