import { createCluster, createClient } from 'redis'
import { createCluster as createCluster5 } from 'redis5'
import { Cluster } from 'ioredis'
import request from 'supertest'
import { infoOf, sessions } from '../../lib/index'
import { POWERS } from '../../lib/store/contract'
import { RedisStore } from '../../lib/stores/redis/redis'
import type { RedisClient } from '../../lib/stores/redis/client'
import { appWith, cookieOf, secret } from '../helpers/app'
import { CLIENTS } from '../helpers/redis-clients'
import { RedisServer, startCluster, until } from '../helpers/redis-server'

const closing: (() => unknown)[] = []

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

function closed<T extends RedisServer>(server: T): T {
  closing.push(() => server.stop())
  return server
}

async function startPair(): Promise<{ master: RedisServer; replica: RedisServer }> {
  const master = closed(await RedisServer.start(['--repl-diskless-sync-delay', '0']))
  const replica = closed(await RedisServer.start(['--replicaof', '127.0.0.1', String(master.port)]))
  await until(
    async () => (await replica.cli('info', 'replication')).includes('master_link_status:up'),
    'the replica is in step'
  )
  return { master, replica }
}

async function clientOf(name: string, server: RedisServer): Promise<RedisClient> {
  const { client, close } = await CLIENTS[name]!(server.url)
  closing.push(close)
  return client
}

/** From now on the master reaches no replica, and thinks so. */
async function cutOff({ master, replica }: { master: RedisServer; replica: RedisServer }): Promise<void> {
  replica.pause()
  await master.cli('client', 'kill', 'type', 'replica')
}

/** The master loses power and the replica takes its place. */
async function failOver({ master, replica }: { master: RedisServer; replica: RedisServer }): Promise<void> {
  await master.kill()
  replica.resume()
  await replica.cli('replicaof', 'no', 'one')
}

function appOn(client: RedisClient, wait?: { replicas: number; timeout?: number }) {
  const store = new RedisStore({ client, ...(wait && { wait }) })
  const auth = sessions({ secret, store, storeTimeout: 30_000, userId: (session: any) => session.user })
  const app = appWith(auth, {
    '/login': (req, res) => {
      req.session.user = 'ann'
      res.send('in')
    },
    '/read': (req, res) => res.json({ user: req.session.user ?? null, code: infoOf(req.session).error?.code }),
    '/logout': async (req, res) => {
      await req.session.destroy()
      res.send('out')
    },
    '/rotate': async (req, res) => {
      await req.session.regenerate({ keep: true })
      res.send('rotated')
    },
    '/revoke': async (_req, res) => res.json(await auth.revoke('ann'))
  })
  return { app, get: (path: string, cookie: string) => request(app).get(path).set('Cookie', cookie) }
}

async function loggedIn({ app }: ReturnType<typeof appOn>, { master, replica }: Record<string, RedisServer>) {
  const cookie = cookieOf(await request(app).get('/login').expect(200))!
  const key = await master!.cli('keys', 'sess:*')
  await until(async () => (await replica!.cli('exists', key)) === '1', 'the replica has the session')
  return cookie
}

describe('a failover of Redis', () => {
  it('may lose a logout that only the master has acknowledged: the documented window', async () => {
    const pair = await startPair()
    const app = appOn(await clientOf('node-redis 6', pair.master))
    const cookie = await loggedIn(app, pair)
    await cutOff(pair)
    await app.get('/logout', cookie).expect(200)
    await failOver(pair)
    const after = appOn(await clientOf('node-redis 6', pair.replica))
    expect((await after.get('/read', cookie)).body.user).toBe('ann')
  })

  it.each(Object.keys(CLIENTS))('loses no logout that replicas have confirmed (%s)', async (name) => {
    const pair = await startPair()
    const app = appOn(await clientOf(name, pair.master), { replicas: 1, timeout: 15_000 })
    const cookie = await loggedIn(app, pair)
    await app.get('/logout', cookie).expect(200)
    await failOver(pair)
    const after = appOn(await clientOf(name, pair.replica))
    expect((await after.get('/read', cookie)).body).toEqual({ user: null, code: 'ERR_SESSION_MISSING' })
  })

  it.each(Object.keys(CLIENTS))('a logout that replicas have not confirmed says so (%s)', async (name) => {
    const pair = await startPair()
    const app = appOn(await clientOf(name, pair.master), { replicas: 1, timeout: 50 })
    const cookie = await loggedIn(app, pair)
    await cutOff(pair)
    const res = await app.get('/logout', cookie)
    expect(res.status).toBe(503)
    expect(res.body).toEqual({
      code: 'ERR_SESSION_STORE',
      message: 'Redis removed the session, but 0 of 1 replicas confirmed it within 50 ms: a failover may bring it back'
    })
    expect(cookieOf(res)).toBe('sid=')
    expect((await app.get('/read', cookie)).body.code).toBe('ERR_SESSION_MISSING')
  })

  it.each(['/rotate', '/revoke'])('does not take %s for done', async (path) => {
    const pair = await startPair()
    const app = appOn(await clientOf('ioredis', pair.master), { replicas: 1, timeout: 50 })
    const cookie = await loggedIn(app, pair)
    await cutOff(pair)
    const res = await app.get(path, cookie)
    expect([res.status, res.body.code]).toEqual([503, 'ERR_SESSION_STORE'])
  })

  it('store.destroy() fails aloud, too, and one that had nothing to destroy does not', async () => {
    const pair = await startPair()
    const client = await clientOf('node-redis 6', pair.master)
    expect(new RedisStore({ client, wait: { replicas: 1 } }).wait).toEqual({ replicas: 1, timeout: 1000 })
    const store = new RedisStore({ client, wait: { replicas: 1, timeout: 15_000 } })
    await expect(store.destroy('unknown')).resolves.toBeNull()
    await store.set('one', { cookie: {} })
    store.wait = { replicas: 2, timeout: 50 }
    await expect(store.destroy('one')).rejects.toMatchObject({ code: 'ERR_SESSION_STORE', status: 503 })
  })
})

