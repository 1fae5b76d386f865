import request from 'supertest'
import session, { sessions } from '../lib/index'
import { appWith, cookieOf, secret } from './helpers/app'
import { deletions, eager, eagerRoutes } from './helpers/eager'

it('a prefixed name becomes secure by itself', async () => {
  const app = appWith(sessions({ secret, name: '__Host-sid', proxy: true }), {
    '/': (req, res) => {
      req.session.x = 1
      res.send('x')
    }
  })
  const res = await request(app).get('/').set('X-Forwarded-Proto', 'https')
  expect((res.headers['set-cookie'] as unknown as string[])[0]).toMatch(/^__Host-sid=.*; Secure/)
})

it('withholds a secure cookie over http, with one warning that names the fix', async () => {
  const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
  const auth = sessions({ secret, cookie: { secure: true } })
  const app = appWith(auth, {
    '/': (req, res) => {
      req.session.x = 1
      res.send('x')
    }
  })
  for (let i = 0; i < 2; i++) expect((await request(app).get('/')).headers['set-cookie']).toBeUndefined()
  expect(warned).toHaveBeenCalledTimes(1)
  expect(warned.mock.calls[0]![0]).toContain('trust proxy')
  warned.mockRestore()
  expect(auth.stats().withheld).toBe(2)
})

it('matches the path of the cookie by segments, by prefix at the drop-in door', async () => {
  const routes = { '/admin': see, '/administrator': see, '/admin/x': see }
  function see(req: any, res: any) {
    res.json(req.session !== undefined)
  }
  const modern = appWith(sessions({ secret, cookie: { path: '/admin' } }), routes)
  const classic = appWith(
    session({ secret, resave: false, saveUninitialized: false, cookie: { path: '/admin' } }),
    routes
  )
  const answers = async (app: any) =>
    Promise.all(['/admin', '/admin/x', '/administrator'].map(async (path) => (await request(app).get(path)).body))
  expect(await answers(modern)).toEqual([true, true, false])
  expect(await answers(classic)).toEqual([true, true, true])
})

describe('a session that was not asked for', () => {
  it('outlives a planted cookie beside its own', async () => {
    const app = appWith(sessions(eager()), eagerRoutes)
    const cookie = cookieOf(await request(app).get('/login?domain=example.com'))!
    const res = await request(app).get('/none').set('Host', 'www.example.com').set('Cookie', `${cookie}; sid=planted`)
    expect(deletions(res).filter((text) => text.startsWith('Domain=example.com'))).toEqual([])
    expect((await request(app).get('/me').set('Cookie', cookie)).body).toEqual({ user: 1 })
  })
})

it('a login with the cookie of a session that has ended is answered with one cookie, over TLS as well', async () => {
  const app = appWith(sessions({ secret, proxy: true }), {
    '/login': (req, res) => {
      req.session.user = 1
      res.send('in')
    },
    '/logout': async (req, res) => {
      await req.session.destroy()
      res.send('out')
    }
  })
  const get = (path: string, cookie = '') =>
    request(app).get(path).set({ 'X-Forwarded-Proto': 'https', Cookie: cookie })
  const cookie = cookieOf(await get('/login'))!
  await get('/logout', cookie)
  expect((await get('/login', cookie)).headers['set-cookie']).toEqual([expect.stringMatching(/^sid=[^;]+; .*Secure/)])
})
