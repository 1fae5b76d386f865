// Times the stores in SQL at 10,000 and at 1,000,000 sessions: what finds its rows by an index takes as long with both.
// Prints what each database does for each statement, and fails where it looks at every row.
//
//   npm run build && npm ci --prefix bench
//   node scripts/sql-million.mjs [PostgreSQL] [MariaDB] [SQLite]
//
// SESSIONS in its environment stands for fewer than a million. It starts the databases itself. Each user has 20
// sessions; half of all are over.
import { createRequire } from 'node:module'
import { databases } from '../bench/sql-servers.mjs'

const require = createRequire(new URL('../bench/', import.meta.url))
const powersOf = Symbol.for('silverback.powers')
const HOUR = 3_600_000
const SIZES = [10_000, Number(process.env.SESSIONS ?? 1_000_000)]
const PER_USER = 20
const CALLS = 200
const PAGE = 1000
const TABLE = 'million'

/** What was sent, each statement with its last values. */
const sent = new Map()

function record(prototype, name, statementOf) {
  const call = prototype[name]
  prototype[name] = function (...args) {
    const [sql, values] = statementOf.call(this, ...args)
    if (sql?.includes(TABLE) && values?.length > 0 && !sql.startsWith('EXPLAIN')) sent.set(sql, values)
    return call.apply(this, args)
  }
}

