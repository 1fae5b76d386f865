import { Cluster, Redis } from 'ioredis'
import { createCluster, createSentinel } from 'redis'
import { createCluster as createCluster5, createSentinel as createSentinel5 } from 'redis5'
import type { RedisClient } from '../../lib/stores/redis/client'
import { FailoverApp, type Held, type Visitor } from '../helpers/failover-app'
import { CLIENTS, type Connected } from '../helpers/redis-clients'
import {
  failLate,
  failSoon,
  inStep,
  RedisServer,
  startCluster,
  startReplicas,
  startSentinel,
  until
} from '../helpers/redis-server'

const silent = () => undefined
const PATIENCE = 60_000
const running: RedisServer[] = []
const open: Connected[] = []

afterEach(async () => {
  open.splice(0).forEach((connected) => connected.close())
  await Promise.all(running.splice(0).map((server) => server.stop()))
})

/** How a master is lost: its process ends, or answers nothing any more while its connections stay open. */
type Loss = 'dies' | 'falls silent'

/** What docs/stores.md gives ioredis for masters that fall silent; shorter. */
const settingsFor = (loss: Loss) => (loss === 'dies' ? {} : { socketTimeout: 5000 })

/** A Redis of several servers, one of which will die, and its replica. */
interface Topology {
  master: RedisServer
  replica: RedisServer
  connect: Record<string, () => Promise<Connected>>
  /** From now on the others soon take a server that does not answer for dead. */
  hurry(): Promise<unknown>
  /** From now on they do not: what goes on after the failover is not to meet with another one. */
  calm(): Promise<unknown>
  /** Clients that find the new master only when the old one is back. */
  bound: string[]
}

async function ofNode(client: any): Promise<Connected> {
  client.on('error', silent)
  await client.connect()
  return { client, close: () => void client.destroy() }
}

async function ofIo(client: Cluster | Redis): Promise<Connected> {
  client.on('error', silent)
  await new Promise((resolve) => (client as Redis).once('ready', resolve))
  return { client, close: () => client.disconnect() }
}

async function ofCluster(loss: Loss): Promise<Topology> {
  const masters = await startCluster()
  running.push(...masters)
  const replicas = await startReplicas(masters)
  running.push(...replicas)
  const urls = masters.map(({ url }) => url)
  const rootNodes = urls.map((url) => ({ url }))
  const options = { rootNodes, topologyRefreshOnReconnectionAttemptStrategy: 1000 }
  return {
    master: masters[0]!,
    replica: replicas[0]!,
    connect: {
      'node-redis 6': () => ofNode(createCluster(options)),
      'node-redis 5': () => ofNode(createCluster5({ rootNodes })),
      ioredis: () => ofIo(new Cluster(urls, { redisOptions: settingsFor(loss) }))
    },
    hurry: () => failSoon([...masters, ...replicas]),
    calm: () => failLate([...masters.slice(1), ...replicas]),
    bound: loss === 'dies' ? ['node-redis 5'] : ['node-redis 5', 'node-redis 6']
  }
}

async function ofSentinel(loss: Loss): Promise<Topology> {
  const { master, replica, sentinel } = await startSentinel()
  running.push(master, replica, sentinel)
  const root = { host: '127.0.0.1', port: sentinel.port }
  return {
    master,
    replica,
    connect: {
      'node-redis 6': () => ofNode(createSentinel({ name: 'main', sentinelRootNodes: [root] })),
      'node-redis 6, its client reserved': () =>
        ofNode(createSentinel({ name: 'main', sentinelRootNodes: [root], reserveClient: true })),
      'node-redis 5': () => ofNode(createSentinel5({ name: 'main', sentinelRootNodes: [root] })),
      ioredis: () => ofIo(new Redis({ name: 'main', sentinels: [root], ...settingsFor(loss) }))
    },
    hurry: () => failSoon([sentinel]),
    // There is nobody left who could take over.
    calm: async () => undefined,
    bound: []
  }
}

/** The visitors of one application, and what it has confirmed to them. */
class Party {
  readonly #app: FailoverApp
  /** The same, with little patience. */
  readonly #hasty: FailoverApp
  readonly #people: Record<string, Visitor> = {}
  #held: Record<string, Held> = {}

  constructor(client: RedisClient) {
    this.#app = new FailoverApp(client, PATIENCE)
    this.#hasty = new FailoverApp(client, 500)
  }

