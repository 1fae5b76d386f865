import { createServer, type AddressInfo } from 'node:net'
import express, { type Express } from 'express'
import request from 'supertest'
import silverback, { sessions } from '../../lib/index'
import { MemcachedStore } from '../../lib/memcached'
import { POWERS, type Life, type Listed, type Write } from '../../lib/store/contract'
import { cookieOf, secret } from '../helpers/app'
import { expectFreeLockAfterKill, expectNothingLostToKills } from '../helpers/race'
import { until } from '../helpers/redis-server'
import { memcachedClient, startMemcached, type Memcached } from '../helpers/servers'

const expressSession = jest.requireActual('express-session') as typeof silverback
const ConnectMemcached = require('connect-memcached')(expressSession)

const HOUR = 3_600_000
const DAY = 24 * HOUR
const ROUNDS = Number(process.env.KILL_ROUNDS ?? 3)

let server: Memcached
let client: any
let count = 0

beforeAll(async () => {
  server = await startMemcached()
  client = memcachedClient(server.port)
})

afterAll(async () => {
  client?.end()
  await server?.stop()
})

const newId = () => `memcached-${++count}`
const textOf = (data: object) => JSON.stringify({ cookie: { path: '/' }, ...data })
const owned = (user: string, data: object = {}) => textOf({ silverback_meta: { u: 1, c: 1, i: user }, ...data })
const life = (ms = HOUR): Life => ({ usedAt: Date.now(), expiresAt: Date.now() + ms })
const create = (id: string, text: string, user?: string): Write => ({
  id,
  text,
  expected: null,
  life: life(),
  user: user === undefined ? undefined : { from: undefined, to: user }
})
const kept = (key: string) =>
  new Promise((resolve) => client.get(key, (_err: unknown, value: unknown) => resolve(value)))
const drop = (key: string) => new Promise((resolve) => client.del(key, resolve))
const keyOfUser = (user: string) => `silverback:user:${sha256(user)}`
const sha256 = (text: string) => require('node:crypto').createHash('sha256').update(text).digest('base64url')

function powersOf(options: object = {}) {
  return new MemcachedStore({ client, ...options })[POWERS] as Required<MemcachedStore[typeof POWERS]>
}

function appOn(auth: any): Express {
  const app = express().use(auth)
  app.get('/set', (req: any, res) => res.json({ id: Object.assign(req.session, req.query) && req.sessionID }))
  app.get('/who', (req: any, res) => {
    const { cookie, ...data } = req.session
    res.json({ data, left: cookie.maxAge })
  })
  app.get('/logout', (req: any, res, next) =>
    req.session.destroy((err: unknown) => (err ? next(err) : res.send('out')))
  )
  app.use((err: any, _req: any, res: any, _next: any) => res.status(err.status ?? 500).json({ code: err.code }))
  return app
}

const visit = (app: Express, path: string, cookie = '') => request(app).get(path).set('Cookie', cookie)

