'use strict'

// Everything this application takes from its environment. Nothing is required to try it out.
const env = process.env

module.exports = {
  port: Number(env.PORT ?? 3000),
  secret: env.SESSION_SECRET || undefined,
  trustProxy: proxies(env.TRUST_PROXY),
  admin: administrator(env.ADMIN_USER),
  openStore
}

/** The store the environment asks for: Redis, a database, files, or (`undefined`) the memory of this process. */
async function openStore() {
  if (env.REDIS_URL) {
    const { createClient } = require('redis')
    const { RedisStore } = require('silverback/redis')
    const client = createClient({ url: env.REDIS_URL })
    client.on('error', (err) => console.error(`Redis: ${err.message}`))
    await client.connect()
    return new RedisStore({ client, prefix: 'login-example:' })
  }
  if (env.DATABASE_URL) return databaseStore(env.DATABASE_URL)
  if (env.SESSION_DIR) {
    const { FileStore } = require('silverback')
    return new FileStore({ path: env.SESSION_DIR })
  }
  return undefined
}

/** A store in the database that a URL names: `sqlite:FILE`, `postgres://...` or `mysql://...`. */
function databaseStore(url) {
  const table = 'login_example_sessions'
  const [scheme] = url.split(':', 1)
  if (scheme === 'sqlite') {
    const { SqliteStore } = require('silverback/sqlite')
    return new SqliteStore({ path: url.replace(/^sqlite:(\/\/)?/, ''), table })
  }
  if (scheme === 'postgres' || scheme === 'postgresql') {
    const { Pool } = require('pg')
    const { PostgresStore } = require('silverback/postgres')
    return new PostgresStore({ pool: new Pool({ connectionString: url }), table, createTable: true })
  }
  if (scheme === 'mysql') {
    const mysql = require('mysql2/promise')
    const { MysqlStore } = require('silverback/mysql')
    return new MysqlStore({ pool: mysql.createPool(url), table, createTable: true })
  }
  throw new TypeError('DATABASE_URL must begin with sqlite:, postgres: or mysql:')
}

/** `1`, `2`, ... proxies in front, or a list of their addresses, as Express's `trust proxy` takes it. */
function proxies(value) {
  if (!value) return undefined
  return /^\d+$/.test(value) ? Number(value) : value
}

/** `name:password`; the password may contain colons. */
function administrator(value) {
  if (!value) return undefined
  const colon = value.indexOf(':')
  if (colon < 1) throw new TypeError('ADMIN_USER must look like name:password')
  return { username: value.slice(0, colon), password: value.slice(colon + 1) }
}
