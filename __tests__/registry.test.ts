import { infoOf } from '../lib/index'
import request from 'supertest'
import session, { CookieStore, MemoryStore, SessionError, sessions } from '../lib/index'
import { appWith, cookieOf, deferred, secret } from './helpers/app'
import { type Handler, visitWith } from './helpers/basics'
import { eager, eagerRoutes } from './helpers/eager'
import { exchange, get, serving } from './helpers/raw'

const textOf = (res: request.Response, name: string) =>
  ((res.headers['set-cookie'] ?? []) as unknown as string[]).find((text) => text.startsWith(`${name}=`))

/** An asynchronous store that answers `set` when it is told to. */
class SlowStore {
  readonly kept = new Map<string, string>()
  readonly asked = deferred()
  readonly answer = deferred<Error | undefined>()

  get(id: string, done: (err: unknown, session: unknown) => void): void {
    setImmediate(done, null, JSON.parse(this.kept.get(id) ?? 'null'))
  }

  set(id: string, session: object, done: (err?: unknown) => void): void {
    const text = JSON.stringify(session)
    this.asked.resolve()
    void this.answer.promise.then((err) => {
      if (err === undefined) this.kept.set(id, text)
      done(err)
    })
  }

  destroy(id: string, done: () => void): void {
    this.kept.delete(id)
    setImmediate(done)
  }
}

describe('req.sessions.get', () => {
  it('gives the same instance for a name, the main one included, also to parallel callers', async () => {
    const res = await visitWith(sessions({ secret, store: new MemoryStore() }), async (req, res) => {
      const [a, b, main] = await Promise.all(['cart', 'cart', 'sid'].map((name) => req.sessions.get(name)))
      res.json([a === b, main === req.session, a === main, req.sessions === req.sessions])
    })
    expect(res.body).toEqual([true, true, false, true])
  })

  it('gives the same instance to parallel callers while an asynchronous store answers', async () => {
    const store = new SlowStore()
    store.answer.resolve(undefined)
    const auth = sessions({ secret, store, load: 'lazy' })
    const see: Handler = async (req, res) => {
      const [a, b] = await Promise.all([req.sessions.get('cart'), req.sessions.get('cart')])
      a.left = 1
      b.right = 1
      res.json([a === b, a.isNew])
    }
    const first = await visitWith(auth, see)
    const reads = jest.spyOn(store, 'get')
    const second = await visitWith(auth, see, cookieOf(first, 'cart'))
    expect([first.body, second.body]).toEqual([
      [true, true],
      [true, false]
    ])
    expect(reads).toHaveBeenCalledTimes(1)
    expect([...store.kept.values()].map((text) => Object.keys(JSON.parse(text)))).toEqual([
      expect.arrayContaining(['left', 'right'])
    ])
  })

  it('takes options of its own for one call: they hold for that session only', async () => {
    const own = new MemoryStore()
    const store = new MemoryStore()
    const auth = sessions({ secret, store, cookie: { path: '/' } })
    const options = { store: own, cookie: { path: '/shop', sameSite: 'strict', maxAge: 60_000 } }
    const res = await visitWith(auth, async (req, res) => {
      ;(await req.sessions.get('cart', options)).items = 1
      ;(await req.sessions.get('plain')).x = 1
      expect(await req.sessions.get('cart')).toBe(await req.sessions.get('cart', options))
      res.send('ok')
    })
    expect(textOf(res, 'cart')).toMatch(/; Max-Age=60; Path=\/shop; .*SameSite=Strict/)
    expect(textOf(res, 'plain')).toMatch(/; Path=\/; .*SameSite=Lax/)
    expect([own.ids(), store.ids()].map((ids) => (ids as unknown as string[]).length)).toEqual([1, 1])
  })

  it('refuses options that cannot work', async () => {
    const auth = sessions({ secret })
    const res = await visitWith(auth, (req) => req.sessions.get('__Host-cart', { cookie: { path: '/shop' } }))
    expect([res.status, res.body.code]).toEqual([500, 'ERR_SESSION_OPTION'])
  })

  it.each(['', 'a b', 'a;b', 'a=b', 'ä', 'a\r\nb', '__proto__', undefined, 5, null])(
    'refuses %j as a name with a SessionError, and so does new',
    async (name) => {
      const seen: unknown[] = []
      await visitWith(sessions({ secret }), async (req, res) => {
        for (const verb of ['get', 'new']) await req.sessions[verb](name).catch((err: unknown) => seen.push(err))
        res.send('ok')
      })
      expect(seen).toHaveLength(2)
      for (const err of seen) {
        expect(err).toBeInstanceOf(SessionError)
        expect(err).toMatchObject({ kind: 'usage', code: 'ERR_SESSION_NAME' })
      }
    }
  )

  it('works behind the drop-in door, with cookies bound to their name', async () => {
    const auth = session({ secret, resave: false, saveUninitialized: false })
    const res = await visitWith(auth, async (req, res) => res.json(((await req.sessions.get('cart')).items = 1)))
    expect(cookieOf(res, 'cart')).toMatch(/^cart=[\w-]+\.[\w-]{43}$/)
    expect(cookieOf(res, 'connect.sid')).toBeUndefined()
    const see: Handler = async (req, res) => res.json((await req.sessions.get('cart')).items ?? null)
    expect((await visitWith(auth, see, cookieOf(res, 'cart'))).body).toBe(1)
  })

  it('gives a new session after the one before was destroyed', async () => {
    const auth = sessions({ secret })
    const cookie = cookieOf(
      await visitWith(auth, async (req, res) => res.json(((await req.sessions.get('c')).x = 1))),
      'c'
    )
    const res = await visitWith(
      auth,
      async (req, res) => {
        const old = await req.sessions.get('c')
        await old.destroy()
        const fresh = await req.sessions.get('c')
        res.json([fresh === old, fresh.isNew, fresh.x ?? null])
      },
      cookie
    )
    expect(res.body).toEqual([false, true, null])
    expect(textOf(res, 'c')).toMatch(/^c=; Max-Age=0/)
  })
})

