import { RedisStore as ConnectRedis } from 'connect-redis'
import Redis from 'ioredis'
import { createClient } from 'redis'
import { RedisStore, type RedisStoreOptions } from '../../lib/stores/redis/redis'
import { ALL_CLIENTS, CLIENTS, MAPPING_CLIENTS, type Connected } from '../helpers/redis-clients'
import { RedisServer } from '../helpers/redis-server'

const HOUR = 3_600_000

let server: RedisServer

beforeAll(async () => {
  server = await RedisServer.start()
})

afterEach(() => server.cli('flushall'))

afterAll(() => server.stop())

function record(data: object = {}, maxAge = HOUR) {
  const expires = new Date(Date.now() + maxAge).toISOString()
  return { cookie: { originalMaxAge: maxAge, expires, httpOnly: true, path: '/' }, ...data }
}

describe.each(Object.entries({ ...ALL_CLIENTS, ...MAPPING_CLIENTS }))('RedisStore with %s', (_name, connect) => {
  let connected: Connected
  let store: RedisStore

  beforeAll(async () => {
    connected = await connect(server.url)
    store = new RedisStore({ client: connected.client })
  })

  afterAll(() => connected.close())

  it('keeps, finds and destroys a session', async () => {
    expect(await store.get('a')).toBeNull()
    expect(await store.set('a', record({ n: 1 }))).toBeNull()
    expect(await store.get('a')).toMatchObject({ n: 1, cookie: { path: '/' } })
    expect(await store.destroy('a')).toBeNull()
    expect(await store.get('a')).toBeNull()
    expect(await store.destroy('a')).toBeNull()
  })

  it('keeps a session as it was when it was given, in the order of the calls, as connect-redis does', async () => {
    const given = { ...record(), n: 1 }
    const calls = [store.set('a', given), store.set('b', record()), store.destroy('b')]
    given.n = 2
    await Promise.all([...calls, store.touch('c', record({}, 60_000)), store.set('c', record())])
    expect(await store.get('a')).toMatchObject({ n: 1 })
    expect(await store.get('b')).toBeNull()
    expect(Number(await server.cli('ttl', 'sess:c'))).toBeGreaterThan(3590)
  })

  it('extends the life of a session without touching it', async () => {
    await store.set('a', record({}, 60_000))
    const before = await server.cli('get', 'sess:a')
    expect(await store.touch('a', record())).toBeNull()
    expect(Number(await server.cli('ttl', 'sess:a'))).toBeGreaterThan(3590)
    expect(await server.cli('get', 'sess:a')).toBe(before)
  })

  it('lists, counts and clears its own sessions only', async () => {
    await server.cli('mset', 'foreign', '1', 'sessions:x', '1')
    const ids = Array.from({ length: 250 }, (_, i) => `id${i}`)
    await Promise.all(ids.map((id) => store.set(id, record({ id: 'no', n: 1 }))))
    expect((await store.ids())!.sort()).toEqual(ids.sort())
    expect(await store.length()).toBe(250)
    expect((await store.all())!.map((session) => session['id']).sort()).toEqual(ids)
    expect(await store.clear()).toBeNull()
    expect(await store.length()).toBe(0)
    expect((await server.cli('keys', '*')).split('\n').sort()).toEqual(['foreign', 'sessions:x'])
  })

  it('takes glob characters of the prefix literally', async () => {
    const odd = new RedisStore({ client: connected.client, prefix: 's[a-z]*?\\:' })
    await server.cli('mset', 'sb*?\\:x', '1', 'sa-foreign:1', '1')
    await odd.set('one', record())
    expect(await odd.ids()).toEqual(['one'])
    await odd.clear()
    expect(await odd.ids()).toEqual([])
    expect(await server.cli('dbsize')).toBe('2')
  })

  it('leaves a key of another type alone and reports no session', async () => {
    await server.cli('hset', 'sess:h', 'f', 'v')
    expect(await store.get('h')).toBeNull()
    expect(await store.all()).toEqual([])
    expect(await server.cli('type', 'sess:h')).toBe('hash')
  })

  it.each(['{"cookie":', '42', '"s"', '[]', 'null', ''])('reports no session for the text %j', async (text) => {
    await server.cli('set', 'sess:a', text)
    expect(await store.get('a')).toBeNull()
    expect(await store.all()).toEqual([])
  })
})

