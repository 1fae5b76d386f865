import diagnostics from 'node:diagnostics_channel'
import request from 'supertest'
import session, { CookieStore, MemoryStore, requireSession, sessions } from '../lib/index'
import { KeyRing } from '../lib/cookie/keys'
import { sessionCookie } from '../lib/testing'
import { appWith, cookieOf, deferred, secret } from './helpers/app'
import { Clock } from './helpers/clock'

const basics = {
  '/read': (req: any, res: any) => {
    const { session: s } = req
    const { cookie: _cookie, ...data } = s
    res.json({ data, isNew: s.isNew, code: s.error?.code })
  },
  '/write': (req: any, res: any) => {
    Object.assign(req.session, req.query)
    res.send('written')
  },
  '/logout': async (req: any, res: any) => {
    await req.session.destroy()
    res.send('out')
  },
  '/nothing': (_req: any, res: any) => res.send('nothing')
}

async function login(app: any, query = 'user=u'): Promise<string> {
  return cookieOf(await request(app).get(`/write?${query}`))!
}

const read = (app: any, cookie: string | undefined) =>
  request(app)
    .get('/read')
    .set('Cookie', cookie ?? '')

let clock: Clock | undefined
afterEach(() => {
  clock?.restore()
  clock = undefined
})

describe('an anonymous request', () => {
  it('sets no cookie and leaves no record, whether its session is read or not', async () => {
    const store = new MemoryStore()
    const app = appWith(sessions({ secret, store }), basics)
    for (const path of ['/nothing', '/read']) {
      const res = await request(app).get(path)
      expect(res.headers['set-cookie']).toBeUndefined()
    }
    expect(store.ids()).toEqual([])
  })
})

describe('a stored session', () => {
  it('comes back with its data, and is not written when nothing changed', async () => {
    const auth = sessions({ secret })
    const app = appWith(auth, basics)
    const cookie = await login(app)
    const res = await read(app, cookie)
    expect(res.body).toEqual({ data: { user: 'u' }, isNew: false })
    expect(res.headers['set-cookie']).toBeUndefined()
    expect(auth.stats()).toMatchObject({ created: 1, saved: 1, loaded: 1, touched: 0 })
  })

  it('notices a change deep inside', async () => {
    const auth = sessions({ secret })
    const app = appWith(auth, {
      ...basics,
      '/deep': (req: any, res: any) => res.send(String(((req.session.a ??= { b: {} }).b.c = 1)))
    })
    const cookie = cookieOf(await request(app).get('/deep'))!
    await request(app).get('/deep').set('Cookie', cookie)
    expect((await read(app, cookie)).body.data).toEqual({ a: { b: { c: 1 } } })
  })

  it('keeps data under names of methods and built-ins', async () => {
    const data = { constructor: '1', toString: '2', save: '3', id: '4', req: '5', name: '6', isNew: '7' }
    const auth = sessions({ secret, store: new MemoryStore() })
    const app = appWith(auth, basics)
    const cookie = await sessionCookie(auth, { user: 'u' })
    await request(app)
      .get(`/write?${new URLSearchParams(data)}`)
      .set('Cookie', cookie)
    const id = cookie.split('=')[1]!.split('.')[0]!
    expect((await auth.get(id))!.data).toEqual({ user: 'u', ...data })
  })

  it('never lets a stored or assigned __proto__ reach a prototype', async () => {
    const store = new MemoryStore()
    const app = appWith(sessions({ secret, store }), {
      ...basics,
      '/proto': (req: any, res: any) => {
        req.session['__proto__'] = { admin: 1 }
        res.json({ admin: req.session.admin ?? null, kept: typeof req.session.save })
      }
    })
    expect((await request(app).get('/proto')).body).toEqual({ admin: null, kept: 'function' })
    const cookie = await login(app)
    const [id] = store.ids() as unknown as string[]
    ;(store.sessions as any)[id!] =
      '{"cookie":{"originalMaxAge":null},"__proto__":{"admin":true},"n":{"__proto__":{"x":1}}}'
    expect((await read(app, cookie)).body.data).toEqual({ n: {} })
  })
})

