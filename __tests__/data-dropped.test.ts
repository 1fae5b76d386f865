import './helpers/quiet'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import request from 'supertest'
import { MemoryStore, sessions, update } from '../lib/index'
import { appWith, cookieOf, deferred, secret } from './helpers/app'
import { plainStore } from './helpers/classic'
import { pass } from './helpers/direct'
import { SIDES } from './helpers/two-sides'

// What a request puts into its session is stored, or an event and a warning say why it is not.

type Library = typeof import('../lib/index')

const DOORS: Record<string, (options: object) => any> = {
  'the drop-in door': (options) =>
    SIDES.subject({ secret, name: 'sid', resave: false, saveUninitialized: false, ...options }),
  'sessions()': (options) => sessions({ secret, ...options })
}
const STORES: Record<string, () => any> = {
  'a store that answers at once': () => new MemoryStore(),
  'a store that answers later': () => plainStore(),
  "express-session's MemoryStore": () => new SIDES.reference.MemoryStore()
}
const cases = Object.keys(DOORS).flatMap((door) => Object.keys(STORES).map((store) => [door, store] as const))

const routes: Parameters<typeof appWith>[1] = {
  '/visit': (req, res) => res.json((req.session.seen = 1)),
  '/look': (req, res) => res.json({ ...req.session, cookie: undefined })
}

describe.each(cases)('behind %s, on %s', (door, store) => {
  // Whatever the handler does without waiting for it, for a visitor that is known or new.
  async function play(handler: (req: any) => void, known: boolean, drops = 0) {
    const dropped = jest.fn()
    subscribe('silverback:dropped', dropped)
    const app = appWith(DOORS[door]!({ store: STORES[store]!() }), {
      ...routes,
      '/act': (req, res) => {
        handler(req)
        res.send('done')
      }
    })
    const before = known ? cookieOf(await request(app).get('/visit'))! : ''
    const res = await request(app).get('/act').set('Cookie', before)
    expect([res.status, res.text]).toEqual([200, 'done'])
    const cookie = cookieOf(res) ?? before
    const { body } = await request(app).get('/look').set('Cookie', cookie)
    unsubscribe('silverback:dropped', dropped)
    expect(dropped).toHaveBeenCalledTimes(drops)
    return body
  }

  describe.each([false, true])('(known visitor: %p)', (known) => {
    it.each<[string, (req: any) => void]>([
      ['by callback', (req) => req.session.regenerate(() => undefined)],
      ['by promise', (req) => void req.session.regenerate()],
      ['twice', (req) => req.session.regenerate(() => undefined) && void req.session.regenerate()]
    ])(
      'data set beside a regenerate() that nothing waits for is in the new session (%s)',
      async (_name, regenerate) => {
        const act = (req: any) => {
          regenerate(req)
          req.session.user = { id: 1 }
        }
        expect(await play(act, known)).toEqual({ user: { id: 1 } })
      }
    )

    it('data set and deleted beside regenerate({ keep: true }) counts', async () => {
      const act = (req: any) => {
        req.session.cart = 1
        void req.session.regenerate({ keep: true })
        delete req.session.cart
        req.session.user = 'ann'
      }
      expect(await play(act, known)).toEqual({ ...(known && { seen: 1 }), user: 'ann' })
    })

    it('data set beside save() is stored', async () => {
      const act = (req: any) => {
        req.session.a = 1
        void req.session.save()
        req.session.b = 2
      }
      expect(await play(act, known)).toEqual({ ...(known && { seen: 1 }), a: 1, b: 2 })
    })
  })

  it('data set beside reload() is in the session, and what was set before is not', async () => {
    const act = (req: any) => {
      req.session.before = 1
      req.session.reload(() => undefined)
      req.session.user = 'ann'
    }
    expect(await play(act, true)).toEqual({ seen: 1, user: 'ann' })
  })

  it.each<[string, (session: any) => Promise<unknown>]>([
    ['regenerate()', (session) => session.regenerate()],
    ['reload()', (session) => session.reload()],
    ['destroy()', (session) => session.destroy()]
  ])('an event tells of data set on the object from before %s', async (_verb, end) => {
    const done = deferred()
    const dropped = jest.fn()
    subscribe('silverback:dropped', dropped)
    const app = appWith(DOORS[door]!({ store: STORES[store]!() }), {
      ...routes,
      '/act': async (req, res) => {
        const { session } = req
        await end(session)
        session.user = 'ann'
        // Emptying it loses nothing.
        session.seen = null
        res.on('finish', done.resolve).send('done')
      }
    })
    const cookie = cookieOf(await request(app).get('/visit'))!
    await request(app).get('/act').set('Cookie', cookie)
    await done.promise
    unsubscribe('silverback:dropped', dropped)
    expect(dropped).toHaveBeenCalledTimes(1)
    expect(dropped.mock.calls[0]![0]).toMatchObject({ name: 'sid', reason: 'ERR_SESSION_DESTROYED' })
  })

  it('no event tells of a value that is handed on to the new session, and changed there', async () => {
    const dropped = jest.fn()
    subscribe('silverback:dropped', dropped)
    const app = appWith(DOORS[door]!({ store: STORES[store]!() }), {
      ...routes,
      '/login': async (req, res) => {
        const before = req.session
        before.passport ??= {}
        await before.regenerate()
        // As passport's keepSessionInfo does.
        Object.assign(req.session, { passport: before.passport })
        req.session.passport.user = 'ann'
        res.send('in')
      }
    })
    const res = await request(app).get('/login')
    const renewed = await request(app).get('/login').set('Cookie', cookieOf(res)!)
    const { body } = await request(app).get('/look').set('Cookie', cookieOf(renewed)!)
    unsubscribe('silverback:dropped', dropped)
    expect([body, dropped.mock.calls.length]).toEqual([{ passport: { user: 'ann' } }, 0])
  })

  it('an event tells of data set after the answer', async () => {
    const dropped = jest.fn()
    subscribe('silverback:dropped', dropped)
    const app = appWith(DOORS[door]!({ store: STORES[store]!() }), {
      ...routes,
      '/act': (req, res) => {
        res.redirect('/look')
        req.session.user = 'ann'
      },
      '/saves': (req, res) => {
        res.redirect('/look')
        req.session.user = 'ann'
        void req.session.save()
      }
    })
    const cookie = cookieOf(await request(app).get('/visit'))!
    const act = (path: string) => request(app).get(path).set('Cookie', cookie)
    const bodies = []
    for (const path of ['/act', '/look', '/saves']) bodies.push((await act(path)).body)
    unsubscribe('silverback:dropped', dropped)
    expect(bodies[1]).toEqual({ seen: 1 })
    expect(dropped.mock.calls.map(([{ reason }]) => reason)).toEqual(['ERR_SESSION_HEADERS_SENT'])
    while ((await act('/look')).body.user === undefined);
  })

  it('an event tells of data set once something has answered after the answer', async () => {
    const told = deferred<string>()
    const listen = ({ reason }: any) => told.resolve(reason)
    subscribe('silverback:dropped', listen)
    const app = appWith(DOORS[door]!({ store: STORES[store]!() }), {
      ...routes,
      '/act': (req, res) => {
        res.send('done')
        setTimeout(() => (req.session.user = 'ann'), 5)
      }
    })
    const cookie = cookieOf(await request(app).get('/visit'))!
    await request(app).get('/act').set('Cookie', cookie)
    expect(await told.promise).toBe('ERR_SESSION_HEADERS_SENT')
    unsubscribe('silverback:dropped', listen)
  })
})

