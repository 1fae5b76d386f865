import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { session } from './alias'
import { MongoDouble } from './mongo-double'
import { RedisServer } from './redis-server'
import { startMemcached, startPostgres } from './servers'

/** What no store can take for a session. */
export const SPOILT = '{"cookie":'

/** A store, connected to a server of its own. */
export interface OpenStore {
  store: any
  /** Another one on the same sessions, as a second process has it; where only one can know them, there is none. */
  another?(): object
  /** Writes over a session what cannot be one. */
  spoil(id: string): unknown
  close(): Promise<unknown>
}

/** The stores that most applications use, each as its own documentation sets it up, on a server of its own. */
export const NPM_STORES: Record<string, () => Promise<OpenStore>> = {
  'connect-redis': async () => {
    const server = await RedisServer.start()
    const client = require('redis').createClient({ url: server.url })
    await client.connect()
    const { RedisStore } = require('connect-redis')
    return {
      store: new RedisStore({ client }),
      another: () => new RedisStore({ client }),
      spoil: (id) => client.set(`sess:${id}`, SPOILT),
      close: async () => client.destroy() ?? (await server.stop())
    }
  },

  'connect-pg-simple': async () => {
    const server = await startPostgres()
    const { Pool } = require('pg')
    const pool = new Pool({ host: '127.0.0.1', port: server.port, user: 'postgres', database: 'postgres' })
    const Postgres = require('connect-pg-simple')(session)
    const another = () => new Postgres({ pool, createTableIfMissing: true, pruneSessionInterval: false })
    const store = another()
    const close = async () => {
      await store.close()
      await pool.end()
      await server.stop()
    }
    // The column is of the type json.
    const spoil = (id: string) => pool.query('UPDATE session SET sess = $1 WHERE sid = $2', ['42', id])
    return { store, another, spoil, close }
  },

  'connect-memcached': async () => {
    const server = await startMemcached()
    const Memcached = require('connect-memcached')(session)
    const store = new Memcached({ hosts: [`127.0.0.1:${server.port}`] })
    const { client } = store
    return {
      store,
      another: () => new Memcached({ client }),
      spoil: (id) => new Promise((resolve) => store.client.set(id, SPOILT, 60, resolve)),
      close: async () => store.client.end() ?? (await server.stop())
    }
  },

  // The one without a server: see the double.
  'connect-mongo': async () => {
    const { MongoStore } = require('connect-mongo')
    const client = new MongoDouble()
    const store = new MongoStore({ client })
    return {
      store,
      another: () => new MongoStore({ client }),
      spoil: (id) => client.updateOne({ _id: id }, { $set: { session: SPOILT } }),
      close: () => store.close()
    }
  },

  'connect-sqlite3': async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sqlite-'))
    const Sqlite = require('connect-sqlite3')(session)
    const store = new Sqlite({ dir: folder, db: 'sessions.db' })
    await new Promise((resolve) => store.client.once('connect', resolve))
    const close = async () => {
      await new Promise((resolve) => store.db.close(resolve))
      await rm(folder, { recursive: true })
    }
    // What is no JSON it throws where nobody can catch it: an uncaught exception, behind any middleware.
    const spoil = (id: string) =>
      new Promise((resolve) => store.db.run('UPDATE sessions SET sess = ? WHERE sid = ?', ['42', id], resolve))
    return { store, spoil, close }
  },

  memorystore: async () => {
    const Memory = require('memorystore')(session)
    const store = new Memory({ checkPeriod: 60_000 })
    return { store, spoil: (id) => store.store.set(id, SPOILT), close: async () => store.stopInterval() }
  },

  'session-file-store': async () => {
    const folder = await mkdtemp(join(tmpdir(), 'files-'))
    const Files = require('session-file-store')(session)
    const another = () => new Files({ path: folder, retries: 0, reapInterval: -1, logFn: () => undefined })
    return {
      store: another(),
      another,
      spoil: (id) => writeFile(join(folder, `${id}.json`), SPOILT),
      close: () => rm(folder, { recursive: true })
    }
  }
}
