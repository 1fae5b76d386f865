import { faultApp } from './helpers/fault-app'
import { FOREIGN, TimedStores } from './helpers/timed-stores'
import { MINUTE, HOUR } from './helpers/times'

const STORES = ['MemoryStore', 'FileStore', 'RedisStore', 'CookieStore', FOREIGN]

const stores = new TimedStores()

// A store that only knows the contract goes by the cookie.
function appOn(
  name: string,
  idle: number | null = 30 * MINUTE,
  cookie = name === FOREIGN ? { maxAge: 30 * MINUTE } : {}
) {
  const app = faultApp({ store: stores.open(name), idle, absolute: 2 * HOUR, touchAfter: 0, cookie })
  return { ...app, userOf: async (cookie: string) => (await app.get('/read', cookie).expect(200)).body.user }
}

describe.each(STORES)('a clock that jumps, with %s:', (name) => {
  it('ends sessions an hour ahead, and gives none more time once it is put right', async () => {
    const { login, userOf } = appOn(name)
    const cookie = await login()
    const idleEnd = stores.clock.now + 30 * MINUTE
    stores.clock.forward(HOUR)
    expect(await userOf(cookie)).toBeNull()
    stores.clock.forward(-HOUR)
    expect(await userOf(await login())).toBe('ann')
    stores.clock.forward(idleEnd - stores.clock.now)
    expect(await userOf(cookie)).toBeNull()
  })

  it('ends a session made an hour ahead when that time has come, however much it is used', async () => {
    const { login, userOf } = appOn(name)
    stores.clock.forward(HOUR)
    const cookie = await login()
    const end = stores.clock.now + 2 * HOUR
    stores.clock.forward(-HOUR)
    const seen: unknown[] = []
    for (; stores.clock.now < end; stores.clock.forward(20 * MINUTE)) seen.push(await userOf(cookie))
    expect(seen).toContain('ann')
    expect(await userOf(cookie)).toBeNull()
  })

  it('logs nobody out an hour behind, and lets nobody stay longer than the clock reads', async () => {
    const { login, userOf } = appOn(name)
    const cookie = await login()
    const idleEnd = stores.clock.now + 30 * MINUTE
    stores.clock.forward(-HOUR)
    // A cookie's time of issue is its only witness: from the future it is not believed.
    if (name !== 'CookieStore') expect(await userOf(cookie)).toBe('ann')
    stores.clock.forward(idleEnd - stores.clock.now)
    expect(await userOf(cookie)).toBeNull()
  })

  it('extends a session as ever once it is put right', async () => {
    const { login, get } = appOn(name, 30 * MINUTE, { maxAge: 30 * MINUTE })
    stores.clock.forward(HOUR)
    const cookie = await login()
    stores.clock.forward(-HOUR)
    const { headers, body } = await get('/read', cookie).expect(200)
    // A cookie's time of issue is its only witness: from the future it is not believed.
    if (name === 'CookieStore') return expect(body.user).toBeNull()
    expect(body.user).toBe('ann')
    expect(headers['set-cookie']).toBeDefined()
    stores.clock.forward(30 * MINUTE)
    expect((await get('/read', cookie).expect(200)).body.user).toBeNull()
  })

  it('keeps the absolute deadline while it jumps to and fro', async () => {
    const { login, userOf } = appOn(name, null)
    const cookie = await login()
    const end = stores.clock.now + 2 * HOUR
    for (const jump of [HOUR, -HOUR, HOUR, -90 * MINUTE, HOUR]) {
      stores.clock.forward(jump)
      await userOf(cookie)
    }
    stores.clock.forward(end - stores.clock.now)
    expect(await userOf(cookie)).toBeNull()
  })
})