describe('what is refused', () => {
  const cases: [string, (cookie: string) => string][] = [
    ['another spelling of the MAC', (cookie) => `${cookie}=`],
    ['a broken percent encoding', () => 'sid=%E0%A4%A'],
    ['an empty ID', () => 'sid=.x'],
    ['a forged MAC', (cookie) => cookie.slice(0, -2) + (cookie.endsWith('AA') ? 'BB' : 'AA')],
    ['a JSON value', () => 'sid=j:{"a":1}']
  ]
  it.each(cases)('%s gives a new session with the reason, without asking the store', async (_name, forge) => {
    const auth = sessions({ secret })
    const app = appWith(auth, basics)
    const res = await read(app, forge(await login(app)))
    expect(res.status).toBe(200)
    expect(res.body).toEqual({ data: {}, isNew: true, code: 'ERR_SESSION_SIGNATURE' })
    expect(auth.stats()).toMatchObject({ rejected: 1, loaded: 0 })
  })

  it('accepts the same value in another encoding', async () => {
    const app = appWith(session({ secret, resave: false, saveUninitialized: false }), basics)
    const cookie = cookieOf(await request(app).get('/write?user=u'), 'connect.sid')!
    const value = decodeURIComponent(cookie.slice('connect.sid='.length))
    for (const text of [`"${value}"`, value.replace('s:', 's%3a'), value.replace('s:', '%73%3A'), value]) {
      expect((await read(app, `connect.sid=${text}`)).body.data).toEqual({ user: 'u' })
    }
  })

  it('refuses a value made for another name', async () => {
    const other = appWith(sessions({ secret, name: 'theme' }), basics)
    const app = appWith(sessions({ secret }), basics)
    const cookie = cookieOf(await request(other).get('/write?user=u'), 'theme')!
    expect((await read(app, cookie.replace('theme=', 'sid='))).body.code).toBe('ERR_SESSION_SIGNATURE')
  })

  it('keeps its session beside cookies named like properties of Object', async () => {
    const app = appWith(sessions({ secret }), basics)
    const cookie = await login(app)
    const res = await read(app, `__proto__=x; constructor=y; hasOwnProperty=z; ${cookie}`)
    expect(res.body.data).toEqual({ user: 'u' })
    expect(({} as any).x).toBeUndefined()
  })

  it('takes the authentic one of several cookies, and expires the planted ones', async () => {
    const app = appWith(sessions({ secret }), basics)
    const cookie = await login(app)
    const res = await read(app, `sid=planted; ${cookie}`).set('Host', 'app.example.com')
    expect(res.body.data).toEqual({ user: 'u' })
    const texts = res.headers['set-cookie'] as unknown as string[]
    expect(texts).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^sid=; Max-Age=0; Domain=app\.example\.com;/),
        expect.stringMatching(/Domain=example\.com/)
      ])
    )
  })

  it('believes neither of two authentic cookies of two sessions, and expires both', async () => {
    const app = appWith(sessions({ secret }), basics)
    const [a, b] = [await login(app), await login(app)]
    const res = await read(app, `${a}; ${b}`)
    expect(res.body).toEqual({ data: {}, isNew: true, code: 'ERR_SESSION_AMBIGUOUS' })
    expect(cookieOf(res)).toBe('sid=')
  })

  it('never adopts an authentic ID that the store does not know', async () => {
    const store = new MemoryStore()
    const app = appWith(sessions({ secret, store }), basics)
    const cookie = await login(app)
    store.clear()
    const res = await request(app).get('/write?x=1').set('Cookie', cookie)
    expect(cookieOf(res)).not.toBe(cookie)
    expect((await read(app, cookie)).body.code).toBe('ERR_SESSION_MISSING')
  })

  it.each(['{"cookie":{', '42', '"s"', '[]', '{}', '{"cookie":"x"}', '\u0000\u00ff'])(
    'gives a new session for the corrupt record %j, which is left alone',
    async (text) => {
      const store = new MemoryStore()
      const app = appWith(sessions({ secret, store }), basics)
      const cookie = await login(app)
      const [id] = store.ids() as unknown as string[]
      const get = jest.spyOn(store, 'get').mockImplementation(((_id: string, callback: any) => {
        let record: unknown = text
        try {
          record = JSON.parse(text)
        } catch {
          // A store that hands out the text itself.
        }
        setImmediate(callback, null, record)
      }) as never)
      const res = await read(app, cookie)
      expect(res.body).toEqual({ data: {}, isNew: true, code: 'ERR_SESSION_CORRUPT' })
      get.mockRestore()
      expect(store.sessions[id!]).toBeDefined()
    }
  )

  it('refuses a record of another ID', async () => {
    const store = new MemoryStore()
    const auth = sessions({ secret, store })
    const app = appWith(auth, basics)
    const cookie = await login(app)
    const [id] = store.ids() as unknown as string[]
    store.sessions[id!] = store.sessions[id!]!.replace('"u":', '"u":').replace(/("c":\d+)/, '$1,"h":"of another one"')
    expect((await read(app, cookie)).body.code).toBe('ERR_SESSION_CORRUPT')
  })
})

