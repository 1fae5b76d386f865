import './helpers/quiet'
import util from 'node:util'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import request from 'supertest'
import { infoOf, MemoryStore, sessions, update } from '../lib/index'
import { appWith, cookieOf, deferred, secret } from './helpers/app'
import { Clock } from './helpers/clock'
import { plainStore } from './helpers/classic'
import { DAY, HOUR, MINUTE, SECOND } from './helpers/times'
import { SIDES } from './helpers/two-sides'

// Habits of stores from npm, each in a store of the plainest contract that has it.

const classic = (options: object) =>
  SIDES.subject({ secret, name: 'sid', resave: false, saveUninitialized: false, ...options })
const modern = (options: object) => sessions({ secret, ...options } as never)
const DOORS: [string, (options: object) => any][] = [
  ['the drop-in door', classic],
  ['sessions()', modern]
]

const routes: Parameters<typeof appWith>[1] = {
  '/login': (req, res) => {
    Object.assign(req.session, { user: 'ann', card: '4111' })
    res.send('in')
  },
  '/who': (req, res) => res.json(req.session.user ?? null),
  '/set': (req, res) => res.json(Object.assign(req.session, req.query)),
  '/look': (req, res) => res.json({ ...req.session, cookie: undefined }),
  '/logout': async (req, res) => {
    await req.session.destroy()
    res.send('out')
  }
}

const get = (app: any, path: string, cookie = '') => request(app).get(path).set('Cookie', cookie)
const login = async (app: any) => cookieOf(await get(app, '/login'))!
const who = async (app: any, cookie: string) => (await get(app, '/who', cookie)).body

function clone(value: any): any {
  if (value instanceof Date) return new Date(value)
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(clone)
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, clone(item)]))
}

/** What a store keeps and hands out as values, as a document database does. */
function objectStore(over: object = {}) {
  const kept = new Map<string, any>()
  return plainStore({
    kept,
    get: (id: string, done: any) => setImmediate(done, null, kept.has(id) ? clone(kept.get(id)) : null),
    set(id: string, session: any, done: any) {
      const { cookie, ...data } = session
      kept.set(id, clone({ ...data, cookie: JSON.parse(JSON.stringify(cookie)) }))
      setImmediate(done)
    },
    destroy: (id: string, done: any) => setImmediate(done, null, kept.delete(id)),
    ...over
  })
}

