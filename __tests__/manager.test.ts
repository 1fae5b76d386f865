import request from 'supertest'
import session, { CookieStore, infoOf, lock, MemoryStore, sessions, update, type SessionsOptions } from '../lib/index'
import { metricsOf } from '../lib/metrics'
import { SqliteStore } from '../lib/sqlite'
import { sessionCookie, sessionOf } from '../lib/testing'
import { openToAgents } from './helpers/agents'
import { appWith, cookieOf, secret } from './helpers/app'
import { basics, login, membership } from './helpers/basics'
import { plainStore } from './helpers/classic'
import { OWN_STORES } from './helpers/own-stores'
import { openSqlite } from './helpers/sqlite'

it('stats() counts what lives', async () => {
  for (const store of [new MemoryStore(), new CookieStore()]) {
    const auth = sessions({ secret, store })
    const app = appWith(auth, basics)
    const cookie = await login(app)
    await login(app)
    expect(auth.stats()).toMatchObject({ created: 2, active: 2, lastCleanup: null })
    await request(app).get('/logout').set('Cookie', cookie)
    expect(auth.stats()).toMatchObject({ destroyed: 1, active: 1 })
  }
})

it('stats() counts no end of a session that was never stored, and a rotated one as the one that it is', async () => {
  const auth = sessions({ secret, store: plainStore() })
  const app = appWith(auth, {
    ...basics,
    '/login': async (req, res) => {
      await req.session.regenerate()
      req.session.user = 'ann'
      res.send('in')
    },
    '/rotate': async (req, res) => {
      await req.session.regenerate({ keep: true, grace: Number(req.query.grace) })
      res.send('rotated')
    }
  })
  let cookie = ''
  const visit = async (path: string) =>
    (cookie = cookieOf(await request(app).get(path).set('Cookie', cookie)) ?? cookie)
  await visit('/logout')
  expect(auth.stats()).toMatchObject({ created: 0, destroyed: 0, active: 0 })
  await visit('/login')
  expect(auth.stats()).toMatchObject({ created: 1, destroyed: 0, active: 1 })
  for (const path of ['/rotate?grace=0', '/rotate?grace=1000', '/login']) {
    await visit(path)
    expect(auth.stats()).toMatchObject({ active: 1 })
  }
  await visit('/logout')
  expect(auth.stats()).toMatchObject({ created: 4, destroyed: 4, active: 0 })
})

it('stats() counts a rotation once that two requests ask for', async () => {
  const auth = sessions({ secret, store: plainStore() })
  const waiting: (() => void)[] = []
  const app = appWith(auth, {
    ...basics,
    '/rotate': async (req, res) => {
      await new Promise<void>((go) => waiting.push(go) === 2 && waiting.forEach((each) => each()))
      await req.session.regenerate({ keep: true, grace: 1000 })
      res.send(req.session.id)
    }
  })
  const cookie = await login(app)
  const rotate = () => request(app).get('/rotate').set('Cookie', cookie)
  const [one, other] = await Promise.all([rotate(), rotate()])
  expect(one.text).toBe(other.text)
  expect(auth.stats()).toMatchObject({ active: 1 })
})

it('stats() asks no database', () => {
  const database = openSqlite(':memory:')
  const auth = sessions({ secret, store: new SqliteStore({ database }) })
  database.close()
  expect(auth.stats()).toMatchObject({ active: 0 })
})

it.each([
  ['MemoryStore', () => new MemoryStore()],
  ['SqliteStore', () => new SqliteStore({ path: ':memory:' })]
])('get() tells until when a %s keeps a session that others have stored', async (_name, open) => {
  const store = open()
  const expires = new Date(Date.now() + 60_000)
  store.set('other', { cookie: { originalMaxAge: 3_600_000, expires } })
  expect(await sessions({ secret, store }).get('other')).toMatchObject({ expiresAt: expires.valueOf() })
  await store.close()
})

