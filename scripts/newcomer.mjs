// What a newcomer does with the commit that is checked out: `npm start` on a machine with Node alone, and an application
// with silverback under express-session's name, installed by each package manager beside a store whose peer it is.
// `--no-start` leaves the first out.
import { execFile } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify, stripVTControlCharacters } from 'node:util'

const root = fileURLToPath(new URL('..', import.meta.url))
const tools = path.join(root, 'node_modules/.cache/package-managers')
const MANAGERS = { pnpm: '10.34.9', '@yarnpkg/cli-dist': '4.18.1', bun: '1.4.5' }
const SECONDS = 30
const CAUSE_LENGTH = 600
const NO_CAUSE = /^(npm error *)?(at |A complete log |$)|^Node\.js v|^➤ YN0000: [┌└·]/
const DEPENDENCIES = {
  'connect-redis': '9.0.0',
  express: '5.3.0',
  'express-session': 'npm:silverback@^1.20.0',
  redis: '5.12.1'
}

// What npm tells its scripts about this repository would mislead the package managers of another.
const env = Object.fromEntries(
  Object.entries(process.env).filter(([key]) => !/^(npm|yarn|pnpm)_|^NODE_(OPTIONS|PATH)$/i.test(key))
)
env.npm_config_fetch_retries = '5'
// Longer than anything here takes: what hangs is to be named.
const LIMITS = { timeout: 10 * 60_000, maxBuffer: Infinity }
const run = (cwd, command, ...args) => promisify(execFile)(command, args, { cwd, env, ...LIMITS })
const node = (cwd, ...args) => run(cwd, process.execPath, ...args)

/** Does once more what has failed and reaches for the network, and says so. */
async function fetching(what, work) {
  try {
    return await work()
  } catch (err) {
    console.error(`REPEATED ${what}: ${causeOf(err)}`)
    return work()
  }
}

/** In one line the end of what a command printed; some write errors to stdout. Stacks and Yarn's steps are left out. */
export function causeOf(err) {
  const lines = stripVTControlCharacters(`${err.stdout ?? ''}\n${err.stderr ?? ''}`).split('\n')
  const said = lines.map((line) => line.trim()).filter((line) => !NO_CAUSE.test(line))
  const cause = (said.length > 0 ? said.join(' | ') : err.message).slice(-CAUSE_LENGTH)
  return err.killed ? `ended after ${LIMITS.timeout / 1000} s: ${cause}` : cause
}

// The two halves of `npm start`, the second in the background until its page is there.
const START = `
set -e
git clone -q "$0" clone
cd clone
export PORT=$1 npm_config_cache="$PWD/../cache" TIMEFORMAT='%U %S'
get="fetch('http://127.0.0.1:$PORT/login').then((res) => process.exit(res.ok ? 0 : 1), () => process.exit(1))"
time {
  $2 >&2
  $3 >&2 &
  until node -e "$get"; do kill -0 $!; sleep 0.2; done
  kill $!
  wait $! || true
}`

/** `npm start` in a fresh clone, with an empty cache, takes little of the processor until the login page is there. */
async function startsQuickly(folder) {
  const { scripts } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))
  const port = await freePort()
  const { stderr } = await run(folder, 'bash', '-c', START, root, port, ...scripts.start.split(' && '))
  const [user, system] = stderr.trim().split('\n').at(-1).split(' ').map(Number)
  if (!(user + system < SECONDS)) throw new Error(`took ${user + system} s of processor time, allowed are ${SECONDS} s`)
}

/** A port that nobody listens on, and below those that connections get by themselves: npm makes many until it is used. */
async function freePort() {
  for (;;) {
    const port = randomInt(10_000, 32_000)
    const server = createServer()
    const isFree = await new Promise((resolve) => {
      server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true))
    })
    if (!isFree) continue
    await new Promise((resolve) => server.close(resolve))
    return String(port)
  }
}

