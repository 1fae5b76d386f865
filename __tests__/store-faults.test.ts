import request from 'supertest'
import session, { MemoryStore, sessions } from '../lib/index'
import { appWith, cookieOf, secret } from './helpers/app'
import { basics, login, read } from './helpers/basics'
import { classicApp, plainStore, ROUTES, visit } from './helpers/classic'
import { faultApp } from './helpers/fault-app'
import { never, withStillTime } from './helpers/still-time'

withStillTime()

type Verb = 'get' | 'set' | 'destroy' | 'touch'

type Callback = (err?: unknown, value?: unknown) => void

/** The ways in which a store's method can fail: what it does instead of answering. */
const FAILURES: Record<string, (callback: Callback) => unknown> = {
  'answers with an error': (callback) => void callback(new Error('down')),
  'answers with an error later': (callback) => void setImmediate(callback, new Error('down')),
  throws: () => {
    throw new Error('down')
  },
  rejects: () => Promise.reject(new Error('down')),
  'rejects later': () => new Promise((_resolve, reject) => setImmediate(reject, new Error('down'))),
  'throws what is no error': () => {
    throw 'down'
  },
  'throws nothing at all': () => {
    throw undefined
  },
  'rejects with nothing at all': () => Promise.reject(),
  'never answers': () => void never()
}

const NEVER = 'never answers'

/** A store of express-session's kind whose methods can be made to fail, each in its own way. */
class FaultyStore {
  readonly records = new Map<string, string>()
  readonly calls: string[] = []
  failing: Partial<Record<Verb, (callback: Callback) => unknown>> = {}

  fail(verb: Verb, how: string): void {
    this.failing[verb] = FAILURES[how]!
  }

  get(id: string, callback: Callback): unknown {
    return this.#do('get', callback, () => JSON.parse(this.records.get(id) ?? 'null'))
  }

  set(id: string, session: object, callback: Callback): unknown {
    return this.#do('set', callback, () => void this.records.set(id, JSON.stringify(session)))
  }

  destroy(id: string, callback: Callback): unknown {
    return this.#do('destroy', callback, () => void this.records.delete(id))
  }

  touch(_id: string, _session: object, callback: Callback): unknown {
    return this.#do('touch', callback, () => undefined)
  }

  #do(verb: Verb, callback: Callback, work: () => unknown): unknown {
    this.calls.push(verb)
    const fail = this.failing[verb]
    if (fail !== undefined) return fail(callback)
    setImmediate(() => callback(null, work()))
    return undefined
  }
}

const ways = Object.keys(FAILURES)

function setUp(options: object = {}) {
  const store = new FaultyStore()
  return { store, app: faultApp({ store: store as never, touchAfter: 0, ...options }) }
}

function codeOf(how: string): string {
  return how === NEVER ? 'ERR_SESSION_STORE_TIMEOUT' : 'ERR_SESSION_STORE'
}

describe.each(ways)('when get() %s:', (how) => {
  it('answers 503, and the handler does not run', async () => {
    const { store, app } = setUp()
    const cookie = await app.login()
    store.fail('get', how)
    const before = store.records.size
    for (const path of ['/read', '/write', '/login?user=bob', '/logout', '/rotate', '/unset']) {
      const res = await app.get(path, cookie)
      expect([res.status, res.body.code]).toEqual([503, codeOf(how)])
      expect(res.headers['set-cookie']).toBeUndefined()
    }
    expect(store.records.size).toBe(before)
    store.failing = {}
    expect((await app.get('/read', cookie)).body).toMatchObject({ user: 'ann', n: 0 })
  })

  it('gives a new session that is not saved with onStoreError anonymous', async () => {
    const { store, app } = setUp({ onStoreError: 'anonymous' })
    const cookie = await app.login()
    store.fail('get', how)
    store.calls.length = 0
    const read = await app.get('/read', cookie).expect(200)
    expect(read.body).toEqual({ user: null, n: 0, isNew: true, code: codeOf(how) })
    const written = await app.get('/write', cookie).expect(200)
    expect(written.headers['set-cookie']).toBeUndefined()
    expect(store.calls).toEqual(['get', 'get'])
    expect((await app.get('/logout', cookie).expect(200)).headers['set-cookie']).toHaveLength(1)
    expect(store.records.size).toBe(0)
  })
})

