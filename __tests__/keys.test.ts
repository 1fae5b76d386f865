import request from 'supertest'
import session, { CookieStore, generateKey, MemoryStore, sessions } from '../lib/index'
import { appWith, cookieOf } from './helpers/app'
import { basics, login, read, visit, visitWith } from './helpers/basics'
import { plainStore } from './helpers/classic'
import { Clock } from './helpers/clock'

describe('keys', () => {
  const [older, newer] = ['o'.repeat(32), 'n'.repeat(32)]

  it('accepts an older key and re-issues, also for a reader; refuses a removed one', async () => {
    const store = new MemoryStore()
    const cookie = await login(appWith(sessions({ secret: older, store }), basics))
    const app = appWith(sessions({ secret: [newer, older], store }), basics)
    const res = await read(app, cookie)
    expect(res.body.data).toEqual({ user: 'u' })
    const renewed = cookieOf(res)!
    expect(renewed).not.toBe(cookie)
    const last = appWith(sessions({ secret: newer, store }), basics)
    expect((await read(last, renewed)).body.data).toEqual({ user: 'u' })
    expect((await read(last, cookie)).body.code).toBe('ERR_SESSION_SIGNATURE')
  })

  it('follows the secret array as it changes', async () => {
    const list = [older]
    const app = appWith(sessions({ secret: list }), basics)
    const cookie = await login(app)
    list.unshift(newer)
    expect((await read(app, cookie)).body.isNew).toBe(false)
    list.pop()
    expect((await read(app, cookie)).body.isNew).toBe(true)
  })
})

describe.each<[string, (secrets: unknown[]) => unknown]>([
  ['emptied', (secrets) => secrets.splice(0)],
  ['given undefined', (secrets) => secrets.unshift(undefined)],
  ['given null behind the others', (secrets) => secrets.push(null)],
  ['given a number', (secrets) => (secrets[0] = 5)],
  ['given an object', (secrets) => secrets.push({})],
  ['given an empty text', (secrets) => secrets.push('')],
  ['given what set-up refuses', (secrets) => secrets.push('keyboard cat'.repeat(3))]
])('a live list of secrets that is %s', (_what, spoil) => {
  it.each<[string, () => object]>([
    ['MemoryStore', () => new MemoryStore()],
    ['CookieStore', () => new CookieStore()],
    ['a store from npm', () => plainStore()]
  ])('is told to every request, and heals, over %s', async (_store, open) => {
    const secrets = ['o'.repeat(32)] as unknown[]
    const auth = sessions<any>({ secret: secrets as string[], store: open() as never })
    const app = appWith(auth, basics)
    const cookie = await login(app)
    const kept = [...secrets]
    spoil(secrets)
    for (const [path, sent] of [
      ['/nothing', ''],
      ['/write?user=x', ''],
      ['/nothing', cookie],
      ['/read', cookie],
      ['/read', 'sid=forged']
    ] as const) {
      const res = await visit(app, path, sent)
      expect([res.status, res.body.code, cookieOf(res)]).toEqual([500, 'ERR_SESSION_OPTION', undefined])
      expect(res.body.message).toMatch(/^The array that was given as secret has been changed, and cannot be used/)
    }
    expect(auth.stats()).toMatchObject({ errors: 5, keys: [{}] })
    secrets.splice(0, secrets.length, ...kept)
    expect((await read(app, cookie)).body.data).toEqual({ user: 'u' })
  })

  it('crashes no server without Express', () => {
    const secrets = ['o'.repeat(32)] as unknown[]
    const auth = sessions({ secret: secrets as string[], load: 'lazy' })
    spoil(secrets)
    const next = jest.fn()
    auth({ headers: { cookie: 'sid=forged' } } as never, {} as never, next)
    expect(next.mock.calls).toEqual([[expect.objectContaining({ code: 'ERR_SESSION_OPTION' })]])
  })

  it('spoils the session that a request has begun before, and not its cookie', async () => {
    const secrets = ['o'.repeat(32)] as unknown[]
    const res = await visitWith(sessions({ secret: secrets as string[] }), (req, res) => {
      req.session.user = 'ann'
      spoil(secrets)
      res.send('in')
    })
    expect([res.status, res.body.code]).toEqual([500, 'ERR_SESSION_OPTION'])
    expect(res.body.message).toMatch(/^The array that was given as secret/)
  })
})

describe('a live list of secrets behind the drop-in door', () => {
  it('is told of in named sessions, where express-session says nothing', async () => {
    for (const wrong of [undefined, 5, {}]) {
      const secrets = ['o'.repeat(32)] as unknown[]
      const auth = session({ secret: secrets as string[], resave: false, saveUninitialized: false })
      secrets[0] = wrong
      const res = await visitWith(auth, async (req, res) => {
        Object.assign(await req.sessions.get('cart'), { item: 1 })
        res.send('in')
      })
      expect([res.status, res.body.code]).toEqual([500, 'ERR_SESSION_OPTION'])
    }
  })
})

