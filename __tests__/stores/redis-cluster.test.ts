import { Cluster, Redis } from 'ioredis'
import { Cluster as ValkeyCluster } from 'iovalkey'
import { createClient, createCluster } from 'redis'
import { createCluster as createCluster5 } from 'redis5'
import { POWERS, type Found, type Life } from '../../lib/store/contract'
import { decodeRecord, encodeRecord } from '../../lib/record/record'
import { RedisStore } from '../../lib/stores/redis/redis'
import type { RedisClient } from '../../lib/stores/redis/client'
import { addressesOf, glide, ofGlide } from '../helpers/redis-clients'
import { ACL, type RedisServer, startCluster } from '../helpers/redis-server'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

let nodes: RedisServer[]

beforeAll(async () => {
  nodes = await startCluster()
})

afterEach(() => Promise.all(nodes.map((node) => node.cli('flushall'))))

afterAll(() => Promise.all(nodes.map((node) => node.stop())))

interface Connected {
  client: RedisClient
  close(): void
}

const CLUSTERS: Record<string, () => Promise<Connected>> = {
  'node-redis 6': async () => {
    const client = createCluster({ rootNodes: nodes.map(({ url }) => ({ url })) })
    client.on('error', () => undefined)
    await client.connect()
    return { client, close: () => client.destroy() }
  },
  'node-redis 5': async () => {
    const client = createCluster5({ rootNodes: nodes.map(({ url }) => ({ url })) })
    client.on('error', () => undefined)
    await client.connect()
    return { client, close: () => client.destroy() }
  },
  ioredis: async () => {
    const client = new Cluster(nodes.map(({ url }) => url))
    await new Promise((resolve) => client.once('ready', resolve))
    return { client, close: () => client.disconnect() }
  },
  iovalkey: async () => {
    const client = new ValkeyCluster(nodes.map(({ url }) => url))
    await new Promise((resolve) => client.once('ready', resolve))
    return { client, close: () => client.disconnect() }
  },
  ...(process.env['GLIDE'] !== undefined && {
    'valkey-glide': async () =>
      ofGlide(await glide().GlideClusterClient.createClient(addressesOf(nodes.map(({ url }) => url))))
  })
}

function textOf(data: object, user?: string, usedAt = Date.now()): string {
  const meta = { u: usedAt, c: usedAt, ...(user !== undefined && { i: user }) }
  return encodeRecord('{"path":"/"}', meta, JSON.stringify(data))
}

function life(): Life {
  return { usedAt: Date.now(), expiresAt: Date.now() + HOUR }
}

async function sizes(): Promise<number[]> {
  return (await Promise.all(nodes.map((node) => node.cli('dbsize')))).map(Number)
}

