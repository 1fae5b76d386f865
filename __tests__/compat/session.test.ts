import { appWith, deferred } from '../helpers/app'
import { classic, classicApp, plainStore, ROUTES, setCookies, visit } from '../helpers/classic'

describe('the session', () => {
  it('replaces req.session in reload() and regenerate(), and leaves the old object its data', async () => {
    const app = classicApp(
      {},
      {
        ...ROUTES,
        '/reload': (req, res) => {
          const old = req.session
          old.draft = 'unsaved'
          old.reload(() =>
            res.json({ replaced: req.session !== old, old: old.draft, fresh: req.session.draft ?? null })
          )
        },
        '/regenerate': (req, res) => {
          const old = req.session
          const { id } = old
          old.regenerate(() => {
            const { session: fresh } = req
            res.json({ replaced: fresh !== old, old: old.user, fresh: fresh.user ?? null, renewed: fresh.id !== id })
          })
        }
      }
    )
    const { cookie } = await visit(app, '/login')
    expect((await visit(app, '/reload', cookie)).body).toEqual({ replaced: true, old: 'unsaved', fresh: null })
    const expected = { replaced: true, old: 'ann', fresh: null, renewed: true }
    expect((await visit(app, '/regenerate', cookie)).body).toEqual(expected)
  })

  it('gives the error of reload() after destroy() to the callback', async () => {
    const app = classicApp(
      {},
      {
        ...ROUTES,
        '/': (req, res) => {
          const { session: old } = req
          old.destroy(() => old.reload((err: unknown) => res.json({ error: err instanceof Error })))
        }
      }
    )
    const { cookie } = await visit(app, '/login')
    expect((await visit(app, '/', cookie)).body).toEqual({ error: true })
  })

  it('is stored by the save that the application has put on it', async () => {
    const app = classicApp(
      {},
      {
        ...ROUTES,
        '/': (req, res) => {
          const { session, query } = req
          const { save } = session
          session.save = (done: (err?: unknown) => void) =>
            setImmediate(() => (query.fault ? done(new Error(query.fault)) : save.call(session, done)))
          session.user = query.user
          res.send('x')
        }
      }
    )
    const { cookie } = await visit(app, '/login')
    expect((await visit(app, '/?user=bob', cookie)).text).toBe('x')
    expect((await visit(app, '/who', cookie)).body.user).toBe('bob')
    const { status, body } = await visit(app, '/?user=eve&fault=full', cookie)
    expect([status, body.message]).toEqual([500, 'full'])
    expect((await visit(app, '/who', cookie)).body.user).toBe('bob')
  })

  it('permits work after the response', async () => {
    const store = plainStore()
    const saved = deferred<unknown>()
    const app = classicApp(
      { store },
      {
        ...ROUTES,
        '/': (req, res) => {
          const { session: s } = req
          res.on('finish', () =>
            setImmediate(() => {
              s.later = 1
              s.save(saved.resolve)
            })
          )
          res.send('done')
        }
      }
    )
    const { cookie } = await visit(app, '/login')
    await visit(app, '/', cookie)
    expect(await saved.promise).toBeFalsy()
    expect(JSON.parse([...store.texts.values()][0])).toMatchObject({ user: 'ann', later: 1 })
  })

  it('sends no cookie for a change of req.session.cookie alone, unless rolling', async () => {
    const routes = {
      ...ROUTES,
      '/longer': (req: any, res: any) => {
        req.session.cookie.maxAge = 3_600_000
        res.send('ok')
      }
    }
    for (const rolling of [false, true]) {
      const app = classicApp({ rolling }, routes)
      const { cookie } = await visit(app, '/login')
      expect(setCookies(await visit(app, '/longer', cookie))).toHaveLength(rolling ? 1 : 0)
    }
  })

  it('begins its keys with cookie, and shows nothing else of ours', async () => {
    const store = plainStore()
    const seen: object[] = []
    const { set } = store
    store.set = (id: string, given: any, done: any) => {
      const { maxAge, expires, originalMaxAge } = given.cookie
      // As in express-session, a tick of the clock while it is set takes a millisecond off.
      const whole = originalMaxAge > 59_000 && originalMaxAge <= 60_000
      seen.push({ maxAge: typeof maxAge, dated: expires instanceof Date, whole })
      set.call(store, id, given, done)
    }
    const app = classicApp(
      { store, cookie: { maxAge: 60_000 } },
      {
        '/': (req, res) => {
          req.session.a = 1
          const all: string[] = []
          for (const key in req.session) all.push(key)
          res.json({ keys: Object.keys(req.session), all, id: req.session.id === req.sessionID })
        }
      }
    )
    expect((await visit(app, '/')).body).toEqual({ keys: ['cookie', 'a'], all: ['cookie', 'a'], id: true })
    expect(seen).toEqual([{ maxAge: 'number', dated: true, whole: true }])
  })

  it('does not clear a cookie again that the application cleared after destroy()', async () => {
    const app = classicApp(
      {},
      {
        ...ROUTES,
        '/clear': (req, res) =>
          req.session.destroy(() => {
            res.clearCookie('connect.sid')
            res.send('out')
          })
      }
    )
    for (const path of ['/clear', '/logout']) {
      const { cookie } = await visit(app, '/login')
      const cookies = setCookies(await visit(app, path, cookie))
      expect(cookies).toHaveLength(1)
      expect(cookies[0]).toMatch(/^connect\.sid=;.*Expires=Thu, 01 Jan 1970/)
    }
  })

  it('lets every enumerable key, cookie included, be copied onto the next session', async () => {
    const app = classicApp(
      {},
      {
        ...ROUTES,
        '/copy': (req, res, next) => {
          const previous = req.session
          previous.regenerate((err: unknown) => {
            if (err) return next(err)
            for (const key in previous) req.session[key] = previous[key]
            Object.assign(req.session, previous)
            res.json({ user: req.session.user, clone: structuredClone({ ...req.session, cookie: 0 }) })
          })
        }
      }
    )
    const { cookie } = await visit(app, '/login')
    expect((await visit(app, '/copy', cookie)).body).toEqual({ user: 'ann', clone: { user: 'ann', cookie: 0 } })
  })

  it('keeps its methods where stored keys have their names', async () => {
    const store = plainStore()
    const app = classicApp({ store }, ROUTES)
    const { cookie } = await visit(app, '/login')
    const [id] = [...store.texts.keys()]
    const record = { ...JSON.parse(store.texts.get(id)), save: 'x', touch: 'y', id: 'z', regenerate: 1 }
    store.texts.set(id, JSON.stringify(record))
    expect(await visit(app, '/who', cookie)).toMatchObject({ status: 200, body: { user: 'ann', id } })
  })

  it('takes a new order of keys for a change, and a new cookie for none', async () => {
    const store = plainStore({ touch: (_id: string, _session: object, done: any) => setImmediate(done) })
    const set = jest.spyOn(store, 'set')
    const app = classicApp(
      { store },
      {
        '/login': (req, res) => res.send(Object.assign(req.session, { a: 1, b: 2 }) && 'in'),
        '/cookie': (req, res) => res.send(String((req.session.cookie.maxAge = 3_600_000))),
        '/order': (req, res) => {
          const { a } = req.session
          delete req.session.a
          req.session.a = a
          res.send('moved')
        }
      }
    )
    const { cookie } = await visit(app, '/login')
    await visit(app, '/cookie', cookie)
    expect(set).toHaveBeenCalledTimes(1)
    await visit(app, '/order', cookie)
    expect(set).toHaveBeenCalledTimes(2)
    expect(Object.keys(JSON.parse([...store.texts.values()][0]))).toEqual(['cookie', 'b', 'a'])
  })

  it('stores and sends even an empty session after regenerate()', async () => {
    const store = plainStore()
    const app = classicApp({ store }, { '/': (req, res) => req.session.regenerate(() => res.send('new')) })
    expect(setCookies(await visit(app, '/'))).toHaveLength(1)
    expect(store.texts.size).toBe(1)
  })

  it('keeps the stored cookie attributes of old sessions when options change', async () => {
    const store = plainStore()
    const before = classicApp({ store, cookie: { httpOnly: false, domain: 'a.test' } }, ROUTES)
    const { cookie } = await visit(before, '/login')
    const after = classicApp({ store, rolling: true, cookie: { httpOnly: true, sameSite: 'strict' } }, ROUTES)
    const [text] = setCookies(await visit(after, '/who', cookie))
    expect(text).toMatch(/; Domain=a\.test; Path=\/$/)
  })

  it('keeps expires: false as it is', async () => {
    const store = plainStore()
    const app = classicApp({ store, resave: true, cookie: { expires: false } }, ROUTES)
    const { cookie } = await visit(app, '/login')
    const [text] = store.texts.values()
    expect(JSON.parse(text).cookie).toMatchObject({ originalMaxAge: false, expires: false })
    await visit(app, '/who', cookie)
    expect([...store.texts.values()]).toEqual([text])
  })

  it('matches cookie.path by prefix', async () => {
    const app = classicApp({ cookie: { path: '/admin' } }, { '/adminx': ROUTES['/none']! })
    expect((await visit(app, '/adminx')).body).toEqual({ there: true })
  })
})

