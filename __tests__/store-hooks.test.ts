import './helpers/quiet'
import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import util from 'node:util'
import request from 'supertest'
import { Cookie, FileStore, infoOf, MemoryStore, sessions, Session } from '../lib/index'
import { appWith, cookieOf, deferred, secret } from './helpers/app'
import { plainStore, visit } from './helpers/classic'
import { Clock } from './helpers/clock'
import { DAY, HOUR } from './helpers/times'
import { SIDES, type Side } from './helpers/two-sides'

// The store's members through which express-session makes sessions, and which applications wrap or replace.

const { reference, subject } = SIDES
const OPTIONS = { secret, resave: false, saveUninitialized: false }
const folder = mkdtempSync(join(tmpdir(), 'hooks-'))

afterAll(() => rm(folder, { recursive: true, force: true }))

const modern = (options: object) => sessions({ name: 'connect.sid', ...options } as never)

/** What makes a middleware, on which store; the first two lines prove the expectation against express-session. */
const SETUPS: [string, Side, (side: Side) => any][] = [
  ['express-session', reference, (side) => Object.setPrototypeOf(plainStore(), side.Store.prototype)],
  ['express-session and its MemoryStore', reference, (side) => new side.MemoryStore()],
  ['the drop-in door', subject, () => plainStore()],
  ['the drop-in door and MemoryStore', subject, () => new MemoryStore()],
  ['the drop-in door and FileStore', subject, () => new FileStore({ path: join(folder, 'classic') })],
  ['the drop-in door and MemoryStore of express-session', subject, () => new reference.MemoryStore()],
  ['sessions()', modern, () => plainStore()],
  ['sessions() and MemoryStore', modern, () => new MemoryStore()],
  ['sessions() and FileStore', modern, () => new FileStore({ path: join(folder, 'modern') })],
  ['sessions() and MemoryStore of express-session', modern, () => new reference.MemoryStore()]
]

const classesOf = (side: Side) => (side === reference ? [side.Session, side.Cookie] : [Session, Cookie])

