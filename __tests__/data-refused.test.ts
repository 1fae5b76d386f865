import { runInNewContext } from 'node:vm'
import request from 'supertest'
import { MemoryStore, sessions } from '../lib/index'
import { appWith, cookieOf, secret } from './helpers/app'
import { basics, bodyOf, login, read, visit } from './helpers/basics'
import { classic } from './helpers/classic'

afterEach(() => jest.restoreAllMocks())

describe('a session that cannot be stored', () => {
  const cycle: any = {}
  cycle.self = cycle
  it.each([
    ['a BigInt', () => ({ n: 1n }), 'session.x.n'],
    ['a cycle', () => cycle, 'session.x.self'],
    ['a Proxy that throws', () => ({ p: new Proxy({}, { ownKeys: () => fail() }) }), 'session.x.p'],
    [
      'a Proxy that throws a RangeError',
      () => ({ p: new Proxy({}, { ownKeys: () => fail(RangeError) }) }),
      'session.x.p cannot be stored: reading it'
    ],
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

  function fail(Fault = Error): never {
    throw new Fault('no')
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

describe('refuses a lifetime that no browser understands where it is assigned:', () => {
  it.each<[string, (cookie: any) => void]>([
    ['maxAge NaN', (cookie) => (cookie.maxAge = NaN)],
    ['maxAge 1e20', (cookie) => (cookie.maxAge = 1e20)],
    ['maxAge Infinity', (cookie) => (cookie.maxAge = Infinity)],
    ['a text as maxAge', (cookie) => (cookie.maxAge = '60000')],
    ['an invalid date', (cookie) => (cookie.expires = new Date(NaN))],
    ['a text as date', (cookie) => (cookie.expires = 'tomorrow')]
  ])('%s', async (_name, assign) => {
    const app = appWith(sessions({ secret }), {
      ...basics,
      '/assign': (req, res) => {
        req.session.changed = true
        assign(req.session.cookie)
        res.send('assigned')
      }
    })
    const res = await visit(app, '/assign', await login(app))
    expect(res.status).toBe(500)
    expect(res.body.message).toMatch(/maxAge|expires/)
    expect(cookieOf(res)).toBeUndefined()
  })
})

describe('blames the application for an attribute that cannot be sent, not the store:', () => {
  const bad: [string, (cookie: any) => void, string][] = [
    ['domain', (cookie) => (cookie.domain = 'SECRET\r\nb'), 'domain'],
    ['path', (cookie) => (cookie.path = '/;SECRET'), 'path'],
    ['sameSite', (cookie) => (cookie.sameSite = 'SECRET'), 'sameSite'],
    ['a number as sameSite', (cookie) => (cookie.sameSite = 5), 'sameSite'],
    ['priority', (cookie) => (cookie.priority = 'SECRET'), 'priority'],
    ['the last date there is', (cookie) => (cookie.expires = new Date(8.64e15)), 'maxAge|expires'],
    ['a text as originalMaxAge', (cookie) => (cookie.originalMaxAge = 'SECRET'), 'axAge']
  ]

  it.each(bad)('%s', async (_name, assign, attribute) => {
    const store = new MemoryStore()
    const app = appWith(sessions({ secret, store }), {
      ...basics,
      '/assign': (req, res) => {
        req.session.changed = true
        assign(req.session.cookie)
        res.send('assigned')
      },
      '/save': async (req, res) => {
        req.session.changed = true
        assign(req.session.cookie)
        await req.session.save()
        res.send('saved')
      }
    })
    const cookie = await login(app)
    for (const path of ['/assign', '/save']) {
      for (const sent of [cookie, '']) {
        const res = await visit(app, path, sent)
        expect([path, res.status, res.body.code, cookieOf(res)]).toEqual([path, 500, 'ERR_SESSION_OPTION', undefined])
        expect(res.body.message).toMatch(new RegExp(attribute))
        expect(res.body.message).not.toContain('SECRET')
      }
    }
    expect(store.ids()).toHaveLength(1)
    expect((await bodyOf(app, cookie)).data).toEqual({ user: 'u' })
  })
})

describe('answers 500 for a value that has no JSON, and names its key, wherever it was assigned:', () => {
  const bad: Record<string, (req: any, res: any) => unknown> = {
    '/handler': (req, res) => {
      req.session.big = 1n
      res.send('x')
    },
    '/async': async (req, res) => {
      await new Promise((resolve) => setImmediate(resolve))
      req.session.big = 1n
      res.send('x')
    },
    '/timer': (req, res) => {
      void req.session.user
      setTimeout(() => {
        req.session.big = 1n
        res.send('x')
      })
    }
  }
  it.each(Object.keys(bad))('%s', async (path) => {
    const app = appWith(sessions({ secret }), { ...basics, ...bad })
    const cookie = await login(app)
    const res = await visit(app, path, cookie)
    expect([res.status, res.body.code]).toEqual([500, 'ERR_SESSION_UNSERIALIZABLE'])
    expect(res.body.message).toContain('session.big')
    expect(await bodyOf(app, cookie)).toEqual({ data: { user: 'u' }, isNew: false })
  })
})

describe('toJSON', () => {
  const appOf = (assign: (session: any) => void) =>
    appWith(sessions({ secret }), {
      ...basics,
      '/assign': (req, res) => {
        assign(req.session)
        res.send('x')
      }
    })

  it.each<[string, unknown, object]>([
    ['of a text', () => 'short', { value: 'short' }],
    ['of nothing', () => undefined, {}],
    ['of null', () => null, { value: null }],
    ['of a list', () => [1], { value: [1] }]
  ])('%s: what is stored is what loads', async (_name, toJSON, data) => {
    const app = appOf(
      (session) =>
        (session.value = new (class {
          toJSON = toJSON
        })())
    )
    const cookie = await login(app)
    expect((await visit(app, '/assign', cookie)).status).toBe(200)
    expect((await bodyOf(app, cookie)).data).toEqual({ user: 'u', ...data })
  })

  it('that throws is named', async () => {
    const app = appOf((session) => {
      session.value = {
        toJSON() {
          throw new Error('no connection')
        }
      }
    })
    const res = await visit(app, '/assign')
    expect([res.status, res.body.code]).toEqual([500, 'ERR_SESSION_UNSERIALIZABLE'])
    expect(res.body.message).toContain('session.value ')
  })

  it('of the session itself is refused, and the session before stays', async () => {
    const app = appOf((session) => (session.toJSON = () => 'x'))
    const cookie = await login(app)
    const res = await visit(app, '/assign', cookie)
    expect([res.status, res.body.code]).toEqual([500, 'ERR_SESSION_UNSERIALIZABLE'])
    expect(res.body.message).toContain('toJSON')
    expect((await bodyOf(app, cookie)).data).toEqual({ user: 'u' })
  })
})

it('tells once in development, with its path, of a value that JSON changes', async () => {
  const values = {
    date: new Date(),
    map: new Map([[1, 2]]),
    set: new Set([1]),
    nothing: undefined,
    nan: NaN,
    minusZero: -0,
    bytes: Buffer.from('x'),
    fn: () => 1,
    // The most likely one: an `await` that is missing.
    promise: Promise.resolve({ name: 'ann' }),
    pattern: /x/,
    error: new Error('x'),
    foreignDate: runInNewContext('new Date()'),
    foreignMap: runInNewContext('new Map()'),
    weakMap: new WeakMap(),
    weakSet: new WeakSet(),
    url: new URL('https://example.org/'),
    query: new URLSearchParams('a=1'),
    numbers: new Float64Array(2),
    buffer: new ArrayBuffer(2),
    // eslint-disable-next-line no-sparse-arrays
    sparse: [1, , 3],
    matched: /x/.exec('x'),
    // With properties of their own, which is all that is left of them.
    cart: Object.assign(new Map([['apple', 2]]), { currency: 'EUR' }),
    tags: Object.assign(new Set(['x']), { owner: 'u' }),
    day: Object.assign(new Date(), { zone: 'UTC' }),
    mask: Object.assign(/x/, { label: 'x' }),
    failure: Object.assign(new Error('x'), { code: 'E' }),
    later: Object.assign(Promise.resolve(), { label: 'x' })
  }
  const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
  const app = appWith(sessions({ secret }), {
    '/': (req, res) => {
      req.session.lossy = { deep: { ...values } }
      res.send('x')
    }
  })
  for (let i = 0; i < 2; i++) await visit(app, '/')
  const told = warned.mock.calls.map(([message, options]) => [
    /^session\.lossy\.deep\.(\w+) is /.exec(String(message))?.[1],
    (options as { code: string }).code
  ])
  expect(told).toEqual(Object.keys(values).map((key) => [key, 'SILVERBACK_LOSSY']))
})

it('keeps what JSON keeps also where its Symbol.toStringTag throws an error, and tells of the rest', async () => {
  const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
  const app = appWith(sessions({ secret }), {
    '/': (req, res) => {
      const get = () => {
        throw new Error('no tag')
      }
      req.session.tagged = { empty: Object.defineProperty({}, Symbol.toStringTag, { get }), map: new Map() }
      res.send('x')
    },
    '/data': (req, res) => res.json(req.session.tagged)
  })
  const stored = await visit(app, '/')
  expect([stored.status, warned.mock.calls.map(([message]) => String(message).split(' ')[0])]).toEqual([
    200,
    ['session.tagged.map']
  ])
  expect((await visit(app, '/data', cookieOf(stored))).body).toEqual({ empty: {}, map: {} })
})

it('says nothing of what JSON keeps', async () => {
  const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
  const app = appWith(sessions({ secret }), {
    '/': (req, res) => {
      const bare = Object.assign(Object.create(null), { list: [[], {}, [null, 'x']] })
      req.session.kept = {
        bare,
        foreign: runInNewContext('({ a: [] })'),
        flag: new Boolean(true),
        empty: Object.create(null)
      }
      res.send('x')
    }
  })
  await visit(app, '/')
  expect(warned.mock.calls).toEqual([])
})

it('says nothing behind the drop-in door, as express-session', async () => {
  const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
  const app = appWith(classic({ store: new MemoryStore() }), {
    '/': (req, res) => res.json(Object.assign(req.session, { lossy: new Map([[1, 2]]) }).id)
  })
  await visit(app, '/')
  expect(warned.mock.calls).toEqual([])
})

it('says nothing of a Date where the store declares that it keeps types', async () => {
  const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
  const store = Object.assign(new MemoryStore(), { keepsTypes: true })
  const app = appWith(sessions({ secret, store }), {
    '/': (req, res) => {
      req.session.typed = { at: new Date(), bytes: Buffer.from('x'), map: new Map() }
      res.send('x')
    }
  })
  await visit(app, '/')
  expect(warned.mock.calls.map(([message]) => String(message).split(' ')[0])).toEqual(['session.typed.map'])
})

describe('the cookie of a session', () => {
  it.each([null, undefined, 'x', 5])('cannot be replaced by %j', async (value) => {
    const app = appWith(sessions({ secret }), { '/': (req) => (req.session.cookie = value) })
    const res = await visit(app, '/')
    expect([res.status, res.body.code]).toEqual([500, 'ERR_SESSION_OPTION'])
    expect(res.body.message).toMatch(/change its attributes instead/)
  })
})

describe('data nested as deeply as a request body can be', () => {
  const nested = (depth: number) => JSON.parse('['.repeat(depth) + ']'.repeat(depth))
  const depthOf = (value: unknown) => {
    let depth = 0
    for (let at = value; Array.isArray(at); at = at[0]) depth++
    return depth
  }

  it.each([500, 1500, 2500, 3500, 4500, 6000, 20_000])(
    '%d levels are refused when they are saved, or can be read and changed ever after',
    async (depth) => {
      const auth = sessions({ secret })
      const app = appWith(auth, {
        '/save': (req, res) => {
          req.session.deep = nested(depth)
          res.send('saved')
        },
        '/depth': (req, res) => res.json(depthOf(req.session.deep)),
        '/write': (req, res) => {
          req.session.n = 1
          res.json(depthOf(req.session.deep))
        }
      })
      const saved = await visit(app, '/save')
      if (saved.status !== 200) {
        expect([saved.status, saved.body.code]).toEqual([500, 'ERR_SESSION_UNSERIALIZABLE'])
        return
      }
      const cookie = cookieOf(saved)!
      for (const path of ['/depth', '/write', '/depth']) {
        const res = await visit(app, path, cookie)
        expect([res.status, res.body]).toEqual([200, depth])
      }
      const id = cookie.slice('sid='.length).split('.')[0]!
      expect((await auth.get(id))!.data).toMatchObject({ n: 1 })
      await auth.destroy(id)
      expect(await auth.get(id)).toBeNull()
    }
  )
})