it.each(['destroy', 'keep'])(
  'unset: %j holds where the middleware is called again after req.session = null',
  async (unset) => {
    const auth = classic({ unset })
    const app = appWith(auth, {
      ...ROUTES,
      '/out': (req, res, next) => {
        req.session.user = 'eve'
        req.session = null
        auth(req, res, (err: unknown) => (err ? next(err) : res.json(req.session.user ?? null)))
      }
    })
    const { cookie } = await visit(app, '/login')
    // express-session reads the session again, without what was set, before it is destroyed, and never destroys it.
    const user = unset === 'keep' ? 'ann' : null
    expect((await visit(app, '/out', cookie)).body).toBe(user)
    expect((await visit(app, '/who', cookie)).body.user ?? null).toBe(user)
  }
)

it('two middlewares on one store begin sessions each with its own cookie and IDs', async () => {
  const store = plainStore()
  const [shop] = ['shop', 'admin'].map((name) =>
    classicApp({ store, genid: () => name, cookie: { path: '/', domain: `${name}.test` } }, ROUTES)
  )
  // express-session takes those of the middleware that was made last.
  expect(setCookies(await visit(shop, '/login'))).toEqual([
    expect.stringMatching(/^connect\.sid=s%3Ashop.*=shop\.test;/)
  ])
  expect([...store.texts.keys()]).toEqual(['shop'])
})
