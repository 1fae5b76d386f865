import diagnostics from 'node:diagnostics_channel'
import { createClient } from 'redis'
import request from 'supertest'
import { FileStore, MemoryStore, sessions } from '../../lib/index'
import { RedisStore } from '../../lib/redis'
import { appWith, cookieOf, secret } from '../helpers/app'
import { classicApp, plainStore, ROUTES, visit as visitClassic } from '../helpers/classic'
import { Clock } from '../helpers/clock'
import { TestFolder } from '../helpers/folder'
import { RedisServer } from '../helpers/redis-server'

const basics = {
  '/login': (req: any, res: any) => {
    req.session.user = 'u'
    res.send('in')
  },
  '/read': (req: any, res: any) => {
    const { cookie: _cookie, ...data } = req.session
    res.json({ data, isNew: req.session.isNew, code: req.session.error?.code })
  },
  '/logout': async (req: any, res: any) => {
    await req.session.destroy()
    res.send('out')
  }
}

const login = async (app: any) => cookieOf(await request(app).get('/login'))!
const visit = (app: any, path: string, cookie = '') => request(app).get(path).set('Cookie', cookie)
const read = async (app: any, cookie: string) => (await visit(app, '/read', cookie)).body

let clock: Clock | undefined
afterEach(() => {
  clock?.restore()
  clock = undefined
  jest.restoreAllMocks()
})

describe('refuses a lifetime that no browser understands where it is assigned:', () => {
  it.each<[string, (cookie: any) => void]>([
    ['maxAge NaN', (cookie) => (cookie.maxAge = NaN)],
    ['maxAge 1e20', (cookie) => (cookie.maxAge = 1e20)],
    ['maxAge Infinity', (cookie) => (cookie.maxAge = Infinity)],
    ['a text as maxAge', (cookie) => (cookie.maxAge = '60000')],
    ['an invalid date', (cookie) => (cookie.expires = new Date(NaN))],
    ['a text as date', (cookie) => (cookie.expires = 'tomorrow')]
  ])('%s', async (_name, assign) => {
    const app = appWith(sessions({ secret }), {
      ...basics,
      '/assign': (req, res) => {
        req.session.changed = true
        assign(req.session.cookie)
        res.send('assigned')
      }
    })
    const res = await visit(app, '/assign', await login(app))
    expect(res.status).toBe(500)
    expect(res.body.message).toMatch(/maxAge|expires/)
    expect(cookieOf(res)).toBeUndefined()
  })
})

describe('blames the application for an attribute that cannot be sent, not the store:', () => {
  const bad: [string, (cookie: any) => void, string][] = [
    ['domain', (cookie) => (cookie.domain = 'SECRET\r\nb'), 'domain'],
    ['path', (cookie) => (cookie.path = '/;SECRET'), 'path'],
    ['sameSite', (cookie) => (cookie.sameSite = 'SECRET'), 'sameSite'],
    ['a number as sameSite', (cookie) => (cookie.sameSite = 5), 'sameSite'],
    ['priority', (cookie) => (cookie.priority = 'SECRET'), 'priority'],
    ['the last date there is', (cookie) => (cookie.expires = new Date(8.64e15)), 'maxAge|expires'],
    ['a text as originalMaxAge', (cookie) => (cookie.originalMaxAge = 'SECRET'), 'axAge']
  ]

  it.each(bad)('%s', async (_name, assign, attribute) => {
    const store = new MemoryStore()
    const app = appWith(sessions({ secret, store }), {
      ...basics,
      '/assign': (req, res) => {
        req.session.changed = true
        assign(req.session.cookie)
        res.send('assigned')
      },
      '/save': async (req, res) => {
        req.session.changed = true
        assign(req.session.cookie)
        await req.session.save()
        res.send('saved')
      }
    })
    const cookie = await login(app)
    for (const path of ['/assign', '/save']) {
      for (const sent of [cookie, '']) {
        const res = await visit(app, path, sent)
        expect([path, res.status, res.body.code, cookieOf(res)]).toEqual([path, 500, 'ERR_SESSION_OPTION', undefined])
        expect(res.body.message).toMatch(new RegExp(attribute))
        expect(res.body.message).not.toContain('SECRET')
      }
    }
    expect(store.ids()).toHaveLength(1)
    expect((await read(app, cookie)).data).toEqual({ user: 'u' })
  })
})

