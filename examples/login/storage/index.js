'use strict'

const { memoryDocuments } = require('./memory')

const TABLE = 'login_example_sessions'

/**
 * Opens what the environment asks for: a `store` for sessions (`undefined`: the memory of this process), `documents` for
 * accounts beside it, and how to `close` both.
 */
async function openStorage({ redisUrl, databaseUrl, sessionDir }) {
  if (redisUrl) return openRedis(redisUrl)
  if (databaseUrl) return openDatabase(databaseUrl)
  if (!sessionDir) return { store: undefined, documents: memoryDocuments(), close: async () => {} }
  const { FileStore } = require('silverback')
  const store = new FileStore({ path: sessionDir })
  return { store, documents: memoryDocuments(), close: () => store.close() }
}

async function openRedis(url) {
  const { createClient } = require('redis')
  const { RedisStore } = require('silverback/redis')
  const { redisDocuments } = require('./redis')
  const client = createClient({ url })
  client.on('error', (err) => console.error(`Redis: ${err.message}`))
  await client.connect()
  return {
    store: new RedisStore({ client, prefix: 'login-example:session:' }),
    documents: redisDocuments(client, 'login-example:'),
    close: async () => client.destroy()
  }
}

/** The database that a URL names: `sqlite:FILE`, `postgres://...` or `mysql://...`. */
async function openDatabase(url) {
  const [scheme] = url.split(':', 1)
  if (scheme === 'sqlite') return openSqlite(url.replace(/^sqlite:(\/\/)?/, ''))
  const sql = require('./sql')
  if (scheme === 'postgres' || scheme === 'postgresql') {
    const { Pool } = require('pg')
    const { PostgresStore } = require('silverback/postgres')
    const pool = new Pool({ connectionString: url })
    const store = new PostgresStore({ pool, table: TABLE, createTable: true })
    return { store, documents: await sql.sqlDocuments(sql.postgres(pool)), close: () => closePool(store, pool) }
  }
  if (scheme === 'mysql') {
    const { MysqlStore } = require('silverback/mysql')
    const pool = require('mysql2/promise').createPool(url)
    const store = new MysqlStore({ pool, table: TABLE, createTable: true })
    const documents = await sql.sqlDocuments(sql.mysql(pool), { isMysql: true })
    return { store, documents, close: () => closePool(store, pool) }
  }
  throw new TypeError('DATABASE_URL must begin with sqlite:, postgres: or mysql:')
}

async function openSqlite(path) {
  const { SqliteStore } = require('silverback/sqlite')
  const sql = require('./sql')
  // First, as it makes the file so that nobody else can read it.
  const store = new SqliteStore({ path, table: TABLE })
  const database = sqliteDatabase(path)
  database.exec('PRAGMA busy_timeout = 2000')
  return {
    store,
    documents: await sql.sqlDocuments(sql.sqlite(database)),
    async close() {
      database.close()
      await store.close()
    }
  }
}

function sqliteDatabase(path) {
  const sqlite = process.getBuiltinModule?.('node:sqlite')
  return sqlite ? new sqlite.DatabaseSync(path) : new (require('better-sqlite3'))(path)
}

async function closePool(store, pool) {
  await store.close()
  await pool.end()
}

module.exports = { openStorage }
