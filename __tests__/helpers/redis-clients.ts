import Redis from 'ioredis'
import Valkey from 'iovalkey'
import { createClient, createClientPool, RESP_TYPES } from 'redis'
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
  'node-redis 6': (url) => ofNode(createClient({ url })),
  'node-redis 5': (url) => ofNode(createClient5({ url })),
  'node-redis 6 pool': (url) => ofNode(createClientPool({ url }, { minimum: 1, maximum: 4, cleanupDelay: 50 })),
  ioredis: (url) => ofIo(new Redis(url)),
  iovalkey: (url) => ofIo(new Valkey(url))
}

/** Clients whose users have them make something else of numbers and texts, all by documented options. */
export const MAPPING_CLIENTS: Record<string, Connect> = {
  'ioredis and its stringNumbers': (url) => ofIo(new Redis(url, { stringNumbers: true })),
  'node-redis and numbers as texts': (url) =>
    ofNode(createClient({ url, ...mapping({ [RESP_TYPES.NUMBER]: String }) })),
  'node-redis and texts as bytes, on RESP 3': (url) =>
    ofNode(
      createClient({
        url,
        RESP: 3,
        ...mapping({
          [RESP_TYPES.BLOB_STRING]: Buffer,
          [RESP_TYPES.SIMPLE_STRING]: Buffer,
          [RESP_TYPES.NUMBER]: String
        })
      })
    )
}

/** Those of `CLIENTS`, and that of @valkey/valkey-glide where GLIDE says where it is: it has 20 MB of binaries. */
export const ALL_CLIENTS: Record<string, Connect> = {
  ...CLIENTS,
  ...(process.env['GLIDE'] !== undefined && {
    'valkey-glide': async (url: string) => ofGlide(await glide().GlideClient.createClient(addressesOf([url])))
  })
}

export function glide(): any {
  return require(process.env['GLIDE']!)
}

export function addressesOf(urls: string[]) {
  const addresses = urls.map((url) => ({ host: '127.0.0.1', port: Number(new URL(url).port) }))
  return { addresses, requestTimeout: 5000 }
}

export function ofGlide(client: any): Connected {
  return { client, close: () => client.close() }
}

function mapping(typeMapping: object) {
  return { commandOptions: { typeMapping } }
}

async function ofNode(client: any): Promise<Connected> {
  client.on('error', silent)
  await client.connect()
  return { client, close: () => client.destroy() }
}

async function ofIo(client: Redis | Valkey): Promise<Connected> {
  client.on('error', silent)
  await new Promise((resolve) => client.once('ready', resolve))
  return { client, close: () => client.disconnect() }
}