describe.each(SETUPS)('%s', (_name, side, storeOf) => {
  const routes: Parameters<typeof appWith>[1] = {
    '/count': (req, res) => res.json([(req.session.n = (req.session.n ?? 0) + 1), req.session.mark ?? null]),
    '/login': (req, res, next) =>
      req.session.regenerate((err: unknown) => {
        req.session.user = 'ann'
        return err ? next(err) : res.json(req.session.mark ?? null)
      }),
    '/reload': (req, res, next) =>
      req.session.reload((err: unknown) => (err ? next(err) : res.json(req.session.shown ?? null))),
    '/shown': (req, res) => res.json(req.session.shown ?? null),
    '/who': (req, res) => res.json([req.session.user ?? null, req.session.shown ?? null])
  }

  afterEach(() => jest.restoreAllMocks())

  function setUp(options: object = {}) {
    const store = storeOf(side)
    return { store, app: appWith(side({ ...OPTIONS, store, ...options }), routes) }
  }

  it('a wrapped generate marks every new session, and no other', async () => {
    let ids = 0
    const { store, app } = setUp({ genid: () => `id-${++ids}-${Math.random().toString(36).slice(2)}` })
    const { generate } = store
    let made = 0
    store.generate = (req: any) => {
      generate.call(store, req)
      made++
      // Not to be written: the next request must find it in the record.
      const mark = { value: `mark ${req.sessionID}`, enumerable: true, writable: false }
      Object.defineProperty(req.session, 'mark', mark)
      req.session.cookie.path = '/'
      req.session.cookie.sameSite = 'strict'
    }
    const first = await visit(app, '/count')
    const [text] = first.headers['set-cookie']! as unknown as string[]
    expect(text).toContain('SameSite=Strict')
    const mark = first.body[1]
    expect(mark).toMatch(/^mark ./)
    expect((await visit(app, '/count', first.cookie)).body).toEqual([2, mark])
    expect(made).toBe(1)
    const login = await visit(app, '/login', first.cookie)
    expect(login.body).toMatch(/^mark ./)
    expect(login.body).not.toBe(mark)
    expect((await visit(app, '/count', login.cookie)).body).toEqual([1, login.body])
    expect(made).toBe(2)
    // The session is gone: another begins.
    expect((await visit(app, '/count', first.cookie)).body[1]).toMatch(/^mark ./)
    expect([made, ids]).toEqual([3, 3])
  })

  it('a wrapped createSession makes every session of a record, also after reload()', async () => {
    const { store, app } = setUp()
    const { createSession } = store
    store.createSession = (req: any, record: any) => {
      const made = createSession.call(store, req, { ...record, shown: `of ${record.user}` })
      made.cookie.maxAge = 60_000
      return made
    }
    const { cookie } = await visit(app, '/login')
    expect((await visit(app, '/shown', cookie)).body).toBe('of ann')
    expect((await visit(app, '/reload', cookie)).body).toBe('of ann')
  })

  it('what createSession adds is stored, and what it makes of the record is no change', async () => {
    const { store, app } = setUp()
    const { createSession } = store
    let made = 0
    let adds = true
    store.createSession = (req: any, record: any) => {
      made++
      if (!adds) record.shown = made
      return createSession.call(store, req, adds ? { ...record, shown: made } : record)
    }
    const { cookie } = await visit(app, '/login')
    const set = jest.spyOn(store, 'set')
    const written = () => set.mock.calls.splice(0).map(([, record]) => JSON.parse(JSON.stringify(record)).shown)
    expect((await visit(app, '/who', cookie)).body).toEqual(['ann', 1])
    expect(written()).toEqual([1])
    adds = false
    expect((await visit(app, '/who', cookie)).body).toEqual(['ann', 2])
    expect(written()).toEqual([])
    await visit(app, '/count', cookie)
    expect(written()).toEqual([3])
  })

  it('a generate of the application may choose the ID, and decides alone', async () => {
    const { store, app } = setUp()
    const [SessionOf, CookieOf] = classesOf(side)
    store.generate = (req: any) => {
      req.sessionID = `eu-${Math.random().toString(36).slice(2)}`
      req.session = new SessionOf(req)
      req.session.cookie = new CookieOf({ maxAge: 60_000 })
    }
    const empty = await visit(app, '/who')
    expect([empty.body, empty.cookie]).toEqual([[null, null], ''])
    const first = await visit(app, '/count')
    expect(decodeURIComponent(first.cookie)).toMatch(/^connect\.sid=(s:)?eu-/)
    expect(String(first.headers['set-cookie'])).toContain('Expires=')
    expect((await visit(app, '/count', first.cookie)).body[0]).toBe(2)
    const login = await visit(app, '/login', first.cookie)
    expect(decodeURIComponent(login.cookie)).toMatch(/^connect\.sid=(s:)?eu-/)
    expect(login.cookie).not.toBe(first.cookie)
    expect((await visit(app, '/who', login.cookie)).body[0]).toBe('ann')
  })

  it('a wrapped regenerate is what begins another session', async () => {
    const { store, app } = setUp()
    const { regenerate } = store
    const asked: string[] = []
    store.regenerate = (req: any, done: any) => {
      asked.push(req.sessionID)
      regenerate.call(store, req, done)
    }
    const before = await visit(app, '/count')
    const after = await visit(app, '/login', before.cookie)
    expect(asked).toHaveLength(1)
    expect(before.cookie).toContain(asked[0])
    expect(after.cookie).not.toBe(before.cookie)
    expect((await visit(app, '/who', after.cookie)).body[0]).toBe('ann')
    expect((await visit(app, '/count', before.cookie)).body[0]).toBe(1)
  })

  it('a regenerate that fails gives its error to the callback', async () => {
    const { store, app } = setUp()
    store.regenerate = (_req: any, done: any) => done(new Error('refused'))
    expect(await visit(app, '/login')).toMatchObject({ status: 500, body: { message: 'refused' } })
  })

  it('generate puts another session on the request at once', async () => {
    const store = storeOf(side)
    const app = appWith(side({ ...OPTIONS, store }), {
      ...routes,
      '/renew': (req, res) => {
        const { session, sessionID } = req
        req.sessionStore.generate(req)
        const renewed = req.session !== session && req.sessionID !== sessionID && req.session.id === req.sessionID
        req.session.user = 'bob'
        res.json([renewed, req.session.n ?? null])
      }
    })
    const { cookie } = await visit(app, '/count')
    const res = await visit(app, '/renew', cookie)
    expect(res.body).toEqual([true, null])
    expect((await visit(app, '/who', res.cookie)).body[0]).toBe('bob')
  })

  it('generate gives a request of a socket library its session', async () => {
    const { store, app } = setUp()
    const req: any = { sessionStore: store }
    store.generate(req)
    expect([typeof req.sessionID, req.session.id === req.sessionID]).toEqual(['string', true])
    req.session.user = 'ann'
    await new Promise<void>((done, fail) => req.session.save((err: unknown) => (err ? fail(err) : done())))
    const found = await new Promise<any>((done) => store.get(req.sessionID, (_: unknown, one: any) => done(one)))
    expect(found.user).toBe('ann')
    expect((await visit(app, '/who')).body).toEqual([null, null])
  })

  it('a session made by hand can be saved, reloaded, touched, regenerated and destroyed', async () => {
    // As in express-session, a tick of the clock while maxAge is set would take a millisecond off.
    new Clock()
    const { store } = setUp()
    const [SessionOf, CookieOf] = classesOf(side)
    const req: any = { sessionID: 'by-hand', sessionStore: store }
    const call = (verb: string) =>
      new Promise<void>((done, fail) => req.session[verb]((err: unknown) => (err ? fail(err) : done())))
    const found = (id: string) => new Promise<any>((done) => store.get(id, (_: unknown, one: any) => done(one)))

    req.session = new SessionOf(req, { user: 'ann', cookie: new CookieOf({ maxAge: 60_000 }) })
    expect(req.session.id).toBe('by-hand')
    req.session.touch()
    await call('save')
    expect(await found('by-hand')).toMatchObject({ user: 'ann', cookie: { originalMaxAge: 60_000 } })
    const before = req.session
    await call('reload')
    expect([req.session === before, req.session.user, req.session.cookie.originalMaxAge]).toEqual([
      false,
      'ann',
      60_000
    ])
    req.session.user = 'bob'
    await call('save')
    expect((await found('by-hand')).user).toBe('bob')
    await call('regenerate')
    expect(req.session.user).toBeUndefined()
    expect(await found('by-hand')).toBeFalsy()
    const { id } = req.session
    await call('save')
    expect(await found(id)).toBeTruthy()
    await call('destroy')
    expect(req.session).toBeUndefined()
    expect(await found(id)).toBeFalsy()
  })
})

