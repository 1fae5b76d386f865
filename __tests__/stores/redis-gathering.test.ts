import { POWERS, type Life, type Powers } from '../../lib/store/contract'
import { encodeRecord } from '../../lib/record/record'
import { RedisStore } from '../../lib/stores/redis/redis'
import { CLIENTS, type Connected } from '../helpers/redis-clients'
import { RedisServer, until } from '../helpers/redis-server'

// What is asked for in one turn of the event loop leaves together.

const NAMES = ['node-redis 6', 'node-redis 5', 'node-redis 6 pool', 'ioredis', 'iovalkey']
const MANY = Array.from({ length: 30 }, (_, i) => `s${i}`)

const servers: RedisServer[] = []
const clients: Connected[] = []

afterEach(async () => {
  clients.splice(0).forEach((client) => client.close())
  await Promise.all(servers.splice(0).map((server) => server.stop()))
})

async function start(name: string, ...flags: string[]): Promise<{ server: RedisServer; powers: Powers }> {
  const server = await RedisServer.start(flags)
  servers.push(server)
  if (flags.includes('--cluster-enabled')) {
    await server.cli('cluster', 'addslotsrange', '0', '16383')
    await until(async () => (await server.cli('cluster', 'info')).includes('cluster_state:ok'), 'the node serves')
  }
  const connected = await CLIENTS[name]!(server.url)
  clients.push(connected)
  return { server, powers: new RedisStore({ client: connected.client })[POWERS] }
}

function textOf(data: object): string {
  return encodeRecord('{}', { u: 5, c: 5 }, JSON.stringify(data))
}

function life(): Life {
  return { usedAt: Date.now(), expiresAt: Date.now() + 3_600_000 }
}

function create(powers: Powers, ids = MANY) {
  return Promise.all(ids.map((id) => powers.write({ id, text: textOf({ id }), expected: null, life: life() })))
}

function change(powers: Powers, id: string, expected: string | null = textOf({ id })) {
  return powers.write({ id, text: textOf({ id, changed: true }), expected, life: life() })
}