describe.each(Object.entries(CLUSTERS))('A cluster through %s', (_name, connect) => {
  let connected: Connected
  let store: RedisStore

  beforeAll(async () => {
    connected = await connect()
    store = new RedisStore({ client: connected.client })
  })

  afterAll(() => connected.close())

  it('serves logins on every master, with all powers', async () => {
    const powers = store[POWERS]
    const ids = Array.from({ length: 60 }, (_, i) => `id${i}`)
    await Promise.all(
      ids.map(async (id, i) => {
        const user = `user${i % 3}`
        const anonymous = textOf({ n: 1 })
        expect(await powers.write({ id, text: anonymous, expected: null, life: life() })).toBe(true)
        const known = textOf({ n: 2 }, user)
        expect(
          await powers.write({
            id,
            text: known,
            expected: anonymous,
            life: life(),
            user: { from: undefined, to: user }
          })
        ).toBe(true)
        expect(await powers.write({ id, text: known, expected: anonymous, life: life() })).toEqual({ text: known })
        expect(await powers.extend(id, { usedAt: 7, expiresAt: Date.now() + HOUR })).toBe(true)
        const found = (await powers.read(id)) as Found
        expect(decodeRecord(found.text)!.meta!.u).toBe(7)
      })
    )
    expect(Math.min(...(await sizes()))).toBeGreaterThan(0)
    for (const user of ['user0', 'user1', 'user2']) expect(await powers.list!(user)).toHaveLength(20)
    await Promise.all(ids.map((id, i) => powers.remove(id, `user${i % 3}`)))
    expect(await sizes()).toEqual([0, 0, 0])
  })

  it('clears its own keys on every master and leaves foreign ones', async () => {
    const foreign = Array.from({ length: 30 }, (_, i) => `foreign:sess:${i}`)
    const clear = new RedisStore({ client: connected.client, prefix: 's[e]*:', scanCount: 10 })
    const ids = Array.from({ length: 60 }, (_, i) => `id${i}`)
    const record = { cookie: { path: '/' } }
    await Promise.all([...foreign.map((id) => store.set(id, record)), ...ids.map((id) => clear.set(id, record))])
    expect((await clear.ids())!.sort()).toEqual([...ids].sort())
    expect((await clear.all())!.map((session) => session['id']).sort()).toEqual([...ids].sort())
    expect(await clear.length()).toBe(60)
    await clear.clear()
    expect(await clear.length()).toBe(0)
    expect((await store.ids())!.sort()).toEqual([...foreign].sort())
  })

  it('locks across its clients', async () => {
    const { lock } = store[POWERS]
    for (let i = 0; i < 10; i++) {
      expect(await lock!.acquire(`id${i}`, 'one', MINUTE)).toBe(true)
      expect(await lock!.acquire(`id${i}`, 'two', MINUTE)).toBe(false)
      await lock!.release(`id${i}`, 'one')
    }
    expect(await sizes()).toEqual([0, 0, 0])
  })

  it('logs out with `wait` while the slot of the session is being moved', async () => {
    if (_name === 'valkey-glide') return
    const powers = new RedisStore({ client: connected.client, wait: { replicas: 1, timeout: 5 } })[POWERS]
    await powers.write({ id: 'a', text: textOf({}), expected: null, life: life() })
    const slot = await nodes[0]!.cli('cluster', 'keyslot', 'sess:a')
    const from = nodes[[5461, 10_923, 16_384].findIndex((end) => Number(slot) < end)]!
    const to = nodes.find((node) => node !== from)!
    const [fromId, toId] = [await from.cli('cluster', 'myid'), await to.cli('cluster', 'myid')]
    await to.cli('cluster', 'setslot', slot, 'importing', fromId)
    await from.cli('cluster', 'setslot', slot, 'migrating', toId)
    await from.cli('migrate', '127.0.0.1', String(to.port), 'sess:a', '0', '5000')
    // There are no replicas here to confirm it.
    await expect(powers.remove('a')).rejects.toThrow('Redis removed the session, but 0 of 1 replicas confirmed it')
    expect(await sizes()).toEqual([0, 0, 0])
    for (const node of [from, to]) await node.cli('cluster', 'setslot', slot, 'stable')
  })

  it('finds out of each node, once, whether its SET compares', async () => {
    const compares = await nodes[0]!.compares()
    const powers = new RedisStore({ client: connected.client })[POWERS]
    const ids = Array.from({ length: 30 }, (_, i) => `id${i}`)
    const [one, two, three] = [textOf({ n: 1 }), textOf({ n: 2 }), textOf({ n: 3 })]
    for (const id of ids) await powers.write({ id, text: one, expected: null, life: life() })
    await Promise.all(nodes.map((node) => node.resetCounts()))
    for (const id of ids) expect(await powers.write({ id, text: two, expected: one, life: life() })).toBe(true)
    for (const id of ids) expect(await powers.write({ id, text: three, expected: two, life: life() })).toBe(true)
    const counts = await Promise.all(nodes.map((node) => node.counts()))
    const [scripts, sets] = ['evalsha', 'set'].map((name) => counts.reduce((sum, each) => sum + (each[name] ?? 0), 0))
    // Glide does not tell its nodes apart.
    const servers = _name === 'valkey-glide' ? 1 : nodes.length
    if (compares) expect([scripts, sets]).toEqual([servers, 2 * ids.length])
    else expect([scripts, sets]).toEqual([2 * ids.length, 2 * ids.length + servers])
  })

  it('counts 300 increments of two clients exactly', async () => {
    const other = await connect()
    const both = [store[POWERS], new RedisStore({ client: other.client })[POWERS]]
    await both[0]!.write({ id: 'a', text: textOf({ n: 0 }), expected: null, life: life() })
    const increment = async (i: number) => {
      const powers = both[i % 2]!
      let found = (await powers.read('a')) as Found
      for (;;) {
        const n = decodeRecord(found.text)!.data['n'] as number
        const result = await powers.write({ id: 'a', text: textOf({ n: n + 1 }), expected: found.text, life: life() })
        if (result === true) return
        found = result as Found
      }
    }
    const workers = [0, 1, 2, 3].map(async (w) => {
      for (let i = 0; i < 75; i++) await increment(w)
    })
    await Promise.all(workers)
    expect(decodeRecord(((await both[1]!.read('a')) as Found).text)!.data).toEqual({ n: 300 })
    other.close()
  })
})