describe('a store that this package and express-session share in one process', () => {
  const adopt = { from: 'express-session', reissue: false }
  const storesOf: Record<string, () => any> = {
    'of the plainest contract': () => Object.setPrototypeOf(plainStore(), reference.Store.prototype),
    'MemoryStore of express-session': () => new reference.MemoryStore(),
    'our MemoryStore': () => new MemoryStore()
  }
  const others: Record<string, (options: object) => any> = {
    'sessions()': (options) => modern({ ...options, adopt }),
    'the drop-in door': (options) => subject({ ...OPTIONS, ...options })
  }
  const theirsOf = (options: object) => reference({ ...OPTIONS, ...options })
  const cases = Object.keys(storesOf).flatMap((store) =>
    Object.keys(others).flatMap((other) => ['first', 'last'].map((order) => [store, other, order] as const))
  )

  it.each(cases)('%s: carries a visitor to %s and back, express-session made %s', async (storeName, other, order) => {
    const store = storesOf[storeName]!()
    const routes: Parameters<typeof appWith>[1] = {
      '/count': (req, res) => res.json((req.session.n = (req.session.n ?? 0) + 1)),
      '/none': (req, res) => res.json(Object.keys(req.session)),
      '/login': (req, res, next) => req.session.regenerate((err: unknown) => (err ? next(err) : res.json('new'))),
      '/generate': (req, res) => {
        req.sessionStore.generate(req)
        req.session.n = 10
        res.json(req.session.id === req.sessionID)
      }
    }
    const make = [() => theirsOf({ store }), () => others[other]!({ secret, store })]
    const made =
      order === 'first'
        ? make.map((one) => one())
        : make
            .reverse()
            .map((one) => one())
            .reverse()
    const [theirs, ours] = made.map((auth) => appWith(auth, routes))

    for (const [here, there] of [
      [theirs, ours],
      [ours, theirs]
    ]) {
      expect((await visit(here, '/none')).body).toEqual(['cookie'])
      const { cookie } = await visit(here, '/count')
      expect((await visit(there, '/count', cookie)).body).toBe(2)
      expect((await visit(here, '/count', cookie)).body).toBe(3)
      const login = await visit(there, '/login', cookie)
      expect(login.body).toBe('new')
      const renewed = await visit(here, '/count', login.cookie)
      expect(renewed.body).toBe(1)
      expect((await visit(there, '/count', renewed.cookie)).body).toBe(2)
      const generated = await visit(there, '/generate', renewed.cookie)
      expect(generated.body).toBe(true)
      expect((await visit(here, '/count', generated.cookie)).body).toBe(11)
    }
  })
})