describe('the option wait', () => {
  it.each([
    { replicas: 0 },
    { replicas: 1.5 },
    { replicas: '1' },
    { replicas: 1, timeout: 0 },
    { replicas: 1, timeout: Infinity },
    {},
    true
  ])('%j is refused', (wait) => {
    const client = createClient()
    expect(() => new RedisStore({ client, wait: wait as never })).toThrow(
      'RedisStore: `wait` must be { replicas, timeout }, both whole numbers above 0'
    )
  })

  it.each(['node-redis 6', 'ioredis'])('names the command that an ACL refuses (%s)', async (name) => {
    const server = closed(await RedisServer.start())
    const client = await clientOf(name, server)
    await server.cli('acl', 'setuser', 'default', '+@all', '-wait')
    await expect(new RedisStore({ client, wait: { replicas: 1 } }).destroy('one')).rejects.toThrow(
      'Redis refuses EVAL to this user: its ACL must allow +evalsha +eval +get +del +wait, and the keys of the store'
    )
  })
})

describe('the option wait in a cluster', () => {
  let nodes: RedisServer[]

  beforeAll(async () => {
    nodes = await startCluster()
  })

  afterAll(() => Promise.all(nodes.map((node) => node.stop())))

  const clusters: Record<string, () => Promise<RedisClient>> = {
    'node-redis 6': async () => {
      const client = createCluster({ rootNodes: nodes.map(({ url }) => ({ url })) })
      client.on('error', () => undefined)
      await client.connect()
      closing.push(() => client.destroy())
      return client
    },
    'node-redis 5': async () => {
      const client = createCluster5({ rootNodes: nodes.map(({ url }) => ({ url })) })
      client.on('error', () => undefined)
      await client.connect()
      closing.push(() => client.destroy())
      return client
    },
    ioredis: async () => {
      const client = new Cluster(nodes.map(({ url }) => url))
      await new Promise((resolve) => client.once('ready', resolve))
      closing.push(() => client.disconnect())
      return client
    }
  }

  const UNCONFIRMED = 'Redis removed the session, but 0 of 1 replicas confirmed it within 5 ms'

  it.each(Object.keys(clusters))('asks the master that has removed the session (%s)', async (name) => {
    const store = new RedisStore({ client: await clusters[name]!(), wait: { replicas: 1, timeout: 5 } })
    const ids = Array.from({ length: 12 }, (_, i) => `id${i}`)
    await Promise.all(ids.map((id) => store.set(id, { cookie: {} })))
    await Promise.all(nodes.map((node) => node.resetCounts()))
    for (const id of ids) await expect(store.destroy(id)).rejects.toThrow(UNCONFIRMED)
    const counts = await Promise.all(nodes.map((node) => node.counts()))
    for (const { del, wait } of counts) expect(del).toBe(wait)
    expect(counts.reduce((sum, { del = 0 }) => sum + del, 0)).toBe(ids.length)
  })

  it.each(Object.keys(clusters))('follows a session that has moved to another master (%s)', async (name) => {
    const store = new RedisStore({ client: await clusters[name]!(), wait: { replicas: 1, timeout: 5 } })
    const id = `moved-${name.replace(' ', '-')}`
    await expect(store.destroy(id)).rejects.toThrow(UNCONFIRMED)
    const slot = await nodes[0]!.cli('cluster', 'keyslot', `sess:${id}`)
    const home = [5461, 10_923, 16_384].findIndex((end) => Number(slot) < end)
    const target = nodes[(home + 1) % 3]!
    const targetId = await target.cli('cluster', 'myid')
    // Else a message that the former master sent just before would win the slot back for it.
    await target.cli('cluster', 'bumpepoch')
    for (const node of [target, ...nodes]) await node.cli('cluster', 'setslot', slot, 'node', targetId)
    await target.cli('set', `sess:${id}`, '{}')
    await expect(store[POWERS].remove(id)).rejects.toThrow(UNCONFIRMED)
    expect(await target.cli('exists', `sess:${id}`)).toBe('0')
  })
})