const OPEN = {
  async postgres(url) {
    const { Client, Pool } = require('pg')
    record(Client.prototype, 'query', ({ text, values }) => [text, values])
    const pool = new Pool({ connectionString: url }).on('error', () => {})
    return {
      store: new (require('../dist/postgres.js').PostgresStore)({ pool, ...OPTIONS }),
      query: (sql) => pool.query(sql),
      columns: ['sid', 'sess', 'expire'],
      time: (ms) => `to_timestamp(${ms / 1000})`,
      plan: async (sql, values) =>
        (await pool.query(`EXPLAIN ${sql}`, values)).rows.map((row) => row['QUERY PLAN'].replace(/ *\(cost.*/, '')),
      everyRow: /Seq Scan/,
      settle: 'VACUUM ANALYZE'
    }
  },
  async mysql(url) {
    const { Connection } = require('mysql2')
    record(Object.getPrototypeOf(Connection.prototype), 'execute', (sql, values) => [sql, values])
    const pool = require('mysql2/promise').createPool(url)
    return {
      store: new (require('../dist/mysql.js').MysqlStore)({ pool, ...OPTIONS }),
      query: (sql) => pool.query(sql),
      columns: ['session_id', 'data', 'expires'],
      time: (ms) => Math.ceil(ms / 1000),
      async plan(sql, values) {
        if (sql.startsWith('INSERT')) return ['INSERT']
        const [rows] = await pool.query(`EXPLAIN ${sql}`, values)
        return rows.map(({ type, key, Extra }) => `${type} ${key} ${Extra}`)
      },
      everyRow: /^(ALL|index) |filesort/m,
      settle: `ANALYZE TABLE ${TABLE}`
    }
  },
  sqlite(url) {
    const database = new (require('better-sqlite3'))(`${url.slice('sqlite:'.length)}/million.db`)
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL')
    for (const name of ['all', 'run']) {
      record(Object.getPrototypeOf(database.prepare('SELECT 1')), name, function (...values) {
        return [this.source, values]
      })
    }
    return {
      store: new (require('../dist/sqlite.js').SqliteStore)({ database, ...OPTIONS }),
      query: async (sql) => database.exec(sql),
      columns: ['sid', 'sess', 'expired'],
      time: (ms) => ms,
      plan: (sql, values) =>
        database
          .prepare(`EXPLAIN QUERY PLAN ${sql}`)
          .all(...values)
          .map(({ detail }) => detail),
      everyRow: /SCAN (?!CONSTANT)|USE TEMP B-TREE/,
      settle: 'ANALYZE; PRAGMA wal_checkpoint(TRUNCATE)'
    }
  }
}

const OPTIONS = { table: TABLE, createTable: true, sweepEvery: null }

const now = Date.now()
const cookie = '{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"}'
const life = { usedAt: now, expiresAt: now + HOUR }
const idOf = (n) => `session-${String((n * 7919) % 1_000_003).padStart(24, '0')}`
const textOf = (n, size) =>
  `{"cookie":${cookie},"silverback_meta":{"u":${now},"c":${now},"i":"user${n % (size / PER_USER)}"},"filler":"${'x'.repeat(200)}"}`

async function fill(size, { store, query, columns, time, settle }) {
  await query(`DROP TABLE IF EXISTS ${TABLE}`)
  await store.migrate()
  for (let at = 0; at < size; at += PAGE) {
    const rows = Array.from({ length: PAGE }, (_, i) => {
      const ends = (at + i) % 2 ? now + HOUR : now - HOUR + ((at + i) % 1000)
      return `('${idOf(at + i)}','${textOf(at + i, size)}',${time(ends)})`
    })
    await query(`INSERT INTO ${TABLE} (${columns.join(',')}) VALUES ${rows.join(',')}`)
  }
  await query(settle)
}

async function noted(took, call) {
  const started = performance.now()
  const answer = await call()
  took.push(performance.now() - started)
  return answer
}

function summary(took) {
  took.sort((a, b) => a - b)
  return { median: took[took.length >> 1], late: took[Math.floor(took.length * 0.99)] }
}

async function timed(call, calls = CALLS) {
  const took = []
  for (let i = 0; i < calls; i++) await noted(took, () => call(i))
  return summary(took)
}

/** The same for what may be done twice: once before it is timed, so that no figure is that of a disk. */
async function timedAgain(call) {
  await timed(call)
  return timed(call)
}

async function measure(size, { store }) {
  const powers = store[powersOf]
  const step = Math.floor(size / CALLS / 2) * 2
  const live = (i) => i * step + 1
  const user = (i) => `user${i * 2 + 1}`
  const text = textOf(0, size)
  const row = {}
  row.read = await timedAgain((i) => powers.read(idOf(live(i))))
  row.extend = await timedAgain((i) => powers.extend(idOf(live(i)), life))
  row.create = await timed((i) => powers.write({ id: `new${i}`, text, expected: null, life }))
  row.write = await timed((i) => powers.write({ id: `new${i}`, text: text + ' ', expected: text, life }))
  row.list = await timedAgain(async (i) => {
    const listed = await powers.list(user(i))
    if (listed.length !== PER_USER) throw new Error(`${listed.length} sessions listed`)
  })
  row.revoke = await timed(async (i) => {
    for (const { id } of await powers.list(user(i))) await powers.remove(id, user(i))
  }, 50)
  // Half of all, a page at a time; meanwhile somebody reads.
  const [pages, reads] = [[], []]
  let sweeping = true
  const reader = (async () => {
    for (let i = 0; sweeping; i++) {
      await noted(reads, () => powers.read(idOf(live(i % CALLS))))
      await new Promise(setImmediate)
    }
  })()
  while (await noted(pages, () => powers.sweep())) await new Promise(setImmediate)
  sweeping = false
  await reader
  row['read while sweeping'] = summary(reads)
  row['sweep of a page'] = summary(pages)
  // Of what is there, for the plan.
  await powers.read('new0')
  return row
}

const wanted = process.argv.slice(2)
let failed = false
for await (const { name, url } of databases(wanted.length > 0 ? wanted : undefined)) {
  if (url === undefined) throw new Error(`${name} is not installed`)
  const database = url.split(':', 1)[0]
  const ground = await OPEN[database](url)
  const rows = []
  for (const size of SIZES) {
    await fill(size, ground)
    console.error(`${name}: ${size} rows`)
    rows.push(await measure(size, ground))
  }
  const shown = ({ median, late }) => `${median.toFixed(2)} (${late.toFixed(2)})`
  console.log(`\n${name}: ms a call, median (99 of 100)`)
  console.table(
    Object.fromEntries(
      Object.keys(rows[0]).map((call) => [
        call,
        {
          ...Object.fromEntries(SIZES.map((size, i) => [size, shown(rows[i][call])])),
          times: (rows[1][call].median / rows[0][call].median).toFixed(2)
        }
      ])
    )
  )
  for (const [sql, values] of sent) {
    const plan = (await ground.plan(sql, values)).join('\n  ')
    const looksAtAll = ground.everyRow.test(plan)
    failed ||= looksAtAll
    console.log(`${sql}\n  ${plan}${looksAtAll ? '\n  EVERY ROW' : ''}`)
  }
  sent.clear()
  await ground.store.close()
}
process.exit(failed ? 1 : 0)