it('two middlewares of ours leave the sessions of express-session on their store to it', async () => {
  const store = new reference.MemoryStore()
  const app = appWith(reference({ ...OPTIONS, store }), {
    '/': (req, res) =>
      res.json([req.session instanceof reference.Session, req.session.cookie instanceof reference.Cookie])
  })
  for (const door of [subject, modern]) door({ ...OPTIONS, store })
  expect((await visit(app, '/')).body).toEqual([true, true])
})

describe('a regenerate of the store', () => {
  const setUp = () => {
    const store = plainStore()
    const { regenerate } = store
    store.regenerate = (req: any, done: any) => regenerate.call(store, req, done)
    return store
  }

  it.each<[string, (options: object) => any]>([
    ['the drop-in door', (options) => subject({ ...OPTIONS, ...options })],
    ['sessions()', modern]
  ])('takes along what it does not know of: what is kept, and what is set meanwhile (%s)', async (_name, door) => {
    const app = appWith(door({ secret, store: setUp() }), {
      '/in': (req, res) => res.json(Object.assign(req.session, { theme: 'dark', cart: 1 })),
      '/login': (req, res) => {
        void req.session.regenerate({ keep: ['theme'] })
        req.session.user = 'ann'
        res.send('in')
      },
      '/who': (req, res) => res.json({ ...req.session, cookie: undefined })
    })
    const { cookie } = await visit(app, '/in')
    const login = await visit(app, '/login', cookie)
    expect((await visit(app, '/who', login.cookie)).body).toEqual({ theme: 'dark', user: 'ann' })
    expect((await visit(app, '/who', cookie)).body).toEqual({})
  })

  it('leaves the absolute end where it is, for a session that goes on with all it has', async () => {
    const clock = new Clock()
    const app = appWith(modern({ secret, store: setUp(), absolute: DAY }), {
      '/rotate': async (req, res) => {
        await req.session.regenerate({ keep: true })
        res.json(infoOf(req.session).createdAt)
      },
      '/in': (req, res) => res.json((req.session.user = 'ann'))
    })
    const { cookie } = await visit(app, '/in')
    const began = clock.now
    clock.forward(HOUR)
    expect((await visit(app, '/rotate', cookie)).body).toBe(began)
  })
})

