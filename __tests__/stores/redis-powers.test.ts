import { deserialize, serialize } from 'node:v8'
import { createClient } from 'redis'
import type { MaybePromise } from '../../lib/base/time'
import { POWERS, type Found, type Life, type Powers } from '../../lib/store/contract'
import { decodeRecord, encodeRecord, type Meta } from '../../lib/record/record'
import { RedisStore, type RedisStoreOptions } from '../../lib/stores/redis/redis'
import type { Serializer } from '../../lib/stores/option-rules'
import { ALL_CLIENTS, CLIENTS, MAPPING_CLIENTS, type Connected } from '../helpers/redis-clients'
import { RedisServer, until } from '../helpers/redis-server'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

let server: RedisServer
let connected: Connected

beforeAll(async () => {
  server = await RedisServer.start()
  connected = await CLIENTS['node-redis 6']!(server.url)
})

afterEach(async () => {
  await server.cli('flushall')
  await server.resetCounts()
})

afterAll(async () => {
  connected.close()
  await server.stop()
})

function powersOf(options: Partial<RedisStoreOptions> = {}): Powers {
  return new RedisStore({ client: connected.client, ...options })[POWERS]
}

function textOf(data: object, meta?: Partial<Meta>): string {
  const now = Date.now()
  return encodeRecord('{"path":"/"}', meta && { u: now, c: now, ...meta }, JSON.stringify(data))
}

function lifeOf(ms = HOUR): Life {
  return { usedAt: Date.now(), expiresAt: Date.now() + ms }
}

async function pttl(id: string): Promise<number> {
  return Number(await server.cli('pttl', `sess:${id}`))
}

async function usedAt(id: string): Promise<number | undefined> {
  return decodeRecord(await server.cli('get', `sess:${id}`))?.meta?.u
}

function expectAbout(actual: number, expected: number) {
  expect(Math.abs(actual - expected)).toBeLessThan(MINUTE / 2)
}