describe.each(DOORS)('behind %s', (_name, door) => {
  const appOn = (store: object, options: object = {}, more: typeof routes = {}) =>
    appWith(door({ store, ...options }), { ...routes, ...more })

  describe('what set() answers', () => {
    const answers: Record<string, (text: string, done: any) => unknown> = {
      'by callback': (text, done) => void setImmediate(done, null, text),
      'by promise': (text) => Promise.resolve(text),
      'at once by callback': (text, done) => done(null, text)
    }
    const texts: Record<string, (id: string, text: string) => string> = {
      'the JSON that it stored (express-session-sequelize)': (_id, text) => text,
      'a key of its own': (id) => `sess:${id}`
    }
    const cases = Object.keys(answers).flatMap((how) => Object.keys(texts).map((what) => [what, how] as const))

    it.each(cases)('is never a cookie: %s, %s', async (what, how) => {
      const store = plainStore()
      store.set = (id: string, session: object, done: any) => {
        const text = JSON.stringify(session)
        store.texts.set(id, text)
        return answers[how]!(texts[what]!(id, text), done)
      }
      const app = appOn(store)
      const res = await get(app, '/login')
      expect(decodeURIComponent(String(res.headers['set-cookie']))).not.toMatch(/4111|sess:/)
      const cookie = cookieOf(res)!
      expect(await who(app, cookie)).toBe('ann')
      expect((await get(app, '/set?user=bob', cookie)).headers['set-cookie']).toBeUndefined()
      expect(await who(app, cookie)).toBe('bob')
    })

    it('is one for a store that declares it', async () => {
      const store = plainStore({ tokens: {} })
      const { set } = store
      store.set = (id: string, session: object, done: any) => {
        const token = id.startsWith('t:') ? id : `t:${id}`
        set.call(store, token, session, () => done(null, token))
      }
      const app = appOn(store)
      const cookie = await login(app)
      expect(decodeURIComponent(cookie)).toContain('t:')
      expect(await who(app, cookie)).toBe('ann')
    })
  })

  it('a touch that asks for what the store has put into the session gets it back as it was (connect-mongo)', async () => {
    const failed = jest.fn()
    const store = objectStore({
      touch(id: string, session: any, done: any) {
        try {
          const record = clone(store.kept.get(id))
          // Throws where the Date has become a text.
          if (Date.now() - session.lastModified.getTime() < HOUR) return setImmediate(done)
          Object.assign(record, { lastModified: new Date(), cookie: JSON.parse(JSON.stringify(session.cookie)) })
          store.kept.set(id, record)
          setImmediate(done)
        } catch (err) {
          failed(err)
          setImmediate(done, err)
        }
      }
    })
    const { set } = store
    store.set = (id: string, session: any, done: any) => {
      session.lastModified = new Date()
      set.call(store, id, session, done)
    }
    const clock = new Clock()
    const app = appOn(store, { idle: DAY, touchAfter: 0 })
    const cookie = await login(app)
    for (let i = 0; i < 4; i++) {
      clock.forward(0.9 * DAY)
      expect(await who(app, cookie)).toBe('ann')
    }
    clock.restore()
    expect(failed).not.toHaveBeenCalled()
  })

  it('a touch that fails again and again is said aloud, once', async () => {
    const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const events = jest.fn()
    subscribe('silverback:error', events)
    let library: any
    jest.isolateModules(() => (library = require('../lib/index')))
    const options = { secret, name: 'sid', resave: false, saveUninitialized: false, touchAfter: 0 }
    const store = plainStore({ touch: (_id: string, _session: object, done: any) => done(new Error('lost')) })
    const app = appWith((door === classic ? library : library.sessions)({ ...options, store }), routes)
    const cookie = await login(app)
    for (let i = 0; i < 12; i++) expect((await get(app, '/who', cookie)).status).toBe(200)
    unsubscribe('silverback:error', events)
    const told = warned.mock.calls.filter(([, options]) => (options as any).code === 'SILVERBACK_TOUCH')
    warned.mockRestore()
    expect(told).toHaveLength(1)
    expect(events).toHaveBeenCalledTimes(12)
    expect(events.mock.calls[0]![0].error.message).toBe('lost')
  })

  describe('a store without touch', () => {
    function setUp(options: object) {
      const ends = new Map<string, number>()
      const store = plainStore()
      const { get: read, set } = store
      const writes = jest.fn()
      store.get = (id: string, done: any) => {
        if ((ends.get(id) ?? Infinity) <= Date.now()) store.texts.delete(id)
        read.call(store, id, done)
      }
      store.set = (id: string, session: any, done: any) => {
        writes()
        ends.set(id, session.cookie.expires ? Number(session.cookie.expires) : Infinity)
        set.call(store, id, session, done)
      }
      return { writes, app: appOn(store, options), clock: new Clock() }
    }

    it.each<[string, object]>([
      ['by default', {}],
      ['with rolling', { rolling: true }],
      ['with a cookie that lasts', { cookie: { maxAge: HOUR } }],
      ['with both', { cookie: { maxAge: HOUR }, rolling: true }]
    ])('is extended by reading, once per touchAfter, and ends when it is not used (%s)', async (_case, options) => {
      const { app, clock, writes } = setUp({ idle: HOUR, touchAfter: 10 * MINUTE, ...options })
      let cookie = await login(app)
      for (let i = 0; i < 40; i++) {
        clock.forward(5 * MINUTE)
        const res = await get(app, '/who', cookie)
        expect(res.body).toBe('ann')
        cookie = cookieOf(res) ?? cookie
      }
      expect(writes).toHaveBeenCalledTimes(21)
      clock.forward(HOUR)
      expect(await who(app, cookie)).toBeNull()
      clock.restore()
    })

    it('is not written by a request that must not prolong it', async () => {
      const { app, clock, writes } = setUp({ idle: HOUR, touchAfter: 0, extend: () => false })
      const cookie = await login(app)
      clock.forward(30 * MINUTE)
      expect(await who(app, cookie)).toBe('ann')
      expect(writes).toHaveBeenCalledTimes(1)
      clock.forward(30 * MINUTE)
      expect(await who(app, cookie)).toBeNull()
      clock.restore()
    })
  })

  describe('an extension that writes the whole session', () => {
    let arrived = deferred()
    let proceed = deferred()

    const stores: Record<string, (texts: Map<string, string>) => any> = {
      'connect-memcached': (texts) => withTexts(texts, (store, ...args) => store.set(...args)),
      'by a private method': (texts) => {
        class Store {
          touch(id: string, session: object, done: any) {
            this.#write(id, session, done)
          }
          get(id: string, done: any) {
            setImmediate(done, null, texts.has(id) ? JSON.parse(texts.get(id)!) : null)
          }
          set(id: string, session: object, done: any) {
            this.#write(id, session, done)
          }
          destroy(id: string, done: any) {
            setImmediate(done, null, texts.delete(id))
          }
          #write(id: string, session: object, done: any) {
            texts.set(id, JSON.stringify(session))
            setImmediate(done)
          }
        }
        return new Store()
      },
      'inherited, behind another': (texts) => {
        class Base {
          get = plainStore({ texts }).get
          set(id: string, session: object, done: any) {
            texts.set(id, JSON.stringify(session))
            setImmediate(done)
          }
          destroy(id: string, done: any) {
            setImmediate(done, null, texts.delete(id))
          }
          touch(id: string, session: object, done: any) {
            this.set(id, session, done)
          }
        }
        class Derived extends Base {
          override touch(id: string, session: object, done: any) {
            super.touch(id, session, done)
          }
        }
        const store = new Derived()
        store.get = (id: string, done: any) =>
          setImmediate(done, null, texts.has(id) ? JSON.parse(texts.get(id)!) : null)
        return store
      },
      'none at all': (texts) => withTexts(texts, undefined)
    }

    function withTexts(texts: Map<string, string>, touch: ((store: any, ...args: any[]) => unknown) | undefined) {
      const store = {
        get: (id: string, done: any) => setImmediate(done, null, texts.has(id) ? JSON.parse(texts.get(id)!) : null),
        set: (id: string, session: object, done: any) => {
          texts.set(id, JSON.stringify(session))
          setImmediate(done)
        },
        destroy: (id: string, done: any) => setImmediate(done, null, texts.delete(id))
      }
      if (touch === undefined) return store
      return Object.assign(store, { touch: (id: string, s: object, done: any) => store.set(id, s, done) })
    }

    beforeEach(() => {
      arrived = deferred()
      proceed = deferred()
    })

    /** Two processes on one database: each has a store object of its own. */
    function processes(name: string) {
      const texts = new Map<string, string>()
      const poll = async (req: any, res: any) => {
        void req.session.user
        arrived.resolve()
        await proceed.promise
        res.send('polled')
      }
      const one = () => appOn(stores[name]!(texts), { idle: HOUR, touchAfter: 0 }, { '/poll': poll })
      return [one(), one()] as const
    }

    it.each(Object.keys(stores))('never brings back what another process has ended (touch: %s)', async (name) => {
      const [here, there] = processes(name)
      const cookie = await login(here)
      const polling = get(here, '/poll', cookie).then((res) => res.text)
      await arrived.promise
      await get(there, '/logout', cookie)
      proceed.resolve()
      expect(await polling).toBe('polled')
      expect(await who(there, cookie)).toBeNull()
      expect(await who(here, cookie)).toBeNull()
    })

    it.each(Object.keys(stores).flatMap((name) => [0, 1].map((other) => [name, other] as const)))(
      'never undoes what another request has written (touch: %s, process %d)',
      async (name, other) => {
        const both = processes(name)
        const cookie = await login(both[0])
        const polling = get(both[0], '/poll', cookie).then((res) => res.text)
        await arrived.promise
        await get(both[other]!, '/set?user=bob&cart=1', cookie)
        proceed.resolve()
        await polling
        expect((await get(both[0], '/look', cookie)).body).toMatchObject({ user: 'bob', cart: '1' })
      }
    )
  })

  describe('a store whose get does not look at the end', () => {
    const touches: Record<string, ((store: any, id: string, session: any) => void) | undefined> = {
      'writes the session': (store, id, session) => store.texts.set(id, JSON.stringify(session)),
      'writes the cookie (session-file-store)': (store, id, session) => {
        const record = JSON.parse(store.texts.get(id))
        store.texts.set(id, JSON.stringify({ ...record, cookie: session.cookie }))
      },
      'is not there': undefined
    }

    function storeOf(touch: (typeof touches)[string]) {
      if (touch === undefined) return plainStore()
      const store: any = plainStore({
        touch(id: string, session: object, done: any) {
          if (store.texts.has(id)) touch(store, id, session)
          setImmediate(done)
        }
      })
      return store
    }

    it.each(Object.keys(touches).flatMap((touch) => [null, HOUR].map((maxAge) => [touch, maxAge] as const)))(
      'ends a session that nobody used, at once and in a new process (touch %s, maxAge %p)',
      async (touch, maxAge) => {
        const store = storeOf(touches[touch])
        // Its own object for each process, on the same records.
        const start = () => appOn(Object.assign({}, store), { idle: HOUR, touchAfter: 0, cookie: { maxAge } })
        const clock = new Clock()
        const cookie = await login(start())
        for (let i = 0; i < 3; i++) {
          clock.forward(0.9 * HOUR)
          expect(await who(start(), cookie)).toBe('ann')
        }
        clock.forward(HOUR - 1)
        expect(await who(start(), cookie)).toBe('ann')
        clock.forward(HOUR)
        const app = start()
        expect(await who(app, cookie)).toBeNull()
        expect(store.texts.size).toBe(0)
        clock.restore()
      }
    )

    it('an end that a record tells ends nothing once the options have none', async () => {
      const clock = new Clock()
      const store = plainStore()
      const cookie = await login(appOn(store, { idle: HOUR }))
      clock.forward(2 * HOUR)
      expect(await who(appOn(store, { idle: null, absolute: null, bind: () => '' }), cookie)).toBe('ann')
      clock.restore()
    })

    it('believes a store that prolongs without writing, whatever its records say (connect-redis)', async () => {
      const clock = new Clock()
      const ends = new Map<string, number>()
      const store = plainStore({
        touch(id: string, session: any, done: any) {
          ends.set(id, Number(session.cookie.expires))
          setImmediate(done)
        }
      })
      const { get: read, set } = store
      store.get = (id: string, done: any) =>
        (ends.get(id) ?? 0) > Date.now() ? read.call(store, id, done) : setImmediate(done, null, null)
      store.set = (id: string, session: any, done: any) => {
        ends.set(id, Number(session.cookie.expires))
        set.call(store, id, session, done)
      }
      const start = () => appOn(Object.assign({}, store), { idle: HOUR, touchAfter: 0 })
      let app = start()
      const cookie = await login(app)
      for (let i = 0; i < 6; i++) {
        clock.forward(0.7 * HOUR)
        expect(await who(app, cookie)).toBe('ann')
        // A touch, then a write of the same session, and a read: what it shows came of the write.
        if (i === 2) await get(app, '/set?cart=1', cookie)
        if (i === 3) app = start()
      }
      clock.forward(HOUR)
      expect(await who(app, cookie)).toBeNull()
      clock.restore()
    })
  })

  it('an instance of express-session beside it keeps a session alive that it uses', async () => {
    const clock = new Clock()
    const store = new SIDES.reference.MemoryStore()
    const adopt = door === modern ? { adopt: { from: 'express-session', reissue: false } } : {}
    const ours = appOn(store, { idle: HOUR, touchAfter: 0, ...adopt })
    const theirs = appWith(
      SIDES.reference({ secret, name: 'sid', resave: false, saveUninitialized: false, store }),
      routes
    )
    const cookie = await login(ours)
    await who(ours, cookie)
    await who(ours, cookie)
    for (let i = 0; i < 3; i++) {
      clock.forward(0.9 * HOUR)
      expect(await who(theirs, cookie)).toBe('ann')
    }
    expect(await who(ours, cookie)).toBe('ann')
    clock.restore()
  })

  describe('a store that hides its outage as "no session"', () => {
    function setUp() {
      let down = false
      const store = plainStore()
      const { get: read, set, destroy } = store
      const failing =
        (verb: any) =>
        (id: string, ...args: any[]) => {
          const done = args.at(-1)
          if (down) return setImmediate(done, new Error('P1001'))
          verb.call(store, id, ...args)
        }
      Object.assign(store, { set: failing(set), destroy: failing(destroy) })
      store.get = (id: string, done: any) => (down ? setImmediate(done) : read.call(store, id, done))
      const app = appOn(
        store,
        { unset: 'destroy' },
        {
          '/unset': (req, res) => {
            req.session = null
            res.send('out')
          },
          '/renew': async (req, res) => {
            await req.session.regenerate()
            req.session.user = 'bob'
            res.send('new')
          }
        }
      )
      return { app, store, outage: (is: boolean) => (down = is) }
    }

    it.each(['/logout', '/unset', '/renew'])(
      'fails aloud where it is to end the session of the request (%s)',
      async (path) => {
        const { app, outage } = setUp()
        const cookie = await login(app)
        outage(true)
        expect((await get(app, path, cookie)).status).toBeGreaterThanOrEqual(500)
        outage(false)
        expect(await who(app, cookie)).toBe('ann')
        expect((await get(app, path, cookie)).status).toBe(200)
        expect(await who(app, cookie)).toBeNull()
      }
    )

    it.each(['/logout', '/unset', '/renew'])(
      'is told to destroy the session that the request has proved to have (%s)',
      async (path) => {
        const { app, store } = setUp()
        const cookie = await login(app)
        const [id] = store.texts.keys()
        const { get: read } = store
        store.get = (_id: string, done: any) => setImmediate(done)
        expect((await get(app, path, cookie)).status).toBe(200)
        store.get = read
        // express-session's door destroys what it has begun instead, as there.
        expect(store.texts.has(id)).toBe(door === classic)
        if (door === classic) return
        expect(await who(app, cookie)).toBeNull()
      }
    )
  })

  describe('a store that keeps the very object it is given, and hands it out', () => {
    const byReference = () => {
      const records = new Map<string, any>()
      return {
        records,
        get: (id: string, done: any) => done(null, records.get(id)),
        set: (id: string, session: any, done: any) => done(null, void records.set(id, session)),
        destroy: (id: string, done: any) => done(null, records.delete(id))
      }
    }

    it('gets and gives a cookie that can be cloned', async () => {
      const app = appOn(byReference(), {}, { '/copy': (req, res) => res.json(structuredClone(req.session.cookie)) })
      expect((await get(app, '/copy', await login(app))).body).toMatchObject({ path: '/', originalMaxAge: null })
    })

    it.each([
      ['JSON', () => ({ items: [1] })],
      ['values that JSON changes', () => ({ items: [1], at: new Date(0) })]
    ])('gets and gives copies (of %s)', async (_kind, cart) => {
      const store = byReference()
      const [here, go] = [deferred(), deferred()]
      const app = appOn(
        store,
        {},
        {
          '/in': (req, res) => res.json((req.session.cart = cart())),
          '/both': async (req, res) => {
            let runs = 0
            req.session.cart.items.push(2)
            await req.session.save()
            await update(req.session, (session: any) => {
              runs++
              session.cart.items.push(3)
            })
            res.json([runs, req.session.cart.items])
          },
          '/slow': async (req, res) => {
            req.session.cart.items.push(4)
            here.resolve()
            await go.promise
            res.send('done')
          },
          '/cart': (req, res) => res.json(req.session.cart.items)
        }
      )
      const cookie = cookieOf(await get(app, '/in'))!
      expect((await get(app, '/both', cookie)).body).toEqual([1, [1, 2, 3]])
      const slow = get(app, '/slow', cookie).then((res) => res.text)
      await here.promise
      expect((await get(app, '/cart', cookie)).body).toEqual([1, 2, 3])
      go.resolve()
      await slow
      expect((await get(app, '/cart', cookie)).body).toEqual([1, 2, 3, 4])
    })
  })

  describe('a value that the store keeps as it is', () => {
    const kinds = (session: any) => [session.at, session.deep?.at, session.list?.[0]].map((one) => one instanceof Date)
    const values = () => ({ at: new Date(0), deep: { at: new Date(0), n: 0 }, list: [new Date(0)] })
    const kindsOf = async (app: any, cookie: string) => (await get(app, '/kinds', cookie)).body
    const more = (hold?: {
      here: ReturnType<typeof deferred<void>>
      go: ReturnType<typeof deferred<void>>
    }): typeof routes => ({
      '/in': (req, res) => res.json(Object.assign(req.session, values())),
      '/kinds': (req, res) => res.json(kinds(req.session)),
      '/quick': (req, res) => res.json((req.session.deep.two = 2)),
      '/slow': async (req, res) => {
        void req.session.at
        hold?.here.resolve()
        await hold?.go.promise
        req.session.deep.n = 1
        res.send('slow')
      },
      '/slow-update': async (req, res) => {
        let runs = 0
        await update(req.session, async (session: any) => {
          if (++runs === 1) {
            hold?.here.resolve()
            await hold?.go.promise
          }
          session.deep.n = 1
        })
        res.json([runs, kinds(req.session)])
      },
      '/slow-rotate': async (req, res) => {
        void req.session.at
        hold?.here.resolve()
        await hold?.go.promise
        req.session.deep.n = 1
        await req.session.save()
        await req.session.regenerate({ keep: true })
        res.json(kinds(req.session))
      }
    })

    it.each(['/slow', '/slow-update', '/slow-rotate'])(
      'stays what it is when two requests overlap (%s)',
      async (path) => {
        const hold = { here: deferred(), go: deferred() }
        const app = appOn(objectStore(), {}, more(hold))
        const cookie = cookieOf(await get(app, '/in'))!
        expect(await kindsOf(app, cookie)).toEqual([true, true, true])
        const slow = get(app, path, cookie).then((res) => res)
        await hold.here.promise
        await get(app, '/quick', cookie)
        hold.go.resolve()
        const after = cookieOf(await slow) ?? cookie
        expect(await kindsOf(app, after)).toEqual([true, true, true])
        expect((await get(app, '/look', after)).body.deep).toMatchObject({ n: 1, two: 2 })
      }
    )

    it.each(['touched', 'saved again'])('stays what it is, also one of another request, when it is %s', async (how) => {
      const hold = { here: deferred(), go: deferred() }
      const touch = jest.fn((_id: string, _session: any, done: any) => setImmediate(done))
      const store = objectStore({ touch })
      const app = appOn(
        store,
        { touchAfter: 0 },
        {
          ...more(hold),
          '/dated': (req, res) => res.json((req.session.at = new Date(1))),
          '/slow-save': async (req, res) => {
            void req.session.at
            hold.here.resolve()
            await hold.go.promise
            req.session.deep.n = 1
            await req.session.save()
            if (how === 'saved again') req.session.deep.n = 2
            res.send('slow')
          }
        }
      )
      const cookie = cookieOf(await get(app, '/in'))!
      const slow = get(app, '/slow-save', cookie).then((res) => res)
      await hold.here.promise
      await get(app, '/dated', cookie)
      touch.mockClear()
      hold.go.resolve()
      await slow
      const given = how === 'touched' ? touch.mock.calls.map(([, session]) => session) : [...store.kept.values()]
      expect(given.map(({ at }) => at)).toEqual([new Date(1)])
    })
  })

  it.each([{}, { n: 1 }])('a cookie whose end is handed out as %j has told none (dynamodb-store)', async (expires) => {
    const store = plainStore()
    const { get: read } = store
    store.get = (id: string, done: any) =>
      read.call(store, id, (err: unknown, record: any) =>
        done(err, record && { ...record, cookie: { ...record.cookie, expires } })
      )
    const app = appOn(
      store,
      { idle: HOUR },
      {
        '/end': (req, res) => res.json([req.session.cookie.expires, req.session.user, infoOf(req.session).isNew])
      }
    )
    const cookie = await login(app)
    expect((await get(app, '/end', cookie)).body).toEqual([null, 'ann', false])
  })

  it.each([
    ['objects without keys (dynamodb-store)', () => ({})],
    ['texts', (date: Date) => date.toISOString()]
  ])('a cookie that is kept as for...in finds it, dates as %s, has the end of its own alone', async (_kind, dated) => {
    const clock = new Clock()
    const plain = (value: any): unknown => {
      if (typeof value !== 'object' || value === null) return value
      if (value instanceof Date) return dated(value)
      const copy: Record<string, unknown> = {}
      for (const key in value) if (typeof value[key] !== 'function' && key !== 'data') copy[key] = plain(value[key])
      return copy
    }
    const end: typeof routes = { '/end': (req, res) => res.json([req.session.cookie.maxAge, req.session.user]) }
    const endOf = async (options: object) => {
      const store = plainStore()
      const { set } = store
      store.set = (id: string, session: object, done: any) => set.call(store, id, plain(session), done)
      const app = appOn(store, options, end)
      return (await get(app, '/end', await login(app))).body
    }
    expect(await endOf({ cookie: { maxAge: DAY } })).toEqual([DAY, 'ann'])
    expect(await endOf({ idle: HOUR })).toEqual([null, 'ann'])
    clock.restore()
  })

  it('a store that has said "disconnect" and never "connect" is asked now and then (connect-typeorm)', async () => {
    const clock = new Clock()
    const store = plainStore()
    const app = appOn(store)
    const cookie = await login(app)
    store.emit('disconnect')
    const asked = jest.spyOn(store, 'get')
    const there = async () => (await get(app, '/who', cookie)).status === 200
    expect([await there(), await there()]).toEqual([false, false])
    expect(asked).not.toHaveBeenCalled()
    // Still away: one request a second finds that out.
    asked.mockImplementation((_id: any, done: any) => setImmediate(done, new Error('away')))
    clock.forward(SECOND)
    expect([await there(), await there()]).toEqual([false, false])
    expect(asked).toHaveBeenCalledTimes(1)
    asked.mockRestore()
    clock.forward(SECOND)
    expect([await there(), await there()]).toEqual([true, true])
    expect(await who(app, cookie)).toBe('ann')
    clock.restore()
  })

  describe('reads that lag behind writes', () => {
    /** Answers as of so many writes of a session ago, until it has caught up. */
    function lagging(lag: number) {
      const history = new Map<string, (string | undefined)[]>()
      // Where each session was as it began to lag.
      let floors: Map<string, number> | undefined
      const note = (id: string, text: string | undefined) => {
        if (!history.has(id)) history.set(id, [undefined])
        history.get(id)!.push(text)
      }
      return {
        set lags(is: boolean) {
          floors = is ? new Map([...history].map(([id, texts]) => [id, texts.length - 1])) : undefined
        },
        get(id: string, done: any) {
          const texts = history.get(id) ?? [undefined]
          const last = texts.length - 1
          const text = texts[floors === undefined ? last : Math.max(floors.get(id) ?? 0, last - lag)]
          setImmediate(done, null, text === undefined ? null : JSON.parse(text))
        },
        set(id: string, session: object, done: any) {
          note(id, JSON.stringify(session))
          setImmediate(done)
        },
        destroy(id: string, done: any) {
          note(id, undefined)
          setImmediate(done)
        }
      }
    }

    const more: typeof routes = {
      // As passport does it, with one more value afterwards.
      '/passport': (req, res, next) =>
        req.session.regenerate((err: unknown) => {
          if (err) return next(err)
          req.session.user = 'ann'
          req.session.save((failed: unknown) => {
            if (failed) return next(failed)
            req.session.last = 1
            res.send('in')
          })
        }),
      '/twice': async (req, res) => {
        req.session.n = 1
        await req.session.save()
        req.session.n = 2
        await req.session.save()
        req.session.m = 1
        res.send('done')
      },
      '/update': async (req, res) => {
        req.session.n = 1
        await req.session.save()
        await update(req.session, (session: any) => (session.n += 1))
        req.session.m = 1
        res.json(req.session.n)
      },
      '/reload': async (req, res) => {
        req.session.n = 1
        await req.session.save()
        await req.session.reload()
        res.json(req.session.n)
      }
    }

    it.each([1, 2, 3])('take nothing from what the request has written itself (%d writes)', async (lag) => {
      const store = lagging(lag)
      const app = appOn(store, {}, more)
      store.lags = true
      const cookie = cookieOf(await get(app, '/passport'))!
      expect(cookie).toBeDefined()
      store.lags = false
      expect((await get(app, '/look', cookie)).body).toEqual({ user: 'ann', last: 1 })
      for (const [path, seen] of [
        ['/twice', { n: 2, m: 1 }],
        ['/update', { n: 2, m: 1 }],
        ['/reload', { n: 1, m: 1 }]
      ] as const) {
        const lagged = appOn(
          store,
          {},
          {
            ...more,
            '/go': async (req, res, next) => {
              void req.session.user
              store.lags = true
              await more[path]!(req, res, next)
            }
          }
        )
        await get(lagged, '/go', cookie)
        store.lags = false
        expect((await get(app, '/look', cookie)).body).toEqual({ user: 'ann', last: 1, ...seen })
      }
    })

    it('last for moments: a socket finds a session ended that another process has destroyed', async () => {
      const clock = new Clock()
      let socket: any
      const here = plainStore()
      const open: typeof routes = {
        '/socket': async (req, res) => {
          socket = req
          req.session.n = 1
          await req.session.save()
          res.send('open')
        },
        '/out': async (req, res) => {
          await req.session.destroy()
          res.send('out')
        }
      }
      const app = appOn(here, {}, open)
      const { get: read, set, destroy } = here
      const elsewhere = appOn({ get: read, set, destroy }, {}, open)
      const cookie = await login(app)
      await get(app, '/socket', cookie)
      await get(elsewhere, '/out', cookie)
      clock.forward(10 * SECOND)
      socket.session.n = 2
      await expect(socket.session.reload()).rejects.toThrow()
      await expect(socket.session.save()).rejects.toMatchObject({ code: 'ERR_SESSION_DESTROYED' })
      expect(here.texts.size).toBe(0)
      clock.restore()
    })

    it('bring nothing back that was destroyed', async () => {
      const store = lagging(1)
      const [here, go] = [deferred(), deferred()]
      const app = appOn(
        store,
        {},
        {
          '/slow': async (req, res) => {
            req.session.n = 1
            await req.session.save()
            here.resolve()
            await go.promise
            req.session.n = 2
            res.send('slow')
          }
        }
      )
      const cookie = await login(app)
      const slow = get(app, '/slow', cookie).then((res) => res.text)
      await here.promise
      await get(app, '/logout', cookie)
      store.lags = true
      go.resolve()
      await slow
      store.lags = false
      expect(await who(app, cookie)).toBeNull()
    })
  })

  describe('a store whose get is never twice the same', () => {
    const volatile: Record<string, (n: number) => object> = {
      'a counter': (n) => ({ lastRead: n }),
      'a time inside': (n) => ({ stats: { reads: n, seen: `${n}` } })
    }

    it.each(Object.keys(volatile))('keeps what requests write (%s)', async (kind) => {
      let reads = 0
      const store = plainStore()
      const { get: read } = store
      store.get = (id: string, done: any) =>
        read.call(store, id, (err: unknown, record: any) =>
          done(err, record && { ...record, ...volatile[kind]!(++reads) })
        )
      const [here, go] = [deferred(), deferred()]
      const app = appOn(
        store,
        {},
        {
          '/count': (req, res) => res.json((req.session.n = (req.session.n ?? 0) + 1)),
          '/update': async (req, res) => res.json(await update(req.session, (one: any) => (one.n += 1))),
          '/slow': async (req, res) => {
            void req.session.n
            here.resolve()
            await go.promise
            req.session.slow = 1
            res.send('slow')
          }
        }
      )
      const cookie = cookieOf(await get(app, '/count'))!
      for (const n of [2, 3]) expect((await get(app, '/count', cookie)).body).toBe(n)
      expect(reads).toBeLessThan(10)
      expect((await get(app, '/update', cookie)).body).toBe(4)
      const slow = get(app, '/slow', cookie).then((res) => res.text)
      await here.promise
      expect((await get(app, '/count', cookie)).body).toBe(5)
      go.resolve()
      await slow
      expect((await get(app, '/look', cookie)).body).toMatchObject({ n: 5, slow: 1 })
    })
  })

  describe('records with metadata', () => {
    it('carry it under a name that CouchDB takes', async () => {
      const store = plainStore()
      const app = appOn(store, { idle: HOUR })
      await login(app)
      const [text] = store.texts.values()
      const names = Object.keys(JSON.parse(text))
      expect(names).toContain('silverback_meta')
      for (const name of names) expect(name).not.toMatch(/^_|\$|\./)
    })

    it.each(['plain', 'native'])(
      'under the name of older releases are read, and written anew (%s store)',
      async (kind) => {
        const clock = new Clock()
        const store: any = kind === 'native' ? new MemoryStore() : plainStore()
        const texts = () => (kind === 'native' ? store.sessions : Object.fromEntries(store.texts))
        const put = (id: string, text: string) =>
          kind === 'native' ? (store.sessions[id] = text) : store.texts.set(id, text)
        const app = appOn(
          store,
          { idle: HOUR, absolute: DAY, touchAfter: 0 },
          {
            '/info': (req, res) => res.json([infoOf(req.session).createdAt, Object.keys(req.session)])
          }
        )
        const cookie = await login(app)
        const [id] = Object.keys(texts())
        const createdAt = Date.now() - 23 * HOUR
        const older = JSON.parse(texts()[id!])
        const { silverback_meta: meta, ...rest } = older
        put(id!, JSON.stringify({ ...rest, __silverback: { ...meta, c: createdAt } }))
        expect((await get(app, '/info', cookie)).body).toEqual([createdAt, ['cookie', 'user', 'card']])
        await get(app, '/set?n=1', cookie)
        expect(Object.keys(JSON.parse(texts()[id!]))).not.toContain('__silverback')
        expect(JSON.parse(texts()[id!]).silverback_meta.c).toBe(createdAt)
        clock.forward(HOUR - 1)
        expect(await who(app, cookie)).toBe('ann')
        clock.forward(1)
        expect(await who(app, cookie)).toBeNull()
        clock.restore()
      }
    )
  })
})

