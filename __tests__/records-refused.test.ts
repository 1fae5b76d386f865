import diagnostics from 'node:diagnostics_channel'
import { createClient } from 'redis'
import { FileStore, MemoryStore, sessions } from '../lib/index'
import { RedisStore } from '../lib/redis'
import { appWith, cookieOf, secret } from './helpers/app'
import { basics, bodyOf, login, read, visit } from './helpers/basics'
import { classicApp, plainStore, ROUTES, visit as visitClassic } from './helpers/classic'
import { Clock } from './helpers/clock'
import { TestFolder } from './helpers/folder'
import { RedisServer } from './helpers/redis-server'

describe('what a store answers', () => {
  it.each(['{"cookie":{', '42', '"s"', '[]', '{}', '{"cookie":"x"}', '\u0000\u00ff'])(
    'gives a new session for the corrupt record %j, which is left alone',
    async (text) => {
      const store = new MemoryStore()
      const app = appWith(sessions({ secret, store }), basics)
      const cookie = await login(app)
      const [id] = store.ids() as unknown as string[]
      const get = jest.spyOn(store, 'get').mockImplementation(((_id: string, callback: any) => {
        let record: unknown = text
        try {
          record = JSON.parse(text)
        } catch {
          // A store that hands out the text itself.
        }
        setImmediate(callback, null, record)
      }) as never)
      const res = await read(app, cookie)
      expect(res.body).toEqual({ data: {}, isNew: true, code: 'ERR_SESSION_CORRUPT' })
      get.mockRestore()
      expect(store.sessions[id!]).toBeDefined()
    }
  )

  it('refuses a record of another ID', async () => {
    const store = new MemoryStore()
    const auth = sessions({ secret, store })
    const app = appWith(auth, basics)
    const cookie = await login(app)
    const [id] = store.ids() as unknown as string[]
    store.sessions[id!] = store.sessions[id!]!.replace('"u":', '"u":').replace(/("c":\d+)/, '$1,"h":"of another one"')
    expect((await read(app, cookie)).body.code).toBe('ERR_SESSION_CORRUPT')
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
    expect(await bodyOf(app, cookie)).toEqual({ data: {}, isNew: true, code: expect.stringMatching(/MISSING|CORRUPT/) })
    const renewed = await visit(app, '/write?user=u', cookie)
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
      expect(await bodyOf(app, mine)).toEqual({ data: {}, isNew: true, code: 'ERR_SESSION_CORRUPT' })
      expect(alarms).toEqual([{ name: 'sid', session: expect.any(String), reason: 'FOREIGN_RECORD' }])
      expect((await bodyOf(app, other)).data).toEqual({ user: 'u' })
    } finally {
      diagnostics.unsubscribe('silverback:error', note)
    }
  })
})

describe('a record past its deadline', () => {
  let clock: Clock | undefined

  afterEach(() => {
    clock?.restore()
    clock = undefined
    jest.restoreAllMocks()
  })

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
      expect((await bodyOf(strict, polled)).data).toEqual({ user: 'u' })
      clock.forward(1_001)
      const over = { data: {}, isNew: true, code: 'ERR_SESSION_EXPIRED' }
      expect(await bodyOf(strict, cookie)).toEqual(over)
      expect((await bodyOf(app, cookie)).code).toBe('ERR_SESSION_MISSING')
      if (limit.idle === null) expect(await bodyOf(strict, polled)).toEqual(over)
      else expect((await bodyOf(strict, polled)).data).toEqual({ user: 'u' })
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
    expect((await bodyOf(app, cookie)).data).toEqual({ user: 'u' })
    clock.forward(50_001)
    expect((await bodyOf(app, cookie)).code).toBe('ERR_SESSION_EXPIRED')
    expect(store.sessions).toEqual({})
  })
})
