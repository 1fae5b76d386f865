import fc from 'fast-check'
import request from 'supertest'
import session, { FileStore, MemoryStore, sessions } from '../lib/index'
import { MongoStore } from '../lib/mongo'
import { sessionCookie } from '../lib/testing'
import { appWith, cookieOf, secret } from './helpers/app'
import { basics, login, read } from './helpers/basics'
import { TestFolder } from './helpers/folder'
import { hasSafeKeys } from './helpers/json-keys'
import { MongoDouble } from './helpers/mongo-double'

const expressSession = require('express-session')

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

it('data under the reserved property never becomes metadata', async () => {
  const store = new (require('express-session').MemoryStore)()
  const app = appWith(session({ secret, store, resave: false, saveUninitialized: false }), {
    ...basics,
    '/assign': (req: any, res: any) => {
      Object.assign(req.session, { user: 'me', silverback_meta: { u: 1, c: 1, n: 'other', g: 9e15 } })
      res.send('assigned')
    }
  })
  const cookie = cookieOf(await request(app).get('/assign'), 'connect.sid')
  expect(Object.values(store.sessions)[0]).not.toContain('silverback_meta')
  expect((await read(app, cookie)).body.data).toEqual({ user: 'me' })
})

// Stores bring the time of last use up to date in the text, where they find the property by its name.
it('data may hold the reserved names further down', async () => {
  const nested = { silverback_meta: { u: 1, c: 1, n: 'other' }, copies: [{ __silverback: { u: 2, c: 2 } }] }
  const folder = new TestFolder()
  for (const store of [new MemoryStore(), new FileStore({ path: folder.at('sessions') })]) {
    const app = appWith(session({ secret, store, resave: false, saveUninitialized: false }), {
      ...basics,
      '/assign': (req: any, res: any) => {
        req.session.nested = nested
        res.send('assigned')
      }
    })
    const cookie = cookieOf(await request(app).get('/assign'), 'connect.sid')
    for (let i = 0; i < 2; i++) expect((await read(app, cookie)).body.data).toEqual({ nested })
    const [id] = await store.ids()
    expect(await store.get(id!)).toMatchObject({ nested })
    // As express-session keeps it.
    await store.set(id!, { cookie: { path: '/' }, nested } as any)
    expect(await store.get(id!)).toEqual({ cookie: { path: '/' }, nested })
    await store.close()
  }
  folder.remove()
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

type Data = Record<string, any>

interface Step {
  verb: 'set' | 'deepen' | 'delete' | 'move'
  key: string
  value: unknown
}

const value = fc.oneof(
  fc
    .jsonValue({ maxDepth: 2 })
    .filter((json) => !JSON.stringify(json).includes('__proto__') && hasSafeKeys(JSON.stringify(json))),
  fc.constantFrom<unknown>(new Date(0), [undefined], { a: undefined }, -0, NaN, 'x'.repeat(3000), '\u2028\ud800"')
)

const step: fc.Arbitrary<Step> = fc.record({
  verb: fc.constantFrom('set', 'set', 'deepen', 'delete', 'move'),
  key: fc.constantFrom('a', 'b', '7', '10', 'constructor', 'toString', '"', '\\a', '\u2028', '\u00fc', 'cart'),
  value
})

function apply(data: Data, { verb, key, value: given }: Step): void {
  const had = Object.hasOwn(data, key)
  const old = data[key]
  if (verb === 'deepen' && had && typeof old === 'object' && old !== null) old.deep = given
  if (verb === 'delete' || verb === 'move') delete data[key]
  if (verb === 'set') data[key] = given
  if (verb === 'move' && had) data[key] = old
}

const storesOf: [kind: string, storeOf: () => any][] = [
  ['texts', () => new MemoryStore()],
  ['objects', () => new expressSession.MemoryStore()]
]

// What did not change is not serialized again; the outcome must be that of serializing all of it.
it.each(storesOf)(
  'stores after any changes what JSON.stringify makes of the data (in a store of %s)',
  async (...args) => {
    const store = args[1]()
    let steps: Step[] = []
    const app = appWith(sessions({ secret, store }), {
      '/': (req, res) => {
        for (const one of steps) apply(req.session, structuredClone(one))
        res.end()
      }
    })
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(step, { maxLength: 3 }), { minLength: 1, maxLength: 5 }), async (requests) => {
        store.clear()
        let expected: Data = {}
        let cookie = ''
        for (steps of [[{ verb: 'set', key: 'a', value: { b: [1] } } satisfies Step], ...requests]) {
          expected = JSON.parse(JSON.stringify(expected))
          for (const one of steps) apply(expected, structuredClone(one))
          const res = await request(app).get('/').set('Cookie', cookie)
          expect(res.status).toBe(200)
          cookie = cookieOf(res) ?? cookie
          const [text] = Object.values(store.sessions)
          const { cookie: _cookie, silverback_meta: _meta, ...stored } = JSON.parse(text as string) as Data
          expect(JSON.stringify(stored)).toBe(JSON.stringify(expected))
        }
      }),
      { numRuns: 60 }
    )
  }
)