describe.each(NAMES)('In one turn with %s', (name) => {
  it('a lone read and a lone new session are what they were', async () => {
    const { server, powers } = await start(name)
    await create(powers, ['a'])
    await powers.read('a')
    expect(await server.counts()).toMatchObject({ set: 1, get: 1 })
    expect(Object.keys(await server.counts())).not.toEqual(expect.arrayContaining(['mget']))
  })

  it('new sessions are one script, or a SET each where the client sends those in one piece', async () => {
    const { server, powers } = await start(name)
    expect(await create(powers)).toEqual(MANY.map(() => true))
    const { evalsha, set } = await server.counts()
    const sendsInOnePiece = name === 'node-redis 6' || name === 'node-redis 5'
    expect([evalsha, set]).toEqual([sendsInOnePiece ? undefined : 1, MANY.length])
  })

  it('reads are one command, and each gets its own', async () => {
    const { server, powers } = await start(name)
    expect(await create(powers)).toEqual(MANY.map(() => true))
    await server.cli('hset', 'sess:hash', 'f', 'v')
    await server.resetCounts()
    const ids = ['none', ...MANY, 'hash']
    const found = await Promise.all(ids.map((id) => powers.read(id)))
    expect(found).toEqual([null, ...MANY.map((id) => ({ text: textOf({ id }) })), null])
    const { get, mget } = await server.counts()
    expect([get, mget]).toEqual([undefined, 1])
  })

  it('what is read later leaves at its end', async () => {
    const { server, powers } = await start(name)
    await create(powers)
    await server.resetCounts()
    const found = [powers.read('s0')]
    // Each as if a request of its own had come in.
    for (const id of MANY.slice(1)) {
      await new Promise<void>((resolve) => process.nextTick(resolve))
      found.push(powers.read(id))
    }
    expect(await Promise.all(found)).toEqual(MANY.map((id) => ({ text: textOf({ id }) })))
    const { get, mget } = await server.counts()
    expect([get, mget]).toEqual([1, 1])
  })

  it('writes are one script, and what becomes of one does not matter to the others', async () => {
    const { server, powers } = await start(name)
    await create(powers)
    await server.cli('hset', 'sess:hash', 'f', 'v')
    await server.cli('hset', 'sess:new-hash', 'f', 'v')
    await server.resetCounts()
    const long = 'x'.repeat(10_000)
    const results = await Promise.allSettled([
      ...MANY.map((id) => change(powers, id)),
      change(powers, 's0', textOf({ other: 1 })),
      change(powers, 'gone'),
      change(powers, 'new', null),
      change(powers, 'hash'),
      change(powers, 'new-hash', null),
      powers.write({ id: 'long', text: textOf({ long }), expected: null, life: life() })
    ])
    const values = results.map((each) => (each.status === 'fulfilled' ? each.value : each.reason.message))
    const changed = { text: textOf({ id: 's0', changed: true }) }
    const refused = 'Redis refused EVALSHA: WRONGTYPE'
    expect(values).toEqual([...MANY.map(() => true), changed, null, true, null, refused, true])
    expect((await server.counts())['evalsha']).toBeLessThanOrEqual(2)
    expect(await powers.read('s29')).toEqual({ text: textOf({ id: 's29', changed: true }) })
    expect(Number(await server.cli('pttl', 'sess:s29'))).toBeGreaterThan(3_500_000)
    expect(await server.cli('hget', 'sess:hash', 'f')).toBe('v')
  })

  it('all go by themselves, from then on, where the ACL allows no MGET', async () => {
    const { server, powers } = await start(name)
    await create(powers)
    await server.cli('acl', 'setuser', 'default', '-mget')
    const all = MANY.map((id) => ({ text: textOf({ id }) }))
    expect(await Promise.all(MANY.map((id) => powers.read(id)))).toEqual(all)
    await server.resetCounts()
    expect(await Promise.all(MANY.map((id) => powers.read(id)))).toEqual(all)
    const { get, mget } = await server.counts()
    expect([get, mget]).toEqual([MANY.length, undefined])
  })

  it('a fault is that of all', async () => {
    const { server, powers } = await start(name)
    await create(powers)
    await server.cli('config', 'set', 'maxmemory', '1')
    const writes = await Promise.allSettled(MANY.map((id) => change(powers, id)))
    const reasons = new Set(writes.map((each) => (each as PromiseRejectedResult).reason.message))
    for (const reason of reasons) expect(reason).toMatch(/^Redis refused (SET|EVALSHA): OOM$/)
  })
})

describe.each(['node-redis 6', 'ioredis'])('With %s', (name) => {
  it.each(['read', 'write'])('all go by themselves where the server keeps keys apart (%s)', async (what) => {
    const { server, powers } = await start(name, '--cluster-enabled', 'yes')
    for (const id of MANY) await create(powers, [id])
    if (what === 'read') {
      const found = await Promise.all(MANY.map((id) => powers.read(id)))
      expect(found).toEqual(MANY.map((id) => ({ text: textOf({ id }) })))
    } else {
      expect(await Promise.all(MANY.map((id) => change(powers, id)))).toEqual(MANY.map(() => true))
    }
    await server.resetCounts()
    expect(await Promise.all(MANY.map((id) => powers.read(id)))).not.toContain(null)
    expect((await server.counts())['get']).toBe(MANY.length)
  })
})

describe.each(['node-redis 6', 'node-redis 5', 'node-redis 6 pool'])('When %s loses its connection', (name) => {
  it('reads of one turn fail alike', async () => {
    const { server, powers } = await start(name)
    await create(powers)
    server.pause()
    const reads = Promise.allSettled(MANY.map((id) => powers.read(id)))
    for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve))
    await server.kill()
    for (const each of await reads) expect(each).toMatchObject({ reason: { code: 'ERR_SESSION_STORE', status: 503 } })
  })
})
