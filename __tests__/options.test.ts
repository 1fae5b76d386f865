import express from 'express'
import request from 'supertest'
import { GorillaStore } from '../lib/gorilla'
import session, { CookieStore, MemoryStore, sessions } from '../lib/index'
import { appWith, cookieOf, secret } from './helpers/app'
import { basics, login, read, visit } from './helpers/basics'
import { plainStore } from './helpers/classic'

const foreign = { get() {}, set() {}, destroy() {} }
const userId = () => 'u'
const inCookies = { store: new CookieStore(), userId, maxPerUser: 3 }

const bad = (options: object): any => {
  try {
    sessions(options as never)
  } catch (err) {
    return err
  }
  throw new Error('was accepted')
}

describe('sessions() refuses at set-up', () => {
  it.each([
    ['an empty secret', { secret: '' }, /secret must be .* 32/],
    ['an array with an empty secret', { secret: [''] }, /secret must be .* 32/],
    ['null in the array', { secret: [null] }, /secret must be .* 32/],
    ['an empty array', { secret: [] }, /empty array/],
    ['a short secret', { secret: 'x'.repeat(31) }, /got 31 bytes/],
    ['a well-known secret', { secret: 'keyboard cat keyboard cat keyboard cat' }, /well-known/],
    ['the example of iron-session', { secret: 'complex_password_at_least_32_characters_long' }, /well-known/],
    [
      'the example of @fastify/secure-session',
      { secret: [secret, 'averylogphrasebiggerthanthirtytwochars'] },
      /well-known/
    ],
    ['the example of @fastify/session', { secret: 'a secret with minimum length of 32 characters' }, /well-known/],
    ['a name with a space', { secret, name: 'a b' }, /name must be a cookie name/],
    ['a name that is a property', { secret, name: '__proto__' }, /name must be a cookie name/],
    ['a line break in the domain', { secret, cookie: { domain: 'a\r\nb' } }, /domain/],
    ['a line break in the path', { secret, cookie: { path: '/\r\n' } }, /path/],
    ['__Host- with a domain', { secret, name: '__Host-sid', cookie: { domain: 'a.b' } }, /no domain/],
    ['__Host- with a path', { secret, name: '__host-sid', cookie: { path: '/a' } }, /path '\/'/],
    ['__Secure- without Secure', { secret, name: '__Secure-sid', cookie: { secure: false } }, /secure must be true/],
    ['__Http- without HttpOnly', { secret, name: '__Http-sid', cookie: { httpOnly: false } }, /httpOnly must be true/],
    ['SameSite=None without Secure', { secret, cookie: { sameSite: 'none', secure: false } }, /sameSite none/],
    ['Partitioned without Secure', { secret, cookie: { partitioned: true, secure: false } }, /partitioned/],
    ['an unknown SameSite', { secret, cookie: { sameSite: 'maybe' } }, /sameSite/],
    ['idle of 0', { secret, idle: 0 }, /idle must be a number of milliseconds above 0, or null/],
    ['a text as absolute', { secret, absolute: '30d' }, /absolute must be/],
    ['an unknown load', { secret, load: 'late' }, /load must be one of/],
    ['an unknown policy', { secret, onStoreError: 'ignore' }, /onStoreError must be one of/],
    ['an unknown transport', { secret, transport: 'pigeon' }, /transport must be/],
    ['a store without set', { secret, store: { get() {}, destroy() {} } }, /store must have the methods/],
    ['an unknown unset', { secret, unset: 'delete' }, /unset must be one of destroy, keep/],
    ['maxPerUser of a named session without userId', { secret, named: { cart: { maxPerUser: 3 } } }, /option userId/],
    ['maxPerUser on a store from npm', { secret, store: foreign, userId, maxPerUser: 3 }, /index of users/],
    ['maxPerUser on a CookieStore', { secret, store: new CookieStore(), userId, maxPerUser: 3 }, /index of users/],
    ['maxPerUser of a named session in cookies', { secret, named: { cart: inCookies } }, /index of users/],
    ['maxPerUser without userId', { secret, maxPerUser: 3 }, /needs the option userId/],
    ['a genid that is no function', { secret, genid: 'x' }, /genid must be a function/],
    ['a schema that is none', { secret, schema: {} }, /schema must be a Standard Schema .*got an object/],
    ['a schema without validate', { secret, schema: { '~standard': { version: 1 } } }, /schema must be/],
    ['an extend that is no function', { secret, extend: 'x' }, /extend must be true or false, or a function/],
    ['a text as hashIds', { secret, hashIds: 'yes' }, /hashIds must be true or false, got "yes"/],
    ['a number as cacheGuard', { secret, cacheGuard: 0 }, /cacheGuard must be true or false, got 0/],
    ['a named session of the own name', { secret, named: { sid: {} } }, /main session's own name "sid"/],
    ['the own name, given', { secret, name: 'main', named: { main: {} } }, /main session's own name "main"/],
    ['named sessions in a list', { secret, named: ['cart'] }, /named must be an object/],
    ['a named session without options', { secret, named: { cart: null } }, /named\["cart"\] must be an object/],
    ['a schema of a named session', { secret, named: { cart: { schema: {} } } }, /schema must be/],
    ['hashIds of a named session', { secret, named: { cart: { hashIds: 1 } } }, /hashIds must be/],
    ['userId of a named session', { secret, named: { cart: { userId: 'x' } } }, /userId must be a function/]
  ])('%s', (_name, options, message) => {
    const err = bad(options)
    expect(err).toBeInstanceOf(TypeError)
    expect(err.code).toMatch(/^ERR_SESSION_(OPTION|NAME)$/)
    expect(err.message).toMatch(message)
    expect(err.message).not.toContain('keyboard cat')
  })

  it('and so does session() with the options that express-session has not', () => {
    const classic = (options: object) =>
      session({ secret, resave: false, saveUninitialized: false, ...options } as never)
    for (const [options, message] of [
      [{ schema: {} }, /schema must be/],
      [{ extend: 'x' }, /extend must be/],
      [{ hashIds: 'yes' }, /hashIds must be/],
      [{ cacheGuard: 0 }, /cacheGuard must be/],
      [{ named: { 'connect.sid': {} } }, /own name "connect.sid"/]
    ] as const) {
      expect(() => classic(options)).toThrow(message)
    }
    const lax = { resave: 'x', rolling: 'x', saveUninitialized: 0, unset: '', proxy: 'x', name: '', cookie: null }
    for (const [option, value] of Object.entries(lax)) expect(classic({ [option]: value })).toBeInstanceOf(Function)
    const absent = { schema: null, extend: null, hashIds: null, cacheGuard: null, named: null }
    expect(classic(absent)).toBeInstanceOf(Function)
  })

  it('no secret in production; elsewhere it makes one and says so', () => {
    const before = process.env.NODE_ENV
    const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    try {
      process.env.NODE_ENV = 'production'
      expect(() => sessions({})).toThrow(/secret is required in production/)
      process.env.NODE_ENV = 'development'
      sessions({})
      expect(warned).toHaveBeenCalledTimes(1)
    } finally {
      process.env.NODE_ENV = before
      warned.mockRestore()
    }
  })
})

describe('a secret for sessions that live in their cookies', () => {
  const short = 'short'.repeat(6)
  const sealed = () => new CookieStore()
  const classic = (options: object) => session({ resave: false, saveUninitialized: false, ...options } as never)
  const routes = {
    '/': async (req: any, res: any) => {
      req.session.x = 1
      res.send('x')
    },
    '/wizard': async (req: any, res: any) => {
      await req.sessions.get('wizard', { store: sealed() })
      res.send('x')
    }
  }

  it.each<[string, () => object, RegExp]>([
    ['a short one', () => ({ secret: short, store: sealed() }), /at least 32 random bytes .*got 30 bytes/],
    ['short bytes', () => ({ secret: Buffer.from(short), store: sealed() }), /got 30 bytes/],
    ['a short one among others', () => ({ secret: [secret, short], store: sealed() }), /got 30 bytes/],
    ['a short one that only signs', () => ({ secret: short, store: new CookieStore({ encrypt: false }) }), /got 30/],
    ['the short one of the main session', () => ({ secret: short, named: { cart: { store: sealed() } } }), /got 30/],
    ['none', () => ({ store: sealed() }), /secret is required where sessions live in their cookies/],
    ['none of its own', () => ({ named: { cart: { store: sealed() } } }), /secret is required/]
  ])('session() refuses %s at set-up', (_name, options, message) => {
    let err: any
    try {
      classic(options())
    } catch (thrown) {
      err = thrown
    }
    expect(err).toBeInstanceOf(TypeError)
    expect([err.code, err.message]).toEqual(['ERR_SESSION_OPTION', expect.stringMatching(message)])
    expect(err.message).not.toContain(short)
  })

  it('session() takes any for what lives in a store, or in a cookie with keys of its own', async () => {
    const gorilla = new GorillaStore({ keyPairs: [[Buffer.alloc(32, 1)]] })
    for (const options of [
      { secret: short },
      { secret: short, store: gorilla },
      { secret: short, named: { cart: { store: sealed(), secret } } }
    ]) {
      const res = await request(appWith(classic(options), routes)).get('/')
      expect([res.status, cookieOf(res, 'connect.sid')]).toEqual([200, expect.any(String)])
    }
  })

  it('is refused by the registry as well', async () => {
    const res = await request(appWith(classic({ secret: short }), routes)).get('/wizard')
    expect([res.status, res.body.code]).toEqual([500, 'ERR_SESSION_OPTION'])
    const parsing = appWith(require('cookie-parser')(secret), {})
    parsing.use(appWith(classic({}), routes))
    expect((await request(parsing).get('/')).status).toBe(200)
    expect((await request(parsing).get('/wizard')).body.code).toBe('ERR_SESSION_OPTION')
  })

  it.each<[string, (options: object) => any]>([
    ['session()', classic],
    ['sessions()', sessions]
  ])('neither seals nor opens with a short one that %s was given later', async (_name, door) => {
    const secrets = [secret]
    const app = appWith(door({ secret: secrets, store: sealed(), name: 'sid' }), routes)
    const cookie = cookieOf(await request(app).get('/'))!
    for (const add of ['unshift', 'push'] as const) {
      secrets[add](short)
      for (const sent of ['', cookie]) {
        const res = await request(app).get('/').set('Cookie', sent)
        expect([res.status, res.body.code, cookieOf(res)]).toEqual([500, 'ERR_SESSION_OPTION', undefined])
      }
      secrets.splice(secrets.indexOf(short), 1)
      expect((await request(app).get('/').set('Cookie', cookie)).status).toBe(200)
    }
  })
})

describe('genid', () => {
  it('may return a promise, and runs once for a request without a session', async () => {
    const genid = jest.fn(async () => `id-${Math.random().toString(36).slice(2)}`)
    const app = appWith(sessions({ secret, genid }), {
      '/': (req, res) => {
        req.session.x = 1
        res.send(req.sessionID)
      }
    })
    const res = await request(app).get('/')
    expect(res.text).toMatch(/^id-/)
    await request(app).get('/').set('Cookie', cookieOf(res)!)
    expect(genid).toHaveBeenCalledTimes(1)
  })

  it.each([7, '', '../../x', 'a/b', 'C:x', '*', '\u0000'])(
    'is refused with the answer %j, and nothing is stored',
    async (id) => {
      const store = new MemoryStore()
      const app = appWith(sessions({ secret, store, genid: () => id as string }), { '/': (_req, res) => res.send('x') })
      const res = await request(app).get('/')
      expect([res.status, res.body.code]).toEqual([500, 'ERR_SESSION_OPTION'])
      expect(store.ids()).toEqual([])
    }
  )

  it('is refused with a constant the second time', async () => {
    const app = appWith(sessions({ secret, genid: () => 'always' }), { '/': (_req, res) => res.send('x') })
    expect((await request(app).get('/')).status).toBe(200)
    expect((await request(app).get('/')).body.code).toBe('ERR_SESSION_OPTION')
  })
})

it('hashIds keeps IDs out of the store, and switching it on logs nobody out', async () => {
  const store = new MemoryStore()
  const cookie = await login(appWith(sessions({ secret, store }), basics))
  const app = appWith(sessions({ secret, store, hashIds: true }), basics)
  expect((await read(app, cookie)).body.data).toEqual({ user: 'u' })
  const [id] = store.ids() as unknown as string[]
  expect(cookie).not.toContain(id)
  expect((await read(app, cookie)).body.data).toEqual({ user: 'u' })
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

it('hashIds keeps the IDs of named sessions out of stores of their own, unless they say otherwise', async () => {
  const stores = { main: new MemoryStore(), cart: new MemoryStore(), open: new MemoryStore() }
  const named = { cart: { store: stores.cart }, open: { store: stores.open, hashIds: false } }
  const app = appWith(sessions({ secret, store: stores.main, hashIds: true, named }), {
    '/': async (req, res) => {
      const all = await Promise.all(['sid', 'cart', 'open'].map((name) => req.sessions.get(name)))
      for (const one of all) one.n = 1
      res.json(all.map(({ id }) => id))
    }
  })
  const ids = (await request(app).get('/')).body
  const seen = Object.values(stores).map((store, i) => (store.ids() as string[]).includes(ids[i]))
  expect(seen).toEqual([false, false, true])
})

// userId: (session) => session.user.id, where nobody is logged in, is the one that everybody writes.
describe.each([
  ['a store of ours', () => new MemoryStore()] as const,
  ['a store from npm', () => plainStore()] as const
])('an option that throws is blamed by name, and not the store: %s,', (_name, make) => {
  const fail = () => {
    throw new Error('mine')
  }
  const validate = (run: () => any) => ({ '~standard': { version: 1, vendor: 'x', validate: run } }) as any
  it.each<[string, object]>([
    ['userId', { userId: fail }],
    ['bind', { bind: fail }],
    ['extend', { extend: fail }],
    ['schema', { schema: validate(fail) }],
    ['schema', { schema: validate(async () => fail()) }]
  ])('%s', async (option, options) => {
    const store = make()
    const cookie = await login(appWith(sessions({ secret, store }), basics))
    const caught: any[] = []
    const app = express()
    app.use(sessions({ secret, store, onStoreError: 'anonymous', ...options }) as any)
    app.use((req: any, res) => res.json((req.session.n = 1)))
    app.use((err: any, _req: any, res: any, _next: any) => res.status(500).json(caught.push(err)))
    expect((await request(app).get('/').set('Cookie', cookie)).status).toBe(500)
    expect(caught).toMatchObject([{ code: 'ERR_SESSION_OPTION', kind: 'usage', cause: { message: 'mine' } }])
    expect(caught[0].message).toContain(`option ${option} `)
  })
})

// In JavaScript nothing else says that an async function has no place there.
describe.each([
  ['a store of ours', () => new MemoryStore()] as const,
  ['a store from npm', () => plainStore()] as const
])('an option whose answer is needed at once, and comes by promise, %s,', (_name, make) => {
  const answers: [string, () => Promise<unknown>][] = [
    ['resolves', async () => false],
    // Nobody waits for it: it must not end the process either.
    ['rejects', () => Promise.reject(new Error('mine'))]
  ]
  describe.each(answers)('which %s,', (_how, answer) => {
    it.each(['extend', 'bind', 'userId', 'cookie'])('is refused by name: %s', async (option) => {
      const store = make()
      const cookie = await login(appWith(sessions({ secret, store }), basics))
      // Whether a session is extended is not asked for one that begins.
      for (const sent of option === 'extend' ? [cookie] : [cookie, '']) {
        const auth = sessions<any>({ secret, store, touchAfter: 0, [option]: answer })
        const { status, body } = await visit(appWith(auth, basics), '/write?user=x', sent)
        expect([status, body.code]).toEqual([500, 'ERR_SESSION_OPTION'])
        expect(body.message).toMatch(`The option ${option} must answer at once, and answered a promise`)
      }
    })

    it('is refused by name: onStoreError', async () => {
      const store = plainStore()
      const app = appWith(sessions({ secret, store, onStoreError: answer as never }), basics)
      const cookie = await login(app)
      store.get = (_id: string, done: any) => setImmediate(done, new Error('down'))
      const { status, body } = await read(app, cookie)
      expect([status, body.code]).toEqual([500, 'ERR_SESSION_OPTION'])
      expect(body.message).toMatch('The option onStoreError must answer at once')
      store.emit('disconnect')
      expect((await read(app, cookie)).body.code).toBe('ERR_SESSION_OPTION')
    })
  })
})

it('an answer of onStoreError that is none counts as fail, and is told once', async () => {
  const told = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
  const store = plainStore()
  const cookie = await login(appWith(sessions({ secret, store }), basics))
  store.get = (_id: string, done: any) => setImmediate(done, new Error('down'))
  for (const answer of ['anonymus', undefined, 'fail', 'anonymous']) {
    const app = appWith(sessions({ secret, store, onStoreError: () => answer as never }), basics)
    expect((await read(app, cookie)).status).toBe(answer === 'anonymous' ? 200 : 503)
  }
  expect(told.mock.calls.filter(([text]) => String(text).includes('onStoreError'))).toEqual([
    [
      `The option onStoreError answered "anonymus", which counts as 'fail': it must answer one of fail, anonymous.`,
      expect.anything()
    ]
  ])
  told.mockRestore()
})

it.each([sessions, session])('a genid that fails is counted once, however it fails: %p', async (door) => {
  let made = 0
  let fails = false
  const ways: (() => unknown)[] = [
    () => {
      throw new Error('mine')
    },
    () => Promise.reject(new Error('mine'))
  ]
  for (const fail of ways) {
    const auth = door({
      secret,
      resave: false,
      saveUninitialized: false,
      genid: () => (fails ? fail() : `id${++made}`) as string
    })
    const app = appWith(auth, {
      ...basics,
      '/renew': (req, res, next) => req.session.regenerate((err: unknown) => (err ? next(err) : res.send('renewed')))
    })
    const cookie = await login(app)
    fails = true
    for (const [path, sent] of [
      ['/read', ''],
      ['/renew', cookie]
    ] as const) {
      const before = auth.stats().errors
      expect((await visit(app, path, sent)).status).toBe(500)
      expect(auth.stats().errors - before).toBe(1)
    }
    fails = false
  }
})

it('what the options have against a request ends no server without Express', () => {
  const fail = () => {
    throw new Error('mine')
  }
  for (const door of [sessions, session]) {
    const next = jest.fn()
    door({ secret, cookie: fail, resave: false, saveUninitialized: false })({} as never, {} as never, next)
    expect(next.mock.calls).toEqual([[expect.objectContaining({ message: 'mine' })]])
  }
})

it.each(['maxAge', 'expires'])(
  'takes cookie.%s false for a session without an end, its named ones too',
  async (end) => {
    const options = { secret, resave: false, saveUninitialized: false, cookie: { [end]: false }, named: { cart: {} } }
    for (const door of [sessions, session]) {
      const app = appWith(door(options as never), {
        '/': async (req, res) => {
          req.session.user = 'ann'
          const cart = await req.sessions.get('cart')
          cart.items = 1
          res.json([req.session.cookie.maxAge || null, cart.cookie.maxAge])
        }
      })
      const answer = await request(app).get('/')
      expect(answer.body).toEqual([null, null])
      expect(answer.headers['set-cookie']).toEqual([
        expect.not.stringMatching(/expires/i),
        expect.not.stringMatching(/expires/i)
      ])
    }
  }
)
