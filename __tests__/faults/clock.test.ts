import { CookieStore, FileStore, MemoryStore, type SessionsOptions } from '../../lib/index'
import { RedisStore } from '../../lib/stores/redis'
import { Clock } from '../helpers/clock'
import { faultApp } from '../helpers/fault-app'
import { TestFolder } from '../helpers/folder'
import { CLIENTS, type Connected } from '../helpers/redis-clients'
import { RedisServer } from '../helpers/redis-server'

// Far beyond what any test takes: a loaded machine must not fail one.
jest.setTimeout(120_000)

const MINUTE = 60_000
const HOUR = 60 * MINUTE

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

afterEach(() => {
  clock.restore()
  folder.remove()
})

const FOREIGN = "express-session's MemoryStore"

const STORES: Record<string, () => NonNullable<SessionsOptions['store']>> = {
  MemoryStore: () => new MemoryStore(),
  FileStore: () => new FileStore({ path: folder.path }),
  RedisStore: () => new RedisStore({ client: connected.client }),
  CookieStore: () => new CookieStore(),
  [FOREIGN]: () => new (require('express-session').MemoryStore)()
}

function appOn(name: string, idle: number | null = 30 * MINUTE) {
  // A store that only knows the contract goes by the cookie.
  const cookie = name === FOREIGN ? { maxAge: 30 * MINUTE } : {}
  const app = faultApp({ store: STORES[name]!(), idle, absolute: 2 * HOUR, touchAfter: 0, cookie })
  return { ...app, userOf: async (cookie: string) => (await app.get('/read', cookie).expect(200)).body.user }
}

describe.each(Object.keys(STORES))('J2 with %s', (name) => {
  it('a clock that is an hour fast ends sessions; put right, it gives none of them more time than it had', async () => {
    const { login, userOf } = appOn(name)
    const cookie = await login()
    const idleEnd = clock.now + 30 * MINUTE
    clock.forward(HOUR)
    expect(await userOf(cookie)).toBeNull()
    clock.forward(-HOUR)
    expect(await userOf(await login())).toBe('ann')
    clock.forward(idleEnd - clock.now)
    expect(await userOf(cookie)).toBeNull()
  })

  it('a session of the hour that was not yet ends when that time has come, whatever it is used', async () => {
    const { login, userOf } = appOn(name)
    clock.forward(HOUR)
    const cookie = await login()
    const end = clock.now + 2 * HOUR
    clock.forward(-HOUR)
    for (; clock.now < end; clock.forward(20 * MINUTE)) await userOf(cookie)
    expect(await userOf(cookie)).toBeNull()
  })

  it('a clock that goes back an hour logs nobody out, and lets nobody stay longer than it reads', async () => {
    const { login, userOf } = appOn(name)
    const cookie = await login()
    const idleEnd = clock.now + 30 * MINUTE
    clock.forward(-HOUR)
    // A cookie's time of issue is its only witness: from the future it is not believed.
    if (name !== 'CookieStore') expect(await userOf(cookie)).toBe('ann')
    clock.forward(idleEnd - clock.now)
    expect(await userOf(cookie)).toBeNull()
  })

  it('the absolute deadline holds while the clock jumps to and fro', async () => {
    const { login, userOf } = appOn(name, null)
    const cookie = await login()
    const end = clock.now + 2 * HOUR
    for (const jump of [HOUR, -HOUR, HOUR, -90 * MINUTE, HOUR]) {
      clock.forward(jump)
      await userOf(cookie)
    }
    clock.forward(end - clock.now)
    expect(await userOf(cookie)).toBeNull()
  })
})