/** A registry that has the package as it would be published, and leads to the real one for everything else. */
async function startRegistry(folder) {
  const [packed] = JSON.parse((await run(root, 'npm', 'pack', '--json', '--pack-destination', folder)).stdout)
  const tarball = readFileSync(path.join(folder, packed.filename))
  const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))
  const real = (await run(root, 'npm', 'config', 'get', 'registry')).stdout.trim().replace(/\/$/, '')
  const server = createServer((req, res) => {
    if (req.url === '/silverback/-/silverback.tgz') return res.end(tarball)
    if (req.url !== '/silverback') return res.writeHead(302, { location: real + req.url }).end()
    const url = `http://${req.headers.host}/silverback/-/silverback.tgz`
    const versions = { [packed.version]: { ...manifest, dist: { tarball: url, integrity: packed.integrity } } }
    const time = { [packed.version]: '2020-01-01T00:00:00.000Z' }
    res.setHeader('Content-Type', 'application/json')
    res.end(JSON.stringify({ name: 'silverback', 'dist-tags': { latest: packed.version }, versions, time }))
  })
  // Closing an idle connection could meet a request that is under way on it.
  server.keepAliveTimeout = 0
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${server.address().port}/`, stop: () => server.close().closeAllConnections() }
}

/** Runs where the package is installed as express-session; in strict layouts a package finds only what it names. */
const APPLICATION = `
const assert = require('node:assert')
const express = require('express')
const session = require('express-session')
const { RedisStore } = require('connect-redis')
assert.equal(require('express-session/package.json').name, 'silverback')
assert.ok(RedisStore.prototype instanceof session.Store, 'connect-redis has got another express-session')
assert.equal(typeof require('express-session/redis').RedisStore, 'function')
const app = express()
app.use(session({ secret: 'a secret of 32 bytes or more, for a newcomer', resave: false, saveUninitialized: false }))
app.get('/', (req, res) => res.json((req.session.views = (req.session.views ?? 0) + 1)))
const server = app.listen(0, '127.0.0.1', async () => {
  const url = 'http://127.0.0.1:' + server.address().port
  const first = await fetch(url)
  assert.equal(await first.json(), 1)
  const cookie = first.headers.get('set-cookie').split(';')[0]
  assert.equal(await (await fetch(url, { headers: { cookie } })).json(), 2)
  const imported = await import('express-session')
  assert.equal(imported.default, session)
  assert.equal(imported.sessions, session.sessions)
  process.exit(0)
})
`

const pnpm = path.join(tools, 'node_modules/pnpm/bin/pnpm.cjs')
const yarn = path.join(tools, 'node_modules/@yarnpkg/cli-dist/bin/yarn.js')
const bun = path.join(tools, 'node_modules/.bin/bun')

// Yarn and Bun know a package by its name and version alone: no cache of theirs may outlive this run.
const installedBy = {
  npm: {
    install: (folder, registry) => run(folder, 'npm', 'install', '--no-audit', '--no-fund', '--registry', registry),
    start: (folder) => node(folder, 'app.cjs')
  },
  pnpm: {
    install: (folder, registry) => node(folder, pnpm, 'install', '--registry', registry, '--strict-peer-dependencies'),
    start: (folder) => node(folder, 'app.cjs')
  },
  "Yarn's Plug'n'Play": {
    install(folder, registry) {
      const settings = {
        cacheFolder: './cache',
        enableGlobalCache: false,
        // On what calls itself CI, it would not write the lock file.
        enableImmutableInstalls: false,
        enableTelemetry: false,
        globalFolder: './global',
        nodeLinker: 'pnp',
        npmRegistryServer: registry,
        pnpEnableEsmLoader: true,
        unsafeHttpWhitelist: ['127.0.0.1']
      }
      writeFileSync(path.join(folder, '.yarnrc.yml'), JSON.stringify(settings))
      writeFileSync(path.join(folder, 'yarn.lock'), '')
      return node(folder, yarn, 'install')
    },
    start: (folder) => node(folder, yarn, 'node', 'app.cjs')
  },
  Bun: {
    install: (folder, registry) =>
      run(folder, bun, 'install', '--registry', registry, '--cache-dir', path.join(folder, 'cache')),
    start: (folder) => run(folder, bun, 'app.cjs')
  }
}

async function installManagers() {
  mkdirSync(tools, { recursive: true })
  writeFileSync(
    path.join(tools, 'package.json'),
    JSON.stringify({ private: true, allowScripts: { bun: true }, dependencies: MANAGERS })
  )
  await fetching('the installation of the package managers', () =>
    run(tools, 'npm', 'install', '--no-audit', '--no-fund', '--prefer-offline')
  )
}

/** Gives how many passed and what failed, and says on the way why. */
export async function newcomer() {
  const work = mkdtempSync(path.join(tmpdir(), 'silverback-newcomer-'))
  const result = { passed: 0, failed: [] }
  const check = async (title, body) => {
    try {
      await body()
      result.passed++
    } catch (err) {
      result.failed.push(`${title}: ${causeOf(err)}`)
      console.error(`FAILED ${title}: ${err.message}\n${err.stdout ?? ''}${err.stderr ?? ''}`)
    }
  }
  let registry
  try {
    if (!process.argv.includes('--no-start')) await check('npm start shows the login page', () => startsQuickly(work))
    await installManagers()
    registry = await startRegistry(work)
    for (const [manager, { install, start }] of Object.entries(installedBy)) {
      const folder = path.join(work, String(Object.keys(installedBy).indexOf(manager)))
      mkdirSync(folder)
      writeFileSync(
        path.join(folder, 'package.json'),
        JSON.stringify({ name: 'newcomer', version: '1.0.0', dependencies: DEPENDENCIES })
      )
      writeFileSync(path.join(folder, 'app.cjs'), APPLICATION)
      await check(`installed as express-session by ${manager}`, async () => {
        await fetching(`the installation by ${manager}`, () => install(folder, registry.url))
        await start(folder)
      })
    }
  } finally {
    registry?.stop()
    rmSync(work, { recursive: true, force: true })
  }
  return result
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { passed, failed } = await newcomer()
  console.log(`${passed} passed, ${failed.length} failed`)
  process.exitCode = failed.length === 0 ? 0 : 1
}
