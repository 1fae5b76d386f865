import { readFileSync } from 'node:fs'
import fs from 'node:fs/promises'
import path from 'node:path'
import { MemcachedWire } from '../../lib/gorilla/stores/memcached-wire'
import { TestFolder } from './folder'
import type { GorillaFormat } from '../../lib/gorilla'
import { RedisServer } from './redis-server'
import { startMemcached, startPostgres } from './servers'

/** What Go programs stored, sent and accepted; recorded by running them. */
export const facts = JSON.parse(
  readFileSync(path.join(__dirname, '../fixtures/gorilla/go-stores.json'), 'utf8')
) as Record<string, any>

/** A record as the facts have it. */
export interface Stored {
  value?: string
  text?: string
  ttl?: number
  modified_on?: number
  expires_on?: number
}

/** A real server, or a folder, that keeps Go's records. */
export interface Backing {
  readonly client: unknown
  put(key: string, raw: Buffer, stored: Stored): Promise<void>
  raw(key: string): Promise<Buffer | undefined>
  /** Seconds that are left; -1: for ever. */
  ttl?(key: string): Promise<number>
  stop(): Promise<unknown>
}

/** Keys of a set of the facts, in pairs. */
export function keyPairs(set: string): [Buffer, Buffer?][] {
  const keys = (facts.keys.sets[set] as string[]).map((name) => Buffer.from(facts.keys[name], 'hex'))
  const pairs: [Buffer, Buffer?][] = []
  for (let at = 0; at < keys.length; at += 2) pairs.push([keys[at]!, keys[at + 1]])
  return pairs
}

/** Which format is that of a store of the facts. */
export function formatOf(store: string): GorillaFormat {
  if (store === 'CookieStore') return 'cookie'
  if (store === 'FilesystemStore') return 'filesystem'
  if (store.startsWith('redistore')) return store.endsWith('json') ? 'redistore-json' : 'redistore'
  if (store.startsWith('memcache')) {
    return ({ gob: 'memcache-gob', json: 'memcache-json' } as const)[store.split(' ')[1]!] ?? 'memcache'
  }
  return store as GorillaFormat
}

/** Values of the facts, `[type, value]`, as a session shows them. */
export function shown(contents: [string, string, string, unknown][]): Record<string, unknown> {
  const strings = contents.filter(([keyType]) => keyType === 'string')
  const visible = strings.filter(([, , type]) => type !== 'main.Person')
  return Object.fromEntries(visible.map(([, key, type, value]) => [key, show(type, value)]))
}

function show(type: string, value: any): unknown {
  if (type === 'int' || type === 'int64') return Number.isSafeInteger(Number(value)) ? Number(value) : value
  if (type === '[]interface {}') return value.map(([inner, item]: [string, unknown]) => show(inner, item))
  if (type !== 'map[string]interface {}') return value
  const entries = Object.entries(value as Record<string, [string, unknown]>)
  return Object.fromEntries(entries.map(([key, [inner, item]]) => [key, show(inner, item)]))
}

export async function startBacking(format: GorillaFormat): Promise<Backing> {
  if (format === 'filesystem') return folder()
  if (format === 'pgstore') return postgres()
  return format.startsWith('memcache') ? memcached() : redis()
}

function folder(): Backing {
  const at = new TestFolder()
  const file = (key: string) => at.at(key)
  return {
    client: at.path,
    put: (key, raw) => fs.writeFile(file(key), raw, { mode: 0o600 }),
    raw: (key) => fs.readFile(file(key)).catch(() => undefined),
    stop: async () => at.remove()
  }
}

async function redis(): Promise<Backing> {
  const server = await RedisServer.start()
  const { createClient } = await import('redis')
  const client = createClient({ url: server.url })
  await client.connect()
  const bytes = client.withTypeMapping({ 36: Buffer })
  return {
    client,
    put: async (key, raw, { ttl = 3600 }) => void (await client.set(key, raw, { EX: ttl })),
    raw: async (key) => ((await bytes.get(key)) as unknown as Buffer | null) ?? undefined,
    ttl: (key) => client.ttl(key),
    stop: async () => {
      client.destroy()
      await server.stop()
    }
  }
}

async function postgres(): Promise<Backing> {
  const server = await startPostgres()
  const { Pool } = require('pg')
  const pool = new Pool({ host: '127.0.0.1', port: server.port, user: 'postgres', database: 'postgres' })
  pool.on('error', () => undefined)
  await pool.query(
    'CREATE TABLE http_sessions (id BIGSERIAL PRIMARY KEY, key BYTEA, data BYTEA, ' +
      'created_on TIMESTAMPTZ DEFAULT CURRENT_TIMESTAMP, modified_on TIMESTAMPTZ, expires_on TIMESTAMPTZ)'
  )
  const date = (seconds = Date.now() / 1000) => new Date(seconds * 1000)
  return {
    client: pool,
    put: async (key, raw, { modified_on, expires_on = Date.now() / 1000 + 3600 }) => {
      const insert = 'INSERT INTO http_sessions (key, data, modified_on, expires_on) VALUES ($1, $2, $3, $4)'
      await pool.query(insert, [key, raw, date(modified_on), date(expires_on)])
    },
    raw: async (key) => (await pool.query('SELECT data FROM http_sessions WHERE key = $1', [key])).rows[0]?.data,
    stop: async () => {
      await pool.end()
      await server.stop()
    }
  }
}

async function memcached(): Promise<Backing> {
  const server = await startMemcached()
  const Memcached = require('memcached')
  const client = new Memcached(`127.0.0.1:${server.port}`)
  const wire = new MemcachedWire('127.0.0.1', server.port)
  return {
    client,
    put: async (key, raw, { ttl = 3600 }) => void (await wire.command(`set ${key} 0 ${ttl} ${raw.length}`, raw)),
    raw: async (key) => (await wire.command(`gets ${key}`)).value,
    stop: async () => {
      client.end()
      await server.stop()
    }
  }
}
