import { writeFileSync } from 'node:fs'
import { createCluster } from 'redis'
import { FileStore, MemoryStore } from '../../lib/index'
import { MysqlStore } from '../../lib/mysql'
import { PostgresStore } from '../../lib/postgres'
import { MemcachedStore } from '../../lib/memcached'
import { MongoStore } from '../../lib/mongo'
import { RedisStore } from '../../lib/redis'
import { SqliteStore } from '../../lib/sqlite'
import { hashOf } from '../../lib/stores/file/folder'
import { TestFolder } from './folder'
import { MongoDouble } from './mongo-double'
import { SPOILT, type OpenStore } from './npm-stores'
import { CLIENTS } from './redis-clients'
import { openSqlite } from './sqlite'
import { RedisServer, startCluster } from './redis-server'
import { memcachedClient, startMariadb, startMemcached, startPostgres } from './servers'

/** Our own stores, each on a server of its own where it needs one. */
export const OWN_STORES: Record<string, () => Promise<OpenStore>> = {
  MemoryStore: async () => {
    const store = new MemoryStore()
    return { store, spoil: (id) => (store.sessions[id] = SPOILT), close: async () => store.close() }
  },

  FileStore: async () => {
    const folder = new TestFolder()
    const store = new FileStore({ path: folder.at('s') })
    const placeOf = (hash: string) => folder.at('s', 'records', hash.slice(0, 2), hash.slice(2))
    return {
      store,
      another: () => new FileStore({ path: folder.at('s') }),
      spoil: (id) => writeFileSync(placeOf(hashOf(id)), SPOILT),
      close: async () => {
        await store.close()
        folder.remove()
      }
    }
  },

  SqliteStore: async () => {
    const folder = new TestFolder()
    const store = new SqliteStore({ path: folder.at('sessions.db') })
    const database = openSqlite(folder.at('sessions.db'))
    return {
      store,
      another: () => new SqliteStore({ path: folder.at('sessions.db') }),
      spoil: (id) => database.prepare('UPDATE sessions SET sess = ? WHERE sid = ?').run(SPOILT, id),
      close: async () => {
        await store.close()
        database.close()
        folder.remove()
      }
    }
  },

  PostgresStore: async () => {
    const server = await startPostgres()
    const pool = new (require('pg').Pool)({ host: '127.0.0.1', port: server.port, user: 'postgres' })
    const store = new PostgresStore({ pool, createTable: true })
    return {
      store,
      another: () => new PostgresStore({ pool }),
      // The column is of the type json.
      spoil: (id) => pool.query('UPDATE session SET sess = $1 WHERE sid = $2', ['42', id]),
      close: async () => {
        await store.close()
        await pool.end()
        await server.stop()
      }
    }
  },

  MysqlStore: async () => {
    const server = await startMariadb()
    const options = { host: '127.0.0.1', port: server.port, user: 'root', database: 'test' }
    const pool = require('mysql2/promise').createPool(options)
    const store = new MysqlStore({ pool, createTable: true })
    return {
      store,
      another: () => new MysqlStore({ pool }),
      spoil: (id) => pool.execute('UPDATE sessions SET data = ? WHERE session_id = ?', [SPOILT, id]),
      close: async () => {
        await store.close()
        await pool.end()
        await server.stop()
      }
    }
  },

  MemcachedStore: async () => {
    const server = await startMemcached()
    const client = memcachedClient(server.port)
    return {
      store: new MemcachedStore({ client }),
      another: () => new MemcachedStore({ client }),
      spoil: (id) => new Promise((resolve) => client.set(id, SPOILT, 60, resolve)),
      close: async () => client.end() ?? (await server.stop())
    }
  },

  'MongoStore on a double': () => onMongoDouble(),
  'MongoStore of documents on a double': () => onMongoDouble({ stringify: false }),

  'RedisStore on node-redis 6': () => onRedis('node-redis 6'),
  'RedisStore on node-redis 5': () => onRedis('node-redis 5'),
  'RedisStore on ioredis': () => onRedis('ioredis'),

  'RedisStore on a cluster': async () => {
    const nodes = await startCluster()
    const client = createCluster({ rootNodes: nodes.map(({ url }) => ({ url })) })
    await client.connect()
    return {
      store: new RedisStore({ client }),
      another: () => new RedisStore({ client }),
      spoil: (id) => client.set(`sess:${id}`, SPOILT),
      close: async () => {
        client.destroy()
        await Promise.all(nodes.map((node) => node.stop()))
      }
    }
  }
}

async function onMongoDouble(options: object = {}): Promise<OpenStore> {
  const collection = new MongoDouble()
  return {
    store: new MongoStore({ collection, ...options }),
    another: () => new MongoStore({ collection, ...options }),
    spoil: (id) => collection.updateOne({ _id: id }, { $set: { session: SPOILT } }),
    close: async () => undefined
  }
}

async function onRedis(name: string): Promise<OpenStore> {
  const server = await RedisServer.start()
  const { client, close } = await CLIENTS[name]!(server.url)
  return {
    store: new RedisStore({ client }),
    another: () => new RedisStore({ client }),
    spoil: (id) => client.set(`sess:${id}`, SPOILT),
    close: async () => {
      close()
      await server.stop()
    }
  }
}