describe('a session that cannot be stored', () => {
  const cycle: any = {}
  cycle.self = cycle
  it.each([
    ['a BigInt', () => ({ n: 1n }), 'session.x.n'],
    ['a cycle', () => cycle, 'session.x.self'],
    ['a throwing getter', () => Object.defineProperty({}, 'g', { enumerable: true, get: () => fail() }), 'session.x.g']
  ])('refuses %s with the key path, and keeps the stored session', async (_name, make, path) => {
    const store = new MemoryStore()
    const app = appWith(sessions({ secret, store }), {
      ...basics,
      '/bad': (req: any, res: any) => {
        req.session.x = make()
        res.send('bad')
      }
    })
    const cookie = await login(app)
    const res = await request(app).get('/bad').set('Cookie', cookie)
    expect([res.status, res.body.code]).toEqual([500, 'ERR_SESSION_UNSERIALIZABLE'])
    expect(res.body.message).toContain(path)
    expect((await read(app, cookie)).body.data).toEqual({ user: 'u' })
  })

  function fail(): never {
    throw new Error('no')
  }

  it.each(['x', 5, [1], { a: 1 }])('refuses req.session = %j where it is assigned', async (value) => {
    const app = appWith(sessions({ secret }), { '/set': (req: any) => (req.session = value) })
    const res = await request(app).get('/set')
    expect([res.status, res.body.code]).toEqual([500, 'ERR_SESSION_UNSERIALIZABLE'])
  })

  it('refuses an impossible maxAge where it is assigned', async () => {
    const app = appWith(sessions({ secret }), { '/set': (req: any) => (req.session.cookie.maxAge = NaN) })
    expect((await request(app).get('/set')).body.message).toMatch(/maxAge must be a finite number/)
  })
})

describe.each([
  ['memory', () => new MemoryStore()],
  ['a foreign store', () => new (require('express-session').MemoryStore)()],
  ['cookie', () => new CookieStore()]
])('concurrent requests on one session (%s)', (kind, makeStore) => {
  function race() {
    const reached = deferred()
    const go = deferred()
    const auth = sessions({ secret, store: makeStore() as never })
    const app = appWith(auth, {
      ...basics,
      '/slow': async (req: any, res: any) => {
        await req.sessions.load()
        void req.session.user
        reached.resolve()
        await go.promise
        Object.assign(req.session, req.query)
        res.send('slow')
      },
      '/rotate': async (req: any, res: any) => {
        await req.session.regenerate({ keep: true })
        res.send('rotated')
      }
    })
    return { app, auth, reached, go }
  }

  it('keep both of two different keys', async () => {
    const { app, reached, go } = race()
    const cookie = await login(app)
    const slow = request(app)
      .get('/slow?a=1')
      .set('Cookie', cookie)
      .then((res) => res)
    await reached.promise
    await request(app).get('/write?b=2').set('Cookie', cookie)
    go.resolve()
    const res = await slow
    expect(res.status).toBe(200)
    expect((await read(app, cookieOf(res) ?? cookie)).body.data).toEqual({ user: 'u', a: '1', b: '2' })
  })

  it.each(['/logout', '/rotate'])('do not bring a session back after %s, however slow', async (path) => {
    const { app, auth, reached, go } = race()
    const dropped: unknown[] = []
    const onDropped = (message: unknown) => dropped.push(message)
    diagnostics.subscribe('silverback:dropped', onDropped)
    const cookie = await login(app)
    const slow = request(app)
      .get('/slow?a=1')
      .set('Cookie', cookie)
      .then((res) => res)
    await reached.promise
    await request(app).get(path).set('Cookie', cookie)
    go.resolve()
    const res = await slow
    diagnostics.unsubscribe('silverback:dropped', onDropped)
    expect([res.status, res.text]).toEqual([200, 'slow'])
    expect(res.headers['set-cookie']).toBeUndefined()
    expect((await read(app, cookie)).body.code).toBe('ERR_SESSION_MISSING')
    expect(dropped).toHaveLength(1)
    expect(auth.stats().dropped).toBe(1)
  })

  it('reject an explicit save of a session that is gone', async () => {
    const { app, auth } = race()
    const cookie = await login(app)
    const gone = appWith(auth, {
      '/save': async (req: any, res: any) => {
        await req.sessions.load()
        await request(app).get('/logout').set('Cookie', cookie)
        req.session.x = 1
        await req.session.save()
        res.send('saved')
      }
    })
    const res = await request(gone).get('/save').set('Cookie', cookie)
    expect([res.status, res.body.code]).toEqual([500, 'ERR_SESSION_DESTROYED'])
  })

  if (kind !== 'cookie') {
    it('lose no increment by update()', async () => {
      const { app, auth } = race()
      const cookie = await login(app, 'n=0')
      const counting = appWith(auth, {
        '/count': async (req: any, res: any) => {
          await req.session.update((s: any) => (s.n = Number(s.n) + 1))
          res.send('ok')
        }
      })
      const server = counting.listen(0)
      const results = await Promise.all(
        Array.from({ length: 100 }, () => request(server).get('/count').set('Cookie', cookie))
      )
      server.close()
      expect(results.every(({ status }) => status === 200)).toBe(true)
      expect((await read(app, cookie)).body.data.n).toBe(100)
    })
  }
})