describe.each(Object.entries({ ...ALL_CLIENTS, ...MAPPING_CLIENTS }))(
  'Conditional writes with %s',
  (_name, connect) => {
    let own: Connected
    let powers: Powers

    beforeAll(async () => {
      own = await connect(server.url)
      powers = new RedisStore({ client: own.client })[POWERS]
    })

    afterAll(() => own.close())

    it('create only what is not there', async () => {
      expect(await powers.write({ id: 'a', text: textOf({ n: 1 }), expected: null, life: lifeOf() })).toBe(true)
      const kept = textOf({ n: 1 })
      await server.cli('set', 'sess:a', kept)
      expect(await powers.write({ id: 'a', text: textOf({ n: 2 }), expected: null, life: lifeOf() })).toEqual({
        text: kept
      })
      expect(await server.cli('get', 'sess:a')).toBe(kept)
    })

    it('replace exactly what was read, and tell what is there instead', async () => {
      const [one, two, three] = [1, 2, 3].map((n) => textOf({ n, text: 'h\u00e9 \u{1f600}' })) as [
        string,
        string,
        string
      ]
      await powers.write({ id: 'a', text: one, expected: null, life: lifeOf() })
      expect(await powers.write({ id: 'a', text: two, expected: one, life: lifeOf(5 * MINUTE) })).toBe(true)
      expectAbout(await pttl('a'), 5 * MINUTE)
      expect(await powers.write({ id: 'a', text: three, expected: one, life: lifeOf() })).toEqual({ text: two })
      expect(await powers.read('a')).toEqual({ text: two })
    })

    it('never bring back what is gone', async () => {
      const one = textOf({ n: 1 })
      await powers.write({ id: 'a', text: one, expected: null, life: lifeOf() })
      expect(await powers.remove('a')).toBe(true)
      expect(await powers.remove('a')).toBe(false)
      expect(await powers.write({ id: 'a', text: textOf({ n: 2 }), expected: one, life: lifeOf() })).toBeNull()
      expect(await powers.extend('a', lifeOf())).toBe(false)
      expect(await powers.read('a')).toBeNull()
      expect(await server.cli('dbsize')).toBe('0')
    })

    it('keep a user, extend, lock and tell apart, whatever the client makes of replies', async () => {
      const text = textOf({ n: 1 }, { i: 'ann', u: 5 })
      await powers.write({ id: 'a', text, expected: null, life: lifeOf(), user: { from: undefined, to: 'ann' } })
      expect(await powers.list!('ann')).toEqual([{ id: 'a', text }])
      expect(await powers.extend('a', lifeOf())).toBe(true)
      expect(await usedAt('a')).toBeGreaterThan(5)
      expect(await powers.extend('b', lifeOf())).toBe(false)
      const lock = powers.lock!
      expect([await lock.acquire('a', 'one', MINUTE), await lock.acquire('a', 'two', MINUTE)]).toEqual([true, false])
      expect([await lock.renew('a', 'one', MINUTE), await lock.renew('a', 'two', MINUTE)]).toEqual([true, false])
      await lock.release('a', 'one')
      expect(await lock.renew('a', 'one', MINUTE)).toBe(false)
      expect([await powers.remove('a', 'ann'), await powers.remove('a', 'ann')]).toEqual([true, false])
      expect(await server.cli('dbsize')).toBe('0')
    })

    it('remove only what is known', async () => {
      for (const [one, two] of [
        [textOf({ n: 1 }), textOf({ n: 2 })],
        [textOf({ n: 'x'.repeat(5000) }), textOf({ n: 'y'.repeat(5000) })]
      ] as const) {
        await powers.write({ id: 'a', text: one, expected: null, life: lifeOf() })
        expect(await powers.remove('a', undefined, two)).toEqual({ text: one })
        expect(await server.cli('get', 'sess:a')).toBe(one)
        expect(await powers.remove('a', undefined, one)).toBe(true)
        expect(await powers.remove('a', undefined, one)).toBe(false)
      }
      await server.cli('hset', 'sess:h', 'f', 'v')
      expect(await powers.remove('h', undefined, textOf({}))).toBe(false)
      expect(await server.cli('hget', 'sess:h', 'f')).toBe('v')
    })

    it('count 1,000 increments over two connections exactly', async () => {
      const second = await connect(server.url)
      const both = [powers, new RedisStore({ client: second.client })[POWERS]]
      await powers.write({ id: 'a', text: textOf({ n: 0 }), expected: null, life: lifeOf() })
      const increment = async (with_: Powers) => {
        let found = (await with_.read('a')) as Found
        for (;;) {
          const n = decodeRecord(found.text)!.data['n'] as number
          const result = await with_.write({
            id: 'a',
            text: textOf({ n: n + 1 }),
            expected: found.text,
            life: lifeOf()
          })
          if (result === true) return
          found = result as Found
        }
      }
      const workers = Array.from({ length: 8 }, async (_, w) => {
        for (let i = 0; i < 125; i++) await increment(both[w % 2]!)
      })
      await Promise.all(workers)
      expect(decodeRecord(((await powers.read('a')) as Found).text)!.data).toEqual({ n: 1000 })
      second.close()
    })

    it('survive a server that forgot the scripts', async () => {
      const one = textOf({ n: 1 }, {})
      await powers.write({ id: 'a', text: one, expected: null, life: lifeOf() })
      await server.cli('script', 'flush')
      expect(await powers.write({ id: 'a', text: textOf({ n: 2 }, {}), expected: one, life: lifeOf() })).toBe(true)
      await server.cli('script', 'flush')
      expect(await powers.extend('a', lifeOf())).toBe(true)
    })
  }
)

describe('A read', () => {
  it('is one command, and changes nothing', async () => {
    const powers = powersOf()
    const text = textOf({ n: 1 }, { u: Date.now() - HOUR })
    await server.cli('set', 'sess:a', text, 'px', String(MINUTE))
    await server.resetCounts()
    for (let i = 0; i < 5; i++) expect(await powers.read('a')).toEqual({ text })
    const { get, evalsha, set, pexpire } = await server.counts()
    expect({ get, evalsha, set, pexpire }).toEqual({ get: 5 })
    expect(await pttl('a')).toBeLessThanOrEqual(MINUTE)
  })

  it('costs no command at all with a client-side cache, which other writers invalidate', async () => {
    const client = createClient({ url: server.url, RESP: 3, clientSideCache: { ttl: 0, maxEntries: 10 } })
    await client.connect()
    const powers = new RedisStore({ client })[POWERS]
    const text = textOf({ n: 1 }, {})
    await powers.write({ id: 'a', text, expected: null, life: lifeOf() })
    await powers.read('a')
    await server.resetCounts()
    for (let i = 0; i < 5; i++) expect(await powers.read('a')).toEqual({ text })
    expect(await server.counts()).not.toHaveProperty('get')
    const other = textOf({ n: 2 }, {})
    await powersOf().write({ id: 'a', text: other, expected: text, life: lifeOf() })
    await until(async () => (await powers.read('a'))!.text === other, 'the cache forgot the old text')
    client.destroy()
  })

  it('finds nothing in a key of another type', async () => {
    await server.cli('hset', 'sess:h', 'f', 'v')
    const powers = powersOf()
    expect(await powers.read('h')).toBeNull()
    expect(await powers.extend('h', lifeOf())).toBe(false)
    expect(await powers.write({ id: 'h', text: textOf({}), expected: textOf({}), life: lifeOf() })).toBeNull()
    await expect(powers.write({ id: 'h', text: textOf({}), expected: null, life: lifeOf() })).rejects.toMatchObject({
      code: 'ERR_SESSION_STORE'
    })
    expect(await server.cli('hget', 'sess:h', 'f')).toBe('v')
  })
})