describe('req.sessions.new', () => {
  it.each([
    ['on the server', () => new MemoryStore()],
    ['in the cookie', () => new CookieStore()]
  ])('saves and sends only what save() was called on (%s)', async (_where, makeStore) => {
    const auth = sessions({ secret, store: makeStore() })
    const begin = (save: boolean) =>
      visitWith(auth, async (req, res) => {
        const cart = await req.sessions.new('cart')
        cart.items = 1
        if (save) await cart.save()
        res.json(cart.isNew)
      })
    expect(cookieOf(await begin(false), 'cart')).toBeUndefined()
    const cookie = cookieOf(await begin(true), 'cart')!
    const see: Handler = async (req, res) => res.json((await req.sessions.get('cart')).items ?? null)
    expect((await visitWith(auth, see, cookie)).body).toBe(1)
    const change: Handler = async (req, res) => {
      const [kept, dropped] = [await req.sessions.new('cart'), await req.sessions.new('cart')]
      kept.items = 2
      dropped.items = 3
      await kept.save()
      res.send('ok')
    }
    const changed = await visitWith(auth, change, cookie)
    expect((await visitWith(auth, see, cookieOf(changed, 'cart') ?? cookie)).body).toBe(2)
  })
})

describe('req.sessions.load', () => {
  it('loads the main session, once', async () => {
    const store = new SlowStore()
    store.answer.resolve(undefined)
    const auth = sessions({ secret, store, load: 'lazy' })
    const cookie = cookieOf(
      await visitWith(auth, async (req, res) => res.json(((await req.sessions.load()).user = 'ann')))
    )!
    const read = jest.spyOn(store, 'get')
    const res = await visitWith(
      auth,
      async (req, res) => {
        const [a, b] = await Promise.all([req.sessions.load(), req.sessions.load()])
        res.json([a.user, a === b, a === req.session])
      },
      cookie
    )
    expect(res.body).toEqual(['ann', true, true])
    expect(read).toHaveBeenCalledTimes(1)
  })
})

