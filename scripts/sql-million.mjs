// Times the stores in SQL at 10,000 and at 1,000,000 sessions: what finds its rows by an index takes as long with both.
//
//   npm run build
//   node scripts/sql-million.mjs sqlite:///tmp/million.db
//   node scripts/sql-million.mjs postgres://postgres@127.0.0.1/postgres
//   node scripts/sql-million.mjs mysql://root@127.0.0.1/test
//
// It makes a table of its own, `million`, and removes it in the end. Each user has 20 sessions; half of all are over.
import { createRequire } from 'node:module'

const require = createRequire(new URL('../dist/', import.meta.url))
const powersOf = Symbol.for('silverback.powers')
const HOUR = 3_600_000
const SIZES = [10_000, 1_000_000]
const PER_USER = 20
const CALLS = 200
const ROWS = 1000

const url = process.argv[2]
const TABLE = 'million'

async function open() {
  const options = { table: TABLE, createTable: true, sweepEvery: null }
  if (url?.startsWith('sqlite:')) {
    const { SqliteStore } = require('./sqlite.js')
    const path = new URL(url).pathname
    const database = new (require('better-sqlite3'))(path)
    const query = async (sql) => database.exec(sql)
    return {
      store: new SqliteStore({ path, ...options }),
      query,
      columns: ['sid', 'sess', 'expired'],
      time: (ms) => ms
    }
  }
  if (url?.startsWith('postgres:')) {
    const { PostgresStore } = require('./postgres.js')
    const pool = new (require('pg').Pool)({ connectionString: url })
    const time = (ms) => `to_timestamp(${ms / 1000})`
    const query = (sql) => pool.query(sql)
    return { store: new PostgresStore({ pool, ...options }), query, columns: ['sid', 'sess', 'expire'], time, pool }
  }
  if (url?.startsWith('mysql:')) {
    const { MysqlStore } = require('./mysql.js')
    const pool = require('mysql2/promise').createPool(url)
    const time = (ms) => Math.ceil(ms / 1000)
    const query = (sql) => pool.query(sql)
    return {
      store: new MysqlStore({ pool, ...options }),
      query,
      columns: ['session_id', 'data', 'expires'],
      time,
      pool
    }
  }
  throw new Error('Give the URL of a database: sqlite:///file, postgres://... or mysql://...')
}

const { store, query, columns, time, pool } = await open()
const powers = store[powersOf]
const now = Date.now()
const cookie = '{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"}'
const idOf = (n) => `session-${String((n * 7919) % 1_000_003).padStart(24, '0')}`
const textOf = (n) =>
  `{"cookie":${cookie},"silverback_meta":{"u":${now},"c":${now},"i":"user${n % Math.ceil(filled / PER_USER)}"},"filler":"${'x'.repeat(200)}"}`
const life = { usedAt: now, expiresAt: now + HOUR }

let filled = 0

async function fill(count) {
  filled = count
  await query(`DROP TABLE IF EXISTS ${TABLE}`)
  // The store finds that out by itself.
  await (async () => powers.read('a'))().catch(() => undefined)
  await powers.read('a')
  for (let at = 0; at < count; at += ROWS) {
    const rows = Array.from({ length: ROWS }, (_, i) => {
      const ends = (at + i) % 2 ? now + HOUR : now - HOUR + ((at + i) % 1000)
      return `('${idOf(at + i)}','${textOf(at + i)}',${time(ends)})`
    })
    await query(`INSERT INTO ${TABLE} (${columns.join(',')}) VALUES ${rows.join(',')}`)
  }
  await query(url.startsWith('mysql:') ? `ANALYZE TABLE ${TABLE}` : 'ANALYZE')
}

/** Milliseconds: median, and the 99th of a hundred. */
async function timed(call, calls = CALLS) {
  const took = []
  for (let i = 0; i < calls; i++) {
    const started = performance.now()
    await call(i)
    took.push(performance.now() - started)
  }
  took.sort((a, b) => a - b)
  return `${took[calls >> 1].toFixed(2)} (${took[Math.floor(calls * 0.99)].toFixed(2)})`
}

const table = {}
for (const size of SIZES) {
  await fill(size)
  const step = Math.floor(size / CALLS / 2) * 2
  const live = (i) => i * step + 1
  const row = (table[`${size} sessions`] = {})
  row.read = await timed((i) => powers.read(idOf(live(i))))
  row.extend = await timed((i) => powers.extend(idOf(live(i)), life))
  row.write = await timed((i) => powers.write({ id: `new${i}`, text: textOf(0), expected: null, life }))
  row.list = await timed(async (i) => {
    const listed = await powers.list(`user${i * 2 + 1}`)
    if (listed.length !== PER_USER) throw new Error(`${listed.length} sessions listed`)
  })
  row.revoke = await timed(async (i) => {
    for (const { id } of await powers.list(`user${i * 2 + 1}`)) await powers.remove(id, `user${i * 2 + 1}`)
  }, 50)
  // A page at a time; meanwhile somebody reads.
  const reads = []
  let sweeping = true
  const reader = (async () => {
    for (let i = 0; sweeping; i++) {
      const started = performance.now()
      await powers.read(idOf(live(i % CALLS)))
      reads.push(performance.now() - started)
      await new Promise(setImmediate)
    }
  })()
  let pages = 0
  const started = performance.now()
  while (await powers.sweep()) {
    pages++
    await new Promise(setImmediate)
  }
  row['sweep of a page'] = ((performance.now() - started) / Math.max(pages, 1)).toFixed(2)
  sweeping = false
  await reader
  row['longest read meanwhile'] = Math.max(...reads).toFixed(1)
}
console.log(`Milliseconds a call on ${url.split(':')[0]}, median (99 of 100)`)
console.table(table)
await query(`DROP TABLE ${TABLE}`)
await store.close()
await pool?.end()