describe('a session in its cookie', () => {
  it('survives key rotation, also when it is only read', async () => {
    const [older, newer] = ['o'.repeat(32), 'n'.repeat(32)]
    const store = new CookieStore()
    const cookie = await login(appWith(sessions({ secret: older, store }), basics))
    const res = await read(appWith(sessions({ secret: [newer, older], store }), basics), cookie)
    expect(res.body.data).toEqual({ user: 'u' })
    expect((await read(appWith(sessions({ secret: newer, store }), basics), cookieOf(res))).body.data).toEqual({
      user: 'u'
    })
  })
})

const routes = {
  '/login': (req: any, res: any) => {
    req.session.user = req.query.user
    res.send('in')
  },
  '/read': (req: any, res: any) => res.json(req.session.user ?? null)
}

let clock: Clock | undefined

afterEach(() => {
  clock?.restore()
  clock = undefined
})

describe.each([
  ['on the server', () => new MemoryStore()],
  ['in the cookie', () => new CookieStore()]
])('key rotation with sessions %s', (_where, makeStore) => {
  it('logs nobody out under traffic, and moves every cookie to the newest key in one visit', async () => {
    const secret = [generateKey()]
    const store = makeStore()
    const server = appWith(sessions({ secret, store }), routes).listen(0)
    const users = Array.from({ length: 20 }, (_, i) => `user-${i}`)
    const cookies = new Map<string, string>()
    const visits = new Map<string, number>()
    let running = true
    const wrong: unknown[] = []
    const visit = async (user: string) => {
      const res = await request(server).get('/read').set('Cookie', cookies.get(user)!)
      if (res.body !== user) wrong.push([user, res.body])
      cookies.set(user, cookieOf(res) ?? cookies.get(user)!)
      visits.set(user, (visits.get(user) ?? 0) + 1)
    }
    const browse = async (user: string) => {
      while (running) await visit(user)
    }
    try {
      for (const user of users) cookies.set(user, cookieOf(await request(server).get(`/login?user=${user}`))!)
      const browsing = users.map(browse)
      for (let round = 0; round < 5; round++) {
        secret.unshift(generateKey())
        const before = new Map(visits)
        // Two more visits: the one under way may have begun before the rotation.
        while (users.some((user) => (visits.get(user) ?? 0) < (before.get(user) ?? 0) + 2)) {
          await new Promise((resolve) => setImmediate(resolve))
        }
        secret.pop()
      }
      running = false
      await Promise.all(browsing)
      expect(wrong).toEqual([])
      const alone = appWith(sessions({ secret: secret[0]!, store }), routes)
      for (const user of users) {
        expect((await request(alone).get('/read').set('Cookie', cookies.get(user)!)).body).toBe(user)
      }
    } finally {
      running = false
      server.close()
    }
  })

  it('tells in stats() when each key last verified a cookie, and never the key', async () => {
    clock = new Clock()
    const [older, newer] = [generateKey(), generateKey()]
    const secret = [older]
    const auth = sessions({ secret, store: makeStore() })
    const app = appWith(auth, routes)
    const login = async (user: string) => cookieOf(await request(app).get(`/login?user=${user}`))!
    const read = (cookie: string) => request(app).get('/read').set('Cookie', cookie)
    const [often, seldom] = [await login('often'), await login('seldom')]
    expect(auth.stats().keys).toEqual([{ lastUsedAt: null }])
    await read(often)
    const first = clock.now
    expect(auth.stats().keys).toEqual([{ lastUsedAt: first }])

    secret.unshift(newer)
    expect(auth.stats().keys).toEqual([{ lastUsedAt: null }, { lastUsedAt: first }])
    clock.forward(1000)
    const moved = cookieOf(await read(often))!
    expect(auth.stats().keys).toEqual([{ lastUsedAt: null }, { lastUsedAt: first + 1000 }])
    clock.forward(1000)
    await read(moved)
    expect(auth.stats().keys).toEqual([{ lastUsedAt: first + 2000 }, { lastUsedAt: first + 1000 }])
    clock.forward(1000)
    expect((await read(seldom)).body).toBe('seldom')
    await read('sid=forged')
    expect(auth.stats().keys).toEqual([{ lastUsedAt: first + 2000 }, { lastUsedAt: first + 3000 }])
    expect(JSON.stringify(auth.stats())).not.toMatch(new RegExp(`${older}|${newer}`))
  })
})