describe.each(['reference', 'subject'] as const)('the %s', (side) => {
  const amends: Record<string, (session: any) => void> = {
    'puts something into every session (session-file-store)': (session) => (session.lastAccess = Date.now()),
    'takes something out (connect-mongo with touchAfter)': (session) => delete session.lastModified
  }

  it.each(Object.keys(amends))(
    'sends a lasting cookie again whose session is stored by a store that %s',
    async (how) => {
      const store = plainStore()
      const { get: read, set } = store
      let amend = amends[how]!
      store.set = (id: string, session: any, done: any) => {
        amend(session)
        set.call(store, id, session, done)
      }
      store.get = (id: string, done: any) =>
        read.call(store, id, (err: unknown, found: any) => done(err, found && { ...found, lastModified: 1 }))
      const lasting = { secret, name: 'sid', resave: true, saveUninitialized: false, store, cookie: { maxAge: HOUR } }
      const app = appWith(SIDES[side](lasting), routes)
      const given = await login(app)
      const answer = await get(app, '/who', given)
      expect([answer.body, cookieOf(answer)]).toEqual(['ann', given])
      amend = () => undefined
      expect(cookieOf(await get(app, '/who', given))).toBeUndefined()
    }
  )

  it('sends none for what a store changes after a question of its own (connect-couchdb)', async () => {
    const store = plainStore()
    const { set } = store
    let changes = 0
    store.set = (id: string, session: any, done: any) =>
      store.get(id, () => {
        session.lastAccess = ++changes
        set.call(store, id, session, done)
      })
    const lasting = { secret, name: 'sid', resave: true, saveUninitialized: false, store, cookie: { maxAge: HOUR } }
    const app = appWith(SIDES[side](lasting), routes)
    const given = await login(app)
    for (const _ of [1, 2]) expect(cookieOf(await get(app, '/who', given))).toBeUndefined()
  })
})

