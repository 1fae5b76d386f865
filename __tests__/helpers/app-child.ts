/** Applications with sessions in a process of their own (see child.ts). */
import { createClient } from 'redis'
import { CookieStore, FileStore } from '../../lib/index'
import { MysqlStore } from '../../lib/mysql'
import { PostgresStore } from '../../lib/postgres'
import { MemcachedStore } from '../../lib/memcached'
import { MongoStore } from '../../lib/mongo'
import { RedisStore } from '../../lib/redis'
import { SqliteStore } from '../../lib/sqlite'
import { raceApp, serve, type RaceOptions } from './race-app'
import { memcachedClient } from './servers'

/** A store as JSON: a folder, a file, the URL of a server, or cookies with their revocations in one of these. */
export interface Place {
  folder?: string
  redis?: string
  sqlite?: string
  postgres?: string
  mysql?: string
  table?: string
  memcached?: number
  mongo?: { url: string; name: string; stringify: boolean }
  cookies?: boolean
}

const stores = new Map<string, Promise<any>>()

/** Starts one on a free port; those of one place share a store. */
export async function start(place: Place, secret: string, options: RaceOptions = {}): Promise<number> {
  const key = JSON.stringify(place)
  if (!stores.has(key)) stores.set(key, storeAt(place))
  return (await serve(raceApp(await stores.get(key), secret, options))).port
}

/** The store of a place. */
export async function storeAt({ cookies, ...place }: Place): Promise<any> {
  const store = await plainStoreAt(place)
  return cookies ? new CookieStore({ revocations: store }) : store
}

async function plainStoreAt({ folder, redis, sqlite, postgres, mysql, table, memcached, mongo }: Place): Promise<any> {
  if (sqlite !== undefined) return new SqliteStore({ path: sqlite, table })
  if (postgres !== undefined) {
    const pool = new (require('pg').Pool)({ connectionString: postgres, max: 8 })
    return new PostgresStore({ pool, table, createTable: true })
  }
  if (mysql !== undefined) {
    const pool = require('mysql2/promise').createPool(mysql)
    return new MysqlStore({ pool, table, createTable: true })
  }
  if (redis !== undefined) return new RedisStore({ client: await createClient({ url: redis }).connect() })
  if (memcached !== undefined) return new MemcachedStore({ client: memcachedClient(memcached) })
  if (mongo !== undefined) {
    const { MongoClient } = require('mongodb') as typeof import('mongodb')
    const collection = new MongoClient(mongo.url).db('silverback').collection(mongo.name)
    return new MongoStore({ collection, stringify: mongo.stringify })
  }
  return new FileStore({ path: folder! })
}