describe('answers 500 for a value that has no JSON, and names its key, wherever it was assigned:', () => {
  const bad: Record<string, (req: any, res: any) => unknown> = {
    '/handler': (req, res) => {
      req.session.big = 1n
      res.send('x')
    },
    '/async': async (req, res) => {
      await new Promise((resolve) => setImmediate(resolve))
      req.session.big = 1n
      res.send('x')
    },
    '/timer': (req, res) => {
      void req.session.user
      setTimeout(() => {
        req.session.big = 1n
        res.send('x')
      })
    }
  }
  it.each(Object.keys(bad))('%s', async (path) => {
    const app = appWith(sessions({ secret }), { ...basics, ...bad })
    const cookie = await login(app)
    const res = await visit(app, path, cookie)
    expect([res.status, res.body.code]).toEqual([500, 'ERR_SESSION_UNSERIALIZABLE'])
    expect(res.body.message).toContain('session.big')
    expect(await read(app, cookie)).toEqual({ data: { user: 'u' }, isNew: false })
  })
})

describe('toJSON', () => {
  const appOf = (assign: (session: any) => void) =>
    appWith(sessions({ secret }), {
      ...basics,
      '/assign': (req, res) => {
        assign(req.session)
        res.send('x')
      }
    })

  it.each<[string, unknown, object]>([
    ['of a text', () => 'short', { value: 'short' }],
    ['of nothing', () => undefined, {}],
    ['of null', () => null, { value: null }],
    ['of a list', () => [1], { value: [1] }]
  ])('%s: what is stored is what loads', async (_name, toJSON, data) => {
    const app = appOf(
      (session) =>
        (session.value = new (class {
          toJSON = toJSON
        })())
    )
    const cookie = await login(app)
    expect((await visit(app, '/assign', cookie)).status).toBe(200)
    expect((await read(app, cookie)).data).toEqual({ user: 'u', ...data })
  })

  it('of the session itself is refused, and the session before stays', async () => {
    const app = appOf((session) => (session.toJSON = () => 'x'))
    const cookie = await login(app)
    const res = await visit(app, '/assign', cookie)
    expect([res.status, res.body.code]).toEqual([500, 'ERR_SESSION_UNSERIALIZABLE'])
    expect(res.body.message).toContain('toJSON')
    expect((await read(app, cookie)).data).toEqual({ user: 'u' })
  })
})

it('tells once in development, with its path, of a value that JSON changes', async () => {
  const values = {
    date: new Date(),
    map: new Map([[1, 2]]),
    set: new Set([1]),
    nothing: undefined,
    nan: NaN,
    minusZero: -0,
    bytes: Buffer.from('x'),
    fn: () => 1
  }
  const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
  const app = appWith(sessions({ secret }), {
    '/': (req, res) => {
      req.session.lossy = { deep: { ...values } }
      res.send('x')
    }
  })
  for (let i = 0; i < 2; i++) await visit(app, '/')
  const told = warned.mock.calls.map(([message, options]) => [
    /^session\.lossy\.deep\.(\w+) is /.exec(String(message))?.[1],
    (options as { code: string }).code
  ])
  expect(told).toEqual(Object.keys(values).map((key) => [key, 'SILVERBACK_LOSSY']))
})

describe('the cookie of a session', () => {
  it.each([null, undefined, 'x', 5])('cannot be replaced by %j', async (value) => {
    const app = appWith(sessions({ secret }), { '/': (req) => (req.session.cookie = value) })
    const res = await visit(app, '/')
    expect([res.status, res.body.code]).toEqual([500, 'ERR_SESSION_OPTION'])
    expect(res.body.message).toMatch(/change its attributes instead/)
  })
})

it('gives a new ID for a key of another type in Redis, and leaves that alone, at logout too', async () => {
  const server = await RedisServer.start()
  const client = createClient({ url: server.url })
  try {
    await client.connect()
    const app = appWith(sessions({ secret, store: new RedisStore({ client }) }), basics)
    const cookie = await login(app)
    const key = `sess:${cookie.slice(4).split('.')[0]}`
    await client.del(key)
    await client.hSet(key, 'field', 'value')
    expect(await read(app, cookie)).toEqual({ data: {}, isNew: true, code: expect.stringMatching(/MISSING|CORRUPT/) })
    const renewed = await visit(app, '/login', cookie)
    expect(renewed.status).toBe(200)
    expect(cookieOf(renewed)!.split('.')[0]).not.toBe(cookie.split('.')[0])
    expect((await visit(app, '/logout', cookie)).status).toBe(200)
    expect(await client.hGetAll(key)).toEqual({ field: 'value' })
  } finally {
    client.destroy()
    await server.stop()
  }
})

