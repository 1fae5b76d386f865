/** Applications with sessions in a process of their own (see child.ts). */
import { createClient } from 'redis'
import { CookieStore, FileStore } from '../../lib/index'
import { MemcachedStore } from '../../lib/memcached'
import { RedisStore } from '../../lib/redis'
import { raceApp, serve, type RaceOptions } from './race-app'
import { memcachedClient } from './servers'

/** A store as JSON: a folder, the URL of a Redis server, the port of a memcached, or cookies with their revocations in one of these. */
export interface Place {
  folder?: string
  redis?: string
  memcached?: number
  cookies?: boolean
}

const stores = new Map<string, Promise<any>>()

/** Starts one on a free port; those of one place share a store. */
export async function start(place: Place, secret: string, options: RaceOptions = {}): Promise<number> {
  const key = JSON.stringify(place)
  if (!stores.has(key)) stores.set(key, storeAt(place))
  return (await serve(raceApp(await stores.get(key), secret, options))).port
}

async function storeAt({ cookies, ...place }: Place): Promise<any> {
  const store = await plainStoreAt(place)
  return cookies ? new CookieStore({ revocations: store }) : store
}

async function plainStoreAt({ folder, redis, memcached }: Place): Promise<any> {
  if (redis !== undefined) return new RedisStore({ client: await createClient({ url: redis }).connect() })
  if (memcached !== undefined) return new MemcachedStore({ client: memcachedClient(memcached) })
  return new FileStore({ path: folder! })
}