describe.each(ways)('when set() %s:', (how) => {
  it('answers 500 without a cookie, and leaves what was stored', async () => {
    const { store, app } = setUp()
    const cookie = await app.login()
    store.fail('set', how)
    for (const [path, sent] of [
      ['/write', cookie],
      ['/save', cookie],
      ['/update', cookie],
      ['/login?user=bob', ''],
      ['/write', '']
    ] as const) {
      const res = await app.get(path, sent)
      expect([path, res.status, res.body.code]).toEqual([path, 500, codeOf(how)])
      expect(res.headers['set-cookie']).toBeUndefined()
    }
    store.failing = {}
    expect((await app.get('/read', cookie)).body).toMatchObject({ user: 'ann', n: 0 })
    expect(store.records.size).toBe(1)
  })
})

describe.each(ways)('when destroy() %s:', (how) => {
  it.each(['/logout', '/unset'])('answers 500 to %s', async (path) => {
    const { store, app } = setUp()
    const cookie = await app.login()
    store.fail('destroy', how)
    const res = await app.get(path, cookie)
    expect([res.status, res.body.code]).toEqual([500, codeOf(how)])
    if (path === '/logout') expect(cookieOf(res)).toBe('sid=')
    store.failing = {}
    expect((await app.get('/read', cookie)).body.user).toBe('ann')
  })

  it('refuses a regeneration, and leaves all as before', async () => {
    const { store, app } = setUp()
    const cookie = await app.login()
    store.fail('destroy', how)
    // A record of the new ID, which no cookie reaches, cannot be removed either.
    for (const [path, records] of [
      ['/login?user=bob', 1],
      ['/rotate', 2]
    ] as const) {
      const res = await app.get(path, cookie)
      expect([res.status, res.body.code]).toEqual([500, codeOf(how)])
      expect(res.headers['set-cookie']).toBeUndefined()
      expect(store.records.size).toBe(records)
    }
    store.failing = {}
    expect((await app.get('/read', cookie)).body).toMatchObject({ user: 'ann', n: 0 })
  })

  it('refuses an expired session all the same', async () => {
    const { store, app } = setUp({ absolute: 60 * 60_000 })
    const cookie = await app.login()
    // As long as the store remembers it, it is an hour too old.
    for (const [id, text] of store.records) {
      store.records.set(
        id,
        text.replace(/"c":(\d+)/, (_all, at) => `"c":${Number(at) - 60 * 60_000}`)
      )
    }
    store.fail('destroy', how)
    const res = await app.get('/read', cookie).expect(200)
    expect(res.body).toMatchObject({ user: null, isNew: true, code: 'ERR_SESSION_EXPIRED' })
  })
})

describe.each(ways)('when set() of the session that takes the place of another %s:', (how) => {
  it.each([
    ['a login', 'the visitor is anonymous, not half of both', '/login?user=bob', null],
    ['a rotation', 'the session is as it was', '/rotate', 'ann']
  ])('answers 500 to %s, and %s', async (_what, _then, path, user) => {
    const { store, app } = setUp()
    const cookie = await app.login()
    store.fail('set', how)
    const res = await app.get(path, cookie)
    expect([res.status, res.body.code]).toEqual([500, codeOf(how)])
    expect(res.headers['set-cookie']).toBeUndefined()
    store.failing = {}
    expect(store.records.size).toBe(user === null ? 0 : 1)
    const code = user === null ? 'ERR_SESSION_MISSING' : null
    expect((await app.get('/read', cookie)).body).toMatchObject({ user, isNew: user === null, code })
  })
})

describe.each(ways)('when touch() %s:', (how) => {
  it('leaves the response as the handler made it', async () => {
    const { store, app } = setUp()
    const cookie = await app.login()
    store.fail('touch', how)
    store.calls.length = 0
    const res = await app.get('/read', cookie).expect(200)
    expect(res.body).toMatchObject({ user: 'ann', code: null })
    expect(store.calls).toEqual(['get', 'touch'])
  })
})