it('three regenerations at once leave three sessions of their own and a dead ID', async () => {
  const auth = sessions({ secret })
  const ready = Array.from({ length: 3 }, () => deferred())
  const go = deferred()
  let waiting = 0
  const app = appWith(auth, {
    ...basics,
    '/rotate': async (req: any, res: any) => {
      void req.session.user
      ready[waiting++]!.resolve()
      await go.promise
      await req.session.regenerate()
      req.session.me = req.query.me
      res.send('ok')
    }
  })
  const cookie = await login(app)
  const server = app.listen(0)
  const calls = [0, 1, 2].map((me) =>
    request(server)
      .get(`/rotate?me=${me}`)
      .set('Cookie', cookie)
      .then((res) => res)
  )
  await Promise.all(ready.map(({ promise }) => promise))
  go.resolve()
  const results = await Promise.all(calls)
  server.close()
  expect((await read(app, cookie)).body.code).toBe('ERR_SESSION_MISSING')
  for (const [me, res] of results.entries()) {
    expect(res.status).toBe(200)
    expect((await read(app, cookieOf(res))).body.data).toEqual({ me: String(me) })
  }
})

describe('lifetimes', () => {
  it('idle counts from the last use, absolute from creation; polling cannot pass it', async () => {
    clock = new Clock()
    const auth = sessions({ secret, idle: 10_000, absolute: 25_000, touchAfter: 1000 })
    const app = appWith(auth, basics)
    const cookie = await login(app)
    for (let i = 0; i < 3; i++) {
      clock.forward(8000)
      expect((await read(app, cookie)).body.data).toEqual({ user: 'u' })
    }
    clock.forward(1001)
    expect((await read(app, cookie)).body.code).toMatch(/EXPIRED|MISSING/)
  })

  it('ends a session that is idle, and destroys its record', async () => {
    clock = new Clock()
    const store = new MemoryStore()
    const app = appWith(sessions({ secret, store, idle: 10_000 }), basics)
    const cookie = await login(app)
    clock.forward(10_001)
    expect((await read(app, cookie)).body.isNew).toBe(true)
    expect(store.ids()).toEqual([])
  })

  it('a request that must not extend lets the session die on time', async () => {
    clock = new Clock()
    const auth = sessions({ secret, idle: 10_000, touchAfter: 1, extend: (req) => req.path !== '/read' })
    const app = appWith(auth, basics)
    const cookie = await login(app)
    clock.forward(8000)
    expect((await read(app, cookie)).body.isNew).toBe(false)
    clock.forward(8000)
    expect((await read(app, cookie)).body.isNew).toBe(true)
  })

  it('extends at most once in touchAfter, and re-sends a persistent cookie then', async () => {
    clock = new Clock()
    const auth = sessions({ secret, idle: 100_000, touchAfter: 5000, cookie: { maxAge: 100_000 } })
    const app = appWith(auth, basics)
    const cookie = await login(app)
    for (let i = 0; i < 4; i++) expect((await read(app, cookie)).headers['set-cookie']).toBeUndefined()
    clock.forward(5001)
    const res = await read(app, cookie)
    expect((res.headers['set-cookie'] as any)[0]).toMatch(/Max-Age=100;.*Expires=/)
    expect((await read(app, cookie)).headers['set-cookie']).toBeUndefined()
  })

  it('maxAge of 0 or less deletes the session and its cookie', async () => {
    const store = new MemoryStore()
    const app = appWith(sessions({ secret, store }), {
      ...basics,
      '/delete': (req: any, res: any) => {
        req.session.cookie.maxAge = -1
        res.send('x')
      }
    })
    const cookie = await login(app)
    const res = await request(app).get('/delete').set('Cookie', cookie)
    expect(cookieOf(res)).toBe('sid=')
    expect(store.ids()).toEqual([])
  })
})

