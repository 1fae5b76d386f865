import { sessions } from '../../lib/index'
import { appWith, secret } from '../helpers/app'
import { plainStore, ROUTES, setCookies, visit } from '../helpers/classic'
import { WEEK } from '../helpers/times'
import { type Side, SIDES } from '../helpers/two-sides'

// Habits that no documentation mentions; every expectation holds for express-session, too.

describe.each(Object.entries(SIDES))('as the %s', (_name, side: Side) => {
  const appOf = (options: object, routes: Parameters<typeof appWith>[1]) =>
    appWith(side({ secret, resave: false, saveUninitialized: false, ...options }), { ...ROUTES, ...routes })

  // A store on the side's own base class.
  const storeOf = () => Object.setPrototypeOf(plainStore(), side.Store.prototype)

  // connect-redis up to 6 and connect-memcached hand their client's reply to the callback.
  it.each(['OK', 'STORED', true, 1])('a store that confirms a write with %p keeps its sessions', async (reply) => {
    const store = storeOf()
    const { set } = store
    store.set = (id: string, record: object, done: any) => set.call(store, id, record, () => done(null, reply))
    const app = appOf({ store }, {})
    const { cookie } = await visit(app, '/login')
    expect((await visit(app, '/who', cookie)).body.user).toBe('ann')
  })

  it("a store may confirm a write by callback and hand out its client's promise as well", async () => {
    const store = storeOf()
    const { set } = store
    store.set = (id: string, record: object, done: any) => {
      set.call(store, id, record, done)
      return Promise.resolve('OK')
    }
    const app = appOf({ store }, {})
    const { cookie } = await visit(app, '/login')
    expect((await visit(app, '/who', cookie)).body.user).toBe('ann')
  })

  it('a session may be used through a proxy', async () => {
    const store = storeOf()
    const app = appOf(
      { store },
      {
        '/proxy': (req, res, next) => {
          const watched = new Proxy(req.session, {})
          watched.seen = true
          watched.touch()
          watched.save((err: unknown) => (err ? next(err) : res.json({ id: watched.id, keys: Object.keys(watched) })))
        }
      }
    )
    const { cookie } = await visit(app, '/login')
    const res = await visit(app, '/proxy', cookie)
    expect(res.body).toEqual({ id: [...store.texts.keys()][0], keys: ['cookie', 'user', 'seen'] })
    expect(JSON.parse([...store.texts.values()][0])).toMatchObject({ user: 'ann', seen: true })
  })

  it('a proxy may take the place of the session on the request', async () => {
    const app = appOf(
      {},
      {
        '/proxy': (req, res) => {
          req.session = new Proxy(req.session, {})
          req.session.seen = true
          res.send('set')
        },
        '/seen': (req, res) => res.json({ user: req.session.user, seen: req.session.seen })
      }
    )
    const { cookie } = await visit(app, '/login')
    await visit(app, '/proxy', cookie)
    expect((await visit(app, '/seen', cookie)).body).toEqual({ user: 'ann', seen: true })
  })

  it('a record whose cookie lacks expires has it in the session', async () => {
    const store = storeOf()
    const app = appOf({ store }, { '/json': (req, res) => res.json(req.session) })
    const { cookie } = await visit(app, '/login')
    const [id] = store.texts.keys()
    store.texts.set(id, JSON.stringify({ cookie: { path: '/', httpOnly: true } }))
    expect((await visit(app, '/json', cookie)).body).toEqual({ cookie: { path: '/', httpOnly: true, expires: null } })
  })

  // As the DocumentClient of AWS takes an object apart, for dynamodb-store: a Date is an object without keys.
  it('a store that keeps what for...in finds of a cookie keeps its lifetime', async () => {
    const store = storeOf()
    const { set } = store
    const plain = (value: any): unknown => {
      if (typeof value !== 'object' || value === null) return value
      const copy: Record<string, unknown> = {}
      for (const key in value) if (typeof value[key] !== 'function') copy[key] = plain(value[key])
      return copy
    }
    store.set = (id: string, record: object, done: any) => set.call(store, id, plain(record), done)
    const app = appOf(
      { store, cookie: { maxAge: WEEK } },
      { '/age': (req, res) => res.json({ age: req.session.cookie.maxAge }) }
    )
    const { cookie } = await visit(app, '/login')
    expect((await visit(app, '/age', cookie)).body.age).toBeGreaterThan(WEEK - 600_000)
  })

  // As Sails' session hook and scripts in other languages write them.
  it.each([{}, { originalMaxAge: null }])('a record with the cookie %j ends with the browser', async (kept) => {
    const store = storeOf()
    const app = appOf(
      { store, cookie: { maxAge: WEEK }, rolling: true },
      { '/age': (req, res) => res.json([req.session.cookie.maxAge, req.session.cookie.expires]) }
    )
    const { cookie } = await visit(app, '/login')
    const [id] = store.texts.keys()
    store.texts.set(id, JSON.stringify({ cookie: kept, user: 'ann' }))
    const res = await visit(app, '/age', cookie)
    expect(res.body).toEqual([null, null])
    expect(setCookies(res)[0]).not.toContain('Expires=')
  })

  // The date is made anew of the span before it is asked for.
  it.each([
    [{ originalMaxAge: WEEK, expires: null }, 1],
    [{ expires: '2100-01-01T00:00:00.000Z' }, 0]
  ])('a change sends the cookie of a record with %j again if that has a span', async (kept, times) => {
    const store = storeOf()
    const app = appOf({ store }, { '/change': (req, res) => res.json((req.session.n = 1)) })
    const { cookie } = await visit(app, '/login')
    const [id] = store.texts.keys()
    store.texts.set(id, JSON.stringify({ cookie: kept, user: 'ann' }))
    expect(setCookies(await visit(app, '/change', cookie))).toHaveLength(times)
  })
})

