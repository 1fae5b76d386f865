import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Response } from 'supertest'
import { gorillaSessions, type GorillaFormat } from '../../lib/gorilla'
import { faultApp, type FaultApp } from '../helpers/fault-app'
import { CLIENTS } from '../helpers/redis-clients'
import { RedisServer, until } from '../helpers/redis-server'
import { startMemcached, startPostgres, type RunningServer } from '../helpers/servers'

const keyPairs = [[Buffer.alloc(32, 'h'), Buffer.alloc(32, 'b')]] as const
const USERS = ['ann-7', 'bob-8', 'cid-9', 'eve-0']

/** What is sent instead of a reply; `undefined`: nothing yet. */
type Disturb = (reply: Buffer) => Buffer | undefined

/** A server as the network hands it on: rightly, until it is told otherwise. */
class Wire {
  disturb: Disturb | undefined
  readonly #server
  readonly #sockets = new Set<Socket>()

  constructor(to: number) {
    this.#server = createServer((client) => {
      const server = connect(to, '127.0.0.1')
      for (const [one, other] of [
        [client, server],
        [server, client]
      ] as const) {
        this.#sockets.add(one)
        one.on('error', () => undefined)
        one.on('close', () => {
          this.#sockets.delete(one)
          other.destroy()
        })
      }
      client.on('data', (asked) => server.write(asked))
      server.on('data', (reply) => {
        const sent = this.disturb === undefined ? reply : this.disturb(reply)
        if (sent !== undefined) client.write(sent)
      })
    })
  }

  async start(): Promise<number> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening')
    return (this.#server.address() as AddressInfo).port
  }

  drop(): void {
    this.#sockets.forEach((socket) => socket.destroy())
  }

  stop(): void {
    this.#server.close()
    this.drop()
  }
}

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

let memcached: RunningServer
let redis: RedisServer
beforeAll(async () => {
  ;[memcached, redis] = await Promise.all([startMemcached(), RedisServer.start()])
})
afterAll(() => Promise.all([memcached?.stop(), redis?.stop()]))

async function wireTo(port: number): Promise<{ wire: Wire; port: number }> {
  const wire = new Wire(port)
  closing.push(() => wire.stop())
  return { wire, port: await wire.start() }
}

interface Disturbed {
  wire: Wire
  app: FaultApp
}

const onMemcached = (format: GorillaFormat) => async (): Promise<Disturbed> => {
  const { wire, port } = await wireTo(memcached.port)
  const store = gorillaSessions(`127.0.0.1:${port}`, { format, keyPairs, keyPrefix: `${format}_` })
  return { wire, app: faultApp({ store, storeTimeout: 300 }) }
}

const onRedis = (name: string) => async (): Promise<Disturbed> => {
  const { wire, port } = await wireTo(Number(new URL(redis.url).port))
  const { client, close } = await CLIENTS[name]!(`redis://127.0.0.1:${port}`)
  closing.push(close)
  const store = gorillaSessions(client, { format: 'redistore', keyPairs })
  return { wire, app: faultApp({ store, storeTimeout: 300 }) }
}

const PLACES: Record<string, () => Promise<Disturbed>> = {
  'memcached, sealed': onMemcached('memcache'),
  'memcached, JSON': onMemcached('memcache-json'),
  'Redis by node-redis': onRedis('node-redis 6'),
  'Redis by ioredis': onRedis('ioredis')
}

async function login(app: FaultApp): Promise<string[]> {
  const cookies: string[] = []
  for (const user of USERS) cookies.push(await app.login(user))
  return cookies
}

/** Nobody is somebody else, and all are themselves again when the connection is. */
async function expectEachTheirOwn({ wire, app }: Disturbed, disturb: Disturb): Promise<void> {
  const cookies = await login(app)
  const readAll = () => Promise.all(cookies.map((cookie) => app.get('/read', cookie)))
  const others = (answers: Response[]) =>
    answers.filter(({ status, body }, i) => status === 200 && ![USERS[i], null].includes(body.user))
  wire.disturb = disturb
  for (let i = 0; i < 5; i++) expect(others(await readAll())).toEqual([])
  wire.disturb = undefined
  expect(others(await readAll())).toEqual([])
  wire.drop()
  await until(async () => (await app.get('/read', cookies[0])).body.user === USERS[0], 'the client has begun anew')
  expect((await readAll()).map((res) => res.body.user)).toEqual(USERS)
}

describe.each(Object.keys(PLACES))('A session of Go in %s is handed to nobody else', (place) => {
  it('when replies come twice', async () => {
    await expectEachTheirOwn(await PLACES[place]!(), (reply) => Buffer.concat([reply, reply]))
  })

  it('when replies are exchanged', async () => {
    let kept: Buffer | undefined
    await expectEachTheirOwn(await PLACES[place]!(), (reply) => {
      const before = kept
      kept = before === undefined ? reply : undefined
      return before === undefined ? undefined : Buffer.concat([reply, before])
    })
  })
})

describe('memcached that talks nonsense', () => {
  it.each([
    'HELLO\r\n',
    'ERROR\r\n',
    'VALUE\r\n',
    'VALUE x 0 abc 1\r\n',
    'VALUE x 0 -40 1\r\n',
    'VALUE x 0 5 1\r\nhelloEND\r\n',
    'VALUE x 0 5 1\r\nhello\r\nEND\r\n',
    'VALUE x 0 99999999999 1\r\n',
    'END\r\nEND\r\n',
    'CLIENT_ERROR bad data chunk\r\nERROR\r\n'
  ])('%j costs an error, and the connection', async (nonsense) => {
    const { wire, app } = await onMemcached('memcache')()
    const [cookie] = await login(app)
    wire.disturb = () => Buffer.from(nonsense)
    const { status, body } = await app.get('/read', cookie)
    expect(nonsense.startsWith('END') ? body.user : status).toBe(nonsense.startsWith('END') ? null : 503)
    expect(body.code).not.toBe('ERR_SESSION_STORE_TIMEOUT')
    wire.disturb = undefined
    await until(async () => (await app.get('/read', cookie)).body.user === USERS[0], 'it has begun anew')
  })
})

describe("PostgreSQL that ends a connection which pgstore's sessions leave idle", () => {
  it('ends no process', async () => {
    const server = await startPostgres()
    closing.push(() => server.stop())
    const { Pool } = require('pg')
    const pool = new Pool({ host: '127.0.0.1', port: server.port, user: 'postgres', database: 'postgres' })
    closing.push(() => pool.end())
    const app = faultApp({ store: gorillaSessions(pool, { format: 'pgstore', keyPairs }) })
    const cookie = await app.login('ann')
    const ended = new Promise((resolve) => pool.once('remove', resolve))
    const other = new Pool({ host: '127.0.0.1', port: server.port, user: 'postgres', database: 'postgres' })
    closing.push(() => other.end())
    await other.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()')
    await ended
    expect(pool.listenerCount('error')).toBe(1)
    expect((await app.get('/read', cookie)).body.user).toBe('ann')
  })
})
