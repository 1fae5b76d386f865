import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import type { StoreContract } from '../store/contract'
import { FileStore } from '../stores/file/file'
import { MemcachedStore, type MemcachedStoreOptions } from '../stores/memcached/memcached'
import { MongoStore, type MongoStoreOptions } from '../stores/mongo/mongo'
import { RedisStore, type RedisStoreOptions } from '../stores/redis/redis'
import { MysqlStore, type MysqlStoreOptions } from '../stores/sql/mysql'
import { PostgresStore, type PostgresStoreOptions } from '../stores/sql/postgres'
import { SqliteStore } from '../stores/sql/sqlite'
import { CommandError, EXIT, type Option, type Values } from './command'

export interface OpenedStore {
  readonly store: StoreContract
  /** What is said of it: without user and password. */
  readonly place: string
  close(): Promise<unknown>
}

type Opening = Omit<OpenedStore, 'place'>

type Given = Readonly<Record<string, string>>

interface Scheme {
  /** Which of the options below say more. */
  readonly takes: readonly string[]
  open(url: string, given: Given): Opening | Promise<Opening>
}

export const STORE_OPTIONS: Readonly<Record<string, Option>> = {
  prefix: { type: 'string', value: 'TEXT', help: 'what every key begins with (redis:, memcached:)' },
  table: { type: 'string', value: 'NAME', help: 'the table (sqlite:, postgres:, mysql:)' },
  schema: { type: 'string', value: 'NAME', help: 'the schema of the table (postgres:)' },
  collection: { type: 'string', value: 'NAME', help: "the collection (mongodb:), 'sessions' by default" },
  objects: { type: 'boolean', help: 'sessions are documents, as with stringify: false (mongodb:)' }
}

const PATIENCE = 5000

const SCHEMES: Readonly<Record<string, Scheme>> = {
  redis: { takes: ['prefix'], open: openRedis },
  rediss: { takes: ['prefix'], open: openRedis },
  postgres: { takes: ['table', 'schema'], open: openPostgres },
  postgresql: { takes: ['table', 'schema'], open: openPostgres },
  mysql: { takes: ['table'], open: openMysql },
  sqlite: { takes: ['table'], open: openSqlite },
  memcached: { takes: ['prefix'], open: openMemcached },
  mongodb: { takes: ['collection', 'objects'], open: openMongo },
  'mongodb+srv': { takes: ['collection', 'objects'], open: openMongo },
  file: { takes: [], open: openFolder }
}