it.each(storesOf)('keeps what is called cookie deep inside the data, in a store of %s', async (_kind, storeOf) => {
  const store = storeOf()
  const consent = { cookie: true, of: { cookie: { ads: false } } }
  const app = appWith(sessions({ secret, store }), {
    ...basics,
    '/consent': (req, res) => res.json(Object.assign(req.session, { consent })),
    '/fail': (req, res) => req.session.update(() => Promise.reject(new Error('no'))).catch(() => res.json(req.session))
  })
  const cookie = cookieOf(await request(app).get('/consent'))!
  expect((await read(app, cookie)).body.data).toEqual({ consent })
  expect((await request(app).get('/fail').set('Cookie', cookie)).body.consent).toEqual(consent)
})

describe.each(storesOf)('records that are kept taken apart, of %s', (_kind, storeOf) => {
  it('give every request objects of its own', async () => {
    const seen: unknown[] = []
    const app = appWith(sessions({ secret, store: storeOf() }), {
      '/login': (req, res) => {
        req.session.user = { roles: ['reader'] }
        res.send('in')
      },
      '/peek': (req, res) => {
        seen.push(req.session.user)
        res.json(req.session.user)
      },
      '/spoil': (req, res) => {
        req.session.user.roles.push('admin')
        req.session.fault = 1n
        res.send('never saved')
      }
    })
    const cookie = cookieOf(await request(app).get('/login'))!
    await request(app).get('/peek').set('Cookie', cookie)
    expect((await request(app).get('/spoil').set('Cookie', cookie)).status).toBe(500)
    const { body } = await request(app).get('/peek').set('Cookie', cookie)
    expect(body).toEqual({ roles: ['reader'] })
    expect(seen[0]).not.toBe(seen[1])
  })

  it('hold what was written, not what the request did afterwards', async () => {
    const app = appWith(sessions({ secret, store: storeOf() }), {
      '/login': (req, res) => {
        req.session.cart = { items: [1] }
        res.send('in')
      },
      '/add': (req, res) => {
        req.session.cart.items.push(2)
        res.send('added')
        req.session.cart.items.push(3)
      },
      '/cart': (req, res) => res.json(req.session.cart)
    })
    const cookie = cookieOf(await request(app).get('/login'))!
    await request(app).get('/add').set('Cookie', cookie)
    expect((await request(app).get('/cart').set('Cookie', cookie)).body).toEqual({ items: [1, 2] })
  })

  it('are as the store has them, whatever it was told by others', async () => {
    const store = storeOf()
    const app = appWith(sessions({ secret, store }), basics)
    const cookie = await login(app, 'user=u&n=1')
    await read(app, cookie)
    const [id] = Object.keys(store.sessions)
    const kept = JSON.parse(store.sessions[id!])
    const others = [
      { user: 'v', n: '1' },
      { user: 'v', n: 1 },
      { n: 1, user: 'v' },
      { n: 1, user: { name: 'v' } },
      { n: 1 },
      { n: 1, user: null }
    ]
    for (const data of others) {
      store.sessions[id!] = JSON.stringify({ cookie: kept.cookie, silverback_meta: kept.silverback_meta, ...data })
      const res = await read(app, cookie)
      expect(JSON.stringify(res.body.data)).toBe(JSON.stringify(data))
    }
    store.sessions[id!] = JSON.stringify({ cookie: kept.cookie, silverback_meta: { u: 1, c: 1 }, n: 1, user: null })
    expect((await read(app, cookie)).body).toMatchObject({ data: {}, code: 'ERR_SESSION_EXPIRED' })
  })
})

describe('values of types that JSON does not know', () => {
  it.each([
    ['sessions()', (options: any) => sessions(options)],
    [
      'the drop-in door',
      (options: any) => session({ name: 'sid', resave: false, saveUninitialized: false, ...options })
    ]
  ])('stay what they are in a store of ours that keeps them (%s)', async (_name, door) => {
    const collection = new MongoDouble()
    const app = appWith(door({ secret, store: new MongoStore({ collection, stringify: false }) }), {
      '/since': (req, res) =>
        res.json(Object.assign(req.session, { since: new Date(5), in: { list: [new Date(6)], like: /a/i } })),
      '/n': (req, res) => res.json((req.session.in.n = 1)),
      '/kinds': (req, res) => {
        const { since, in: inner } = req.session
        res.json([since instanceof Date, inner.list[0] instanceof Date, String(inner.like)])
      }
    })
    const cookie = cookieOf(await request(app).get('/since'))!
    for (let i = 0; i < 2; i++) {
      expect((await request(app).get('/kinds').set('Cookie', cookie)).body).toEqual([true, true, '/a/i'])
      await request(app).get('/n').set('Cookie', cookie).expect(200)
    }
  })
})
