// Every contender offers the same four verbs on a request: the measurements differ in nothing else.
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
const silverback = require('../dist/index.js')
const { RedisStore } = require('../dist/redis.js')
const expressSession = require('express-session')
const memorystore = require('memorystore')(expressSession)
const cookieSession = require('cookie-session')
const clientSessions = require('client-sessions')
const { getIronSession } = await import('iron-session')

export const secret = 'a secret for the benchmark, 32 bytes or more'

/** Middleware that leaves its session on `req.session`. */
function middleware(name, handler, cookie) {
  return {
    name,
    cookie,
    run: (work) => (req, res, fail) =>
      handler(req, res, (err) => {
        if (err) return fail(err)
        work(req)
        res.end('ok')
      })
  }
}

const classic = { secret, resave: false, saveUninitialized: false }

export function bare(name = 'bare') {
  return { name, run: (work) => (req, res) => (work(req), res.end('ok')) }
}

export function contenders({ redis } = {}) {
  const list = [
    middleware('silverback sessions(), MemoryStore', silverback.sessions({ secret }), 'sid'),
    middleware('silverback session(), MemoryStore', silverback(classic), 'connect.sid'),
    middleware(
      'silverback sessions(), CookieStore',
      silverback.sessions({ secret, store: new silverback.CookieStore() }),
      'sid'
    ),
    middleware(
      'silverback session(), ES MemoryStore',
      silverback({ ...classic, store: new expressSession.MemoryStore() }),
      'connect.sid'
    ),
    middleware(
      'express-session, MemoryStore',
      expressSession({ ...classic, store: new expressSession.MemoryStore() }),
      'connect.sid'
    ),
    middleware(
      'express-session, memorystore',
      expressSession({ ...classic, store: new memorystore({}) }),
      'connect.sid'
    ),
    middleware('cookie-session (signs)', cookieSession({ keys: [secret] }), 'session'),
    middleware('client-sessions', clientSessions({ cookieName: 'session', secret }), 'session'),
    iron()
  ]
  if (redis) {
    const { RedisStore: ConnectRedis } = require('connect-redis')
    list.push(
      middleware(
        'silverback sessions(), RedisStore',
        silverback.sessions({ secret, store: new RedisStore({ client: redis, prefix: 'sb:' }) }),
        'sid'
      ),
      middleware(
        'silverback session(), connect-redis',
        silverback({ ...classic, store: new ConnectRedis({ client: redis, prefix: 'cs:' }) }),
        'connect.sid'
      ),
      middleware(
        'express-session, connect-redis',
        expressSession({ ...classic, store: new ConnectRedis({ client: redis, prefix: 'es:' }) }),
        'connect.sid'
      )
    )
  }
  return list
}

function iron() {
  return {
    name: 'iron-session (seals)',
    cookie: 'iron',
    run: (work, writes) => async (req, res, fail) => {
      try {
        req.session = await getIronSession(req, res, {
          password: secret,
          cookieName: 'iron',
          cookieOptions: { secure: false }
        })
        work(req)
        if (writes) await req.session.save()
        res.end('ok')
      } catch (err) {
        fail(err)
      }
    }
  }
}
