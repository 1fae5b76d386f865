import request from 'supertest'
import session, { MemoryStore, sessions } from '../lib/index'
import { appWith, cookieOf, secret } from './helpers/app'
import { basics, login, read } from './helpers/basics'
import { plainStore } from './helpers/classic'
import { Clock } from './helpers/clock'
import { eager, eagerRoutes } from './helpers/eager'
import type { OpenStore } from './helpers/npm-stores'
import { OWN_STORES } from './helpers/own-stores'
import { MINUTE } from './helpers/times'

describe('lifetimes', () => {
  let clock: Clock | undefined

  afterEach(() => {
    clock?.restore()
    clock = undefined
  })

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

  it.each([
    ['false', false],
    ['nothing', undefined]
  ])('a request that must not extend, for which %s is answered, lets the session die on time', async (_name, no) => {
    clock = new Clock()
    const extend = (req: { path: string }) => (req.path === '/read' ? (no as boolean) : true)
    const auth = sessions({ secret, idle: 10_000, touchAfter: 1, extend })
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

describe('a session that was not asked for', () => {
  describe('over time', () => {
    let clock: Clock
    beforeEach(() => (clock = new Clock()))
    afterEach(() => clock.restore())

    it('is extended by a request that takes long, and by what its handler decides', async () => {
      const extend = (req: { active?: boolean }) => req.active !== false
      const given = { ...eager(), idle: 1000, touchAfter: 500, extend }
      const app = appWith(sessions(given), {
        ...eagerRoutes,
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

// No write per page view, no query per asset, and polls that do not keep a session alive.

const REQUESTS = 1000

const STORES: Record<string, () => Promise<OpenStore>> = {
  MemoryStore: OWN_STORES.MemoryStore!,
  FileStore: OWN_STORES.FileStore!,
  'a store that only knows the contract': async () => ({
    store: plainStore({
      touches: 0,
      touch(this: { touches: number }, _id: string, _record: object, done: any) {
        this.touches++
        setImmediate(done)
      }
    }),
    spoil: () => undefined,
    close: async () => undefined
  })
}

const DOORS = {
  'session()': (store: any) =>
    session({ secret, store, name: 'sid', resave: false, saveUninitialized: false, touchAfter: MINUTE }),
  'sessions()': (store: any) => sessions({ secret, store, touchAfter: MINUTE })
}

const routes = {
  '/login': (req: any, res: any) => res.json((req.session.user = 'ann')),
  '/read': (req: any, res: any) => res.json(req.session.user ?? null),
  '/asset': (_req: any, res: any) => res.send('asset')
}

describe.each(Object.keys(STORES))('an extension, on %s,', (name) => {
  let clock: Clock

  beforeEach(() => (clock = new Clock()))

  afterEach(() => clock.restore())

  let open: OpenStore
  beforeEach(async () => void (open = await STORES[name]!()))
  afterEach(() => open.close())

  it.each(Object.entries(DOORS))(
    `%s writes once in ${REQUESTS} requests of one touchAfter, and once in the next`,
    async (_name, door) => {
      const auth: any = door(open.store)
      const app = appWith(auth, routes)
      const cookie = cookieOf(await request(app).get('/login'))!
      const before = auth.stats()
      clock.forward(MINUTE + 1000)
      const ask = (path: string) => request(app).get(path).set('Cookie', cookie)
      // What comes together with the first would be asked before anything is written.
      expect((await ask('/read')).body).toBe('ann')
      for (let sent = 0; sent < REQUESTS; sent += 20) {
        clock.forward(1000)
        const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => ask(i % 2 ? '/read' : '/asset')))
        expect(answers.every(({ status }) => status === 200)).toBe(true)
      }
      const { saved, touched } = auth.stats()
      expect(saved - before.saved).toBe(0)
      // A store of ours extends while it reads, where it may.
      const { touches } = open.store as { touches?: number }
      expect([touches ?? 1, touched - before.touched]).toEqual([1, 1])

      clock.forward(MINUTE)
      await ask('/read')
      expect((open.store as { touches?: number }).touches ?? 2).toBe(2)
      expect(auth.stats().touched - before.touched).toBe(2)
    }
  )
})
