import { randomUUID } from 'node:crypto'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { sessions } from '../../lib/index'
import { secret } from './app'

export type Package = 'express-session' | 'silverback'

/** What a site does otherwise than it should; each part stands for what is right by default. */
export interface Wrong {
  /** Options of the session, in place of the right ones. */
  options?: object
  cookie?: object
  trustProxy?: boolean
  /** First in the way of every request. */
  first?: express.RequestHandler
  /** What caches are told. */
  cacheControl?: string
  /** Whether the login page keeps a token in the session. */
  token?: boolean
  login?: express.RequestHandler
  logout?: express.RequestHandler
}

const PASSWORD = 'correct horse battery staple'

/** A site with a login page, a page for members, and a logout, behind a proxy that terminates TLS. */
export function siteWith(kind: Package, wrong: Wrong = {}): RequestListener {
  const app = express()
  app.set('trust proxy', wrong.trustProxy ?? 1)
  if (wrong.first) app.use(wrong.first)
  app.use((_req, res, next) => {
    res.set('Cache-Control', wrong.cacheControl ?? 'private')
    next()
  })
  const cookie = { path: '/', httpOnly: true, secure: true, sameSite: 'lax' as const, ...wrong.cookie }
  app.use(
    kind === 'silverback'
      ? sessions({ secret, ...(wrong.cookie && { cookie }), ...wrong.options })
      : jest.requireActual('express-session')({
          ...{ secret, resave: false, saveUninitialized: false, cookie },
          ...wrong.options
        })
  )
  app.use(express.urlencoded({ extended: false }))
  app.get('/', (_req, res) => void res.send('<h1>Hello</h1>'))
  app.get('/login', (req: any, res) => {
    const csrf = wrong.token === false ? '' : (req.session.csrf ??= randomUUID())
    res.send(`<form method="post"><input type="hidden" name="_csrf" value="${csrf}">
      <input name="email" type="email"><input name='pass' type=password><button>Sign in</button></form>`)
  })
  app.post('/login', (req: any, res, next) => {
    const tokenIsRight = req.body._csrf === (wrong.token === false ? '' : req.session.csrf)
    if (!tokenIsRight || req.body.pass !== PASSWORD) return void res.sendStatus(401)
    ;(wrong.login ?? login)(req, res, next)
  })
  app.get('/account', (req: any, res) => {
    if (!req.session?.user) return void res.redirect('/login')
    res.send(`Hello ${req.session.user}`)
  })
  app.post('/logout', wrong.logout ?? logout(kind === 'silverback' ? 'sid' : 'connect.sid', cookie))
  return app
}

const login: express.RequestHandler = (req: any, res, next) => {
  const { email } = req.body
  req.session.regenerate((err: unknown) => {
    if (err) return next(err)
    req.session.user = email
    res.redirect('/account')
  })
}

function logout(name: string, { path, httpOnly, secure, sameSite }: any): express.RequestHandler {
  return (req: any, res, next) =>
    req.session.destroy((err: unknown) => {
      if (err) return next(err)
      res.clearCookie(name, { path, httpOnly, secure, sameSite })
      res.redirect('/')
    })
}

/** Serves it on a port of its own. */
export async function serve(listener: RequestListener): Promise<{ server: Server; url: string }> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` }
}

export const ACCOUNT = {
  flags: ['--login', '/login', '--protected', '/account', '--logout', '/logout', '--user', 'ann@example.org'],
  env: { PASSWORD }
}