it.each(Object.keys(DOORS))('an update() that is done again keeps what was set meanwhile (%s)', async (door) => {
  const store = plainStore()
  const { get } = store
  let runs = 0
  const app = appWith(DOORS[door]!({ store }), {
    ...routes,
    '/add': (req, res) => res.json((req.session.other = 1)),
    '/act': async (req, res) => {
      const { session } = req
      await update(session, async (current: any) => {
        if (++runs === 1) await request(app).get('/add').set('Cookie', cookie)
        current.total = (current.total ?? 0) + 1
        if (runs > 1) return
        // Now that it is about to be compared, the rest of the request goes on.
        store.get = (id: string, done: any) => {
          store.get = get
          session.beside = 1
          get.call(store, id, done)
        }
      })
      res.json(runs)
    }
  })
  const cookie = cookieOf(await request(app).get('/visit'))!
  expect((await request(app).get('/act').set('Cookie', cookie)).body).toBe(2)
  const { body } = await request(app).get('/look').set('Cookie', cookie)
  expect(body).toEqual({ seen: 1, other: 1, total: 1, beside: 1 })
})

describe('a change that is not stored', () => {
  interface Lost {
    code: string
    /** The event's reason. */
    reason: string
    says: RegExp
    open(library: Library): { app: any; cookie?: () => Promise<string>; before?: () => unknown }
  }

  const classic = { secret, name: 'sid', resave: false, saveUninitialized: false }
  const write = (req: any, res: any) => res.json((req.session.user = 'ann'))

  const lost: Record<string, Lost> = {
    'of a session that another request has ended': {
      code: 'SILVERBACK_DROPPED',
      reason: 'ERR_SESSION_DESTROYED',
      says: /had meanwhile been destroyed/,
      open: ({ sessions, MemoryStore }) => {
        const store = new MemoryStore()
        const app = appWith(sessions({ secret, store }), {
          '/': write,
          '/act': (req, res) => {
            req.session.cart = 1
            store.clear()
            res.send('done')
          }
        })
        return { app }
      }
    },
    'of a session that stands in for one that cannot be read': {
      code: 'SILVERBACK_DROPPED',
      reason: 'ERR_SESSION_STORE',
      says: /could not read/,
      open: ({ sessions }) => {
        const store = plainStore()
        const app = appWith(sessions({ secret, store, onStoreError: 'anonymous' }), {
          '/': write,
          '/act': (req, res) => res.json((req.session.cart = 1))
        })
        const before = () => (store.get = (_id: string, done: any) => done(new Error('down')))
        return { app, before }
      }
    },
    'of a session that was changed after the answer': {
      code: 'SILVERBACK_DROPPED',
      reason: 'ERR_SESSION_HEADERS_SENT',
      says: /Change req\.session before/,
      open: ({ sessions }) => ({
        app: appWith(sessions({ secret }), {
          '/': write,
          '/act': (req, res) => {
            res.send('done')
            req.session.cart = 1
          }
        })
      })
    },
    'of a session of req.sessions.new() that nobody saved': {
      code: 'SILVERBACK_DROPPED',
      reason: 'UNREGISTERED',
      says: /Call its save\(\)/,
      open: ({ sessions }) => ({
        app: appWith(sessions({ secret }), {
          '/': write,
          '/act': async (req, res) => {
            const cart = await req.sessions.new('cart')
            cart.items = 1
            res.send('done')
          }
        })
      })
    },
    'of a request whose ID the application took away': {
      code: 'SILVERBACK_DROPPED',
      reason: 'ERR_SESSION_OPTION',
      says: /req\.sessionID/,
      open: (library) => ({
        app: appWith((library as any)(classic), {
          '/': write,
          '/act': (req, res) => {
            req.session.cart = 1
            req.sessionID = undefined
            res.send('done')
          }
        })
      })
    }
  }

  it.each(Object.entries(lost))('%s has an event, and one warning with its cause', async (_name, { open, ...told }) => {
    const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const events = jest.fn()
    subscribe('silverback:dropped', events)
    for (const env of ['production', 'test']) {
      jest.replaceProperty(process, 'env', { ...process.env, NODE_ENV: env })
      let library!: Library
      jest.isolateModules(() => (library = require('../lib/index')))
      const { app, before } = open(library)
      const cookie = cookieOf(await request(app).get('/'))!
      before?.()
      for (let i = 0; i < 2; i++) await request(app).get('/act').set('Cookie', cookie)
      await request(app).get('/')
      const warnings = warned.mock.calls.filter(([, options]) => (options as any)?.code === told.code)
      expect(warnings.map(([message]) => message)).toEqual(env === 'test' ? [expect.stringMatching(told.says)] : [])
      const reasons = events.mock.calls.splice(0).map(([{ reason }]) => reason)
      expect(new Set(reasons)).toEqual(new Set([told.reason]))
    }
    unsubscribe('silverback:dropped', events)
    jest.restoreAllMocks()
  })
})

