import { EventEmitter } from 'node:events'
import { inherits } from 'node:util'
import request from 'supertest'
import session, { sessions } from '../../lib/index'
import { appWith, cookieOf, secret } from '../helpers/app'
import { classicApp, plainStore, ROUTES, visit } from '../helpers/classic'
import { Clock } from '../helpers/clock'

// What stores lean on behind the drop-in door, documented or not.

let clock: Clock | undefined

afterEach(() => {
  clock?.restore()
  clock = undefined
})

describe('stores', () => {
  it('believes a store that still answers a record whose cookie.expires is past', async () => {
    clock = new Clock()
    const store = plainStore({ touch: (_id: string, _session: object, done: any) => setImmediate(done) })
    const app = classicApp({ store, cookie: { maxAge: 60_000 } }, ROUTES)
    const { cookie } = await visit(app, '/login')
    clock.forward(3_600_000)
    expect((await visit(app, '/who', cookie)).body.user).toBe('ann')
  })

  it('lets Store be called as a function and inherited with util.inherits', async () => {
    const records = new Map<string, object>()
    function Legacy(this: object) {
      ;(session.Store as any).call(this)
    }
    inherits(Legacy, session.Store)
    Object.assign(Legacy.prototype, {
      get: (id: string, done: any) => setImmediate(done, null, records.get(id)),
      set: (id: string, record: object, done: any) => setImmediate(done, records.set(id, { ...record }) && null),
      destroy: (id: string, done: any) => setImmediate(done, records.delete(id) && null)
    })
    const store = new (Legacy as any)()
    expect(store).toBeInstanceOf(session.Store)
    expect(store).toBeInstanceOf(EventEmitter)
    const app = classicApp({ store }, ROUTES)
    const { cookie } = await visit(app, '/login')
    expect((await visit(app, '/who', cookie)).body.user).toBe('ann')
    expect(new session.Cookie({ httpOnly: false }).serialize('name', 'a b')).toBe('name=a%20b; Path=/')
  })

  it('never turns a good response into a 500 for an error of touch()', async () => {
    const store = plainStore({
      touch: (_id: string, _session: object, done: any) => setImmediate(done, new Error('Unable to find the session'))
    })
    const app = classicApp({ store }, ROUTES)
    const { cookie } = await visit(app, '/login')
    expect(await visit(app, '/who', cookie)).toMatchObject({ status: 200, body: { user: 'ann' } })
  })

  it('takes an error of get() with the code ENOENT for no session', async () => {
    const absent = Object.assign(new Error('no such file'), { code: 'ENOENT' })
    const store = plainStore()
    const app = classicApp({ store }, ROUTES)
    const { cookie } = await visit(app, '/login')
    store.get = (_id: string, done: any) => setImmediate(done, absent)
    const res = await visit(app, '/who', cookie)
    expect(res.status).toBe(200)
    expect(res.body.user).toBeUndefined()
    store.get = (_id: string, done: any) => setImmediate(done, new Error('anything else'))
    expect((await visit(app, '/who', cookie)).status).toBe(500)
  })

  it('lets requests pass without a session from "disconnect" until "connect"', async () => {
    const store = plainStore()
    const app = classicApp({ store }, ROUTES)
    store.emit('disconnect')
    expect((await visit(app, '/none')).body).toEqual({ there: false })
    store.emit('connect')
    expect((await visit(app, '/none')).body).toEqual({ there: true })
  })
})