describe('keys', () => {
  const [older, newer] = ['o'.repeat(32), 'n'.repeat(32)]

  it('accepts an older key and re-issues, also for a reader; refuses a removed one', async () => {
    const store = new MemoryStore()
    const cookie = await login(appWith(sessions({ secret: older, store }), basics))
    const app = appWith(sessions({ secret: [newer, older], store }), basics)
    const res = await read(app, cookie)
    expect(res.body.data).toEqual({ user: 'u' })
    const renewed = cookieOf(res)!
    expect(renewed).not.toBe(cookie)
    const last = appWith(sessions({ secret: newer, store }), basics)
    expect((await read(last, renewed)).body.data).toEqual({ user: 'u' })
    expect((await read(last, cookie)).body.code).toBe('ERR_SESSION_SIGNATURE')
  })

  it('follows the secret array as it changes', async () => {
    const list = [older]
    const app = appWith(sessions({ secret: list }), basics)
    const cookie = await login(app)
    list.unshift(newer)
    expect((await read(app, cookie)).body.isNew).toBe(false)
    list.pop()
    expect((await read(app, cookie)).body.isNew).toBe(true)
  })

  it("adopts express-session's cookie and re-issues it bound", async () => {
    const store = new MemoryStore()
    const old = appWith(session({ secret, store, name: 'sid', resave: false, saveUninitialized: false }), basics)
    const cookie = await login(old)
    const app = appWith(sessions({ secret, store, adopt: 'express-session' }), basics)
    const res = await read(app, cookie)
    expect(res.body.data).toEqual({ user: 'u' })
    expect(cookieOf(res)).toMatch(/^sid=[\w-]+\.[\w-]{43}$/)
    expect((await read(appWith(sessions({ secret, store }), basics), cookie)).body.code).toBe('ERR_SESSION_SIGNATURE')
  })
})

describe('a session in its cookie', () => {
  it('survives key rotation, also when it is only read', async () => {
    const [older, newer] = ['o'.repeat(32), 'n'.repeat(32)]
    const store = new CookieStore()
    const cookie = await login(appWith(sessions({ secret: older, store }), basics))
    const res = await read(appWith(sessions({ secret: [newer, older], store }), basics), cookie)
    expect(res.body.data).toEqual({ user: 'u' })
    expect((await read(appWith(sessions({ secret: newer, store }), basics), cookieOf(res))).body.data).toEqual({
      user: 'u'
    })
  })

  it('works behind the drop-in door as well', async () => {
    const app = appWith(session({ secret, store: new CookieStore(), resave: false, saveUninitialized: false }), basics)
    const cookie = cookieOf(await request(app).get('/write?user=u'), 'connect.sid')
    expect((await read(app, cookie)).body.data).toEqual({ user: 'u' })
  })
})

it('data under the reserved property never becomes metadata', async () => {
  const store = new (require('express-session').MemoryStore)()
  const app = appWith(session({ secret, store, resave: false, saveUninitialized: false }), {
    ...basics,
    '/assign': (req: any, res: any) => {
      Object.assign(req.session, { user: 'me', __silverback: { u: 1, c: 1, n: 'other', g: 9e15 } })
      res.send('assigned')
    }
  })
  const cookie = cookieOf(await request(app).get('/assign'), 'connect.sid')
  expect(Object.values(store.sessions)[0]).not.toContain('__silverback')
  expect((await read(app, cookie)).body.data).toEqual({ user: 'me' })
})

it('stats() counts what lives', async () => {
  for (const store of [new MemoryStore(), new CookieStore()]) {
    const auth = sessions({ secret, store })
    const app = appWith(auth, basics)
    const cookie = await login(app)
    await login(app)
    expect(auth.stats()).toMatchObject({ created: 2, active: 2, lastCleanup: null })
    await request(app).get('/logout').set('Cookie', cookie)
    expect(auth.stats()).toMatchObject({ destroyed: 1, active: 1 })
  }
})