// Orders of calls that a long random comparison of both packages has brought up; each holds for express-session, too.

describe.each(Object.entries(SIDES))('with the %s', (_name, side: Side) => {
  const storeOf = () => Object.setPrototypeOf(plainStore(), side.Store.prototype)

  const appOf = (options: object, routes: Parameters<typeof appWith>[1]) =>
    appWith(side({ secret, resave: false, saveUninitialized: false, ...options }), { ...ROUTES, ...routes })

  it('a lifetime given after regenerate() and save(), as after a login by passport, is stored', async () => {
    const store = storeOf()
    const app = appOf(
      { store },
      {
        '/remember': (req, res) =>
          req.session.regenerate(() => {
            req.session.user = 'ann'
            req.session.save(() => {
              req.session.cookie.maxAge = WEEK
              res.redirect('/who')
            })
          })
      }
    )
    const welcome = await visit(app, '/remember')
    expect(setCookies(welcome)[0]).toContain('Expires=')
    // Both read the clock twice when a lifetime is assigned.
    expect(Math.abs(JSON.parse([...store.texts.values()][0]).cookie.originalMaxAge - WEEK)).toBeLessThan(60_000)
    expect((await visit(app, '/who', welcome.cookie)).body.user).toBe('ann')
  })

  it('a session that was deleted from the request and then set to null is unset', async () => {
    const store = storeOf()
    const app = appOf(
      { store, unset: 'destroy' },
      {
        '/out': (req, res) => {
          delete req.session
          req.session = null
          res.json({ session: req.session })
        }
      }
    )
    const { cookie } = await visit(app, '/login')
    expect((await visit(app, '/out', cookie)).body).toEqual({ session: null })
    expect(store.texts.size).toBe(0)
  })

  it('the object from before reload() destroys the session of the request', async () => {
    const store = storeOf()
    const app = appOf(
      { store },
      {
        '/out': (req, res) => {
          const { session } = req
          session.reload(() => session.destroy(() => res.json({ gone: req.session === undefined })))
        }
      }
    )
    const { cookie } = await visit(app, '/login')
    expect((await visit(app, '/out', cookie)).body).toEqual({ gone: true })
    expect(store.texts.size).toBe(0)
  })

  it.each(['MemoryStore', 'another store'])(
    'reload() of a socket finds a session ended that it has saved, in %s',
    async (kind) => {
      let socket: any
      const app = appOf(
        { store: kind === 'MemoryStore' ? new side.MemoryStore() : storeOf() },
        {
          '/socket': (req, res) => {
            socket = req
            req.session.save(() => res.send('open'))
          }
        }
      )
      const { cookie } = await visit(app, '/login')
      await visit(app, '/socket', cookie)
      const reload = () => new Promise((told) => socket.session.reload((err: unknown) => told(err instanceof Error)))
      expect(await reload()).toBe(false)
      await visit(app, '/logout', cookie)
      expect(await reload()).toBe(true)
    }
  )

  it('regenerate() beside save() and reload() begins another session', async () => {
    const store = storeOf()
    const app = appOf(
      { store },
      {
        '/renew': (req, res) => {
          let running = 3
          const done = () => --running === 0 && res.json({ user: req.session.user ?? null })
          req.session.save(done)
          req.session.reload(done)
          req.session.regenerate(done)
        }
      }
    )
    const { cookie } = await visit(app, '/login')
    const renewed = await visit(app, '/renew', cookie)
    expect(renewed.body).toEqual({ user: null })
    expect(setCookies(renewed)).toHaveLength(1)
    expect([...store.texts.keys()].map((id) => [cookie, renewed.cookie].map((one) => one!.includes(id)))).toEqual([
      [false, true]
    ])
  })

  it('a request without a cookie has an ID after it has set its session to null', async () => {
    const app = appOf(
      { store: storeOf() },
      {
        '/none': (req, res) => {
          req.session = null
          res.json({ id: typeof req.sessionID, session: req.session })
        }
      }
    )
    expect((await visit(app, '/none')).body).toEqual({ id: 'string', session: null })
  })

  it('reload() reads what save() was given before, awaited or not', async () => {
    const app = appOf(
      { store: storeOf() },
      {
        '/change': (req, res) => {
          req.session.user = 'bob'
          req.session.save()
          req.session.reload(() => res.json({ user: req.session.user }))
        }
      }
    )
    const { cookie } = await visit(app, '/login')
    expect((await visit(app, '/change', cookie)).body).toEqual({ user: 'bob' })
  })
})

it('sessions() expires the cookie of a session that its object from before reload() destroys', async () => {
  const auth = sessions({ secret, name: 'connect.sid' })
  const app = appWith(auth, {
    ...ROUTES,
    '/out': async (req, res) => {
      const { session } = req
      await session.reload()
      await session.destroy()
      res.send('out')
    }
  })
  const { cookie } = await visit(app, '/login')
  expect(setCookies(await visit(app, '/out', cookie))[0]).toMatch(/^connect\.sid=; Max-Age=0; /)
  expect((await visit(app, '/who', cookie)).body.user ?? null).toBeNull()
})