describe('beside connect-memcached', () => {
  const OPTIONS = { secret, name: 'sid', resave: false, saveUninitialized: false, cookie: { maxAge: HOUR } }
  const GENERATIONS: Record<string, () => any> = {
    'express-session on connect-memcached': () =>
      expressSession({ ...OPTIONS, store: new ConnectMemcached({ client }) }),
    'express-session on MemcachedStore': () => expressSession({ ...OPTIONS, store: new MemcachedStore({ client }) }),
    'silverback on MemcachedStore': () => silverback({ ...OPTIONS, store: new MemcachedStore({ client }) })
  }
  const names = Object.keys(GENERATIONS)
  const pairs = names.flatMap((a) => names.filter((b) => b !== a).map((b) => [a, b] as const))

  it.each(pairs)("%s and %s use, change and end each other's sessions", async (before, after) => {
    const [first, second] = [appOn(GENERATIONS[before]!()), appOn(GENERATIONS[after]!())]
    const welcome = await visit(first, '/set?user=ann')
    const cookie = cookieOf(welcome)!
    await visit(second, '/set?two=2', cookie)
    await visit(first, '/set?three=3', cookie)
    for (const app of [first, second]) {
      const { body } = await visit(app, '/who', cookie)
      expect(body.data).toEqual({ user: 'ann', two: '2', three: '3' })
      expect(body.left).toBeGreaterThan(HOUR - 60_000)
    }
    expect(await kept(welcome.body.id)).toMatchObject({ user: 'ann', cookie: { path: '/' } })
    await visit(second, '/logout', cookie)
    expect((await visit(first, '/who', cookie)).body.data).toEqual({})
  })

  it('finds what lies under a key that is too long for memcached', async () => {
    const id = 'x'.repeat(300)
    const theirs = new ConnectMemcached({ client, prefix: 'p:' })
    await new Promise((resolve) => theirs.set(id, { cookie: { maxAge: HOUR }, n: 1 }, resolve))
    expect(await new MemcachedStore({ client, prefix: 'p:' }).get(id)).toMatchObject({ n: 1 })
  })

  it('is not misled by the order that the client gives to keys that are numbers', async () => {
    const powers = powersOf()
    const id = newId()
    const [one, two] = [textOf({ b: 1, 2: 'two', 1: 'one' }), textOf({ b: 2, 2: 'two', 1: 'one' })]
    await powers.write(create(id, one))
    expect(await powers.write({ ...create(id, two), expected: one })).toBe(true)
    expect(await powers.write({ ...create(id, two), expected: one })).toEqual({ text: (await powers.read(id))!.text })
  })
})

describe('keys and values', () => {
  it.each(['with space', 'line\nbreak', 'money$&', 'caf\u00e9'])('keeps a session under the ID %j', async (id) => {
    const store = new MemcachedStore({ client })
    await store.set(id, { cookie: {}, n: id } as never)
    expect(await store.get(id)).toEqual({ cookie: {}, n: id })
    await store.destroy(id)
    expect(await store.get(id)).toBeNull()
  })

  it("works behind a client's namespace", async () => {
    const own = memcachedClient(server.port, { namespace: 'app:' })
    const powers = powersOf({ client: own })
    const id = newId()
    await powers.write(create(id, owned('nan'), 'nan'))
    expect((await powers.list('nan')).map((each: Listed) => each.id)).toEqual([id])
    expect(await kept(`app:${id}`)).toMatchObject({ cookie: { path: '/' } })
    own.end()
  })

  it('keeps a session for longer than 30 days, which memcached tells from a time by its size', async () => {
    const powers = powersOf()
    const id = newId()
    await powers.write({ ...create(id, textOf({})), life: life(31 * DAY) })
    await powers.extend(id, life(90 * DAY))
    expect(await powers.read(id)).not.toBeNull()
    await powers.extend(id, life(100 * 366 * DAY))
    expect(await powers.read(id)).not.toBeNull()
  })

  it('refuses a session that is too large, and goes on', async () => {
    const powers = powersOf()
    const id = newId()
    const size = (length: number) => textOf({ big: 'x'.repeat(length) })
    const most = 1024 * 1024 - 1024 - size(0).length
    await expect(powers.write(create(id, size(most + 1)))).rejects.toMatchObject({
      code: 'ERR_SESSION_TOO_LARGE',
      message: expect.stringContaining('"big"')
    })
    expect(await powers.write(create(id, size(most)))).toBe(true)
    expect((await powers.read(id))!.text).toHaveLength(size(most).length)
    await powers.remove(id)
  })

  it('carries out what was called behind a command that is never answered', async () => {
    jest.useFakeTimers({ doNotFake: ['Date', 'nextTick', 'setImmediate'] })
    const asked: string[] = []
    const client: any = { cas() {}, add() {} }
    client.gets = () => asked.push('gets')
    client.set = () => asked.push('set')
    client.del = (_key: string, done: any) => done(undefined, asked.push('del') > 0)
    const store = new MemcachedStore({ client })
    const unanswered = expect(store.set('a', { cookie: {} } as never)).rejects.toThrow('did not answer set')
    const unread = expect(store.get('a')).rejects.toThrow('did not answer gets')
    const ended = expect(store.destroy('a')).resolves.toBeNull()
    await jest.advanceTimersByTimeAsync(5000)
    await jest.advanceTimersByTimeAsync(5000)
    jest.useRealTimers()
    await Promise.all([unanswered, unread, ended])
    expect(asked).toEqual(['set', 'gets', 'del'])
  })

  it.each([
    {},
    { client: {} },
    { prefix: 'a b' },
    { prefix: 'a$' },
    { ttl: 0 },
    { storeTimeout: NaN },
    { storeTimeout: 2 ** 31 }
  ])('refuses the options %j', (options) => {
    const given = 'client' in options || Object.keys(options).length === 0 ? options : { client, ...options }
    expect(() => new MemcachedStore(given as never)).toThrow(expect.objectContaining({ code: 'ERR_SESSION_OPTION' }))
  })
})

