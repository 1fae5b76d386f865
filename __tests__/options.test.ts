import request from 'supertest'
import session, { CookieStore, MemoryStore, sessions, Store } from '../lib/index'
import { GorillaStore } from '../lib/gorilla'
import { appWith, cookieOf, secret } from './helpers/app'

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

describe('a store of any calling style', () => {
  const styles: Record<string, (kept: Map<string, string>) => object> = {
    direct: (kept) => ({
      get: (id: string) => JSON.parse(kept.get(id) ?? 'null'),
      set: (id: string, value: object) => void kept.set(id, JSON.stringify(value)),
      destroy: (id: string) => void kept.delete(id)
    }),
    promise: (kept) => ({
      get: async (id: string) => JSON.parse(kept.get(id) ?? 'null'),
      set: async (id: string, value: object) => void kept.set(id, JSON.stringify(value)),
      destroy: async (id: string) => void kept.delete(id)
    }),
    callback: (kept) => ({
      get: (id: string, callback: any) => void setImmediate(callback, null, JSON.parse(kept.get(id) ?? 'null')),
      set: (id: string, value: object, callback: any) => {
        kept.set(id, JSON.stringify(value))
        setImmediate(callback)
      },
      destroy: (id: string, callback: any) => {
        kept.delete(id)
        setImmediate(callback)
      }
    }),
    'promise, with patterns and comments in its parameters': (kept) => ({
      get: async (id: string) => JSON.parse(kept.get(id) ?? 'null'),
      set: async (id: string, { cookie, ...data }: any /* what there is, without the cookie */) =>
        void kept.set(id, JSON.stringify({ cookie, ...data })),
      destroy: async (id: string /* , and nothing else */) => void kept.delete(id)
    }),
    'callback with a default': (kept) => ({
      get: (id: string, callback: any = () => undefined) =>
        void setImmediate(callback, null, JSON.parse(kept.get(id) ?? 'null')),
      set: (id: string, value: object, callback: any = () => undefined) => {
        setImmediate(() => {
          kept.set(id, JSON.stringify(value))
          callback()
        })
      },
      destroy: (id: string, callback: any = () => undefined) => {
        kept.delete(id)
        setImmediate(callback)
      }
    })
  }

  it.each(Object.keys(styles))('%s: stores, loads, changes and destroys', async (style) => {
    const kept = new Map<string, string>()
    const app = appWith(sessions({ secret, store: styles[style]!(kept) as never }), {
      '/': (req, res) => res.json((req.session.n = (req.session.n ?? 0) + 1)),
      '/out': async (req, res) => {
        await req.session.destroy()
        res.send('out')
      }
    })
    const cookie = cookieOf(await request(app).get('/'))!
    expect((await request(app).get('/').set('Cookie', cookie)).body).toBe(2)
    expect(kept.size).toBe(1)
    await request(app).get('/out').set('Cookie', cookie)
    expect(kept.size).toBe(0)
  })

  type Method = (...args: any[]) => any
  const wrappers: Record<string, (method: Method) => Method> = {
    'a rest parameter':
      (method) =>
      (...args) =>
        method(...args),
    'async, with a rest parameter':
      (method) =>
      async (...args) =>
        method(...args),
    'named parameters and a rest':
      (method) =>
      (id: string, ...rest) =>
        method(id, ...rest),
    arguments: (method) =>
      function (this: unknown) {
        // eslint-disable-next-line prefer-rest-params
        return method.apply(this, arguments as never)
      },
    'jest.fn': (method) => jest.fn(method),
    'jest.fn of a wrapper': (method) => jest.fn((...args) => method(...args)),
    'jest.spyOn': (method) => {
      const holder = { method }
      jest.spyOn(holder, 'method')
      return holder.method
    },
    bind: (method) => method.bind(null),
    Proxy: (method) => new Proxy(method, {})
  }
  const native = ['bind', 'Proxy']
  const unclear: Record<string, (wrapper: string) => boolean> = {
    // What returns undefined at once says too little behind a wrapper.
    direct: (wrapper) => wrapper !== 'jest.fn' && !native.includes(wrapper),
    promise: () => false,
    'promise, with patterns and comments in its parameters': () => false,
    // The wrapper's promise tells nothing of the callback.
    callback: (wrapper) => wrapper.startsWith('async'),
    // Of native code nobody sees more than the number of parameters without a default.
    'callback with a default': (wrapper) => wrapper.startsWith('async') || native.includes(wrapper)
  }
  const wrapped = Object.keys(styles).flatMap((style) =>
    Object.keys(wrappers)
      .filter((wrapper) => !unclear[style]!(wrapper))
      .map((wrapper) => [style, wrapper] as const)
  )

  it.each(wrapped)('%s, every method behind %s: stores, loads, finds nothing, destroys', async (style, wrapper) => {
    const kept = new Map<string, string>()
    const plain = { ...styles[style]!(kept), touch: (styles[style]!(new Map()) as any).set }
    const store = Object.fromEntries(
      Object.entries(plain).map(([verb, method]) => [verb, wrappers[wrapper]!(method as Method)])
    )
    const app = appWith(sessions({ secret, store: store as never, touchAfter: 0 }), {
      '/': (req, res) => res.json((req.session.n = (req.session.n ?? 0) + 1)),
      '/read': (req, res) => res.json(req.session.n ?? null),
      '/out': async (req, res) => {
        await req.session.destroy()
        res.send('out')
      }
    })
    const cookie = cookieOf(await request(app).get('/'))!
    expect((await request(app).get('/').set('Cookie', cookie)).body).toBe(2)
    expect((await request(app).get('/read').set('Cookie', cookie)).body).toBe(2)
    expect(kept.size).toBe(1)
    expect((await request(app).get('/out').set('Cookie', cookie)).text).toBe('out')
    expect(kept.size).toBe(0)
    expect((await request(app).get('/read').set('Cookie', cookie)).body).toBe(null)
  })

  it.each(['a rest parameter', 'arguments', 'jest.fn', 'jest.spyOn'])(
    'undefined by promise, behind %s, is no session',
    async (wrapper) => {
      const kept = new Map<string, object>()
      const get = wrappers[wrapper]!(async (id: string) => kept.get(id))
      const set = async (id: string, record: object) => void kept.set(id, structuredClone({ ...record, cookie: {} }))
      const app = appWith(sessions({ secret, store: { get, set, destroy: async () => undefined } }), {
        '/': (req, res) => res.json((req.session.n = (req.session.n ?? 0) + 1))
      })
      const cookie = cookieOf(await request(app).get('/'))!
      expect((await request(app).get('/').set('Cookie', cookie)).body).toBe(2)
      kept.clear()
      expect((await request(app).get('/').set('Cookie', cookie)).body).toBe(1)
    }
  )

  it('waits for the callback that a wrapper passes on, and fails aloud where none comes', async () => {
    const silent = (..._args: unknown[]) => undefined
    const store = { get: silent, set: silent, destroy: silent }
    const app = appWith(sessions({ secret, store, storeTimeout: 20 }), {
      '/': (req, res) => res.json((req.session.n = 1))
    })
    const res = await request(app).get('/')
    expect([res.status, res.body.code]).toEqual([500, 'ERR_SESSION_STORE_TIMEOUT'])
  })

  it('a short function is not taken for its first call', async () => {
    const kept = new Map<string, object>()
    const find = async (id: string, _of: unknown) => kept.get(id)
    // As applications write it: the formatter here would add parentheses.
    const get = new Function('find', 'kept', 'return async id => { return await find(id, kept) }')(find, kept)
    const app = appWith(sessions({ secret, store: { get, set() {}, destroy() {} } }), {
      '/': (req, res) => res.json((req.session.n = (req.session.n ?? 0) + 1))
    })
    const cookie = cookieOf(await request(app).get('/'))!
    expect((await request(app).get('/').set('Cookie', cookie)).body).toBe(1)
  })

  it('is heard once where it answers twice, and fails where it throws', async () => {
    const store: any = new (Store as any)()
    store.get = (_id: string, callback: any) => {
      callback(null, null)
      callback(null, null)
    }
    store.destroy = (_id: string, callback: any) => callback()
    store.set = () => {
      throw new Error('thrown')
    }
    const app = appWith(sessions({ secret, store }), {
      '/': (req, res) => {
        req.session.x = 1
        res.send('x')
      }
    })
    const res = await request(app).get('/')
    expect([res.status, res.body.code]).toEqual([500, 'ERR_SESSION_STORE'])
  })
})

it('passes without a session after disconnect (drop-in door), or as onStoreError says', async () => {
  const store = new MemoryStore()
  const see = { '/': (req: any, res: any) => res.json(req.session === undefined) }
  const classic = appWith(session({ secret, store, resave: false, saveUninitialized: false }), see)
  const failing = appWith(sessions({ secret, store }), see)
  const anonymous = appWith(sessions({ secret, store, onStoreError: 'anonymous' }), see)
  ;(store as any).emit('disconnect')
  expect((await request(classic).get('/')).body).toBe(true)
  expect((await request(failing).get('/')).status).toBe(503)
  expect((await request(anonymous).get('/')).body).toBe(false)
  ;(store as any).emit('connect')
  expect((await request(classic).get('/')).body).toBe(false)
  expect((await request(failing).get('/')).status).toBe(200)
})
