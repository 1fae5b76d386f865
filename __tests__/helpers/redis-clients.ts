import Redis from 'ioredis'
import { createClient, createClientPool } from 'redis'
import { createClient as createClient5 } from 'redis5'
import type { RedisClient } from '../../lib/stores/redis/client'

export interface Connected {
  client: RedisClient
  close(): void
}

type Connect = (url: string) => Promise<Connected>

const silent = () => undefined

/** Every kind of client for one server, each connected with its defaults. */
export const CLIENTS: Record<string, Connect> = {
  'node-redis 6': async (url) => {
    const client = createClient({ url })
    client.on('error', silent)
    await client.connect()
    return { client, close: () => client.destroy() }
  },
  'node-redis 5': async (url) => {
    const client = createClient5({ url })
    client.on('error', silent)
    await client.connect()
    return { client, close: () => client.destroy() }
  },
  'node-redis 6 pool': async (url) => {
    const client = createClientPool({ url }, { minimum: 1, maximum: 4, cleanupDelay: 50 })
    client.on('error', silent)
    await client.connect()
    return { client, close: () => client.destroy() }
  },
  ioredis: async (url) => {
    const client = new Redis(url)
    client.on('error', silent)
    await new Promise((resolve) => client.once('ready', resolve))
    return { client, close: () => client.disconnect() }
  }
}