describe.each(['node-redis 6', 'node-redis 5', 'ioredis'])('With the rights that the documents ask for, %s', (name) => {
  it('serves a cluster', async () => {
    const rules = [...ACL.keys, ...ACL.sessions, ...ACL.listing, ...ACL.connecting, ...ACL.cluster]
    const user = ['acl', 'setuser', 'app', 'on', '>secret', 'resetkeys', '-@all', ...rules]
    await Promise.all(nodes.map((node) => node.cli(...user)))
    const access = { username: 'app', password: 'secret' }
    const rootNodes = nodes.map(({ url }) => ({ url }))
    const urls = nodes.map(({ url }) => url)
    const client: any = {
      'node-redis 6': () => createCluster({ rootNodes, defaults: access }),
      'node-redis 5': () => createCluster5({ rootNodes, defaults: access }),
      ioredis: () => new Cluster(urls, { redisOptions: access, lazyConnect: true })
    }[name]!()
    client.on('error', () => undefined)
    await client.connect()
    const store = new RedisStore({ client })
    for (let i = 0; i < 20; i++) await store.set(`id${i}`, { cookie: {} })
    expect(await store.length()).toBe(20)
    const one = textOf({ n: 1 })
    expect(await store[POWERS].write({ id: 'a', text: one, expected: null, life: life() })).toBe(true)
    expect(await store[POWERS].write({ id: 'a', text: textOf({}), expected: one, life: life() })).toBe(true)
    await store.clear()
    expect(await sizes()).toEqual([0, 0, 0])
    client.disconnect()
  })
})

describe('A client that knows no clusters', () => {
  it.each([
    ['node-redis', (url: string) => createClient({ url })],
    ['ioredis', (url: string) => new Redis(url, { lazyConnect: true })]
  ])('of %s is told that it needs to', async (_name, create) => {
    const client = create(nodes[0]!.url)
    await client.connect()
    const store = new RedisStore({ client })
    const answers = await Promise.allSettled(Array.from({ length: 20 }, (_, i) => store.get(`id${i}`)))
    const reasons = new Set(answers.map((each) => (each.status === 'rejected' ? each.reason.message : each.value)))
    expect(reasons).toEqual(new Set([null, 'Redis refused GET: MOVED (a cluster needs a cluster client)']))
    client.disconnect()
  })
})

describe('A slot that is being moved, of which valkey-glide hands out refusals,', () => {
  // Parallel commands meet them only in a few ms of a real move.
  const clientAnswering = (...replies: unknown[]): any => {
    const customCommand = jest.fn(async () => {
      const reply = replies.shift()
      if (reply instanceof Error) throw reply
      return reply
    })
    const unused = () => undefined
    return { get: unused, set: unused, del: unused, expire: unused, fcallWithRoute: unused, customCommand }
  }
  const said = (text: string) => new Error(`An error was signalled by the server: - ${text}`)

  it('costs no request: what was refused is sent again', async () => {
    const moved = () => said('Moved: 4984 127.0.0.1:6379')
    const client = clientAnswering(moved(), moved(), moved(), '{"cookie":{},"n":1}')
    expect(await new RedisStore({ client }).get('a')).toEqual({ cookie: {}, n: 1 })
    expect(client.customCommand).toHaveBeenCalledTimes(4)
  })

  it('is told as it is where it stays so, as is any other error at once', async () => {
    const client = clientAnswering(...Array.from({ length: 99 }, () => said('Moved: 4984 127.0.0.1:6379')))
    await expect(new RedisStore({ client }).get('a')).rejects.toThrow('Redis refused GET: MOVED')
    expect(client.customCommand.mock.calls.length).toBeLessThan(20)
    const down = clientAnswering(said('ClusterDown: Hash slot not served'), null)
    await expect(new RedisStore({ client: down }).get('a')).rejects.toThrow('Redis refused GET: CLUSTERDOWN')
    expect(down.customCommand).toHaveBeenCalledTimes(1)
  })
})