describe('Extending', () => {
  it('moves the time of last use and the life, data untouched', async () => {
    const powers = powersOf()
    await powers.write({ id: 'a', text: textOf({ n: 1 }, { u: 5, c: 4 }), expected: null, life: lifeOf(MINUTE) })
    await powers.extend('b', lifeOf())
    await server.resetCounts()
    expect(await powers.extend('a', { usedAt: 7, expiresAt: Date.now() + HOUR })).toBe(true)
    const { evalsha, eval: evals } = await server.counts()
    expect([evalsha, evals]).toEqual([1, undefined])
    expect(await server.cli('get', 'sess:a')).toBe(textOf({ n: 1 }, { u: 7, c: 4 }))
    expectAbout(await pttl('a'), HOUR)
  })

  it('does nothing with disableTouch', async () => {
    const powers = powersOf({ disableTouch: true })
    const text = textOf({}, { u: 5, c: 4 })
    await server.cli('set', 'sess:a', text, 'px', String(MINUTE))
    expect(await powers.extend('a', lifeOf())).toBe(true)
    expect(await server.cli('get', 'sess:a')).toBe(text)
    expect(await pttl('a')).toBeLessThanOrEqual(MINUTE)
  })

  it('rewrites the time of last use alone with disableTTL', async () => {
    const powers = powersOf({ disableTTL: true })
    await powers.write({ id: 'a', text: textOf({}, { u: 5, c: 4 }), expected: null, life: lifeOf() })
    await powers.extend('a', { usedAt: 7, expiresAt: Date.now() + HOUR })
    expect(await usedAt('a')).toBe(7)
    expect(await pttl('a')).toBe(-1)
  })

  it.each([
    ['JSON', JSON],
    [
      'another serializer',
      { parse: (text: string) => JSON.parse(text), stringify: (it: unknown) => JSON.stringify(it) }
    ]
  ])('moves that of records under the older name as well (%s)', async (_name, serializer) => {
    const powers = powersOf({ serializer })
    await server.cli('set', 'sess:a', '{"cookie":{},"__silverback":{"u":5,"c":4},"n":1}')
    expect(await powers.extend('a', { usedAt: 7, expiresAt: Date.now() + HOUR })).toBe(true)
    expect(await server.cli('get', 'sess:a')).toBe('{"cookie":{},"__silverback":{"u":7,"c":4},"n":1}')
    expectAbout(await pttl('a'), HOUR)
  })

  it("leaves express-session's records as they are, their cookie too", async () => {
    const powers = powersOf()
    const text = textOf({ say: '"silverback_meta":{"u":1' })
    await powers.write({ id: 'a', text, expected: null, life: lifeOf(MINUTE) })
    expect(await powers.extend('a', { ...lifeOf(), cookieText: '{"path":"/x"}' })).toBe(true)
    expect(await server.cli('get', 'sess:a')).toBe(text)
    expectAbout(await pttl('a'), HOUR)
  })

  it('falls back to the ttl for a session without end', async () => {
    const powers = powersOf({ ttl: 300 })
    await powers.write({ id: 'a', text: textOf({}), expected: null, life: { usedAt: 1, expiresAt: null } })
    expectAbout(await pttl('a'), 300_000)
    await powers.extend('a', { usedAt: 1, expiresAt: null })
    expectAbout(await pttl('a'), 300_000)
  })

  it.each<[string, (session: any) => MaybePromise<number>]>([
    ['at once', (session) => session.seconds],
    ['by promise', async (session) => session.seconds]
  ])('asks a function as ttl, which answers %s', async (_how, ttl) => {
    const powers = powersOf({ ttl })
    const old = Date.now() - 10 * MINUTE
    const text = textOf({ seconds: 50 }, { u: old, c: old })
    await powers.write({ id: 'a', text, expected: null, life: lifeOf() })
    expectAbout(await pttl('a'), 50_000)
    await powers.extend('a', lifeOf(), () => ({ seconds: 90 }))
    expectAbout(await pttl('a'), 90_000)
    await powers.extend('a', lifeOf())
    expectAbout(await pttl('a'), 50_000)
  })
})