describe('the sessions of a user', () => {
  it('are all listed when many begin at once', async () => {
    const ids = Array.from({ length: 30 }, newId)
    await Promise.all(ids.map((id) => powersOf().write(create(id, owned('many'), 'many'))))
    expect((await powersOf().list('many')).map((each: Listed) => each.id).sort()).toEqual([...ids].sort())
  })

  it('leave the list when they are gone', async () => {
    const powers = powersOf()
    const [one, other] = [newId(), newId()]
    for (const id of [one, other]) await powers.write(create(id, owned('gone'), 'gone'))
    await drop(one)
    expect(await powers.list('gone')).toHaveLength(1)
    expect(await kept(keyOfUser('gone'))).toEqual([[other, expect.any(Number)]])
  })

  it.each(['a change', 'an extension'])('come back into a list that memcached dropped, with %s', async (how) => {
    const powers = powersOf()
    const id = newId()
    await powers.write(create(id, owned('back'), 'back'))
    await drop(keyOfUser('back'))
    expect(await powers.list('back')).toEqual([])
    if (how === 'an extension') await powers.extend(id, life())
    else {
      const user = { from: 'back', to: 'back' }
      await powers.write({ ...create(id, owned('back', { n: 1 })), expected: owned('back'), user })
    }
    await until(async () => (await powers.list('back')).length === 1, 'the session is listed')
    await powers.remove(id, 'back')
  })

  it('stay in the list when they come back while it is tidied', async () => {
    const powers = powersOf()
    const back = create(newId(), owned('late'), 'late')
    await powers.write(back)
    await drop(back.id)
    const slow = Object.create(client)
    slow.gets = (key: string, done: (err: unknown, value: unknown) => void) =>
      client.gets(key, (err: unknown, value: unknown) => {
        void Promise.resolve(key === back.id ? powers.write(back) : undefined).then(() => done(err, value))
      })
    expect(await powersOf({ client: slow }).list('late')).toEqual([])
    expect((await powers.list('late')).map((each: Listed) => each.id)).toEqual([back.id])
  })

  it('end before there are more than fit into the list, those first that end first', async () => {
    const powers = powersOf()
    const [first, newest] = [newId(), newId()]
    await powers.write(create(first, owned('full'), 'full'))
    const others = Array.from({ length: 999 }, (_, i) => [`other-${i}`, Date.now() + DAY])
    const full = [...others, [first, Date.now() + 60_000]]
    await new Promise((resolve) => client.set(keyOfUser('full'), full, 60, resolve))
    await powers.write(create(newest, owned('full'), 'full'))
    expect(await powers.read(first)).toBeNull()
    expect(await kept(keyOfUser('full'))).toHaveLength(1000)
  })
})

it('frees the lock of a process that was killed', () => expectFreeLockAfterKill({ memcached: server.port }))

