import { createHash } from 'node:crypto'
import { POWERS, type Powers } from '../../lib/store/contract'
import { encodeRecord } from '../../lib/record/record'
import { RedisStore } from '../../lib/stores/redis/redis'
import { CLIENTS, type Connected } from '../helpers/redis-clients'
import { RedisServer, until } from '../helpers/redis-server'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

let server: RedisServer
let connected: Connected
let store: RedisStore
let powers: Powers

beforeAll(async () => {
  server = await RedisServer.start()
  connected = await CLIENTS['ioredis']!(server.url)
  store = new RedisStore({ client: connected.client })
  powers = store[POWERS]
})

afterEach(async () => {
  jest.restoreAllMocks()
  await server.cli('flushall')
  await server.resetCounts()
})

afterAll(async () => {
  connected.close()
  await server.stop()
})

function textOf(user: string | undefined, usedAt = Date.now()): string {
  return encodeRecord('{}', { u: usedAt, c: usedAt, ...(user !== undefined && { i: user }) }, '{"n":1}')
}

async function login(id: string, user: string, life = HOUR): Promise<string> {
  const text = textOf(user)
  const until = { usedAt: Date.now(), expiresAt: Date.now() + life }
  expect(await powers.write({ id, text, expected: null, life: until, user: { from: undefined, to: user } })).toBe(true)
  return text
}

async function idsOf(user: string): Promise<string[]> {
  return (await powers.list!(user)).map(({ id }) => id).sort()
}

function keyOf(user: string): string {
  return `silverback:user:sess:${createHash('sha256').update(user).digest('base64url')}`
}

describe("The index of a user's sessions", () => {
  it('learns of a record that set() is given, as of those of the middleware', async () => {
    await store.set('a', JSON.parse(textOf('ann')))
    expect(await idsOf('ann')).toEqual(['a'])
  })

  it('lists exactly the live sessions of that user', async () => {
    const text = await login('a', 'ann')
    await login('b', 'ann')
    await login('c', 'bob')
    expect(await idsOf('ann')).toEqual(['a', 'b'])
    expect((await powers.list!('ann')).find(({ id }) => id === 'a')).toEqual({ id: 'a', text })
    expect(await idsOf('nobody')).toEqual([])
  })

  it('forgets a destroyed session, and with the last one its key', async () => {
    await login('a', 'ann')
    await login('b', 'ann')
    await powers.remove('a', 'ann')
    expect(await server.cli('zrange', keyOf('ann'), '0', '-1')).toBe('b')
    await powers.remove('b', 'ann')
    expect(await server.cli('keys', '*')).toBe('')
  })

  it('drops what expired, was evicted, or went by the plain verbs', async () => {
    await login('a', 'ann', 1)
    await login('b', 'ann')
    await login('c', 'ann')
    await store.destroy('b')
    await server.cli('del', 'sess:c')
    await until(async () => (await server.cli('exists', 'sess:a')) === '0', 'the session expired')
    expect(await idsOf('ann')).toEqual([])
    expect(await server.cli('keys', '*')).toBe('')
  })

  it('follows a session to another user', async () => {
    const text = await login('a', 'ann')
    const next = textOf('bob')
    const life = { usedAt: Date.now(), expiresAt: Date.now() + HOUR }
    expect(await powers.write({ id: 'a', text: next, expected: text, life, user: { from: 'ann', to: 'bob' } })).toBe(
      true
    )
    expect([await idsOf('ann'), await idsOf('bob')]).toEqual([[], ['a']])
    expect(
      await powers.write({
        id: 'a',
        text: textOf(undefined),
        expected: next,
        life,
        user: { from: 'bob', to: undefined }
      })
    ).toBe(true)
    expect(await idsOf('bob')).toEqual([])
    expect(await server.cli('keys', '*')).toBe('sess:a')
  })

  it('believes the record, not the index', async () => {
    await login('a', 'ann')
    await server.cli('set', 'sess:a', textOf('bob'))
    expect(await idsOf('ann')).toEqual([])
  })

  it('keeps up with sessions that are extended', async () => {
    await login('a', 'ann', 10 * MINUTE)
    const now = Date.now() + 8 * MINUTE
    jest.spyOn(Date, 'now').mockReturnValue(now)
    await powers.extend('a', { usedAt: now, expiresAt: now + HOUR })
    const extended = async () => Number(await server.cli('pttl', keyOf('ann'))) > HOUR
    await until(extended, 'the index lives as long as the session')
    jest.spyOn(Date, 'now').mockReturnValue(now + 50 * MINUTE)
    await login('b', 'ann')
    expect(await idsOf('ann')).toEqual(['a', 'b'])
  })

  it('trims entries whose time is over when another is added', async () => {
    await login('a', 'ann', MINUTE)
    jest.spyOn(Date, 'now').mockReturnValue(Date.now() + 7 * MINUTE)
    await login('b', 'ann')
    expect(await server.cli('zrange', keyOf('ann'), '0', '-1')).toBe('b')
  })

  it('lives no longer than its sessions and a few minutes, and names no user in its key', async () => {
    await login('a', 'ann@example.org', HOUR)
    await login('b', 'ann@example.org', MINUTE)
    const life = Number(await server.cli('pttl', keyOf('ann@example.org')))
    expect(life).toBeGreaterThan(HOUR)
    expect(life).toBeLessThanOrEqual(HOUR + 5 * MINUTE)
    expect(await server.cli('keys', '*')).not.toContain('ann')
  })

  it('lives for ever beside sessions that do', async () => {
    const eternal = new RedisStore({ client: connected.client, disableTTL: true })[POWERS]
    await login('a', 'ann')
    const life = { usedAt: Date.now(), expiresAt: Date.now() + HOUR }
    await eternal.write({ id: 'b', text: textOf('ann'), expected: null, life, user: { from: undefined, to: 'ann' } })
    expect(await server.cli('pttl', keyOf('ann'))).toBe('-1')
  })

  it('is complete for whoever lists while sessions are logging in', async () => {
    const logins = Array.from({ length: 50 }, (_, i) => login(`s${i}`, 'ann'))
    let listing = true
    const lister = (async () => {
      while (listing) await powers.list!('ann')
    })()
    await Promise.all(logins)
    listing = false
    await lister
    expect(await idsOf('ann')).toHaveLength(50)
  })

  it('costs nothing where no user is given', async () => {
    const life = { usedAt: Date.now(), expiresAt: Date.now() + HOUR }
    const text = textOf(undefined)
    await powers.write({ id: 'a', text, expected: null, life })
    await powers.write({ id: 'a', text: textOf(undefined, 5), expected: text, life })
    await powers.remove('a')
    await server.resetCounts()
    await powers.write({ id: 'a', text, expected: null, life })
    await powers.write({ id: 'a', text: textOf(undefined, 5), expected: text, life })
    await powers.remove('a')
    const counted = await server.counts()
    // The server that compares in SET has told so before.
    const script = (await server.compares()) ? {} : { evalsha: 1, get: 1 }
    const { set, evalsha, get, del } = counted
    expect({ set, evalsha, get, del }).toEqual({ set: 2, evalsha: undefined, get: undefined, del: 1, ...script })
    expect(Object.keys(counted).filter((name) => name.startsWith('z'))).toEqual([])
  })

  it('stays out of the way of stores with a short prefix', async () => {
    await login('a', 'ann')
    await powers.lock!.acquire('a', 'token', MINUTE)
    const all = new RedisStore({ client: connected.client, prefix: '' })
    expect(await all.ids()).toEqual(['sess:a'])
    await all.clear()
    expect(await server.cli('dbsize')).toBe('2')
  })
})