describe('a store of values', () => {
  it('gets a Date back as it was, whatever a client has put beside it', async () => {
    const seen: unknown[] = []
    const touch = (_id: string, session: any, done: any) => setImmediate(done, null, seen.push(session.when))
    const app = appWith(classic({ store: objectStore({ touch }) }), {
      '/login': (req, res) => {
        const theirs = JSON.parse('{"__proto__":{"admin":true},"b":[1]}')
        Object.assign(req.session, { when: new Date(0), said: '__proto__', theirs, deep: { at: new Date(1) } })
        res.send('in')
      },
      '/look': (req, res) => {
        const { when, said, theirs, deep } = req.session
        seen.push(when, deep.at)
        res.json({ said, theirs, admin: theirs.admin })
      }
    })
    const { body } = await get(app, '/look', await login(app))
    expect(body).toEqual({ said: '__proto__', theirs: { b: [1] } })
    expect(seen).toEqual([new Date(0), new Date(1), new Date(0)])
  })
})

describe('MemoryStore', () => {
  it('may be called without new, and inherited from as it was before classes (sessionstore)', async () => {
    function Inherited(this: any) {
      ;(MemoryStore as any).call(this, { max: 10 })
    }
    util.inherits(Inherited, MemoryStore)
    Inherited.prototype.hello = () => 'hello'
    const store = new (Inherited as any)()
    expect(store).toBeInstanceOf(MemoryStore)
    expect(store.hello()).toBe('hello')
    const app = appWith(classic({ store }), routes)
    const cookie = await login(app)
    expect(await who(app, cookie)).toBe('ann')
    expect(Object.keys(store.sessions)).toHaveLength(1)
    await get(app, '/logout', cookie)
    expect(await who(app, cookie)).toBeNull()
  })

  it('touched as express-session does it keeps records of older releases as long as those of this one', async () => {
    const clock = new Clock()
    const store = new MemoryStore()
    const auth = sessions({ secret, store, idle: HOUR })
    const { id } = await auth.create({ user: 'ann' } as never)
    for (const name of ['silverback_meta', '__silverback']) {
      ;(store.sessions as any)[id] = store.sessions[id]!.replace(/silverback_meta|__silverback/, name)
      const before = (await auth.get(id))!.expiresAt
      await store.touch(id, { cookie: { expires: null } } as never)
      expect((await auth.get(id))!.expiresAt).toBe(before)
    }
    clock.restore()
  })
})

it("an automatic Secure attribute needs no socket, where Express's req.secure would ask for one", async () => {
  for (const [, door] of DOORS.slice(1)) {
    const express = require('express')
    const app = express()
    app.use((req: any, _res: any, next: any) => {
      Object.defineProperty(req, 'socket', { value: null })
      Object.defineProperty(req, 'connection', { value: null })
      next()
    })
    app.use(door({ cookie: { secure: 'auto' } }))
    app.get('/', (req: any, res: any) => res.json((req.session.user = 'ann')))
    const res = await get(app, '/')
    expect([res.status, res.body]).toEqual([200, 'ann'])
  }
})