/** Opens the store that a URL names. Nothing is made where there is none. */
export async function openUrl(url: string, values: Values): Promise<OpenedStore> {
  const [name = ''] = url.split(':', 1)
  const scheme = Object.hasOwn(SCHEMES, name) ? SCHEMES[name]! : undefined
  if (scheme === undefined) {
    throw new CommandError(`The URL of a store begins with one of ${Object.keys(SCHEMES).join(':, ')}:`)
  }
  const given = Object.fromEntries(
    Object.entries(values).filter(([option]) => Object.hasOwn(STORE_OPTIONS, option))
  ) as Given
  const strange = Object.keys(given).find((option) => !scheme.takes.includes(option))
  if (strange !== undefined) throw new CommandError(`--${strange} says nothing about a store of ${name}:`)
  const place = withoutCredentials(url)
  let timer: NodeJS.Timeout | undefined
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${place} does not answer`)), 2 * PATIENCE)
  })
  try {
    return { ...(await Promise.race([scheme.open(url, given), silence])), place }
  } catch (err) {
    // Clients name a URL that they cannot read.
    if (err instanceof Error) err.message = err.message.replaceAll(url, place)
    throw err
  } finally {
    clearTimeout(timer)
  }
}

/** A URL as it may be printed. Whatever stands before the last `@` may be a password, parameters as well. */
function withoutCredentials(url: string): string {
  return /^(sqlite|file):/.test(url) ? url : url.replace(/\/\/[^]*@/, '//').replace(/[?#].*$/, '')
}

function pathOf(url: string): string {
  const given = url.replace(/^\w+:(\/\/(?=\/))?/, '')
  if (/^\/*$/.test(given)) throw new CommandError(`${url} names no ${url.startsWith('file:') ? 'folder' : 'file'}`)
  const path = resolve(given)
  if (!existsSync(path)) throw new CommandError(`There is nothing at ${path}`, EXIT.failed)
  return path
}

function openSqlite(url: string, given: Given): Opening {
  const store = new SqliteStore({ path: pathOf(url), createTable: false, sweepEvery: null, ...given })
  return { store, close: () => store.close() }
}

function openFolder(url: string): Opening {
  const store = new FileStore({ path: pathOf(url) })
  return { store, close: () => store.close() }
}

function openPostgres(url: string, given: Given): Opening {
  const { Pool } = peer<{ Pool: new (options: object) => PostgresStoreOptions['pool'] & Ending }>(url, 'pg')
  const pool = new Pool({ connectionString: url, connectionTimeoutMillis: PATIENCE })
  return { store: new PostgresStore({ pool, sweepEvery: null, ...given }), close: () => pool.end() }
}

function openMysql(url: string, given: Given): Opening {
  const mysql = peer<{ createPool(options: object): MysqlStoreOptions['pool'] & Ending }>(url, 'mysql2/promise')
  const pool = mysql.createPool({ uri: url, connectTimeout: PATIENCE })
  return { store: new MysqlStore({ pool, sweepEvery: null, ...given }), close: () => pool.end() }
}

interface Ending {
  end(): Promise<unknown>
}

async function openRedis(url: string, given: Given): Promise<Opening> {
  // As of a variable that is not set: clear would remove whatever else is kept there.
  if (given.prefix === '') throw new CommandError('--prefix is empty: every key of the server would be a session.')
  const module = peer<RedisModule>(url, 'redis', 'ioredis', 'iovalkey')
  const client =
    typeof module === 'function'
      ? new module(url, { lazyConnect: true, retryStrategy: () => null, connectTimeout: PATIENCE })
      : module.createClient({ url, socket: { reconnectStrategy: false, connectTimeout: PATIENCE } })
  // What a client emits, a call rejects with as well.
  client.on('error', () => undefined)
  await client.connect()
  return { store: new RedisStore({ client, ...given }), close: async () => client.disconnect() }
}

type RedisModule = { createClient(options: object): Connection } | (new (url: string, options: object) => Connection)
type Connection = RedisStoreOptions['client'] & {
  on(event: 'error', listener: () => void): unknown
  connect(): Promise<unknown>
  disconnect(): unknown
}

function openMemcached(url: string, given: Given): Opening {
  type Client = MemcachedStoreOptions['client'] & { end(): void }
  const Memcached = peer<new (servers: string, options: object) => Client>(url, 'memcached')
  const client = new Memcached(url.replace(/^memcached:(\/\/)?/, ''), { retries: 0, timeout: PATIENCE })
  return { store: new MemcachedStore({ client, ...given }), close: async () => client.end() }
}

async function openMongo(url: string, { collection = 'sessions', objects }: Given): Promise<Opening> {
  const { MongoClient } = peer<{ MongoClient: new (url: string, options: object) => MongoConnection }>(url, 'mongodb')
  const client = new MongoClient(url, { serverSelectionTimeoutMS: PATIENCE })
  await client.connect()
  const options = { collection: client.db().collection(collection), stringify: !objects, createIndexes: false }
  return { store: new MongoStore(options), close: () => client.close() }
}

interface MongoConnection {
  connect(): Promise<unknown>
  db(): { collection(name: string): Awaited<MongoStoreOptions['collection']> }
  close(): Promise<unknown>
}

/** An optional peer: that of the project which is worked in, else the one beside this package. */
function peer<T>(url: string, ...packages: string[]): T {
  for (const name of packages) {
    for (const from of [createRequire(join(process.cwd(), 'package.json')), require]) {
      let file: string
      try {
        file = from.resolve(name)
      } catch {
        continue
      }
      return from(file) as T
    }
  }
  const names = packages.map((name) => name.split('/', 1)[0]!)
  throw new CommandError(
    `A store of ${url.split(':', 1)[0]}: needs ${names.length > 1 ? `one of the packages ${names.join(', ')}` : `the package ${names[0]}`}, which is not installed here: npm install ${names[0]}`,
    EXIT.failed
  )
}
