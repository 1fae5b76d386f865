// What stores from npm do behind both doors and behind express-session, on the servers they are made for: prints the
// table of docs/stores.md. Installs the stores into a temporary folder; needs redis-server, memcached and PostgreSQL.
//
// usage: npm run build && node scripts/store-matrix.mjs [name of a store ...]
import { execFileSync, spawn } from 'node:child_process'
import { chownSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { once } from 'node:events'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const PACKAGES = [
  'express@5',
  'express-session@1.19',
  'memorystore',
  'session-file-store',
  'connect-loki',
  'nedb-session-store',
  'connect-redis@9',
  'redis@5',
  'connect-memcached',
  'pg',
  'connect-pg-simple',
  'knex',
  'connect-session-knex',
  'sequelize',
  'connect-session-sequelize',
  'express-session-sequelize',
  'typeorm',
  'reflect-metadata',
  'connect-typeorm'
]
const SECRET = 'a secret for the matrix, thirty-two bytes or more'
const IDLE = 3000
const HOUR = 3_600_000

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..')
const silverback = createRequire(import.meta.url)(path.join(root, 'dist/index.js'))
const folder = process.env.SILVERBACK_MATRIX ?? mkdtempSync(path.join(tmpdir(), 'silverback-matrix-'))
const scratch = mkdtempSync(path.join(tmpdir(), 'silverback-matrix-data-'))
const closing = []
process.on('exit', () => {
  for (const child of closing) child.kill('SIGKILL')
  rmSync(scratch, { recursive: true, force: true })
  if (process.env.SILVERBACK_MATRIX === undefined) rmSync(folder, { recursive: true, force: true })
})

if (!readdirSync(folder).includes('node_modules')) {
  writeFileSync(path.join(folder, 'package.json'), '{"private":true}')
  // Some stores name a peer that they do not need; none of these needs to be compiled.
  const flags = ['--no-audit', '--no-fund', '--loglevel=error', '--ignore-scripts', '--legacy-peer-deps']
  execFileSync('npm', ['install', ...flags, ...PACKAGES], { cwd: folder, stdio: 'inherit' })
}
const load = createRequire(path.join(folder, 'package.json'))
const expressSession = load('express-session')
const express = load('express')

const freePort = () =>
  new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const isRoot = process.getuid?.() === 0

async function listens(port) {
  for (let attempt = 0; attempt < 200; attempt++) {
    const socket = net.connect(port, '127.0.0.1')
    const opened = await Promise.race([once(socket, 'connect'), once(socket, 'error')]).then(
      () => true,
      () => false
    )
    socket.destroy()
    if (opened) return
    await sleep(50)
  }
  throw new Error(`Nothing listens on port ${port}`)
}

async function serve(command, flags, port, options = {}) {
  closing.push(spawn(command, flags, { stdio: 'ignore', ...options }))
  await listens(port)
  return port
}

const once1 = (make) => {
  let made
  return () => (made ??= make())
}

const redis = once1(async () => {
  const port = await freePort()
  await serve('redis-server', ['--port', String(port), '--save', '', '--dir', scratch], port)
  return load('redis')
    .createClient({ url: `redis://127.0.0.1:${port}` })
    .connect()
})

const memcached = once1(async () => {
  const port = await freePort()
  return serve('memcached', ['-p', String(port), '-l', '127.0.0.1', ...(isRoot ? ['-u', 'nobody'] : [])], port)
})

const postgres = once1(async () => {
  const port = await freePort()
  const data = mkdtempSync(path.join(tmpdir(), 'silverback-matrix-pg-'))
  const entry = /^postgres:[^:]*:(\d+):(\d+):/m.exec(readFileSync('/etc/passwd', 'utf8'))
  const as = isRoot ? { uid: Number(entry[1]), gid: Number(entry[2]) } : {}
  if (isRoot) chownSync(data, as.uid, as.gid)
  const versions = readdirSync('/usr/lib/postgresql')
  const bin = path.join('/usr/lib/postgresql', versions.at(-1), 'bin')
  execFileSync(path.join(bin, 'initdb'), ['-D', data, '-U', 'postgres', '-A', 'trust', '--no-sync'], {
    stdio: 'ignore',
    ...as
  })
  await serve(
    path.join(bin, 'postgres'),
    ['-D', data, '-p', String(port), '-h', '127.0.0.1', '-k', data, '-F'],
    port,
    as
  )
  process.on('exit', () => rmSync(data, { recursive: true, force: true }))
  const connection = { host: '127.0.0.1', port, user: 'postgres', database: 'postgres' }
  const pool = new (load('pg').Pool)(connection)
  while (!(await pool.query('SELECT 1').catch(() => false))) await sleep(100)
  return { connection, pool, url: `postgres://postgres@127.0.0.1:${port}/postgres` }
})

const sequelize = async () =>
  new (load('sequelize').Sequelize)((await postgres()).url, { logging: false, pool: { max: 2 } })

const theirKnex = once1(async () => load('knex')({ client: 'pg', connection: (await postgres()).connection }))

const theirRepository = once1(async () => {
  load('reflect-metadata')
  const { DataSource, EntitySchema } = load('typeorm')
  const { user, ...place } = (await postgres()).connection
  const entity = new EntitySchema({
    name: 'typeorm_session',
    columns: {
      id: { type: 'varchar', length: 255, primary: true },
      expiredAt: { type: 'bigint' },
      json: { type: 'text' },
      destroyedAt: { type: 'timestamp', nullable: true, deleteDate: true }
    }
  })
  const source = new DataSource({ type: 'postgres', username: user, ...place, entities: [entity], synchronize: true })
  await source.initialize()
  return source.getRepository(entity)
})

const databases = {}
const theirSequelize = (name, prepare) =>
  (databases[name] ??= sequelize().then(async (db) => {
    await prepare(db)
    return db
  }))

let files = 0
const newFile = () => path.join(scratch, `data-${++files}`)

/**
 * Each opens a place for sessions, and answers a function that makes a store object there, as a process of its own has
 * one; where only one object can know the place, that one.
 */
const STORES = {
  memorystore: async () => {
    const store = new (load('memorystore')(expressSession))({ checkPeriod: 60_000 })
    return () => store
  },
  'session-file-store': async () => {
    const Store = load('session-file-store')(expressSession)
    const folder = newFile()
    return () => new Store({ path: folder, retries: 0, reapInterval: -1, logFn: () => undefined })
  },
  'connect-loki': async () => {
    const store = new (load('connect-loki')(expressSession))({ path: newFile(), autosave: false })
    await once(store, 'connect')
    return () => store
  },
  'nedb-session-store': async () => {
    const store = new (load('nedb-session-store')(expressSession))({ filename: newFile() })
    return () => store
  },
  'connect-redis': async () => {
    const client = await redis()
    return () => new (load('connect-redis').RedisStore)({ client })
  },
  'connect-memcached': async () => {
    const hosts = [`127.0.0.1:${await memcached()}`]
    const Store = load('connect-memcached')(expressSession)
    return () => new Store({ hosts })
  },
  'connect-pg-simple': async () => {
    const { pool } = await postgres()
    const Store = load('connect-pg-simple')(expressSession)
    const make = () => new Store({ pool, createTableIfMissing: true, pruneSessionInterval: false })
    await new Promise((resolve) => make().get('none', resolve))
    return make
  },
  'connect-session-knex': async () => {
    const { ConnectSessionKnexStore } = load('connect-session-knex')
    const knex = await theirKnex()
    const make = () => new ConnectSessionKnexStore({ knex, tableName: 'knex_sessions', cleanupInterval: 0 })
    await make().get('none', () => undefined)
    return make
  },
  'connect-session-sequelize': async () => {
    const Store = load('connect-session-sequelize')(expressSession.Store)
    const options = { tableName: 'sequelize_sessions', checkExpirationInterval: -1 }
    const db = await theirSequelize('connect', (of) => new Store({ db: of, ...options }).sync())
    return () => new Store({ db, ...options })
  },
  'express-session-sequelize': async () => {
    const Store = load('express-session-sequelize')(expressSession.Store)
    const db = await theirSequelize('express', async (of) => {
      // It makes its table itself, and says nothing when that is done.
      const store = new Store({ db: of })
      while (!((await store.Session.count().catch(() => -1)) >= 0)) await sleep(50)
    })
    return () => new Store({ db })
  },
  'connect-typeorm': async () => {
    const { TypeormStore } = load('connect-typeorm')
    const repository = await theirRepository()
    return () => new TypeormStore({ cleanupLimit: 0 }).connect(repository)
  }
}
const OPTIONS = { secret: SECRET, name: 'sid', resave: false, saveUninitialized: false }
const DOORS = {
  'express-session': (store, more) => expressSession({ ...OPTIONS, store, ...more }),
  'drop-in door': (store, more) => silverback({ ...OPTIONS, store, ...more }),
  'sessions()': (store, more) => silverback.sessions({ secret: SECRET, name: 'sid', touchAfter: 0, store, ...more })
}

/** An application, and a browser that visits it. */
async function siteOf(middleware) {
  const app = express().use(middleware)
  const held = []
  app.get('/set', (req, res) => res.json(Object.assign(req.session, req.query) && req.sessionID))
  app.get('/who', (req, res) => {
    // Two stores add a property of their own.
    const { cookie: _cookie, __lastAccess: _files, expires: _sequelize, ...data } = req.session
    res.json(data)
  })
  app.get('/slow', async (req, res) => {
    void req.session.user
    await new Promise((resolve) => held.push(resolve))
    Object.assign(req.session, req.query)
    res.json('slow')
  })
  app.get('/renew', (req, res, next) =>
    req.session.regenerate((err) => (err ? next(err) : res.json((req.session.renewed = 'yes'))))
  )
  app.get('/logout', (req, res, next) => req.session.destroy((err) => (err ? next(err) : res.json('out'))))
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  server.unref()
  const visit = async (route, cookie = '') => {
    const res = await fetch(`http://127.0.0.1:${server.address().port}${route}`, { headers: { cookie } })
    if (res.status !== 200) throw new Error(`${route} answers ${res.status}`)
    const set = res.headers.getSetCookie().filter((each) => each.startsWith('sid=') && !each.startsWith('sid=;'))
    return { body: await res.json(), cookie: set.at(-1)?.split(';')[0] ?? cookie }
  }
  const arrival = async () => {
    while (held.length === 0) await sleep(10)
  }
  const letGo = () => held.splice(0).forEach((goOn) => goOn())
  return { visit, arrival, letGo }
}

const isUser = async (site, cookie, expected = { user: 'ann' }) =>
  JSON.stringify((await site.visit('/who', cookie)).body) === JSON.stringify(expected)
const limited = (door) => (door === 'sessions()' ? { idle: IDLE } : { cookie: { maxAge: IDLE } })

const CHECKS = {
  'a second process sees it': async (door, make) => {
    const [one, two] = [await siteOf(DOORS[door](make(), {})), await siteOf(DOORS[door](make(), {}))]
    const { cookie } = await one.visit('/set?user=ann')
    await two.visit('/set?more=1', cookie)
    return isUser(one, cookie, { user: 'ann', more: '1' })
  },
  'regenerated, destroyed': async (door, make) => {
    const site = await siteOf(DOORS[door](make(), {}))
    const first = (await site.visit('/set?user=ann')).cookie
    const second = (await site.visit('/renew', first)).cookie
    const renewed = (await isUser(site, first, {})) && (await isUser(site, second, { renewed: 'yes' }))
    await site.visit('/logout', second)
    return renewed && isUser(site, second, {})
  },
  'over in time': async (door, make) => {
    const site = await siteOf(DOORS[door](make(), limited(door)))
    const { cookie } = await site.visit('/set?user=ann')
    await sleep(2 * IDLE + 500)
    return isUser(site, cookie, {})
  },
  'reading prolongs': async (door, make) => {
    const site = await siteOf(DOORS[door](make(), { ...limited(door), rolling: true }))
    let { cookie } = await site.visit('/set?user=ann')
    for (let i = 0; i < 7; i++) {
      await sleep(IDLE / 4)
      cookie = (await site.visit('/who', cookie)).cookie
    }
    return isUser(site, cookie)
  },
  'late writer after a logout': async (door, make) => {
    const site = await siteOf(DOORS[door](make(), {}))
    const { cookie } = await site.visit('/set?user=ann')
    const late = site.visit('/slow?late=1', cookie)
    await site.arrival()
    await site.visit('/logout', cookie)
    site.letGo()
    await late
    return isUser(site, cookie, {})
  },
  'parallel changes': async (door, make) => {
    const site = await siteOf(DOORS[door](make(), {}))
    const { cookie } = await site.visit('/set?user=ann')
    const late = site.visit('/slow?one=1', cookie)
    await site.arrival()
    await site.visit('/set?two=2', cookie)
    site.letGo()
    await late
    const { body } = await site.visit('/who', cookie)
    return body.one === '1' && body.two === '2'
  },
  'from express-session and back': async (door, make) => {
    if (door !== 'drop-in door') return undefined
    const [theirs, ours] = [await siteOf(DOORS['express-session'](make(), {})), await siteOf(DOORS[door](make(), {}))]
    const { cookie } = await theirs.visit('/set?user=ann')
    await ours.visit('/set?more=1', cookie)
    return isUser(theirs, cookie, { user: 'ann', more: '1' })
  }
}

async function rowsOf(name) {
  await STORES[name]()
  return Promise.all(
    Object.keys(DOORS).map(async (door) => {
      const cells = await Promise.all(
        Object.values(CHECKS).map(async (check) =>
          check(door, await STORES[name]()).then(
            (holds) => (holds === undefined ? undefined : holds ? 'yes' : 'no'),
            (err) => `error (${err.message})`
          )
        )
      )
      return cells
    })
  )
}

const wanted = process.argv.slice(2)
const names = Object.keys(STORES).filter((name) => wanted.length === 0 || wanted.includes(name))
const table = [['store', ...Object.keys(CHECKS)]]
for (const name of names) {
  const rows = await rowsOf(name)
  const cells = Object.keys(CHECKS).map((_, at) => {
    const answers = rows.map((row) => row[at]).filter((answer) => answer !== undefined)
    return new Set(answers).size === 1 ? answers[0] : answers.join(' / ')
  })
  const { version } = JSON.parse(readFileSync(path.join(folder, 'node_modules', name, 'package.json'), 'utf8'))
  table.push([`${name} ${version}`, ...cells])
}
const widths = table[0].map((_, at) => Math.max(...table.map((row) => row[at].length)))
table.splice(
  1,
  0,
  widths.map((width) => '-'.repeat(width))
)
console.log(`Where they differ: ${Object.keys(DOORS).join(' / ')}`)
for (const row of table) console.log(`| ${row.map((cell, at) => cell.padEnd(widths[at])).join(' | ')} |`)
process.exit()
