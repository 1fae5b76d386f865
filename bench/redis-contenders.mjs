// Those that keep sessions in Redis, all over the same client.
import { createRequire } from 'node:module'
import { classic, contender, secret } from './contenders.mjs'

const require = createRequire(import.meta.url)
const silverback = require('../dist/index.js')
const { RedisStore } = require('../dist/redis.js')
const expressSession = require('express-session')
const { RedisStore: ConnectRedis } = require('connect-redis')

export function redisContenders(client) {
  const connectRedis = (prefix) => ({
    ...classic,
    store: new ConnectRedis({ client, prefix })
  })
  const redisStore = (prefix) => new RedisStore({ client, prefix })
  return [
    contender(
      'silverback sessions(), RedisStore',
      'sid',
      silverback.sessions({ secret, store: redisStore('sessions:') })
    ),
    contender(
      'silverback session(), RedisStore',
      'connect.sid',
      silverback({ ...classic, store: redisStore('session:') })
    ),
    contender('silverback session(), connect-redis', 'connect.sid', silverback(connectRedis('ours:'))),
    contender('express-session, connect-redis', 'connect.sid', expressSession(connectRedis('theirs:')))
  ]
}