describe('users', () => {
  const userId = (s: any) => s.user
  it('lists and revokes the sessions of a user', async () => {
    const auth = sessions({ secret, userId })
    const app = appWith(auth, basics)
    const cookies = [await login(app), await login(app), await login(app, 'user=other')]
    const current = cookies[0]!.slice(4).split('.')[0]!
    const list = await auth.list('u', { current })
    expect(list.map((entry) => entry.current).sort()).toEqual([false, true])
    expect(list[0]).toMatchObject({ data: { user: 'u' }, createdAt: expect.any(Number), expiresAt: expect.any(Number) })
    expect(await auth.revoke('u', { except: current })).toBe(1)
    expect((await read(app, cookies[0])).body.isNew).toBe(false)
    expect((await read(app, cookies[1])).body.code).toBe('ERR_SESSION_MISSING')
    expect((await read(app, cookies[2])).body.isNew).toBe(false)
    expect(await auth.list('u')).toHaveLength(1)
  })

  it('keeps to maxPerUser: the least recently used goes', async () => {
    clock = new Clock()
    const auth = sessions({ secret, userId, maxPerUser: 2 })
    const app = appWith(auth, basics)
    const cookies: string[] = []
    for (let i = 0; i < 3; i++) {
      cookies.push(await login(app))
      clock.forward(1000)
    }
    expect((await read(app, cookies[0])).body.code).toBe('ERR_SESSION_MISSING')
    expect((await read(app, cookies[1])).body.isNew).toBe(false)
    expect(await auth.list('u')).toHaveLength(2)
  })

  it.each([
    ['a number', 42],
    ['an object with a text of its own', { toString: () => '42', toJSON: () => 42 }]
  ])('takes %s for a user', async (_what, user: any) => {
    const auth = sessions({ secret, userId })
    const app = appWith(auth, { ...basics, '/in': (req, res) => res.json((req.session.user = user)) })
    expect((await request(app).get('/in')).status).toBe(200)
    await auth.create({}, { userId: user })
    expect(await auth.list('42')).toHaveLength(2)
    expect(await auth.list(user)).toHaveLength(2)
    expect(await auth.revoke(user)).toBe(2)
    expect(await auth.list('42')).toEqual([])
  })

  it('takes null for nobody, and revokes nothing of nobody without a word', async () => {
    const auth = sessions({ secret, userId })
    const app = appWith(auth, { '/in': (req, res) => res.json((req.session.user = null)) })
    expect((await request(app).get('/in')).status).toBe(200)
    for (const user of [null, undefined, NaN, {}, Promise.resolve('u')] as any[]) {
      await expect(auth.list(user)).rejects.toThrow(/userId/)
      await expect(auth.revoke(user)).rejects.toThrow(/userId/)
    }
  })

  it('refuses an answer that would make one user of all', async () => {
    const app = appWith(sessions({ secret, userId: (async (s: any) => s.user) as never }), basics)
    const res = await request(app).get('/write?user=u')
    expect([res.status, res.body.code, res.body.message]).toEqual([
      500,
      'ERR_SESSION_OPTION',
      'userId must be a text or a number, got an object'
    ])
  })

  describe('of a session whose user is known from auth.create alone', () => {
    const auths = () => {
      const store = new MemoryStore()
      return { auth: sessions({ secret, store, userId }), ignorant: sessions({ secret, store }) }
    }
    const routes = {
      ...basics,
      '/note': (req: any, res: any) => res.json((req.session.note = Math.random())),
      '/rotate': (req: any, res: any) => req.session.regenerate({ keep: true }).then(() => res.end()),
      '/lead': (req: any, res: any) => req.session.regenerate({ keep: true, grace: 1000 }).then(() => res.end()),
      '/login': (req: any, res: any) => req.session.regenerate().then(() => res.end())
    }
    const begin = async (auth: any) => {
      const { id } = await auth.create({ a: 1 }, { userId: 'u' })
      return `sid=${new KeyRing(secret).signBound('sid', id)}`
    }

    it.each(['/note', '/rotate', '/lead'])('%s does not hide it from list and revoke', async (path) => {
      const { auth } = auths()
      const app = appWith(auth, routes)
      let cookie = await begin(auth)
      for (let i = 0; i < 2; i++) cookie = cookieOf(await request(app).get(path).set('Cookie', cookie)) ?? cookie
      expect(await auth.list('u')).toHaveLength(1)
      expect(await auth.revoke('u')).toBe(1)
      expect((await read(app, cookie)).body.isNew).toBe(true)
    })

    it('nor does a write by a middleware that knows of no users', async () => {
      const { auth, ignorant } = auths()
      const cookie = await begin(auth)
      await request(appWith(ignorant, routes)).get('/note').set('Cookie', cookie)
      expect(await auth.list('u')).toHaveLength(1)
    })

    it('a login ends it, and a logout of the data ends the other kind', async () => {
      const { auth } = auths()
      const app = appWith(auth, { ...routes, '/out': (req, res) => res.json(delete req.session.user) })
      await request(app)
        .get('/login')
        .set('Cookie', await begin(auth))
      expect(await auth.list('u')).toEqual([])
      const cookie = await login(app)
      expect(await auth.list('u')).toHaveLength(1)
      await request(app).get('/out').set('Cookie', cookie)
      expect(await auth.list('u')).toEqual([])
    })
  })
})

