import request from 'supertest'
import { requireSession, sessions } from '../lib/index'
import { sessionCookie } from '../lib/testing'
import { appWith, secret } from './helpers/app'
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