it('a request that only reads a session which has ended meanwhile is warned of nothing', async () => {
  const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
  let library!: Library
  jest.isolateModules(() => (library = require('../lib/index')))
  const store = plainStore({ touch: (_id: string, _session: object, done: any) => setImmediate(done) })
  const app = appWith(library.sessions({ secret, store, touchAfter: 0 }), {
    ...routes,
    '/read': (req, res) => {
      void req.session.seen
      store.texts.clear()
      store.touch = function (this: any, id: string, session: object, done: any) {
        this.set(id, session, done)
      }
      res.send('read')
    }
  })
  const cookie = cookieOf(await request(app).get('/visit'))!
  expect((await request(app).get('/read').set('Cookie', cookie)).text).toBe('read')
  expect(store.texts.size).toBe(0)
  const codes = warned.mock.calls.map(([, options]) => (options as any).code)
  warned.mockRestore()
  expect(codes).not.toContain('SILVERBACK_DROPPED')
})

it('nor is one that stores again what it has not changed (resave)', async () => {
  const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
  let library!: Library
  jest.isolateModules(() => (library = require('../lib/index')))
  const store = plainStore()
  const classic = { secret, store, name: 'sid', resave: true, saveUninitialized: false }
  const app = appWith((library as any)(classic), {
    ...routes,
    '/read': (_req, res) => {
      store.texts.clear()
      res.send('read')
    }
  })
  const cookie = cookieOf(await request(app).get('/visit'))!
  expect((await request(app).get('/read').set('Cookie', cookie)).text).toBe('read')
  const codes = warned.mock.calls.map(([, options]) => (options as any)?.code)
  warned.mockRestore()
  expect(store.texts.size).toBe(0)
  expect(codes).not.toContain('SILVERBACK_DROPPED')
})

it('no more than a hundred requests at a time are kept to see what they still do', async () => {
  let library!: Library
  jest.isolateModules(() => (library = require('../lib/index')))
  const auth = library.sessions({ secret })
  const wait = jest.spyOn(global, 'setTimeout').mockReturnValue({ unref: () => undefined } as any)
  for (let i = 0; i < 300; i++) await pass(auth, '', (_req, res) => res.end())
  const kept = wait.mock.calls.filter(([, span]) => span === 1000).map(([report]) => report)
  expect(kept).toHaveLength(100)
  // Those that have been looked at make room.
  for (const report of kept.slice(0, 10)) report()
  for (let i = 0; i < 20; i++) await pass(auth, '', (_req, res) => res.end())
  expect(wait.mock.calls.filter(([, span]) => span === 1000)).toHaveLength(110)
  wait.mockRestore()
})
