// One application of 1, 2 and 4 processes behind one port: how many requests it serves, and whether a session that one
// of them began is found by the others.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { rm, mkdtemp } from 'node:fs/promises'
import http from 'node:http'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { load } from './load.mjs'
import { median } from './statistics.mjs'
import { table } from './tables.mjs'

const { SqliteStore } = createRequire(import.meta.url)('../dist/sqlite.js')
const APP = fileURLToPath(new URL('processes-app.mjs', import.meta.url))
const COUNTS = [1, 2, 4]
const CONNECTIONS = 32
// The first warms up, and the median leaves it out.
const REQUESTS = 1500
const ROUNDS = 3
const ASKED = 40

// Node 20 has no SQLite of its own, and better-sqlite3 need not be installed.
async function hasSqlite(path) {
  try {
    await new SqliteStore({ path }).close()
    return true
  } catch {
    return false
  }
}

/** @param redis `{ port, version }` of the server, if there is one */
export async function processesTable(redis) {
  const folder = await mkdtemp(join(tmpdir(), 'silverback-bench-'))
  const stores = { MemoryStore: '' }
  const database = join(folder, 'sessions.db')
  if (await hasSqlite(database)) stores.SqliteStore = database
  stores.FileStore = join(folder, 'sessions')
  if (redis) stores.RedisStore = redis.port
  const rows = []
  for (const [store, place] of Object.entries(stores)) rows.push([store, ...(await rowOf(store, String(place)))])
  await rm(folder, { recursive: true })
  const head = ['read', 'written', 'found'].flatMap((what) => COUNTS.map((count) => `${what}, ${count}`))
  const servers = redis ? ` (${redis.version})` : ''
  return table(`Several processes on one port${servers}: requests a second by processes`, ['store', ...head], rows)
}

async function rowOf(store, place) {
  const read = []
  const written = []
  const found = []
  for (const count of COUNTS) {
    const app = fork(APP, [store, String(count), place], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    app.once('exit', (code) => code && process.exit(code))
    const [port] = await once(app, 'message')
    const share = await shareFound(port)
    found.push(`${Math.round(share * 100)} %`)
    // What half of the visitors do not get cannot be compared.
    const whole = share === 1
    read.push(whole ? await rateOf(port, 'read') : '')
    written.push(whole ? await rateOf(port, 'write') : '')
    app.disconnect()
    await once(app, 'exit')
  }
  return [...read, ...written, ...found]
}

// Each request on a connection of its own, as from browsers: the processes take turns.
async function shareFound(port) {
  const { cookie } = await ask(port, '/login')
  let found = 0
  for (let i = 0; i < ASKED; i++) if ((await ask(port, '/read', cookie)).text === 'ok') found++
  return found / ASKED
}

async function rateOf(port, path) {
  const cookies = []
  for (let i = 0; i < CONNECTIONS; i++) cookies.push((await ask(port, '/login')).cookie)
  const rates = []
  for (let round = 0; round < ROUNDS; round++) {
    const { rate } = await load(`http://127.0.0.1:${port}/${path}`, {
      connections: CONNECTIONS,
      amount: REQUESTS,
      cookies
    })
    rates.push(rate)
  }
  return Math.round(median(rates))
}

function ask(port, path, cookie) {
  const headers = cookie === undefined ? {} : { cookie }
  return new Promise((resolve, reject) => {
    const req = http.get({ host: '127.0.0.1', port, path, headers, agent: false }, (res) => {
      let text = ''
      res.on('data', (chunk) => (text += chunk))
      res.on('end', () => resolve({ text, cookie: res.headers['set-cookie']?.[0].split(';', 1)[0] }))
    })
    req.on('error', reject)
  })
}
