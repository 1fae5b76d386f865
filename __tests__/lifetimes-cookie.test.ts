import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import request from 'supertest'
import session, { infoOf, sessions } from '../lib/index'
import { appWith, cookieOf, secret } from './helpers/app'
import { faultApp, type FaultApp } from './helpers/fault-app'
import { TimedStores } from './helpers/timed-stores'
import { HOUR } from './helpers/times'

const OURS = ['MemoryStore', 'FileStore', 'RedisStore', 'RedisStore with a serializer', 'CookieStore']

const classic = { resave: false, saveUninitialized: false }

const stores = new TimedStores()

/** A client that keeps its cookie whatever that says about its end. */
function thiefOf(app: FaultApp, first: string) {
  let cookie = first
  return {
    async read() {
      const res = await app.get('/read', cookie)
      const sent = cookieOf(res)
      if (sent !== undefined && sent !== 'sid=') cookie = sent
      return { user: res.body.user, sent: sent !== undefined }
    }
  }
}

describe.each(OURS)('a lifetime of the cookie, in %s,', (name) => {
  const open = (options: object) => faultApp({ store: stores.open(name), touchAfter: 1000, absolute: null, ...options })

  it.each<[string, object]>([
    ['ends a session that is idle for so long, also where idle would be longer', { cookie: { maxAge: HOUR } }],
    ['gives way to an idle that was set on purpose', { cookie: { maxAge: 72 * HOUR }, idle: HOUR }],
    ['counts where there is no idle at all', { cookie: { maxAge: HOUR }, idle: null }]
  ])('%s', async (_what, options) => {
    const app = open(options)
    const thief = thiefOf(app, await app.login())
    for (let i = 0; i < 3; i++) {
      await stores.forward(HOUR / 2)
      expect(await thief.read()).toEqual({ user: 'ann', sent: true })
    }
    await stores.forward(HOUR + 1000)
    expect((await thief.read()).user).toBeNull()
  })

  it('keeps a session that is used, where idle was left alone and would be shorter', async () => {
    const app = open({ cookie: { maxAge: 72 * HOUR } })
    const visitor = thiefOf(app, await app.login())
    for (const hours of [12, 12, 12, 12, 12, 12, 12, 48]) {
      await stores.forward(hours * HOUR)
      expect(await visitor.read()).toEqual({ user: 'ann', sent: true })
    }
    await stores.forward(72 * HOUR + 1000)
    expect((await visitor.read()).user).toBeNull()
  })
})

describe.each(OURS)('an extension, in %s,', (name) => {
  it('is counted and published as one, once each', async () => {
    const auth = sessions<any>({ secret, store: stores.open(name), idle: HOUR, touchAfter: 1000 })
    const app = appWith(auth, {
      '/login': (req, res) => res.json((req.session.user = 'ann')),
      '/read': (req, res) => res.json(req.session.user ?? null),
      '/none': (_req, res) => res.json(null)
    })
    const told: unknown[] = []
    const listen = (message: unknown) => told.push(message)
    subscribe('silverback:touched', listen)
    try {
      let cookie = cookieOf(await request(app).get('/login'))!
      const ask = async (path: string) => {
        cookie = cookieOf(await request(app).get(path).set('Cookie', cookie)) ?? cookie
      }
      for (const path of ['/read', '/none', '/read']) {
        await ask(path)
        await stores.forward(2000)
        await ask(path)
        await ask(path)
      }
      expect(auth.stats()).toMatchObject({ created: 1, saved: 1, touched: 3 })
      expect(told).toEqual([1, 2, 3].map(() => ({ name: 'sid', session: expect.any(String) })))
    } finally {
      unsubscribe('silverback:touched', listen)
    }
  })
})

// Outside of a request there is no cookie that could be extended.
it.each(OURS.filter((name) => name !== 'CookieStore'))('auth.extend() is an extension, too, in %s', async (name) => {
  const auth = sessions<any>({ secret, store: stores.open(name) })
  const { id } = await auth.create({ user: 'ann' })
  expect([await auth.extend(id), auth.stats().touched]).toEqual([true, 1])
  expect([await auth.extend('nobody'), auth.stats().touched]).toEqual([false, 1])
})

it.each(OURS)('session.cookie tells how long the session lives, also after an extension, in %s', async (name) => {
  const auth = sessions<any>({ secret, store: stores.open(name), cookie: { maxAge: HOUR }, touchAfter: 1000 })
  const app = appWith(auth, {
    '/login': (req, res) => res.json((req.session.user = 'ann')),
    '/read': (req, res) => res.json([req.session.cookie.maxAge, req.session.cookie.originalMaxAge])
  })
  let cookie = cookieOf(await request(app).get('/login'))!
  for (let i = 0; i < 3; i++) {
    await stores.forward(HOUR / 2)
    const res = await request(app).get('/read').set('Cookie', cookie)
    cookie = cookieOf(res) ?? cookie
    const [maxAge, original] = res.body
    expect(original).toBe(HOUR)
    expect(Math.abs(maxAge - HOUR / 2)).toBeLessThan(10_000)
  }
})

describe.each(['CookieStore', 'MemoryStore'])('behind the drop-in door, a copied cookie of %s', (name) => {
  it.each<[string, object]>([
    ['ends with its maxAge', {}],
    ['ends with its maxAge, under an absolute end', { absolute: 30 * 24 * HOUR }],
    ['ends with its maxAge when it was sent by rolling', { rolling: true }]
  ])('%s', async (_what, options) => {
    const store = stores.open(name)
    const door = session({ secret, name: 'sid', ...classic, store, cookie: { maxAge: HOUR }, ...options })
    const app = appWith(door, {
      '/login': (req, res) => res.json((req.session.user = 'ann')),
      '/read': (req, res) => res.json([req.session.user ?? null, infoOf(req.session).error?.code ?? null])
    })
    const cookie = cookieOf(await request(app).get('/login'))!
    const read = async () => (await request(app).get('/read').set('Cookie', cookie)).body
    await stores.forward(HOUR - 10_000)
    expect(await read()).toEqual(['ann', null])
    await stores.forward(HOUR + 1000)
    expect(await read()).toEqual([null, 'ERR_SESSION_EXPIRED'])
  })
})

describe('a session that lives for less than a minute by', () => {
  it.each<[string, object, object]>([
    ['idle', { idle: 20_000 }, {}],
    ['the cookie', { cookie: { maxAge: 20_000 } }, {}],
    ['idle of its own', {}, { idle: 20_000 }],
    ['a cookie of its own', {}, { cookie: { maxAge: 20_000 } }]
  ])('%s lives on while it is used', async (_by, main, own) => {
    const auth = sessions({ secret, ...main, named: { own } })
    const app = appWith(auth, {
      '/': async (req, res) => {
        const session = await req.sessions.get('own')
        const { isNew } = session
        if (isNew) session.user = 'ann'
        res.json(isNew)
      }
    })
    const first = await request(app).get('/')
    let cookie = cookieOf(first, 'own')!
    for (let i = 0; i < 5; i++) {
      stores.clock.forward(15_000)
      const res = await request(app).get('/').set('Cookie', cookie)
      cookie = cookieOf(res, 'own') ?? cookie
      expect(res.body).toBe(false)
    }
    stores.clock.forward(21_000)
    expect((await request(app).get('/').set('Cookie', cookie)).body).toBe(true)
  })
})