describe('further options', () => {
  it('bind refuses a session used from elsewhere', async () => {
    const app = appWith(sessions({ secret, bind: (req) => req.headers['user-agent'] }), basics)
    const cookie = cookieOf(await request(app).get('/write?user=u').set('User-Agent', 'a'))!
    expect((await read(app, cookie).set('User-Agent', 'a')).body.data).toEqual({ user: 'u' })
    expect((await read(app, cookie).set('User-Agent', 'b')).body.code).toBe('ERR_SESSION_BINDING')
  })

  it('the header transport carries the same value and never sets a cookie', async () => {
    const app = appWith(sessions({ secret, transport: ['cookie', 'header'] }), basics)
    const res = await request(app).get('/write?user=u').set('X-Session', '')
    const token = res.headers['x-session']!
    expect(res.headers['set-cookie']).toBeUndefined()
    expect((await request(app).get('/read').set('X-Session', token)).body.data).toEqual({ user: 'u' })
    expect((await read(app, `sid=${token}`)).body.data).toEqual({ user: 'u' })
    expect((await request(app).get('/logout').set('X-Session', token)).headers['set-cookie']).toBeUndefined()
  })

  it.each(['header', { header: 'X-Auth' }] as const)(
    'the transport %j gives each named session a header of its own',
    async (transport) => {
      const prefix = transport === 'header' ? 'x-session' : 'x-auth'
      for (const transports of [transport, ['cookie', transport] as const]) {
        const app = appWith(sessions({ secret, transport: transports as never, named: { cart: {} } }), {
          ...basics,
          '/cart': async (req, res) => {
            const cart = await req.sessions.get('cart')
            cart.n = (cart.n ?? 0) + 1
            const other = await req.sessions.get('Other')
            res.json([cart.n, req.session.user ?? null, cart.error?.code ?? null, other.error?.code ?? null])
          }
        })
        const main = await request(app).get('/write?user=u').set(prefix, '')
        const headers: Record<string, string> = { [prefix]: main.headers[prefix]! }
        for (let n = 1; n <= 3; n++) {
          const res = await request(app).get('/cart').set(headers)
          expect(res.body).toEqual([n, 'u', null, null])
          expect(res.headers['set-cookie']).toBeUndefined()
          expect(res.headers[prefix]).toBeUndefined()
          expect(res.headers.vary.toLowerCase().split(', ')).toEqual(
            expect.arrayContaining([prefix, `${prefix}-cart`, `${prefix}-other`])
          )
          headers[`${prefix}-cart`] = res.headers[`${prefix}-cart`] ?? headers[`${prefix}-cart`]!
        }
      }
    }
  )

  it('hashIds keeps IDs out of the store, and switching it on logs nobody out', async () => {
    const store = new MemoryStore()
    const cookie = await login(appWith(sessions({ secret, store }), basics))
    const app = appWith(sessions({ secret, store, hashIds: true }), basics)
    expect((await read(app, cookie)).body.data).toEqual({ user: 'u' })
    const [id] = store.ids() as unknown as string[]
    expect(cookie).not.toContain(id)
    expect((await read(app, cookie)).body.data).toEqual({ user: 'u' })
  })

  it.each(['touch', 'resetMaxAge', 'save', 'flashes'])('data may have the name %s', async (name) => {
    const app = appWith(sessions({ secret, touchAfter: 0, cookie: { maxAge: 60_000 } }), {
      '/set': (req, res) => {
        req.session[name] = req.query.value
        res.end()
      },
      '/touch': (req, res) => {
        if (name !== 'touch') req.session.touch()
        res.json(req.session[name])
      }
    })
    const cookie = cookieOf(await request(app).get('/set?value=1'))!
    for (const path of ['/set?value=2', '/touch']) {
      const res = await request(app).get(path).set('Cookie', cookie)
      expect([res.status, cookieOf(res) !== undefined]).toEqual([200, true])
    }
    expect((await request(app).get('/touch').set('Cookie', cookie)).body).toBe('2')
  })

  it('a schema validates and migrates; a record that does not fit is left alone', async () => {
    const store = new MemoryStore()
    const v1 = appWith(sessions({ secret, store }), basics)
    const schema = {
      '~standard': {
        version: 1 as const,
        vendor: 'test',
        validate: (value: any) =>
          typeof value.user === 'string' ? { value: { name: value.user } } : { issues: [{ message: 'no user' }] }
      }
    }
    const v2 = appWith(sessions({ secret, store, schema }), basics)
    const [fits, not] = [await login(v1), await login(v1, 'x=1')]
    expect((await read(v2, fits)).body.data).toEqual({ name: 'u' })
    await request(v2).get('/write?y=2').set('Cookie', fits)
    expect((await read(v1, fits)).body.data).toEqual({ user: 'u', y: '2' })
    expect((await read(v2, not)).body).toMatchObject({ isNew: true, code: 'ERR_SESSION_SCHEMA' })
    expect((await read(v1, not)).body.data).toEqual({ x: '1' })
  })

  it('answers 503 for a store that cannot be read, or as an anonymous request', async () => {
    const store: any = {
      get: (_id: string, callback: any) => callback(new Error('down')),
      set: jest.fn(),
      destroy: (_id: string, callback: any) => callback()
    }
    const cookie = await login(appWith(sessions({ secret }), basics))
    const failing = await read(appWith(sessions({ secret, store }), basics), cookie)
    expect([failing.status, failing.body.code]).toEqual([503, 'ERR_SESSION_STORE'])
    const app = appWith(sessions({ secret, store, onStoreError: 'anonymous' }), basics)
    expect((await read(app, cookie)).body).toMatchObject({ isNew: true, code: 'ERR_SESSION_STORE' })
    const res = await request(app).get('/write?x=1').set('Cookie', cookie)
    expect([res.status, res.headers['set-cookie']]).toEqual([200, undefined])
    expect(store.set).not.toHaveBeenCalled()
  })

  it('load: lazy on an asynchronous store says how to load', async () => {
    const store = new (require('express-session').MemoryStore)()
    const app = appWith(sessions({ secret, store, load: 'lazy' }), {
      ...basics,
      '/loaded': async (req: any, res: any) => {
        await req.sessions.load()
        res.json(req.session.user)
      }
    })
    const cookie = await login(app)
    expect((await read(app, cookie)).body.code).toBe('ERR_SESSION_NOT_LOADED')
    expect((await request(app).get('/loaded').set('Cookie', cookie)).body).toBe('u')
  })

  it('auth.open() watches a session from a request without a response', async () => {
    const auth = sessions({ secret })
    const cookie = await sessionCookie(auth, { user: 'u' })
    const opened = await auth.open({ headers: { cookie }, url: '/' })
    expect((opened as any).user).toBe('u')
    const ended = new Promise((resolve) => opened.signal!.addEventListener('abort', resolve))
    await auth.destroy(opened.id)
    await ended
    expect(opened.signal!.aborted).toBe(true)
  })

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

  function appGuard(auth: any, options?: object) {
    return appWith(auth, {
      '/private': (req, res, next) =>
        requireSession((s: any) => s.user !== undefined, options)(req, res, (err) => (err ? next(err) : res.send('in')))
    })
  }
})