describe('the store base class', () => {
  it('defines no optional verb, because its presence is how a store says what it can', () => {
    const store: any = {}
    ;(session.Store as any).call(store)
    for (const verb of ['get', 'set', 'destroy', 'touch', 'all', 'ids', 'length', 'clear']) {
      expect(session.Store.prototype).not.toHaveProperty(verb)
      expect(store).not.toHaveProperty(verb)
    }
  })

  it('gives set() the live session, which it may change', async () => {
    const store = plainStore()
    const { set } = store
    const live: boolean[] = []
    store.set = (id: string, given: any, done: any) => {
      live.push(given.cookie instanceof session.Cookie && typeof given.cookie.maxAge === 'number')
      given.__lastAccess = 42
      set.call(store, id, given, done)
    }
    const app = classicApp({ store, cookie: { maxAge: 60_000 } }, ROUTES)
    const { cookie } = await visit(app, '/login')
    expect((await visit(app, '/who', cookie)).body.user).toBe('ann')
    expect(live).toEqual([true])
    expect(JSON.parse([...store.texts.values()][0])).toMatchObject({ user: 'ann', __lastAccess: 42 })
  })

  it('takes one answer from a store that calls back and also returns a promise', async () => {
    const texts = new Map<string, string>()
    const twice = <T>(value: T, done?: (err: unknown, value?: T) => void) => {
      done?.(null, value)
      return Promise.resolve(value)
    }
    const store = Object.assign(Reflect.construct(session.Store, []) as session.Store, {
      get: async (id: string, done?: any) => twice(texts.has(id) ? JSON.parse(texts.get(id)!) : undefined, done),
      set: async (id: string, given: object, done?: any) =>
        twice(texts.set(id, JSON.stringify(given)) && undefined, done),
      destroy: async (id: string, done?: any) => twice(texts.delete(id) && undefined, done)
    })
    let runs = 0
    const app = classicApp({ store }, { ...ROUTES, '/count': (_req, res) => res.json(++runs) })
    const { cookie } = await visit(app, '/login')
    expect((await visit(app, '/who', cookie)).body.user).toBe('ann')
    expect((await visit(app, '/count', cookie)).body).toBe(1)
    await visit(app, '/logout', cookie)
    expect(texts.size).toBe(0)
  })

  it('waits for a store that calls back and returns what its client returned', async () => {
    const store = plainStore()
    for (const verb of ['get', 'set', 'destroy']) {
      const original = store[verb]
      store[verb] = (...args: unknown[]) => {
        original.apply(store, args)
        return { client: 'queued' }
      }
    }
    const app = classicApp({ store }, ROUTES)
    const { cookie } = await visit(app, '/login')
    expect((await visit(app, '/who', cookie)).body.user).toBe('ann')
    await visit(app, '/logout', cookie)
    expect(store.texts.size).toBe(0)
  })

  it('store.regenerate waits for a genid that answers by promise, and hands its failure on', async () => {
    let count = 0
    const genid = async () => {
      if (++count === 3) throw new Error('no more IDs')
      return `id-${count}`
    }
    const app = classicApp(
      { genid },
      {
        '/regenerate': (req, res) => {
          req.session.user = 'ann'
          req.sessionStore.regenerate(req, (err: any) => res.json({ id: req.sessionID ?? null, failed: err?.message }))
        }
      }
    )
    expect((await visit(app, '/regenerate')).body).toEqual({ id: 'id-2' })
    count = 1
    expect((await visit(app, '/regenerate')).body.failed).toBe('no more IDs')
  })

  it('has generate, createSession, load and regenerate for applications', async () => {
    const store = new session.MemoryStore()
    const app = classicApp(
      { store },
      {
        ...ROUTES,
        '/load': (req, res) =>
          store.load(req.sessionID, (_err, found: any) => res.json({ user: found.user, id: found.id })),
        '/generate': (req, res) => {
          const before = req.sessionID
          req.sessionStore.generate(req)
          res.json({ renewed: req.sessionID !== before, user: req.session.user ?? null })
        },
        '/regenerate': (req, res) => {
          const before = req.sessionID
          req.sessionStore.regenerate(req, () => res.json({ renewed: req.sessionID !== before }))
        },
        '/create': (req, res) => {
          const made = store.createSession(req, { cookie: { expires: '2030-01-01T00:00:00.000Z' }, user: 'eve' })
          res.json({ same: made === req.session, user: req.session.user, dated: made.cookie.expires instanceof Date })
        }
      }
    )
    const { cookie } = await visit(app, '/login')
    const { id } = (await visit(app, '/who', cookie)).body
    expect((await visit(app, '/load', cookie)).body).toEqual({ user: 'ann', id })
    expect((await visit(app, '/create', cookie)).body).toEqual({ same: true, user: 'eve', dated: true })
    expect((await visit(app, '/generate', cookie)).body).toEqual({ renewed: true, user: null })
    expect((await visit(app, '/regenerate', cookie)).body).toEqual({ renewed: true })
  })

  it('has MemoryStore.sessions as a map of JSON texts, to read and to write', async () => {
    const store = new session.MemoryStore()
    const app = classicApp({ store }, ROUTES)
    const { cookie } = await visit(app, '/login')
    const [id] = Object.keys(store.sessions)
    expect(JSON.parse(store.sessions[id!]!)).toMatchObject({ user: 'ann', cookie: { path: '/' } })
    store.sessions[id!] = store.sessions[id!]!.replace('ann', 'eve')
    expect((await visit(app, '/who', cookie)).body.user).toBe('eve')
    delete store.sessions[id!]
    expect((await visit(app, '/who', cookie)).body.user).toBeUndefined()
  })
})

describe.each([
  ['rejects', () => Promise.reject()],
  [
    'throws',
    () => {
      throw undefined
    }
  ]
])('a store that %s with nothing', (_how, fail) => {
  it.each([
    ['get', '/who'],
    ['set', '/login'],
    ['destroy', '/logout']
  ])('has failed in %s()', async (verb, path) => {
    const store = plainStore()
    const app = classicApp({ store }, ROUTES)
    const { cookie } = await visit(app, '/login')
    const answer = store[verb]
    store[verb] = fail
    const res = await visit(app, path, verb === 'set' ? '' : cookie)
    expect([res.status, res.body.code]).toEqual([500, 'ERR_SESSION_STORE'])
    expect(res.body.message).toBe(`The session store failed in ${verb}() and did not say why.`)
    store[verb] = answer
    expect((await visit(app, '/who', cookie)).body.user).toBe('ann')
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