it('a call that is never answered holds up no later ones of the session', async () => {
  const { store, app } = setUp()
  const cookie = await app.login()
  for (const [verb, path] of [
    ['set', '/write'],
    ['destroy', '/logout']
  ] as const) {
    store.fail(verb, NEVER)
    expect((await app.get(path, cookie)).body.code).toBe('ERR_SESSION_STORE_TIMEOUT')
    store.failing = {}
    await app.get('/write', cookie).expect(200)
  }
})

describe('behind the drop-in door a fault of the store', () => {
  const down = (...args: any[]) => void setImmediate(args.at(-1), new Error('down'))
  const answers = async (options: object) => {
    const store = plainStore()
    const { get, set, destroy } = store
    const app = classicApp({ store, ...options }, ROUTES)
    const { cookie } = await visit(app, '/login')
    const failed: Record<string, unknown> = {}
    for (const [verb, path] of [
      ['get', '/who'],
      ['set', '/login'],
      ['destroy', '/logout']
    ] as const) {
      Object.assign(store, { get, set, destroy, [verb]: down })
      const { status, body } = await visit(app, path, verb === 'set' ? '' : cookie)
      failed[verb] = [status, body.code ?? body.message ?? body.user ?? null]
    }
    return failed
  }

  it("is the store's own error without the option onStoreError", async () => {
    expect(await answers({})).toEqual({ get: [500, 'down'], set: [500, 'down'], destroy: [500, 'down'] })
  })

  it.each(['fail', () => 'fail' as const])('is one of ours, with its status, with onStoreError %p', async (policy) => {
    const code = 'ERR_SESSION_STORE'
    expect(await answers({ onStoreError: policy })).toEqual({
      get: [503, code],
      set: [500, code],
      destroy: [500, code]
    })
  })

  it('leads to an anonymous request with onStoreError anonymous', async () => {
    expect(await answers({ onStoreError: 'anonymous' })).toMatchObject({ get: [200, null] })
  })
})

describe('a store that answers more than once is heard once:', () => {
  const twice: Record<string, [Verb, (callback: Callback) => unknown]> = {
    'get with two sessions': [
      'get',
      (callback) => {
        const session = (user: string) => ({ cookie: { originalMaxAge: null }, user })
        setImmediate(() => {
          callback(null, session('first'))
          callback(null, session('second'))
          setImmediate(callback, null, session('third'))
        })
      }
    ],
    'get with a session and an error': [
      'get',
      (callback) => {
        callback(null, { cookie: { originalMaxAge: null }, user: 'first' })
        callback(new Error('second'))
        return Promise.reject(new Error('third'))
      }
    ],
    'set with success and an error': [
      'set',
      (callback) => {
        callback()
        callback(new Error('second'))
        return Promise.reject(new Error('third'))
      }
    ]
  }

  it.each(Object.keys(twice))('%s', async (what) => {
    const unhandled: unknown[] = []
    const note = (err: unknown) => void unhandled.push(err)
    process.on('unhandledRejection', note)
    const { store, app } = setUp()
    const cookie = await app.login()
    const [verb, answer] = twice[what]!
    store.failing[verb] = answer
    const res = await app.get(verb === 'get' ? '/read' : '/write', cookie).expect(200)
    expect(verb === 'get' ? res.body.user : res.body).toBe(verb === 'get' ? 'first' : 'written')
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
    process.off('unhandledRejection', note)
    expect(unhandled).toEqual([])
  })
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

it.each([
  ['sessions()', (store: object) => sessions({ name: 'connect.sid', secret, store } as never)],
  ['the drop-in door', (store: object) => session({ secret, store, resave: false, saveUninitialized: false } as never)]
])('%s tells of a save that fails when the response has started, which goes on', async (_name, door) => {
  const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
  const store = plainStore()
  const app = appWith(door(store), {
    ...ROUTES,
    '/stream': (req, res) => {
      res.write('a', () => {
        store.set = (_id: string, _record: object, done: Callback) => setImmediate(done, new Error('full'))
        req.session.user = 'bob'
        res.end('b')
      })
    }
  })
  const { cookie } = await visit(app, '/login')
  expect(await visit(app, '/stream', cookie)).toMatchObject({ status: 200, text: 'ab' })
  expect(warned.mock.calls.map(([, options]) => (options as { code?: string }).code)).toContain(
    'ERR_SESSION_HEADERS_SENT'
  )
  warned.mockRestore()
})