describe('RedisStore and connect-redis 9 on one server', () => {
  let connected: Connected
  let client: ReturnType<typeof createClient>

  beforeAll(async () => {
    connected = await CLIENTS['node-redis 6']!(server.url)
    client = connected.client as ReturnType<typeof createClient>
  })

  afterAll(() => connected.close())

  const variants: [string, Omit<RedisStoreOptions, 'client'>][] = [
    ['the defaults', {}],
    ['a prefix and a ttl', { prefix: 'app:', ttl: 60 }],
    ['an empty prefix', { prefix: '' }],
    ['a function as ttl', { ttl: (session) => session.seconds ?? 77 }],
    ['disableTTL', { disableTTL: true }],
    ['disableTouch', { disableTouch: true }],
    [
      'a serializer',
      { serializer: { stringify: (v) => `v1${JSON.stringify(v)}`, parse: (t) => JSON.parse(t.slice(2)) } }
    ]
  ]

  it.each(variants)('store the same bytes for the same time with %s', async (_name, options) => {
    const ours = new RedisStore({ client, ...options })
    const theirs = new ConnectRedis({ client, ...options } as never)
    const prefix = options.prefix ?? 'sess:'
    const eternal = { cookie: { originalMaxAge: null, expires: null, path: '/' }, n: 2 }
    for (const session of [record({ n: 1, text: 'h\u00e9' }), eternal, record({ seconds: 50 }), record({}, -1000)]) {
      await ours.set('ours', session)
      await theirs.set('theirs', session as never)
      expect(await client.get(`${prefix}ours`)).toBe(await client.get(`${prefix}theirs`))
      await expectSameLife(prefix)
      await ours.touch('ours', record())
      await theirs.touch('theirs', record() as never)
      await expectSameLife(prefix)
      expect(await ours.get('theirs')).toEqual(await theirs.get('ours'))
      expect(sorted(await ours.all())).toEqual(sorted(await theirs.all()))
      expect(await ours.length()).toBe(await theirs.length())
      expect((await ours.ids())!.sort()).toEqual(((await theirs.ids()) as string[]).sort())
    }
    await theirs.clear()
    expect(await ours.length()).toBe(0)
  })

  it('waits for a ttl that comes by promise, which connect-redis takes for over', async () => {
    const store = new RedisStore({ client, ttl: async (session) => session.seconds })
    const session = { ...record(), seconds: 50 }
    await store.set('a', session)
    expect(await client.ttl('sess:a')).toBeGreaterThan(45)
    await store.touch('a', { ...session, seconds: 90 })
    expect(await client.ttl('sess:a')).toBeGreaterThan(85)
  })

  async function expectSameLife(prefix: string) {
    const [ours, theirs] = await Promise.all([client.pTTL(`${prefix}ours`), client.pTTL(`${prefix}theirs`)])
    expect(Math.abs(ours - theirs)).toBeLessThan(10_000)
  }

  function sorted(sessions: unknown) {
    return (sessions as { id: string }[]).sort((a, b) => (a.id < b.id ? -1 : 1))
  }
})

describe('RedisStore options', () => {
  function having(...names: string[]): object {
    const methods = ['get', 'set', 'del', 'expire', ...names].map((name) => [name, () => Promise.resolve(null)])
    return Object.fromEntries(methods)
  }

  it.each([
    ['no client', {}, /`client` must be a client of redis .*got undefined/],
    ['no options', undefined, /`client` must be/],
    ['something else as client', { client: { get() {}, set() {} } }, /got an object/],
    [
      'a client of redis 4',
      { client: having('evalSha', 'eval', 'multi', 'mGet') },
      /redis 4 or older.*redis@5 or later/
    ],
    [
      'a client of redis 3',
      { client: having('evalsha', 'eval', 'multi', 'batch') },
      /redis 4 or older.*redis@5 or later/
    ],
    ['to wait with a client that cannot', { client: having('customCommand'), wait: { replicas: 1 } }, /`wait` needs/],
    ['a number as prefix', { client: {}, prefix: 5 }, /`prefix` must be a string, got 5/],
    ['a negative ttl', { client: {}, ttl: -1 }, /`ttl` must be seconds above 0/],
    ['a fraction as scanCount', { client: {}, scanCount: 0.5 }, /`scanCount` must be/],
    ['half a serializer', { client: {}, serializer: { parse() {} } }, /`serializer` must be an object with the methods/]
  ])('refuses %s', (_name, options, message) => {
    const create = () => new RedisStore(options as never)
    expect(create).toThrow(TypeError)
    expect(create).toThrow(message)
    expect(create).toThrow(expect.objectContaining({ code: 'ERR_SESSION_OPTION' }))
  })

  it('works on a client with a key prefix of its own', async () => {
    const client = new Redis(server.url, { keyPrefix: 'app*:' })
    const store = new RedisStore({ client })
    await server.cli('set', 'sess:foreign', '1')
    await store.set('a', record({ n: 1 }))
    expect(await server.cli('exists', 'app*:sess:a')).toBe('1')
    expect(await store.ids()).toEqual(['a'])
    expect(await store.all()).toMatchObject([{ id: 'a', n: 1 }])
    await store.clear()
    expect(await server.cli('keys', '*')).toBe('sess:foreign')
    client.disconnect()
  })

  it('names a client that was never connected', async () => {
    const store = new RedisStore({ client: createClient({ url: server.url }) })
    await expect(store.get('a')).rejects.toMatchObject({
      code: 'ERR_SESSION_STORE',
      status: 503,
      message: 'The Redis client is not connected: call client.connect() before the first request'
    })
  })

  it('waits for the first connect of a client', async () => {
    const client = createClient({ url: server.url })
    const store = new RedisStore({ client })
    const connecting = client.connect()
    expect(await store.get('a')).toBeNull()
    await connecting
    client.destroy()
  })
})