describe('without a request', () => {
  // Sessions that begin without a request, by auth.create() or sessionCookie(), and options that ask the request.

  const OPTIONS: Record<string, SessionsOptions> = {
    'cookie by req.get()': { cookie: (req) => ({ path: req.get('x-base') ?? '/' }) },
    'cookie by req.headers': { cookie: (req) => ({ secure: req.headers.origin?.startsWith('https:') ?? false }) },
    'cookie by req.socket': { cookie: (req) => ({ secure: req.socket.encrypted === true }) },
    'genid by req.get()': { genid: (req) => `${req.get('x-region') ?? 'eu'}-${Math.random().toString(36).slice(2)}` },
    'extend by req.get()': { extend: (req) => req.get('x-poll') === undefined }
  }

  it.each(Object.keys(OPTIONS))('%s finds no header', async (name) => {
    const { auth, visit } = openToAgents(OPTIONS[name]!)
    const { id } = await auth.create({ user: 'ann' })
    expect((await auth.get(id))?.data).toEqual({ user: 'ann' })
    expect((await visit('/read', await sessionCookie(auth, { user: 'ann' }))).body).toEqual({ user: 'ann' })
  })

  it.each<[string, SessionsOptions]>([
    ['cookie', { cookie: (req) => ({ domain: req.hostname.replace('www.', '') }) }],
    ['genid', { genid: (req) => req.hostname.replace('.', '-') }],
    ['genid', { genid: async (req) => req.hostname.replace('.', '-') }]
  ])('a function %s that cannot do without says so', async (option, options) => {
    const { auth } = openToAgents(options)
    for (const attempt of [auth.create({}), sessionCookie(auth)]) {
      const err = await attempt.catch((reason) => reason)
      expect(err).toMatchObject({ name: 'SessionError', code: 'ERR_SESSION_OPTION', cause: expect.any(TypeError) })
      expect(err.message).toContain(option)
    }
  })
})

describe('sessionCookie()', () => {
  it.each(['MemoryStore', 'FileStore', 'RedisStore on node-redis 6'])(
    'a test is logged in by one line on %s',
    async (name) => {
      const open = await OWN_STORES[name]!()
      try {
        const auth = sessions<any>({ secret, store: open.store })
        const cookie = await sessionCookie(auth, { user: 'ann' })
        expect((await request(appWith(auth, membership)).get('/read').set('Cookie', cookie)).body).toBe('ann')
      } finally {
        await open.close()
      }
    }
  )
})

