// Every contender offers the same verb on a request: the measurements differ in nothing else.
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
const silverback = require('../dist/index.js')
const expressSession = require('express-session')
const memorystore = require('memorystore')(expressSession)
const cookieSession = require('cookie-session')
const clientSessions = require('client-sessions')
const { getIronSession } = await import('iron-session')

export const secret = 'a secret for the benchmark, 32 bytes or more'

/** The same for express-session and for its replacement. */
export const classic = { secret, resave: false, saveUninitialized: false }

/** Without sessions. */
export function bare(name = 'bare') {
  return { name, run: (work) => (req, res) => (work(req), res.end('ok')) }
}

/** Middleware that leaves its session on `req.session`. */
export function contender(name, cookie, middleware) {
  return {
    name,
    cookie,
    run: (work) => (req, res, fail) =>
      middleware(req, res, (err) => {
        if (err) return fail(err)
        work(req)
        res.end('ok')
      })
  }
}

/** Those that keep sessions in this process, or in the cookie. */
export function localContenders() {
  const { sessions, CookieStore } = silverback
  return [
    contender('silverback sessions(), MemoryStore', 'sid', sessions({ secret })),
    contender('silverback session(), MemoryStore', 'connect.sid', silverback(classic)),
    contender('silverback sessions(), CookieStore', 'sid', sessions({ secret, store: new CookieStore() })),
    contender('silverback session(), ES MemoryStore', 'connect.sid', silverback({ ...classic, store: theirStore() })),
    contender('express-session, MemoryStore', 'connect.sid', expressSession({ ...classic, store: theirStore() })),
    contender(
      'express-session, memorystore',
      'connect.sid',
      expressSession({ ...classic, store: new memorystore({}) })
    ),
    contender('cookie-session (signs)', 'session', cookieSession({ keys: [secret] })),
    contender('client-sessions (seals)', 'session', clientSessions({ cookieName: 'session', secret })),
    iron()
  ]
}

function theirStore() {
  return new expressSession.MemoryStore()
}

function iron() {
  const options = {
    password: secret,
    cookieName: 'iron',
    cookieOptions: { secure: false }
  }
  return {
    name: 'iron-session (seals)',
    cookie: 'iron',
    run: (work, writes) => async (req, res, fail) => {
      try {
        req.session = await getIronSession(req, res, options)
        work(req)
        if (writes) await req.session.save()
        res.end('ok')
      } catch (err) {
        fail(err)
      }
    }
  }
}