  async arrive(master: RedisServer): Promise<void> {
    for (const user of ['ann', 'bob', 'cid', 'dan', 'eve']) {
      // Until the session is on the server that is going to die.
      do this.#people[user] = await this.#app.login(user)
      while ((await master.cli('keys', `*${this.#people[user].id}`)) === '')
    }
    expect(await this.#ask('cid', '/count')).toEqual({ n: 2 })
    this.#held = {
      ann: await this.#app.hold(this.#cookieOf('ann')),
      bob: await this.#app.hold(this.#cookieOf('bob')),
      eve: await this.#hasty.hold(this.#cookieOf('eve'))
    }
    expect(await this.#ask('bob', '/logout')).toEqual({})
  }

  /** Asks for all kinds of things while Redis is gone, and goes on with what was held. */
  async insist(): Promise<void> {
    this.#held.eve!.goOn()
    const answers = await Promise.all([
      this.#held.eve!.answer,
      this.#hasty.ask('/who', this.#cookieOf('cid')),
      this.#hasty.ask('/count', this.#cookieOf('dan')),
      this.#hasty.ask('/login?user=fay')
    ])
    for (const { status, headers, body } of answers) {
      if (status === 200) continue
      expect([status, headers['set-cookie']]).toEqual([503, undefined])
      expect(body.code).toMatch(/^ERR_SESSION_STORE(_TIMEOUT)?$/)
    }
  }

  recovered(): Promise<void> {
    const back = async () => (await this.#hasty.ask('/who', this.#cookieOf('cid'))).status === 200
    return until(back, 'the application found the new master')
  }

  /** Nothing confirmed is lost, nothing ended is back, and everything works. */
  async goOn(): Promise<void> {
    this.#held.ann!.goOn()
    this.#held.bob!.goOn()
    const [ann, bob] = await Promise.all([this.#held.ann!.answer, this.#held.bob!.answer])
    expect([ann.status, bob.status]).toEqual([200, 200])
    expect(bob.headers).not.toHaveProperty('set-cookie')
    expect(await this.#ask('ann', '/who')).toEqual({ user: 'ann', n: 1, late: 'written' })
    expect(await this.#ask('bob', '/who')).toEqual({})
    expect(await this.#ask('cid', '/who')).toEqual({ user: 'cid', n: 2 })
    // What was answered with 503 may have been carried out all the same.
    const { user, n } = await this.#ask('dan', '/who')
    expect([user, n === 1 || n === 2]).toEqual(['dan', true])
    expect(await this.#ask('eve', '/who')).toMatchObject({ user: 'eve', n: 1 })
    expect(await this.#ask('cid', '/count')).toEqual({ n: 3 })
    expect(await this.#ask('cid', '/logout')).toEqual({})
    expect(await this.#ask('cid', '/who')).toEqual({})
    const gil = await this.#app.login('gil')
    expect((await this.#app.ask('/who', gil.cookie)).body).toEqual({ user: 'gil', n: 1 })
  }

  async #ask(user: string, path: string): Promise<any> {
    const { status, body } = await this.#app.ask(path, this.#cookieOf(user))
    expect([path, status, body.code]).toEqual([path, 200, undefined])
    return body
  }

  #cookieOf(user: string): string {
    return this.#people[user]!.cookie
  }
}

async function isMaster(server: RedisServer): Promise<boolean> {
  // A sentinel cuts all connections of the server that it promotes, this question's too.
  const said = await server.cli('info', 'replication').catch(() => '')
  return said.includes('role:master')
}

describe.each([
  ['a cluster of three masters with replicas', ofCluster],
  ['a sentinel, a master and a replica', ofSentinel]
])('when during requests a master of %s', (_name, start) => {
  it.each<Loss>(['dies', 'falls silent'])('%s, nothing acknowledged is lost, and the replica serves', async (loss) => {
    const { master, replica, connect, hurry, calm, bound } = await start(loss)
    const parties = new Map<string, Party>()
    for (const [name, open_] of Object.entries(connect)) {
      const connected = await open_()
      open.push(connected)
      parties.set(name, new Party(connected.client))
    }
    const all = [...parties.values()]
    await Promise.all(all.map((party) => party.arrive(master)))
    await inStep(master, replica)
    await hurry()
    if (loss === 'dies') await master.kill()
    else master.pause()
    await Promise.all(all.map((party) => party.insist()))
    await until(() => isMaster(replica), 'the replica took over')
    await calm()
    await Promise.all([...parties].map(([name, party]) => bound.includes(name) || party.recovered()))
    if (bound.length > 0) {
      if (loss === 'dies') await master.restart()
      else master.resume()
      await until(async () => !(await isMaster(master)), 'the old master is a replica')
      await Promise.all(bound.map((name) => parties.get(name)!.recovered()))
    }
    for (const party of all) await party.goOn()
  })
})

describe.each(['node-redis 6', 'node-redis 5', 'ioredis'])('with %s, when a master becomes a replica', (name) => {
  it('reads go on, writes and logouts fail aloud, and all is well after the failback', async () => {
    const [server, other] = await Promise.all([RedisServer.start(), RedisServer.start()])
    running.push(server, other)
    const connected = await CLIENTS[name]!(server.url)
    open.push(connected)
    const app = new FailoverApp(connected.client, PATIENCE)
    const [ann, bob] = [await app.login('ann'), await app.login('bob')]
    const held = await app.hold(ann.cookie)
    await other.cli('replicaof', '127.0.0.1', String(server.port))
    await inStep(server, other)
    await other.cli('replicaof', 'no', 'one')
    await server.cli('replicaof', '127.0.0.1', String(other.port))
    await inStep(other, server)

    held.goOn()
    const refused = [
      await held.answer,
      await app.ask('/count', bob.cookie),
      await app.ask('/logout', bob.cookie),
      await app.ask('/login?user=cid')
    ]
    for (const { status, body, headers } of refused) {
      expect([status, body.message]).toEqual([
        503,
        expect.stringMatching(/^Redis refused (SET|EVALSHA|DEL): READONLY$/)
      ])
      if (headers['set-cookie'] !== undefined) expect(headers['set-cookie'][0]).toContain('Expires=Thu, 01 Jan 1970')
    }
    for (const { user, cookie } of [ann, bob]) {
      expect(await app.ask('/who', cookie)).toMatchObject({ status: 200, body: { user, n: 1 } })
    }

    await server.cli('replicaof', 'no', 'one')
    expect((await app.ask('/count', ann.cookie)).body).toEqual({ n: 2 })
    expect((await app.ask('/logout', bob.cookie)).status).toBe(200)
    expect((await app.ask('/who', bob.cookie)).body).toEqual({})
    expect((await app.ask('/who', (await app.login('cid')).cookie)).body).toEqual({ user: 'cid', n: 1 })
  })
})
