import { POWERS, type Found, type Life, type Powers } from '../../lib/store/contract'
import { decodeRecord, encodeRecord } from '../../lib/record/record'
import { RedisStore, type RedisStoreOptions } from '../../lib/stores/redis/redis'
import { asComparing, type Comparing } from '../helpers/newer-redis'
import { CLIENTS, type Connected } from '../helpers/redis-clients'
import { RedisServer } from '../helpers/redis-server'

const HOUR = 3_600_000
const AT = Date.now()

let server: RedisServer
let real: boolean

beforeAll(async () => {
  server = await RedisServer.start()
  real = await server.compares()
})

afterEach(() => server.cli('flushall'))

afterAll(() => server.stop())

function textOf(data: object): string {
  return encodeRecord('{"path":"/"}', { u: AT, c: AT }, JSON.stringify(data))
}

function life(ms = HOUR): Life {
  return { usedAt: Date.now(), expiresAt: Date.now() + ms }
}

describe.each(Object.entries(CLIENTS))('Where SET compares, conditional writes with %s', (_name, connect) => {
  let comparing: Comparing
  let connected: Connected

  beforeAll(async () => {
    connected = await connect(server.url)
  })

  beforeEach(() => {
    comparing = { sets: 0, real, now: true }
  })

  afterAll(() => connected.close())

  /** Powers that have met the server by a first write. */
  async function acquainted(options: Partial<RedisStoreOptions> = {}): Promise<Powers> {
    const client = asComparing(connected.client, comparing)
    const powers = new RedisStore({ client, ...options })[POWERS]
    await powers.write({ id: 'first', text: textOf({ n: 0 }), expected: null, life: life() })
    await powers.write({ id: 'first', text: textOf({ n: 1 }), expected: textOf({ n: 0 }), life: life() })
    expect(comparing.sets).toBe(0)
    return powers
  }

  it('compare in SET, from the second on', async () => {
    const powers = await acquainted()
    const [one, two] = [textOf({ n: 1, text: 'h\u00e9 \u{1f600}' }), textOf({ n: 2 })]
    await powers.write({ id: 'a', text: one, expected: null, life: life() })
    expect(await powers.write({ id: 'a', text: two, expected: one, life: life(60_000) })).toBe(true)
    expect(comparing.sets).toBe(1)
    expect(await server.cli('get', 'sess:a')).toBe(two)
    const pttl = Number(await server.cli('pttl', 'sess:a'))
    expect(pttl > 0 && pttl <= 60_000).toBe(true)
  })

  it('tell what is there instead, and that it is gone, and leave both alone', async () => {
    const powers = await acquainted()
    const [one, two, three] = [textOf({ n: 1 }), textOf({ n: 2 }), textOf({ n: 3 })]
    await powers.write({ id: 'a', text: two, expected: null, life: life() })
    expect(await powers.write({ id: 'a', text: three, expected: one, life: life() })).toEqual({ text: two })
    await powers.remove('a')
    expect(await powers.write({ id: 'a', text: three, expected: two, life: life() })).toBeNull()
    await server.cli('hset', 'sess:h', 'f', 'v')
    expect(await powers.write({ id: 'h', text: three, expected: two, life: life() })).toBeNull()
    expect(comparing.sets).toBe(3)
    expect([await server.cli('exists', 'sess:a'), await server.cli('hget', 'sess:h', 'f')]).toEqual(['0', 'v'])
  })

  it('count 200 increments at once exactly', async () => {
    const powers = await acquainted()
    await powers.write({ id: 'a', text: textOf({ n: 0 }), expected: null, life: life() })
    const increment = async () => {
      let found = (await powers.read('a')) as Found
      for (;;) {
        const n = decodeRecord(found.text)!.data['n'] as number
        const result = await powers.write({ id: 'a', text: textOf({ n: n + 1 }), expected: found.text, life: life() })
        if (result === true) return
        found = result as Found
      }
    }
    await Promise.all(
      Array.from({ length: 4 }, async () => {
        for (let i = 0; i < 50; i++) await increment()
      })
    )
    expect(decodeRecord(((await powers.read('a')) as Found).text)!.data).toEqual({ n: 200 })
    // Those of one turn go in a script.
    expect(comparing.sets).toBeGreaterThan(0)
  })

  it('name a long record by its hash, and keep sessions for ever where told to', async () => {
    const powers = await acquainted({ disableTTL: true })
    const [short, long] = [textOf({ n: 1 }), textOf({ n: 'x'.repeat(5000) })]
    await powers.write({ id: 'a', text: short, expected: null, life: life() })
    expect(await powers.write({ id: 'a', text: long, expected: short, life: life() })).toBe(true)
    expect([comparing.sets, await server.cli('pttl', 'sess:a')]).toEqual([1, '-1'])
    expect(await powers.write({ id: 'a', text: short, expected: long, life: life() })).toBe(true)
    expect([comparing.sets, await server.cli('pttl', 'sess:a')]).toEqual([1, '-1'])
  })

  it('go back to the script on the older server that a failover leads to', async () => {
    const powers = await acquainted()
    const [one, two, three] = [textOf({ n: 1 }), textOf({ n: 2 }), textOf({ n: 3 })]
    await powers.write({ id: 'a', text: one, expected: null, life: life() })
    comparing.now = false
    expect(await powers.write({ id: 'a', text: two, expected: one, life: life() })).toBe(true)
    expect(await powers.write({ id: 'a', text: three, expected: one, life: life() })).toEqual({ text: two })
    expect(await powers.write({ id: 'a', text: three, expected: two, life: life() })).toBe(true)
    expect(await server.cli('get', 'sess:a')).toBe(three)
    expect(comparing.sets).toBe(1)
  })

  it('stay with the script where the server has refused to compare', async () => {
    comparing.now = false
    const powers = new RedisStore({ client: asComparing(connected.client, comparing) })[POWERS]
    const [one, two, three] = [textOf({ n: 1 }), textOf({ n: 2 }), textOf({ n: 3 })]
    await powers.write({ id: 'a', text: one, expected: null, life: life() })
    expect(await powers.write({ id: 'a', text: two, expected: one, life: life() })).toBe(true)
    comparing.now = true
    expect(await powers.write({ id: 'a', text: three, expected: two, life: life() })).toBe(true)
    expect(comparing.sets).toBe(0)
  })
})
