import request from 'supertest'
import { CookieStore, MemoryStore, sessions, type SessionsOptions } from '../lib/index'
import { appWith, cookieOf, secret } from './helpers/app'
import { Clock } from './helpers/clock'

// A session that was read before the handlers ran, as asynchronous stores are, and that nobody asks for.
const options = (): SessionsOptions => ({ secret, store: new MemoryStore(), load: 'eager' })

const routes: Parameters<typeof appWith>[1] = {
  '/login': (req, res) => {
    req.session.user = 1
    Object.assign(req.session.cookie, req.query)
    res.end()
  },
  '/logout': (req, res) => {
    req.session = null
    res.end()
  },
  '/delete': (req, res) => {
    delete req.session
    res.end()
  },
  '/none': (_req, res) => res.end(),
  '/me': (req, res) => res.json({ user: req.session.user ?? null })
}

/** The attributes of the deletion of a cookie. */
function deletions(res: request.Response): string[] {
  return ((res.headers['set-cookie'] ?? []) as unknown as string[])
    .filter((text) => text.startsWith('sid=;'))
    .map((text) => text.replace(/^sid=; Max-Age=0; |; Expires=[^;]*/g, ''))
}

describe('a session that nobody asked for', () => {
  it.each(['/logout', '/delete'])('is ended by %s with the domain and path of its own cookie', async (path) => {
    for (const given of [options(), { ...options(), load: 'auto' as const }]) {
      const app = appWith(sessions(given), routes)
      const cookie = cookieOf(await request(app).get('/login?domain=example.com&path=/app'))!
      const res = await request(app).get(path).set('Cookie', cookie)
      expect(deletions(res)).toEqual(['Domain=example.com; Path=/app; HttpOnly; SameSite=Lax'])
      expect((await request(app).get('/me').set('Cookie', cookie)).body).toEqual({ user: null })
    }
  })

  it.each(['auto', 'eager'] as const)('is ended where the cookie is all there is (load: %s)', async (load) => {
    const app = appWith(sessions({ secret, store: new CookieStore(), load }), routes)
    const cookie = cookieOf(await request(app).get('/login'))!
    const res = await request(app).get('/logout').set('Cookie', cookie)
    expect(deletions(res)).toEqual(['Path=/; HttpOnly; SameSite=Lax'])
    expect((await request(app).get('/me').set('Cookie', cookie)).body).toEqual({ user: null })
  })

  it('outlives a planted cookie beside its own', async () => {
    const app = appWith(sessions(options()), routes)
    const cookie = cookieOf(await request(app).get('/login?domain=example.com'))!
    const res = await request(app).get('/none').set('Host', 'www.example.com').set('Cookie', `${cookie}; sid=planted`)
    expect(deletions(res).filter((text) => text.startsWith('Domain=example.com'))).toEqual([])
    expect((await request(app).get('/me').set('Cookie', cookie)).body).toEqual({ user: 1 })
  })

  it('does not come back after its end', async () => {
    const seen: unknown[] = []
    const app = appWith(sessions(options()), {
      ...routes,
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

  it('is saved with all others', async () => {
    const store = new MemoryStore()
    const app = appWith(sessions({ ...options(), store }), {
      ...routes,
      '/save': async (req, res) => {
        store.clear()
        await expect(req.sessions.save()).rejects.toThrow(AggregateError)
        res.end()
      }
    })
    const cookie = cookieOf(await request(app).get('/login'))!
    expect((await request(app).get('/save').set('Cookie', cookie)).status).toBe(200)
  })

  describe('over time', () => {
    let clock: Clock
    beforeEach(() => (clock = new Clock()))
    afterEach(() => clock.restore())

    it('is extended by a request that takes long, and by what its handler decides', async () => {
      const extend = (req: { active?: boolean }) => req.active !== false
      const given = { ...options(), idle: 1000, touchAfter: 500, extend }
      const app = appWith(sessions(given), {
        ...routes,
        '/slow': (_req, res) => {
          clock.forward(700)
          res.end()
        },
        '/passive': (req, res) => {
          req.active = false
          clock.forward(700)
          res.end()
        }
      })
      const cookie = cookieOf(await request(app).get('/login'))!
      await request(app).get('/slow').set('Cookie', cookie)
      clock.forward(800)
      expect((await request(app).get('/me').set('Cookie', cookie)).body).toEqual({ user: 1 })
      await request(app).get('/passive').set('Cookie', cookie)
      clock.forward(400)
      expect((await request(app).get('/me').set('Cookie', cookie)).body).toEqual({ user: null })
    })
  })
})
