import request from 'supertest'
import { CookieStore, MemoryStore, sessions } from '../lib/index'
import { appWith, cookieOf, secret } from './helpers/app'
import { basics, bodyOf, login, membership, visit } from './helpers/basics'
import { plainStore } from './helpers/classic'
import { Clock } from './helpers/clock'
import { deletions, eager, eagerRoutes } from './helpers/eager'

describe('logout', () => {
  it('expires the cookie with the attributes it was set with', async () => {
    const app = appWith(sessions({ secret, cookie: { path: '/', domain: 'example.com', sameSite: 'strict' } }), basics)
    const cookie = await login(app)
    const res = await request(app).get('/logout').set('Cookie', cookie)
    expect(res.headers['set-cookie']).toEqual([
      'sid=; Max-Age=0; Domain=example.com; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; SameSite=Strict'
    ])
  })

  it('fails aloud when the store could not do it, and expires the cookie anyway', async () => {
    const store = new MemoryStore()
    const app = appWith(sessions({ secret, store }), basics)
    const cookie = await login(app)
    jest
      .spyOn(store, 'destroy')
      .mockImplementation(((_id: string, callback: any) => callback(new Error('down'))) as never)
    const res = await request(app).get('/logout').set('Cookie', cookie)
    expect([res.status, res.body.code]).toEqual([500, 'ERR_SESSION_STORE'])
    expect(cookieOf(res)).toBe('sid=')
  })
})

it('sends no cookie again for a session that ended seconds after the request had saved it', async () => {
  const clock = new Clock()
  const store = new MemoryStore()
  const app = appWith(sessions({ secret, store, rolling: true }), {
    ...basics,
    '/slow': async (req, res) => {
      req.session.seen = true
      await req.session.save()
      if (req.query.logout !== undefined) await store.destroy(req.session.id)
      clock.forward(6000)
      res.send('done')
    }
  })
  const cookie = await login(app)
  expect(cookieOf(await request(app).get('/slow').set('Cookie', cookie))).toBe(cookie)
  expect(cookieOf(await request(app).get('/slow?logout').set('Cookie', cookie))).toBeUndefined()
  clock.restore()
})

describe.each([
  ['MemoryStore', () => new MemoryStore(), {}],
  ['MemoryStore, IDs hashed', () => new MemoryStore(), { hashIds: true }],
  ['a store from npm', () => plainStore(), {}],
  ['CookieStore', () => new CookieStore(), {}]
])('a session that was rotated meanwhile (%s)', (name, open, options) => {
  const rotated = async (grace: number) => {
    const auth = sessions({ secret, store: open(), ...options })
    const app = appWith(auth, {
      ...basics,
      '/rotate': async (req, res) => {
        const { id } = req.session
        await req.session.regenerate({ keep: true, grace })
        res.send(id)
      },
      '/max-age': (req, res) => {
        req.session.cookie.maxAge = -1
        res.send('out')
      }
    })
    const old = await login(app)
    const res = await visit(app, '/rotate', old)
    return { auth, app, old, id: res.text, cookie: cookieOf(res)! }
  }

  it.each([0, 10_000])('is ended by auth.destroy() of its old ID (grace %p)', async (grace) => {
    const { auth, app, id, cookie } = await rotated(grace)
    await auth.destroy(id)
    expect(await bodyOf(app, cookie)).toMatchObject({ data: {}, isNew: true })
    expect(auth.stats()).toMatchObject({ destroyed: 2 })
  })

  it('ends once', async () => {
    const { auth, id } = await rotated(0)
    await auth.destroy(id)
    const { destroyed } = auth.stats()
    await auth.destroy(id)
    // Of a session in a cookie nothing is known, and yet it can be ended.
    expect(auth.stats().destroyed - destroyed).toBe(name === 'CookieStore' ? 1 : 0)
  })

  it('is ended by a negative maxAge of a request with its old ID', async () => {
    const { app, old, cookie } = await rotated(10_000)
    expect(cookieOf(await visit(app, '/max-age', old))).toBe('sid=')
    expect(await bodyOf(app, cookie)).toMatchObject({ data: {}, isNew: true })
  })
})

describe('a session that was not asked for', () => {
  it.each(['/logout', '/delete'])('is ended by %s with the domain and path of its own cookie', async (path) => {
    for (const given of [eager(), { ...eager(), load: 'auto' as const }]) {
      const app = appWith(sessions(given), eagerRoutes)
      const cookie = cookieOf(await request(app).get('/login?domain=example.com&path=/app'))!
      const res = await request(app).get(path).set('Cookie', cookie)
      expect(deletions(res)).toEqual(['Domain=example.com; Path=/app; HttpOnly; SameSite=Lax'])
      expect((await request(app).get('/me').set('Cookie', cookie)).body).toEqual({ user: null })
    }
  })

  it.each(['auto', 'eager'] as const)('is ended where the cookie is all there is (load: %s)', async (load) => {
    const app = appWith(sessions({ secret, store: new CookieStore(), load }), eagerRoutes)
    const cookie = cookieOf(await request(app).get('/login'))!
    const res = await request(app).get('/logout').set('Cookie', cookie)
    expect(deletions(res)).toEqual(['Path=/; HttpOnly; SameSite=Lax'])
    expect((await request(app).get('/me').set('Cookie', cookie)).body).toEqual({ user: null })
  })

  it('does not come back after its end', async () => {
    const seen: unknown[] = []
    const app = appWith(sessions(eager()), {
      ...eagerRoutes,
      '/again': async (req, res) => {
        req.session = null
        res.write('x')
        const session = await req.sessions.get('sid')
        seen.push(session.isNew, session.user)
        res.end()
      }
    })
    const cookie = cookieOf(await request(app).get('/login'))!
    await request(app).get('/again').set('Cookie', cookie)
    expect(seen).toEqual([true, undefined])
  })
})

describe('a partitioned cookie', () => {
  it('the cookie of a partitioned session is expired as a partitioned one', async () => {
    const cookie = { partitioned: true, secure: true, sameSite: 'none' } as const
    const app = appWith(sessions({ secret, proxy: true, cookie }), membership)
    const ask = (path: string, sent = '') => request(app).get(path).set({ 'X-Forwarded-Proto': 'https', Cookie: sent })
    const sent = cookieOf(await ask('/login'))!
    const [expired] = (await ask('/logout', sent)).headers['set-cookie'] as unknown as string[]
    expect(expired).toMatch(/^sid=; Max-Age=0; Path=\/; Expires=Thu, 01 Jan 1970 00:00:00 GMT/)
    expect(expired!.split('; ')).toEqual(expect.arrayContaining(['Partitioned', 'Secure', 'SameSite=None']))
  })
})