it(
  'loses nothing that was confirmed to processes that were killed',
  () => expectNothingLostToKills(new MemcachedStore({ client }), { memcached: server.port }, ROUNDS),
  240_000 + 5000 * ROUNDS
)

describe('a server that does not answer', () => {
  const sick: { server: Memcached; client: any } = {} as never

  beforeEach(async () => {
    sick.server = await startMemcached()
    sick.client = memcachedClient(sick.server.port, { retry: 100 })
  })

  afterEach(async () => {
    sick.client.end()
    await sick.server.stop()
  })

  // Short, for those who are to wait until it is over.
  const appOf = (storeTimeout = 250) =>
    appOn(sessions({ secret, storeTimeout, store: new MemcachedStore({ client: sick.client, storeTimeout }) }))

  it('is an error while it is gone, and the sessions are gone when it is back', async () => {
    const [hasty, app] = [appOf(), appOf(60_000)]
    const cookie = cookieOf(await visit(app, '/set?user=ann'))!
    await sick.server.stop()
    expect((await visit(hasty, '/who', cookie)).status).toBe(503)
    expect((await visit(hasty, '/logout', cookie)).status).toBe(503)
    sick.server = await startMemcached([], sick.server.port)
    await until(async () => (await visit(app, '/who', cookie)).status === 200, 'the application goes on')
    expect((await visit(app, '/who', cookie)).body.data).toEqual({})
    const next = cookieOf(await visit(app, '/set?user=ann'))!
    expect((await visit(app, '/who', next)).body.data).toEqual({ user: 'ann' })
  })

  it('is an error while it stands still, and has everything when it goes on', async () => {
    const [hasty, app] = [appOf(), appOf(60_000)]
    const cookie = cookieOf(await visit(app, '/set?user=ann'))!
    sick.server.pause()
    expect((await visit(hasty, '/who', cookie)).status).toBe(503)
    sick.server.resume()
    await until(async () => (await visit(app, '/who', cookie)).status === 200, 'the application goes on')
    expect((await visit(app, '/who', cookie)).body.data).toEqual({ user: 'ann' })
  })

  it('is an error for whoever calls the store itself', async () => {
    await new MemcachedStore({ client: sick.client }).set('here', { cookie: {} } as never)
    const store = new MemcachedStore({ client: sick.client, storeTimeout: 200 })
    sick.server.pause()
    const refused = { code: 'ERR_SESSION_STORE_TIMEOUT', status: 503 }
    await expect(store.get('here')).rejects.toMatchObject(refused)
    await expect(new Promise((_, reject) => store.get('here', reject))).rejects.toMatchObject(refused)
    sick.server.resume()
  })
})

describe('a proxy that has lost its server', () => {
  let proxy: ReturnType<typeof createServer>
  let lost: any

  beforeEach(async () => {
    proxy = createServer((socket) =>
      socket.on('data', () => socket.write('SERVER_ERROR no server\r\n')).on('error', () => undefined)
    )
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
    lost = memcachedClient((proxy.address() as AddressInfo).port, { retry: 1 })
  })

  afterEach(() => {
    lost.end()
    proxy.close()
  })

  // The client answers what means "nothing there", or "not done", for a command that works.
  it.each(['read', 'create', 'write', 'extend', 'remove', 'acquire'])('is no absence to %s', async (what) => {
    const powers = powersOf({ client: lost })
    const calls: Record<string, () => unknown> = {
      read: () => powers.read('a'),
      create: () => powers.write(create('a', textOf({}))),
      write: () => powers.write({ ...create('a', textOf({})), expected: textOf({ n: 1 }) }),
      extend: () => powers.extend('a', life()),
      remove: () => powers.remove('a'),
      acquire: () => powers.lock.acquire('a', 'token', HOUR)
    }
    await expect(calls[what]!()).rejects.toMatchObject({ code: 'ERR_SESSION_STORE', status: 503 })
  })
})