describe('a corrupt record, behind the drop-in door:', () => {
  const stores: Record<string, () => { store: object; damage(text: string): void; texts(): string[] }> = {
    'a store from npm': () => {
      const store = plainStore()
      const { texts } = store
      return {
        store,
        damage: (text) => texts.forEach((_text: string, id: string) => texts.set(id, text)),
        texts: () => [...texts.values()]
      }
    },
    MemoryStore: () => {
      const store = new MemoryStore()
      return {
        store,
        damage: (text) => Object.keys(store.sessions).forEach((id) => (store.sessions[id] = text)),
        texts: () => Object.values(store.sessions) as string[]
      }
    }
  }

  const damaged = Object.keys(stores).flatMap((name) =>
    ['5', 'true', '"abc"', '[]', '[{"cookie":{}}]'].map((text) => [name, text] as const)
  )
  it.each(damaged)('%s with the record %s: a new session, and it is left alone', async (name, text) => {
    const { store, damage, texts } = stores[name]!()
    const app = classicApp({ store }, ROUTES)
    const { cookie } = await visitClassic(app, '/login')
    damage(text)
    const seen = await visitClassic(app, '/who', cookie)
    expect([seen.status, seen.body.user]).toEqual([200, undefined])
    expect(cookie).not.toContain(seen.body.id)
    const renewed = await visitClassic(app, '/login', cookie)
    expect((await visitClassic(app, '/who', renewed.cookie)).body.user).toBe('ann')
    expect(texts()).toEqual([text, expect.stringContaining('ann')])
  })

  it.each(Object.keys(stores))(
    '%s with an object that has no cookie: an error, as in express-session',
    async (name) => {
      const { store, damage } = stores[name]!()
      const app = classicApp({ store }, ROUTES)
      const { cookie } = await visitClassic(app, '/login')
      damage('{"user":"ann"}')
      const res = await visitClassic(app, '/who', cookie)
      expect([res.status, res.body.message]).toEqual([500, expect.stringContaining("reading 'expires'")])
    }
  )
})

describe('a record past its deadline', () => {
  const limits = [
    { idle: 10_000, absolute: null },
    { idle: null, absolute: 10_000 }
  ]

  // Written under other options, so that the store itself would keep it.
  async function expectOver(store: any): Promise<void> {
    for (const limit of limits) {
      clock = new Clock()
      const app = appWith(sessions({ secret, store }), basics)
      const strict = appWith(sessions({ secret, store, ...limit }), basics)
      const [cookie, polled] = [await login(app), await login(app)]
      clock.forward(9_000)
      expect((await read(strict, polled)).data).toEqual({ user: 'u' })
      clock.forward(1_001)
      const over = { data: {}, isNew: true, code: 'ERR_SESSION_EXPIRED' }
      expect(await read(strict, cookie)).toEqual(over)
      expect((await read(app, cookie)).code).toBe('ERR_SESSION_MISSING')
      if (limit.idle === null) expect(await read(strict, polled)).toEqual(over)
      else expect((await read(strict, polled)).data).toEqual({ user: 'u' })
      clock.restore()
      clock = undefined
    }
  }

  it('that we wrote ourselves is refused and destroyed, whatever MemoryStore says', () => expectOver(new MemoryStore()))

  it('that we wrote ourselves is refused and destroyed, whatever FileStore says', async () => {
    const folder = new TestFolder()
    const store = new FileStore({ path: folder.path })
    await expectOver(store)
    await store.close()
    folder.remove()
  })

  it('that we wrote ourselves is refused and destroyed, whatever Redis says', async () => {
    const server = await RedisServer.start()
    const client = createClient({ url: server.url })
    const serializer = { stringify: JSON.stringify, parse: JSON.parse }
    try {
      await client.connect()
      for (const options of [{}, { disableTTL: true }, { serializer }, { serializer, disableTTL: true }]) {
        await expectOver(new RedisStore({ client, ...options }))
      }
    } finally {
      client.destroy()
      await server.stop()
    }
  })

  it('of a foreign store is one by our own metadata, not by its stale cookie.expires', async () => {
    clock = new Clock()
    const store = new (require('express-session').MemoryStore)()
    // As connect-redis does: the store's own TTL is extended, the record is not.
    store.touch = (_id: string, _session: object, done: () => void) => done()
    const kept = store.get.bind(store)
    store.get = (id: string, done: any) => {
      const text = store.sessions[id]
      if (text === undefined) kept(id, done)
      else setImmediate(done, null, JSON.parse(text))
    }
    const options = { secret, store, idle: null, absolute: 100_000, cookie: { maxAge: 10_000 } }
    const app = appWith(sessions(options), basics)
    const cookie = await login(app)
    clock.forward(50_000)
    expect((await read(app, cookie)).data).toEqual({ user: 'u' })
    clock.forward(50_001)
    expect((await read(app, cookie)).code).toBe('ERR_SESSION_EXPIRED')
    expect(store.sessions).toEqual({})
  })
})

