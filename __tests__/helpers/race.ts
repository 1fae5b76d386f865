import request, { type Response } from 'supertest'
import { FileStore, MemoryStore } from '../../lib/index'
import type { Place } from './app-child'
import { cookieOf, secret } from './app'
import { Child } from './child'
import { TestFolder } from './folder'
import { raceApp, serve, type RaceOptions } from './race-app'
import { CLIENTS } from './redis-clients'
import { RedisServer, until } from './redis-server'
import { startMariadb, startMemcached, startPostgres } from './servers'
import { CookieStore } from '../../lib/index'
import { RedisStore } from '../../lib/redis'
import { POWERS } from '../../lib/store/contract'
import { SqliteStore } from '../../lib/sqlite'

/** One running application. */
export class Site {
  constructor(readonly port: number) {}

  get(path: string, cookie = ''): Promise<Response> {
    return request(`http://127.0.0.1:${this.port}`)
      .get(path)
      .set('Cookie', cookie)
      .then((res) => res)
  }

  /** Begins requests that hold the session they have read until `letGo`. */
  async hold(ways: string[], cookie: string): Promise<Held> {
    const answers = ways.map((how) => this.get(`/late/${how}`, cookie))
    await this.get(`/held/${ways.length}`)
    return {
      letGo: async () => {
        await this.get('/go')
        return Promise.all(answers)
      }
    }
  }
}

export interface Held {
  letGo(): Promise<Response[]>
}

/** Two applications on one store, in two processes or twice the same. */
export interface Pair {
  here: Site
  there: Site
}

/** Where a pair keeps its sessions; `close` ends all that `start` has started. */
export interface Ground {
  start(options?: RaceOptions): Promise<Pair>
  close(): Promise<void>
}

/** A store within this process. */
export function alone(open: () => Promise<{ store: any; close?(): unknown }>): () => Promise<Ground> {
  return async () => {
    const { store, close } = await open()
    const closing: (() => unknown)[] = []
    return {
      async start(options = {}) {
        const served = await serve(raceApp(store, secret, options))
        closing.push(() => served.close())
        const site = new Site(served.port)
        return { here: site, there: site }
      },
      async close() {
        for (const end of closing) await end()
        await close?.()
      }
    }
  }
}

/** A store that two other processes share. */
export function apart(open: () => Promise<{ place: Place; close(): unknown }>): () => Promise<Ground> {
  return async () => {
    const { place, close } = await open()
    const children = await Promise.all([Child.start('app-child'), Child.start('app-child')])
    return {
      async start(options = {}) {
        const ports = await Promise.all(children.map((child) => child.call<number>('start', place, secret, options)))
        const [here, there] = ports.map((port) => new Site(port)) as [Site, Site]
        return { here, there }
      },
      async close() {
        await Promise.all(children.map((child) => child.kill()))
        await close()
      }
    }
  }
}

/** One process takes the lock of a session and is killed; another gets it once its time is over. */
export async function expectFreeLockAfterKill(place: Place): Promise<void> {
  const children = await Promise.all([Child.start('app-child'), Child.start('app-child')])
  try {
    const ports = await Promise.all(children.map((child) => child.call<number>('start', place, secret)))
    const [victim, other] = ports.map((port) => new Site(port)) as [Site, Site]
    const cookie = cookieOf(await other.get('/set?user=ann'))!
    victim.get('/locked?ttl=300', cookie).catch(() => undefined)
    await victim.get('/held/1')
    await children[0]!.kill()
    expect((await other.get('/careful', cookie)).status).toBe(200)
  } finally {
    await Promise.all(children.map((child) => child.kill()))
  }
}

/** Two processes change one session, and both are killed in the midst of it, in each round a little later. */
export async function expectNothingLostToKills(store: any, place: Place, rounds: number): Promise<void> {
  const life = { usedAt: Date.now(), expiresAt: Date.now() + 3_600_000 }
  await store[POWERS].write({ id: 'killed', text: '{"cookie":{}}', expected: null, life })
  for (let round = 0; round < rounds; round++) {
    const children = await Promise.all([Child.start('sql-child'), Child.start('sql-child')])
    const confirmed = children.map((child) => {
      const count = { pid: String(child.process.pid), n: 0 }
      child.process.on('message', ({ wrote }: any) => wrote && (count.n = wrote))
      child.call('incrementForEver', place, 'killed').catch(() => undefined)
      return count
    })
    await until(() => confirmed.every(({ n }) => n > 3 + (round % 8)), 'both have written')
    await Promise.all(children.map((child) => child.kill()))
    const record = await store.get('killed')
    // The last one may have been written and never told.
    for (const { pid, n } of confirmed) expect([n, n + 1]).toContain(record[pid])
  }
}

async function files() {
  const folder = new TestFolder()
  return { place: { folder: folder.at('s') }, close: () => folder.remove() }
}

async function sqlite() {
  const folder = new TestFolder()
  return { place: { sqlite: folder.at('sessions.db') }, close: () => folder.remove() }
}

async function postgres() {
  const server = await startPostgres()
  return { place: { postgres: `postgres://postgres@127.0.0.1:${server.port}/postgres` }, close: () => server.stop() }
}

async function mysql() {
  const server = await startMariadb()
  return { place: { mysql: `mysql://root@127.0.0.1:${server.port}/test` }, close: () => server.stop() }
}

async function redis() {
  const server = await RedisServer.start()
  return { place: { redis: server.url }, close: () => server.stop() }
}

async function memcached() {
  const server = await startMemcached()
  return { place: { memcached: server.port }, close: () => server.stop() }
}

/** Every first-party store, within one process, and across two where it can be shared. */
export const GROUNDS: Record<string, () => Promise<Ground>> = {
  'memory, one process': alone(async () => ({ store: new MemoryStore() })),
  'files, one process': alone(async () => {
    const { place, close } = await files()
    const store = new FileStore({ path: place.folder })
    return { store, close: async () => store.close().then(close) }
  }),
  'Redis, one process': alone(async () => {
    const { place, close } = await redis()
    const { client, close: leave } = await CLIENTS['node-redis 6']!(place.redis)
    return { store: new RedisStore({ client }), close: async () => (leave(), close()) }
  }),
  'SQLite, one process': alone(async () => {
    const { place, close } = await sqlite()
    const store = new SqliteStore({ path: place.sqlite })
    return { store, close: async () => store.close().then(close) }
  }),
  'files, two processes': apart(files),
  'SQLite, two processes': apart(sqlite),
  'PostgreSQL, two processes': apart(postgres),
  'MariaDB, two processes': apart(mysql),
  'Redis, two processes': apart(redis),
  'memcached, two processes': apart(memcached)
}

/** Sessions in cookies, which need revocations to end everywhere. */
export const COOKIE_GROUNDS: Record<string, () => Promise<Ground>> = {
  'cookies, one process': alone(async () => ({ store: new CookieStore() })),
  'cookies with revocations in files, two processes': apart(async () => {
    const { place, close } = await files()
    return { place: { ...place, cookies: true }, close }
  }),
  'cookies with revocations in Redis, two processes': apart(async () => {
    const { place, close } = await redis()
    return { place: { ...place, cookies: true }, close }
  })
}
