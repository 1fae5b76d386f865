// Every contender offers the same verb on a request: the measurements differ in nothing else.
import { createRequire } from 'node:module'
import { inSealedCookie, overForeignStore, overMap } from './by-hand.mjs'

const require = createRequire(import.meta.url)
const silverback = require(`${process.env.BENCH_DIST ?? '../dist'}/index.js`)
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

/** Those that keep sessions in this process, or in the cookie, by name; each made when it is needed. */
export const LOCAL_CONTENDERS = {
  'silverback sessions(), MemoryStore': (name) => contender(name, 'sid', silverback.sessions({ secret })),
  'silverback session(), MemoryStore': (name) => contender(name, 'connect.sid', silverback(classic)),
  'silverback sessions(), CookieStore': (name) =>
    contender(name, 'sid', silverback.sessions({ secret, store: new silverback.CookieStore() })),
  'silverback session(), ES MemoryStore': (name) =>
    contender(name, 'connect.sid', silverback({ ...classic, store: theirStore() })),
  'express-session, MemoryStore': (name) =>
    contender(name, 'connect.sid', expressSession({ ...classic, store: theirStore() })),
  'express-session, memorystore': (name) =>
    contender(name, 'connect.sid', expressSession({ ...classic, store: new memorystore({}) })),
  'cookie-session (signs)': (name) => contender(name, 'session', cookieSession({ keys: [secret] })),
  'client-sessions (seals)': (name) => contender(name, 'session', clientSessions({ cookieName: 'session', secret })),
  'iron-session (seals)': iron,
  'by hand, a Map': (name) => contender(name, 'sid', overMap(secret)),
  'by hand, a sealed cookie': (name) => contender(name, 'sid', inSealedCookie(secret)),
  'by hand, ES MemoryStore': (name) => contender(name, 'connect.sid', overForeignStore(secret, theirStore()))
}

function theirStore() {
  return new expressSession.MemoryStore()
}

function iron(name) {
  const options = {
    password: secret,
    cookieName: 'iron',
    cookieOptions: { secure: false }
  }
  return {
    name,
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