describe('named sessions', () => {
  it('live in cookies of their own, the same instance all through a request', async () => {
    const app = appWith(sessions({ secret, named: { cart: { cookie: { path: '/' } } } }), {
      '/add': async (req: any, res: any) => {
        const cart = await req.sessions.get('cart')
        cart.items = ['apple']
        expect(await req.sessions.get('cart')).toBe(cart)
        cart.addFlash('added')
        res.send('ok')
      },
      '/see': async (req: any, res: any) => {
        const cart = await req.sessions.get('cart')
        res.json({ items: cart.items, flashes: cart.flashes(), name: cart.name, isNew: cart.isNew })
      }
    })
    const res = await request(app).get('/add')
    const cookie = cookieOf(res, 'cart')!
    expect(cookieOf(res)).toBeUndefined()
    expect((await request(app).get('/see').set('Cookie', cookie)).body).toEqual({
      items: ['apple'],
      flashes: ['added'],
      name: 'cart',
      isNew: false
    })
    expect((await request(app).get('/see').set('Cookie', cookie)).body.flashes).toEqual([])
  })

  it('an invalid name is a SessionError, and save() reports every failure', async () => {
    const app = appWith(sessions({ secret }), {
      '/bad': (req: any) => req.sessions.get('a b'),
      '/all': async (req: any, res: any) => {
        for (const name of ['a', 'b']) (await req.sessions.get(name)).x = 1n
        req.session.fine = 1
        const err = await req.sessions.save().catch((reason: unknown) => reason)
        for (const name of ['a', 'b']) delete (await req.sessions.get(name)).x
        res.json({ name: err.constructor.name, count: err.errors.length })
      }
    })
    expect((await request(app).get('/bad')).body.code).toBe('ERR_SESSION_NAME')
    expect((await request(app).get('/all')).body).toEqual({ name: 'AggregateError', count: 2 })
  })
})

describe('caches', () => {
  it('keep no response that sets a session cookie, and tell apart those that read one', async () => {
    jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const app = appWith(sessions({ secret }), {
      ...basics,
      '/public': (req: any, res: any) => {
        req.session.x = 1
        res.set('Cache-Control', 'public, max-age=60').send('x')
      }
    })
    const res = await request(app).get('/public')
    jest.restoreAllMocks()
    expect(res.headers['cache-control']).toBe('private, no-store')
    expect((await request(app).get('/read')).headers.vary).toBe('Cookie')
    expect((await request(app).get('/nothing')).headers.vary).toBeUndefined()
  })
})

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

it('goes on with a session that the application made anew of the same ID', async () => {
  const app = appWith(sessions({ secret }), {
    '/login': (req, res) => {
      req.session.user = 1
      res.end()
    },
    '/again': (req, res) => {
      req.sessionID = req.session.id
      req.sessionStore.createSession(req, { cookie: {}, user: 2 })
      res.end()
    },
    '/me': (req, res) => res.json({ user: req.session.user ?? null })
  })
  const cookie = cookieOf(await request(app).get('/login'))!
  expect((await request(app).get('/again').set('Cookie', cookie)).status).toBe(200)
  expect((await request(app).get('/me').set('Cookie', cookie)).body).toEqual({ user: 2 })
})