describe('req.sessions.save', () => {
  it('saves all and reports every failure in one AggregateError, without a name or a value', async () => {
    const [fine, broken] = [new SlowStore(), new SlowStore()]
    fine.answer.resolve(undefined)
    const cause = new Error('disk full')
    broken.answer.resolve(cause)
    const auth = sessions({ secret, store: fine, named: { a: { store: broken }, b: { store: broken } } })
    let failure: any
    const res = await visitWith(auth, async (req, res) => {
      req.session.user = 'ann'
      for (const name of ['a', 'b', 'c']) (await req.sessions.get(name)).x = 'a value'
      failure = await req.sessions.save().catch((err: unknown) => err)
      for (const name of ['a', 'b']) delete (await req.sessions.get(name)).x
      res.send('ok')
    })
    expect(failure).toBeInstanceOf(AggregateError)
    expect(failure.message).toBe('2 of 4 sessions could not be saved')
    expect(failure.errors.map((err: any) => [err.code, err.kind, err.cause === cause])).toEqual([
      ['ERR_SESSION_STORE', 'store', true],
      ['ERR_SESSION_STORE', 'store', true]
    ])
    expect(JSON.stringify(failure)).not.toContain('a value')
    expect(fine.kept.size).toBe(2)
    expect([res.status, cookieOf(res, 'c') !== undefined]).toEqual([200, true])
  })
})

describe('the end of the request', () => {
  it('saves every session before the first byte', async () => {
    const stores = [new SlowStore(), new SlowStore(), new SlowStore()]
    const [main, a, b] = stores as [SlowStore, SlowStore, SlowStore]
    const app = appWith(sessions({ secret, store: main, named: { a: { store: a }, b: { store: b } } }), {
      '/': async (req, res) => {
        req.session.x = 1
        for (const name of ['a', 'b']) (await req.sessions.get(name)).x = 1
        res.redirect('/next')
      }
    })
    const answer = await serving(app, async (port) => {
      let received = 0
      const all = exchange(port, get('/'), (chunk) => (received += chunk.length))
      for (const store of stores) {
        await store.asked.promise
        expect(received).toBe(0)
        store.answer.resolve(undefined)
      }
      return (await all).toString()
    })
    expect(answer).toMatch(/^HTTP\/1\.1 302 /)
    for (const name of ['sid', 'a', 'b']) expect(answer).toMatch(new RegExp(`^Set-Cookie: ${name}=`, 'm'))
    expect(stores.map(({ kept }) => kept.size)).toEqual([1, 1, 1])
  })

  it('is an error page without any cookie when one of them could not be saved', async () => {
    const broken = new SlowStore()
    broken.answer.resolve(new Error('disk full'))
    const auth = sessions({ secret, named: { a: { store: broken } } })
    const res = await visitWith(auth, async (req, res) => {
      req.session.x = 1
      ;(await req.sessions.get('a')).x = 1
      res.send('ok')
    })
    expect([res.status, res.body.code]).toEqual([500, 'ERR_SESSION_STORE'])
    expect(res.headers['set-cookie']).toBeUndefined()
  })
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
        res.json({ items: cart.items, flashes: cart.flashes(), name: infoOf(cart).name, isNew: cart.isNew })
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

describe('a session that was not asked for', () => {
  it('is saved with all others', async () => {
    const store = new MemoryStore()
    const app = appWith(sessions({ ...eager(), store }), {
      ...eagerRoutes,
      '/save': async (req, res) => {
        store.clear()
        await expect(req.sessions.save()).rejects.toThrow(AggregateError)
        res.end()
      }
    })
    const cookie = cookieOf(await request(app).get('/login'))!
    expect((await request(app).get('/save').set('Cookie', cookie)).status).toBe(200)
  })

  it('decides nothing about the response', async () => {
    const app = appWith(sessions({ secret }), {
      '/login': (req, res) => res.json((req.session.user = 'ann')),
      '/theme': async (req, res) => res.json((await req.sessions.get('theme')).color ?? null)
    })
    const cookies = [await request(app).get('/login'), await request(app).get('/login')].map((each) => cookieOf(each))
    const res = await request(app).get('/theme').set('Cookie', cookies.join('; '))
    expect(res.headers).toMatchObject({ vary: 'Cookie' })
    expect(res.headers).not.toHaveProperty('cache-control')
  })
})
