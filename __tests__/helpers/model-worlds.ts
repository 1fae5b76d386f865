import { FileStore, MemoryStore } from '../../lib/index'
import { MemcachedStore } from '../../lib/memcached'
import { MongoStore } from '../../lib/mongo'
import { MysqlStore } from '../../lib/mysql'
import { PostgresStore } from '../../lib/postgres'
import { RedisStore } from '../../lib/redis'
import { SqliteStore } from '../../lib/sqlite'
import { TestFolder } from './folder'
import { cookieWorldOf, foreignWorldOf, worldOf, type Action, type World } from './model'
import { MongoDouble } from './mongo-double'
import { CLIENTS } from './redis-clients'
import { RedisServer } from './redis-server'
import { memcachedClient, startMariadb, startMemcached, startPostgres } from './servers'

interface Ground {
  readonly world: World
  /** How many schedules are played. */
  readonly runs?: number
  /** What the store cannot do. */
  readonly without?: readonly Action[]
  close?(): unknown
}

/** Each store twice, as two processes have it. */
export const WORLDS: Record<string, () => Promise<Ground> | Ground> = {
  MemoryStore: () => ({ world: worldOf([new MemoryStore()]), runs: 1500 }),

  FileStore: () => {
    const folder = new TestFolder()
    const stores = [0, 1].map(() => new FileStore({ path: folder.at('s') }))
    const close = async () => {
      await Promise.all(stores.map((store) => store.close()))
      folder.remove()
    }
    return { world: worldOf(stores), close }
  },

  SqliteStore: () => {
    const folder = new TestFolder()
    const stores = [0, 1].map(() => new SqliteStore({ path: folder.at('sessions.db') }))
    const close = async () => {
      await Promise.all(stores.map((store) => store.close()))
      folder.remove()
    }
    return { world: worldOf(stores), close }
  },

  RedisStore: async () => {
    const server = await RedisServer.start()
    const clients = await Promise.all([0, 1].map(() => CLIENTS['node-redis 5']!(server.url)))
    const close = async () => {
      clients.forEach((each) => each.close())
      await server.stop()
    }
    return { world: worldOf(clients.map(({ client }) => new RedisStore({ client }))), close }
  },

  PostgresStore: async () => {
    const server = await startPostgres()
    const pool = new (require('pg').Pool)({ host: '127.0.0.1', port: server.port, user: 'postgres' })
    const stores = [0, 1].map(() => new PostgresStore({ pool, createTable: true }))
    const close = async () => {
      await Promise.all(stores.map((store) => store.close()))
      await pool.end()
      await server.stop()
    }
    return { world: worldOf(stores), close }
  },

  MysqlStore: async () => {
    const server = await startMariadb()
    const options = { host: '127.0.0.1', port: server.port, user: 'root', database: 'test' }
    const pool = require('mysql2/promise').createPool(options)
    const stores = [0, 1].map(() => new MysqlStore({ pool, createTable: true }))
    const close = async () => {
      await Promise.all(stores.map((store) => store.close()))
      await pool.end()
      await server.stop()
    }
    return { world: worldOf(stores), close }
  },

  MemcachedStore: async () => {
    const server = await startMemcached()
    const client = memcachedClient(server.port)
    const close = async () => {
      client.end()
      await server.stop()
    }
    return { world: worldOf([0, 1].map(() => new MemcachedStore({ client }))), close }
  },

  'MongoStore on a double': () => {
    const collection = new MongoDouble()
    return { world: worldOf([0, 1].map(() => new MongoStore({ collection }))), runs: 50 }
  },

  'a store that only knows the contract, in one process': () => ({
    world: foreignWorldOf(new (require('express-session').MemoryStore)()),
    without: ['revoke']
  }),

  'CookieStore, in one process': () => ({ world: cookieWorldOf(), without: ['revoke'] }),

  'CookieStore with revocations, in one process': () => ({
    world: cookieWorldOf(new (require('express-session').MemoryStore)()),
    without: ['revoke']
  })
}
