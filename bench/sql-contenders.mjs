// Those that keep sessions in SQL: on each database all over the same driver, the pool with its defaults.
import { createRequire } from 'node:module'
import { classic, contender, secret } from './contenders.mjs'

const require = createRequire(import.meta.url)
const silverback = require('../dist/index.js')
const expressSession = require('express-session')

const ours = (name, store) => contender(name, 'sid', silverback.sessions({ secret, store }))
const theirs = (name, store) => contender(name, 'connect.sid', expressSession({ ...classic, store }))

async function connectPgSimple(pool) {
  const store = new (require('connect-pg-simple')(expressSession))({
    pool,
    createTableIfMissing: true,
    pruneSessionInterval: false
  })
  await store._ensureSessionStoreTable()
  return store
}

async function expressMysqlSession(pool) {
  const store = new (require('express-mysql-session')(expressSession))({ clearExpired: false }, pool)
  await store.onReady()
  return store
}

function betterSqlite3(path) {
  const database = new (require('better-sqlite3'))(path)
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL')
  return database
}

async function connectSqlite3(folder) {
  const store = new (require('connect-sqlite3')(expressSession))({ dir: folder, db: 'theirs.db', concurrentDb: true })
  await new Promise((resolve) => store.client.once('connect', resolve))
  store.db.run('PRAGMA synchronous = NORMAL')
  return store
}

// The server may end before it.
const pgPool = (url) => new (require('pg').Pool)({ connectionString: url }).on('error', () => {})
const mysqlPool = (url) => require('mysql2/promise').createPool(url)
const inSql = { table: 'ours', createTable: true }

/** By the protocol of the URL of a database, and by name; each made for such a URL. */
export const SQL_CONTENDERS = {
  postgres: {
    'silverback sessions(), PostgresStore': (name, url) =>
      ours(name, new (require('../dist/postgres.js').PostgresStore)({ pool: pgPool(url), ...inSql })),
    'express-session, connect-pg-simple': async (name, url) => theirs(name, await connectPgSimple(pgPool(url)))
  },
  mysql: {
    'silverback sessions(), MysqlStore': (name, url) =>
      ours(name, new (require('../dist/mysql.js').MysqlStore)({ pool: mysqlPool(url), ...inSql })),
    'express-session, express-mysql-session': async (name, url) =>
      theirs(name, await expressMysqlSession(mysqlPool(url)))
  },
  sqlite: {
    'silverback sessions(), SqliteStore': (name, url) =>
      ours(
        name,
        new (require('../dist/sqlite.js').SqliteStore)({
          database: betterSqlite3(`${folderOf(url)}/ours.db`),
          ...inSql
        })
      ),
    'express-session, connect-sqlite3': async (name, url) => theirs(name, await connectSqlite3(folderOf(url))),
    'express-session, better-sqlite3-session-store': (name, url) =>
      theirs(
        name,
        new (require('better-sqlite3-session-store')(expressSession))({
          client: betterSqlite3(`${folderOf(url)}/better.db`)
        })
      )
  }
}

/** `sqlite:` and the folder for the files. */
function folderOf(url) {
  return url.slice('sqlite:'.length)
}