describe('A lock', () => {
  it('belongs to one holder until it lets go', async () => {
    const lock = powers.lock!
    expect(await lock.acquire('a', 'one', MINUTE)).toBe(true)
    expect(await lock.acquire('a', 'two', MINUTE)).toBe(false)
    expect(await lock.acquire('b', 'two', MINUTE)).toBe(true)
    await lock.release('a', 'two')
    expect(await lock.renew('a', 'two', MINUTE)).toBe(false)
    expect(await lock.renew('a', 'one', HOUR)).toBe(true)
    expect(Number(await server.cli('pttl', 'silverback:lock:sess:a'))).toBeGreaterThan(MINUTE)
    await lock.release('a', 'one')
    expect(await lock.acquire('a', 'two', MINUTE)).toBe(true)
  })

  it('falls free when its holder dies, and is then lost to it', async () => {
    const lock = powers.lock!
    await lock.acquire('a', 'one', 20)
    await until(() => lock.acquire('a', 'two', MINUTE), 'the lock fell free')
    expect(await lock.renew('a', 'one', MINUTE)).toBe(false)
    await lock.release('a', 'one')
    expect(await lock.renew('a', 'two', MINUTE)).toBe(true)
  })

  it('is not lost by a renewal that the server refuses', async () => {
    const lock = powers.lock!
    await lock.acquire('a', 'one', MINUTE)
    await server.cli('config', 'set', 'min-replicas-to-write', '1')
    try {
      await expect(lock.renew('a', 'one', HOUR)).rejects.toMatchObject({ code: 'ERR_SESSION_STORE' })
    } finally {
      await server.cli('config', 'set', 'min-replicas-to-write', '0')
    }
    expect(await lock.renew('a', 'one', HOUR)).toBe(true)
  })

  it('lets one of many in at a time', async () => {
    const second = await CLIENTS['node-redis 6']!(server.url)
    const locks = [powers.lock!, new RedisStore({ client: second.client })[POWERS].lock!]
    let inside = 0
    let most = 0
    const enter = async (i: number) => {
      const lock = locks[i % 2]!
      await until(() => lock.acquire('a', `t${i}`, MINUTE), 'the lock was free')
      most = Math.max(most, ++inside)
      await new Promise((resolve) => setImmediate(resolve))
      inside--
      await lock.release('a', `t${i}`)
    }
    await Promise.all(Array.from({ length: 10 }, (_, i) => enter(i)))
    expect(most).toBe(1)
    second.close()
  })
})