it.each([
  ['express-session', reference],
  ['the drop-in door', subject]
])('a createSession that an application has put on the base class of stores is called (%s)', async (_name, side) => {
  const { prototype } = side.Store
  const { createSession } = prototype
  prototype.createSession = function (req: any, record: any) {
    return createSession.call(this, req, { ...record, shown: `of ${record.user}` })
  }
  try {
    const app = appWith(side({ ...OPTIONS, store: new side.MemoryStore() }), {
      '/login': (req, res) => res.json((req.session.user = 'ann')),
      '/shown': (req, res) => res.json(req.session.shown ?? null)
    })
    const { cookie } = await visit(app, '/login')
    expect((await visit(app, '/shown', cookie)).body).toBe('of ann')
  } finally {
    prototype.createSession = createSession
  }
})

it('a session that createSession has made still ends when it is as old as it may be', async () => {
  const store = new MemoryStore() as any
  const { createSession } = store
  store.createSession = (req: any, record: any) => createSession.call(store, req, record)
  const clock = new Clock()
  const app = appWith(sessions({ secret, store, idle: HOUR, absolute: DAY, touchAfter: 0 }), {
    '/': (req, res) => res.json((req.session.n = (req.session.n ?? 0) + 1))
  })
  const cookie = cookieOf(await request(app).get('/'))!
  for (let n = 2; n <= 48; n++) {
    clock.forward(HOUR / 2)
    expect((await request(app).get('/').set('Cookie', cookie)).body).toBe(n)
  }
  clock.forward(HOUR / 2)
  expect((await request(app).get('/').set('Cookie', cookie)).body).toBe(1)
  clock.restore()
})

it('what a request does to the nested data of a session that createSession has made is its own', async () => {
  const store = new MemoryStore() as any
  const { createSession } = store
  store.createSession = (req: any, record: any) => createSession.call(store, req, record)
  const [arrived, proceed] = [deferred(), deferred()]
  const app = appWith(subject({ ...OPTIONS, store }), {
    '/in': (req, res) => res.json((req.session.cart = { items: [1] })),
    '/slow': async (req, res) => {
      req.session.cart.items.push(2)
      arrived.resolve()
      await proceed.promise
      res.json(req.session.cart.items)
    },
    '/look': (req, res) => res.json(req.session.cart.items)
  })
  const { cookie } = await visit(app, '/in')
  const slow = visit(app, '/slow', cookie)
  const answered = slow.then((res) => res.body)
  await arrived.promise
  expect((await visit(app, '/look', cookie)).body).toEqual([1])
  proceed.resolve()
  expect(await answered).toEqual([1, 2])
  expect((await visit(app, '/look', cookie)).body).toEqual([1, 2])
})

it('MemoryStore#sessions is a map of IDs to JSON, however it is looked at', async () => {
  const store = new MemoryStore()
  const app = appWith(subject({ ...OPTIONS, store }), {
    '/': (req, res) => res.json((req.session.user = 'ann')),
    '/who': (req, res) => res.json(req.session.user ?? null)
  })
  const { cookie } = await visit(app, '/')
  const { sessions: texts } = store
  const [id] = Object.keys(texts)
  expect(cookie).toContain(id)
  expect(JSON.parse(texts[id!]!)).toMatchObject({ user: 'ann', cookie: { path: '/' } })
  const copies = [{ ...texts }, Object.assign({}, texts), JSON.parse(JSON.stringify(texts))]
  for (const copy of [...copies, Object.fromEntries(Object.entries(texts))]) expect(copy).toEqual({ [id!]: texts[id!] })
  expect(util.inspect(texts)).toContain(id)
  expect(id! in texts).toBe(true)
  delete texts[id!]
  expect((await visit(app, '/who', cookie)).body).toBeNull()
})
