import { CookieStore, FileStore, MemoryStore, type SessionsOptions } from '../../lib/index'
import { RedisStore } from '../../lib/stores/redis'
import { cookieOf } from '../helpers/app'
import { Clock } from '../helpers/clock'
import { faultApp, type FaultApp } from '../helpers/fault-app'
import { TestFolder } from '../helpers/folder'
import { CLIENTS, type Connected } from '../helpers/redis-clients'
import { RedisServer } from '../helpers/redis-server'

// Far beyond what any test takes: a loaded machine must not fail one.
jest.setTimeout(120_000)

const MINUTE = 60_000
const LIMITS = { idle: 30 * MINUTE, absolute: 60 * MINUTE, touchAfter: 0 }
const OURS = ['MemoryStore', 'FileStore', 'RedisStore']
const FOREIGN = "express-session's MemoryStore"

let server: RedisServer
let connected: Connected
let clock: Clock
let folder: TestFolder

beforeAll(async () => {
  server = await RedisServer.start()
  connected = await CLIENTS['node-redis 6']!(server.url)
})

afterAll(async () => {
  connected.close()
  await server.stop()
})

beforeEach(() => {
  folder = new TestFolder()
  // Near the true time: Redis counts by its own clock.
  clock = new Clock(new Date().valueOf())
})

afterEach(async () => {
  clock.restore()
  folder.remove()
  await server.cli('flushall')
})

const STORES: Record<string, () => NonNullable<SessionsOptions['store']>> = {
  MemoryStore: () => new MemoryStore(),
  FileStore: () => new FileStore({ path: folder.path }),
  RedisStore: () => new RedisStore({ client: connected.client }),
  CookieStore: () => new CookieStore(),
  [FOREIGN]: () => new (require('express-session').MemoryStore)()
}

/** Lets time pass for the application and for Redis, whose clock is its own. */
async function forward(ms: number): Promise<void> {
  clock.forward(ms)
  const keys = (await server.cli('keys', '*')).split('\n').filter((key) => key !== '')
  for (const key of keys) {
    const left = Number(await server.cli('pttl', key)) - ms
    // A time of 0 or less removes the key, as the time itself would.
    await server.cli('pexpire', key, String(left))
  }
}

/** A browser: it sends what it was sent last. */
function visitorOf(app: FaultApp, first: string) {
  let cookie = first
  return {
    get cookie() {
      return cookie
    },
    async get(path: string) {
      const res = await app.get(path, cookie)
      cookie = cookieOf(res) ?? cookie
      return res
    }
  }
}

const appOn = (name: string, options: object = {}) => faultApp({ store: STORES[name]!(), ...LIMITS, ...options })

describe.each(OURS)('H6 a session that ends during a request, in %s,', (name) => {
  const ends: [string, (use: () => Promise<unknown>) => Promise<void>][] = [
    ['idle', async () => forward(29 * MINUTE)],
    [
      'absolute',
      async (use) => {
        for (let i = 0; i < 2; i++) {
          await forward(20 * MINUTE)
          await use()
        }
        await forward(19 * MINUTE)
      }
    ]
  ]

  describe.each(ends)('by its %s limit', (_limit, live) => {
    it.each(['write', 'save', 'update', 'rotate'])('is not brought back by %s', async (what) => {
      const app = appOn(name)
      const visitor = visitorOf(app, await app.login())
      await live(() => visitor.get('/read'))
      const held = await app.hold(what, visitor.cookie)
      await forward(31 * MINUTE)
      held.goOn()
      const res = await held.answer
      if (what === 'write') expect([res.status, res.body, cookieOf(res)]).toEqual([200, 'written', undefined])
      else if (what !== 'rotate') expect([res.status, res.body.code]).toEqual([500, 'ERR_SESSION_DESTROYED'])
      for (const cookie of [visitor.cookie, cookieOf(res) ?? '']) {
        expect((await app.get('/read', cookie)).body.user).toBeNull()
      }
    })
  })

  it('lives on when it is saved in time: idle counts from the save, and the absolute end stays', async () => {
    const app = appOn(name)
    const visitor = visitorOf(app, await app.login())
    const held = await app.hold('write', visitor.cookie)
    await forward(29 * MINUTE)
    held.goOn()
    await held.answer
    await forward(29 * MINUTE)
    expect((await visitor.get('/read')).body).toMatchObject({ user: 'ann', n: 1 })
    await forward(3 * MINUTE)
    expect((await visitor.get('/read')).body.user).toBeNull()
  })

  it('is not prolonged by the save of a request that must not extend it', async () => {
    const app = appOn(name, { extend: (req: any) => !req.path.endsWith('write') })
    const visitor = visitorOf(app, await app.login())
    await forward(20 * MINUTE)
    await visitor.get('/write')
    await forward(11 * MINUTE)
    expect((await visitor.get('/read')).body.user).toBeNull()
  })
})

describe.each(Object.keys(STORES))('H13 with %s', (name) => {
  // A store that only knows the contract goes by the cookie.
  const cookie = name === FOREIGN ? { maxAge: LIMITS.idle } : {}

  it.each(['/read', '/write', '/save', '/update', '/rotate', '/rotate?grace=60000'])(
    '%s again and again moves no end',
    async (path) => {
      const app = appOn(name, { cookie })
      const visitor = visitorOf(app, await app.login())
      for (let i = 0; i < 5; i++) {
        await forward(10 * MINUTE)
        await visitor.get(path)
        expect((await visitor.get('/read')).body.user).toBe('ann')
      }
      await forward(10 * MINUTE + 1000)
      expect((await visitor.get('/read')).body.user).toBeNull()
    }
  )

  it('a login begins anew', async () => {
    const app = appOn(name, { cookie })
    const visitor = visitorOf(app, await app.login())
    for (let i = 0; i < 4; i++) {
      await forward(20 * MINUTE)
      await visitor.get(i === 1 ? '/login?user=bob' : '/read')
    }
    expect((await visitor.get('/read')).body.user).toBe('bob')
  })
})
