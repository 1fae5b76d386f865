import express from 'express'
import request from 'supertest'
import session, { requireSession, sessions } from '../lib/index'
import { sessionCookie } from '../lib/testing'
import { appWith, cookieOf, secret } from './helpers/app'
import { basics } from './helpers/basics'

function appGuard(auth: any, options?: object) {
  return appWith(auth, {
    '/private': (req, res, next) =>
      requireSession((s: any) => s.user !== undefined, options)(req, res, (err) => (err ? next(err) : res.send('in')))
  })
}

it('requireSession answers 401 or redirects', async () => {
  const auth = sessions({ secret })
  const app = appWith(auth, basics)
  app.get('/private', requireSession() as any, (_req, res) => void res.send('in'))
  const cookie = await sessionCookie(auth, { user: 'u' })
  expect((await request(appGuard(auth)).get('/private')).status).toBe(401)
  expect((await request(appGuard(auth)).get('/private').set('Cookie', cookie)).text).toBe('in')
  const res = await request(appGuard(auth, { redirectTo: '/login' })).get('/private')
  expect([res.status, res.headers.location]).toEqual([303, '/login'])
})

it.each([5, '', null, {}])('refuses to redirect to %p', (redirectTo) => {
  const refused = expect.objectContaining({ name: 'TypeError', code: 'ERR_SESSION_OPTION' })
  expect(() => requireSession({ redirectTo: redirectTo as never })).toThrow(refused)
})

it('lets nothing but a stored session pass, whatever its data is called and on both doors', async () => {
  const options = { secret, name: 'sid', resave: false, saveUninitialized: false }
  for (const door of [sessions(options), session(options)]) {
    const app = express()
    app.use(door)
    app.use((req: any, _res, next) => {
      req.sessions = 'own'
      next()
    })
    app.get('/login', (req: any, res) => {
      Object.assign(req.session, { user: 'ann', isNew: true })
      res.send('in')
    })
    app.get('/planted', (req: any, _res, next) => {
      req.session.isNew = false
      next()
    })
    app.get(['/private', '/planted'], requireSession() as any, (_req, res) => void res.send('private'))
    expect((await request(app).get('/planted')).status).toBe(401)
    const cookie = cookieOf(await request(app).get('/login'))!
    expect((await request(app).get('/private').set('Cookie', cookie)).text).toBe('private')
  }
})