describe('the record of another session', () => {
  const stores: Record<string, () => object> = {
    RedisStore: () => new RedisStore({ client }),
    'connect-redis': () => new (require('connect-redis').RedisStore)({ client }),
    'the MemoryStore of express-session': () => new (require('express-session').MemoryStore)(),
    'a store that answers by promise': () => {
      const records = new Map<string, string>()
      return {
        get: async (id: string) => JSON.parse(records.get(id) ?? 'null'),
        set: async (id: string, record: object) => void records.set(id, JSON.stringify(record)),
        destroy: async (id: string) => void records.delete(id)
      }
    }
  }
  let server: RedisServer
  let client: ReturnType<typeof createClient>

  beforeAll(async () => {
    server = await RedisServer.start()
    client = createClient({ url: server.url })
    await client.connect()
  })

  afterAll(async () => {
    client.destroy()
    await server.stop()
  })

  it.each(Object.entries(stores))('is refused, and an alarm: %s', async (_name, make) => {
    const alarms: any[] = []
    const note = (message: unknown) => alarms.push(message)
    diagnostics.subscribe('silverback:error', note)
    try {
      const store: any = make()
      const app = appWith(sessions({ secret, store }), basics)
      const [mine, other] = [await login(app), await login(app)]
      // A reply that was meant for another request. Our own store is not asked by its contract.
      const [id, otherId] = [mine, other].map((cookie) => cookie.slice(4).split('.')[0]!)
      if (store instanceof RedisStore) {
        await client.set(`sess:${id}`, (await client.get(`sess:${otherId}`))!)
      } else {
        const get = store.get.bind(store)
        store.get = (asked: string, done: unknown) => get(asked === id ? otherId : asked, done)
      }
      expect(await read(app, mine)).toEqual({ data: {}, isNew: true, code: 'ERR_SESSION_CORRUPT' })
      expect(alarms).toEqual([{ name: 'sid', session: expect.any(String), reason: 'FOREIGN_RECORD' }])
      expect((await read(app, other)).data).toEqual({ user: 'u' })
    } finally {
      diagnostics.unsubscribe('silverback:error', note)
    }
  })
})

describe('data nested as deeply as a request body can be', () => {
  const nested = (depth: number) => JSON.parse('['.repeat(depth) + ']'.repeat(depth))
  const depthOf = (value: unknown) => {
    let depth = 0
    for (let at = value; Array.isArray(at); at = at[0]) depth++
    return depth
  }

  it.each([500, 1500, 2500, 3500, 4500, 6000, 20_000])(
    '%d levels are refused when they are saved, or can be read and changed ever after',
    async (depth) => {
      const auth = sessions({ secret })
      const app = appWith(auth, {
        '/save': (req, res) => {
          req.session.deep = nested(depth)
          res.send('saved')
        },
        '/depth': (req, res) => res.json(depthOf(req.session.deep)),
        '/write': (req, res) => {
          req.session.n = 1
          res.json(depthOf(req.session.deep))
        }
      })
      const saved = await visit(app, '/save')
      if (saved.status !== 200) {
        expect([saved.status, saved.body.code]).toEqual([500, 'ERR_SESSION_UNSERIALIZABLE'])
        return
      }
      const cookie = cookieOf(saved)!
      for (const path of ['/depth', '/write', '/depth']) {
        const res = await visit(app, path, cookie)
        expect([res.status, res.body]).toEqual([200, depth])
      }
      const id = cookie.slice('sid='.length).split('.')[0]!
      expect((await auth.get(id))!.data).toMatchObject({ n: 1 })
      await auth.destroy(id)
      expect(await auth.get(id)).toBeNull()
    }
  )
})