describe.each<[string, (options?: object) => any]>([
  ['sessions()', (options) => sessions<any>({ secret, ...options })],
  ['the drop-in door', (options) => session({ secret, resave: false, saveUninitialized: false, ...options })],
  [
    'the drop-in door, faults with codes',
    (options) => session({ secret, resave: false, saveUninitialized: false, onStoreError: 'fail', ...options })
  ]
])('a mistake of the application is told as one, and not as an outage, behind %s:', (door, open) => {
  const userId = (session: any) => session.user
  const refused = async (
    work: Promise<unknown> | (() => Promise<unknown>),
    message: RegExp,
    code = 'ERR_SESSION_OPTION'
  ) => {
    const err = await (typeof work === 'function' ? Promise.resolve().then(work) : work).then(
      String,
      (reason) => reason
    )
    expect([err.code, err.kind, err.message]).toEqual([code, 'usage', expect.stringMatching(message)])
  }

  it.each<[unknown]>([[undefined], [null], [5], ['sid=x']])('auth.open(%p)', async (req) => {
    await refused(open().open(req), /^auth\.open\(\): `req` must be a request, got /)
  })

  it.each<[unknown]>([[undefined], [null], [5], [{}], [['x']]])('auth.destroy(%p), which ends nothing', async (id) => {
    await refused(open().destroy(id), /^auth\.destroy\(\): `id` must be a session ID, got /)
  })

  it('without the text that was given: it may hold a session, or its cookie', async () => {
    await refused(open().open('sid=x'), /must be a request, got a string$/)
    await refused(open().create('{"user":"ann"}'), /must be an object, got a string$/)
  })

  it('auth.destroy() of a session in the place of its ID', async () => {
    const auth = open()
    await refused(auth.destroy(await auth.open({})), /got an object$/)
  })

  it.each<[unknown]>([['text'], [['x']], [5], [true]])('auth.create(%p)', async (data) => {
    await refused(open().create(data), /^auth\.create\(\): `data` must be an object, got /)
  })

  it('auth.create() of data that cannot be read', async () => {
    const auth = open()
    const fail = () => {
      throw new Error('mine')
    }
    const proxy = new Proxy({}, { ownKeys: fail })
    for (const data of [Object.defineProperty({}, 'a', { enumerable: true, get: fail }), proxy]) {
      await refused(auth.create(data), /cannot be read/, 'ERR_SESSION_UNSERIALIZABLE')
    }
    expect(auth.stats()).toMatchObject({ created: 0, errors: 0 })
  })

  it('auth.create() takes frozen data, such without a prototype, and none', async () => {
    const auth = open()
    for (const data of [Object.freeze({ a: 1 }), Object.assign(Object.create(null), { a: 1 })]) {
      expect((await auth.create(data, null)).data).toEqual({ a: 1 })
    }
    expect((await auth.create(undefined)).data).toEqual({})
  })

  it.each(['id', 'req', 'save', 'reload', 'touch', 'resetMaxAge', 'destroy', 'regenerate'])(
    'auth.create() of data named %s, where no request would find it',
    async (name) => {
      const auth = open()
      const made = auth.create({ [name]: 'mine' })
      if (door === 'sessions()') return expect((await made).data).toEqual({ [name]: 'mine' })
      await refused(made, new RegExp(`data named ${name} would be hidden`))
      expect(auth.stats().errors).toBe(0)
    }
  )

  it('a function among the options that throws', async () => {
    const fail = () => {
      throw new Error('mine')
    }
    const failing = open({ genid: fail })
    await expect(failing.open({})).rejects.toThrow('mine')
    expect(failing.stats().errors).toBe(1)
    await refused(open({ userId: fail }).create({}), /option userId threw/)
    const auth = open({ userId, store: new MemoryStore() })
    await auth.create({ user: 'ann' })
    await refused(auth.reindex({ onProgress: fail }), /option onProgress threw/)
    await refused(auth.reindex({ onProgress: 5 }), /option onProgress threw/)
    expect(auth.stats().errors).toBe(0)
  })

  it('update() and lock() without a function, regenerate() that is to keep what is no data', async () => {
    const auth = open()
    const opened = await auth.open({})
    opened.user = 'ann'
    await opened.save()
    await refused(
      () => update(opened, undefined as never),
      /session\.update\(\): `fn` must be a function, got undefined/
    )
    await refused(() => lock(opened, {} as never), /session\.lock\(\): `fn` must be a function, got an object/)
    expect(await lock(opened, () => 1, null as never)).toBe(1)
    await opened.regenerate({ keep: ['id', 'req', 'save', 'cookie', 'user'] })
    expect(auth.stats().errors).toBe(0)
  })

  it('null in the place of options, and of what no middleware is', async () => {
    const auth = open({ userId })
    await auth.create({ user: 'ann' }, null)
    expect(await auth.list('ann', null)).toHaveLength(1)
    expect(await auth.reindex(null)).toMatchObject({ total: 1 })
    expect(await auth.revoke('ann', null)).toBe(1)
    expect(infoOf(await auth.open({}, null)).signal).toBeDefined()
    for (const none of [undefined, null, {}, 5]) {
      await refused(() => sessionCookie(none as never), /needs the middleware/)
      await refused(() => sessionOf(none as never, ''), /needs the middleware/)
      await refused(async () => metricsOf(none as never), /needs the middleware/)
    }
  })

  it('and a fault of the store as one, with a status, and counted once', async () => {
    const store = plainStore()
    const auth = open({ store })
    const opened = await auth.open({})
    opened.user = 'ann'
    for (const verb of ['get', 'set', 'destroy'])
      store[verb] = (...args: any[]) => setImmediate(args.at(-1), new Error('down'))
    for (const work of [() => opened.save(), () => auth.create({ a: 1 })]) {
      const before = auth.stats().errors
      await expect(work()).rejects.toMatchObject({ code: 'ERR_SESSION_STORE', status: 500, cause: new Error('down') })
      expect(auth.stats().errors - before).toBe(1)
    }
  })
})