describe('A serializer of the application', () => {
  // As one that encrypts: never the same text twice.
  const serializer = {
    stringify: (value: unknown) => `${Math.random()}:${Buffer.from(JSON.stringify(value)).toString('base64')}`,
    parse: async (text: string) => JSON.parse(Buffer.from(text.split(':')[1]!, 'base64').toString())
  }

  it('makes what is kept, for every power', async () => {
    const powers = powersOf({ serializer })
    const old = Date.now() - 10 * MINUTE
    const [one, two] = [1, 2].map((n) => textOf({ n }, { u: old, c: old, i: 'ann' })) as [string, string]
    expect(
      await powers.write({ id: 'a', text: one, expected: null, life: lifeOf(), user: { from: undefined, to: 'ann' } })
    ).toBe(true)
    expect(await server.cli('get', 'sess:a')).toMatch(/^[\d.e-]+:[\w+/=]+$/)
    const found = (await powers.read('a'))!
    expect(found).toEqual({ text: await server.cli('get', 'sess:a'), record: JSON.parse(one) })
    expect(await powers.write({ id: 'a', text: two, expected: textOf({ n: 9 }), life: lifeOf() })).toEqual(found)
    expect(await powers.write({ id: 'a', text: two, expected: found.text, life: lifeOf() })).toBe(true)
    // Known by the text that was written, too.
    const three = textOf({ n: 3 }, { u: old, c: old, i: 'ann' })
    expect(await powers.write({ id: 'a', text: three, expected: two, life: lifeOf(MINUTE) })).toBe(true)
    expect(await powers.list!('ann')).toEqual([
      { id: 'a', text: await server.cli('get', 'sess:a'), record: JSON.parse(three) }
    ])
    expect(await powers.extend('a', { usedAt: 7, expiresAt: Date.now() + 5 * MINUTE })).toBe(true)
    expectAbout(await pttl('a'), 5 * MINUTE)
    expect((await powers.read('a'))!.record).toEqual(JSON.parse(textOf({ n: 3 }, { u: 7, c: old, i: 'ann' })))
    const last = (await powers.read('a'))!
    expect(await powers.remove('a', undefined, three)).toEqual(last)
    expect(await powers.remove('a', undefined, last.text)).toBe(true)
    expect(await powers.write({ id: 'a', text: one, expected: two, life: lifeOf() })).toBeNull()
    expect(await powers.extend('a', lifeOf())).toBe(false)
  })

  it('gets the session itself, and what it makes of it comes back', async () => {
    const typed: Serializer = {
      stringify: (value) => serialize(value).toString('base64'),
      parse: (text) => deserialize(Buffer.from(text, 'base64'))
    }
    const powers = powersOf({ serializer: typed })
    const since = new Date(5)
    const live = () => ({ cookie: { path: '/' }, since })
    await powers.write({ id: 'a', text: textOf({ since }), expected: null, life: lifeOf(), live })
    const found = (await powers.read('a'))!
    expect(found.record).toEqual({ cookie: { path: '/' }, since })
    const write = { id: 'a', text: textOf({ since, n: 1 }), expected: found.text, life: lifeOf() }
    expect(await powers.write({ ...write, live: () => ({ ...live(), n: 1 }) })).toBe(true)
    expect((await powers.read('a'))!.record).toEqual({ cookie: { path: '/' }, since, n: 1 })
  })

  it('finds a first write that was sent twice as its own', async () => {
    const powers = powersOf({ serializer: { stringify: (value) => `v1${JSON.stringify(value)}`, parse: JSON.parse } })
    const write = { id: 'a', text: textOf({ n: 1 }), expected: null, life: lifeOf() }
    expect([await powers.write(write), await powers.write(write)]).toEqual([true, true])
  })

  it('makes nothing of what it cannot read', async () => {
    const powers = powersOf({ serializer })
    await server.cli('set', 'sess:a', 'no')
    expect(await powers.read('a')).toEqual({ text: 'no', record: null })
  })
})
