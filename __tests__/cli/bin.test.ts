import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, cpSync, mkdirSync, openSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { CookieStore, FileStore, sessions } from '../../lib/index'
import { sessionCookie } from '../../lib/testing'
import { secret } from '../helpers/app'
import { build } from '../helpers/child'
import { spawnSilverback } from '../helpers/command-line'
import { TestFolder } from '../helpers/folder'
import { RedisServer } from '../helpers/redis-server'
import { siteWith } from '../helpers/sites'

const ROOT = path.join(__dirname, '../..')
const folder = new TestFolder()
const sessionsAt = folder.at('sessions')
let id: string

beforeAll(async () => {
  const store = new FileStore({ path: sessionsAt })
  id = (await sessions({ secret, store }).create({ userId: 'ann' } as object)).id
  await store.close()
})

afterAll(() => folder.remove())

const silverback = (args: string[], around: { env?: Record<string, string>; input?: string; bin?: string } = {}) =>
  spawnSilverback(args, { cwd: folder.path, ...around })

function config(name: string, text: string): string {
  writeFileSync(folder.at(name), text.replace('SILVERBACK', JSON.stringify(path.join(build(), 'lib/index.js'))))
  return folder.at(name)
}

const AUTH = `sessions({ secret: '${secret}', userId: (session) => session.userId, idle: 3600_000,
  store: new FileStore({ path: ${JSON.stringify(sessionsAt)} }) })`

it('is what the package offers as a command, with a line that says by what it runs', () => {
  const { bin } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8'))
  expect(bin).toEqual({ silverback: './dist/bin.js' })
  expect(readFileSync(path.join(ROOT, 'lib/bin.ts'), 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/)
})

it('tells its version', async () => {
  const version = '1.2.3-next.4'
  cpSync(path.join(build(), 'lib'), folder.at('versioned/lib'), { recursive: true })
  writeFileSync(folder.at('versioned/package.json'), JSON.stringify({ version }))
  symlinkSync(path.join(ROOT, 'node_modules'), folder.at('versioned/node_modules'))
  const bin = folder.at('versioned/lib/bin.js')
  expect(await silverback(['--version'], { bin })).toEqual({ exit: 0, out: `${version}\n`, err: '' })
})

it('reads the ID from standard input, and ends with a code of its own', async () => {
  const at = ['--store', `file:${sessionsAt}`]
  expect(await silverback(['show', '-', ...at], { input: id })).toMatchObject({ exit: 0, err: '' })
  expect(await silverback(['show', 'nobody', ...at])).toMatchObject({ exit: 1 })
  expect(await silverback(['clear', ...at])).toMatchObject({ exit: 2, err: expect.stringMatching(/say --yes/) })
  expect(await silverback([])).toMatchObject({ exit: 2, out: expect.stringMatching(/^Usage: silverback COMMAND/) })
})

it('does nothing when the question is not answered', async () => {
  const tty = folder.at('tty.cjs')
  writeFileSync(tty, 'process.stdin.isTTY = process.stderr.isTTY = true')
  const result = await silverback(['clear', '--store', `file:${sessionsAt}`], { env: { NODE_OPTIONS: `-r ${tty}` } })
  expect(result).toMatchObject({ exit: 2, err: expect.stringMatching(/\[y\/N\].*Nothing was done\.\n$/s) })
})

it('has failed when what it says cannot be written', () => {
  const full = openSync('/dev/full', 'w')
  const command = [path.join(build(), 'lib/bin.js'), 'secret']
  expect(spawnSync(process.execPath, command, { stdio: ['ignore', full, 'ignore'] }).status).toBe(3)
  closeSync(full)
})

it('has done what it did, also where what it says is not read to its end', async () => {
  const child = spawn(process.execPath, [path.join(build(), 'lib/bin.js'), '--help'], {
    stdio: ['ignore', 'pipe', 'ignore']
  })
  child.stdout.destroy()
  expect(await once(child, 'exit')).toEqual([0, null])
})

it('has failed when it could not come to its end', async () => {
  const bad = {
    'never.mjs': 'await new Promise(() => {})',
    'throws.mjs': "setImmediate(() => { throw new Error('oh') })"
  }
  for (const [name, text] of Object.entries(bad)) {
    const file = config(name, `${text}\nexport const store = new Promise(() => {})`)
    expect(await silverback(['stats', '--config', file])).toMatchObject({ exit: 3, out: '' })
  }
})

describe('in a project with few packages', () => {
  const alone = (...names: string[]) => folder.at('alone', ...names)
  const stats = (store: string) => silverback(['stats', '--store', store], { bin: alone('lib/bin.js') })

  beforeAll(() => {
    cpSync(path.join(build(), 'lib'), alone('lib'), { recursive: true })
    mkdirSync(alone('node_modules'))
    for (const name of Object.keys(require('../../package.json').dependencies)) {
      symlinkSync(path.join(ROOT, 'node_modules', name), alone('node_modules', name))
    }
  })

  it('names the one that is missing', async () => {
    const postgres = 'A store of postgres: needs the package pg, which is not installed here: npm install pg\n'
    expect(await stats('postgres://127.0.0.1/x')).toMatchObject({ exit: 3, err: postgres })
    const redis = /needs one of the packages redis, ioredis, iovalkey, which is not installed here: npm install redis\n/
    expect(await stats('redis://127.0.0.1/')).toMatchObject({ exit: 3, err: expect.stringMatching(redis) })
  })

  it.each(['ioredis', 'iovalkey'])('takes %s', async (name) => {
    const server = await RedisServer.start()
    symlinkSync(path.join(ROOT, '__tests__/node_modules', name), alone('node_modules', name))
    const { exit, out } = await stats(server.url)
    rmSync(alone('node_modules', name))
    await server.stop()
    expect([exit, out]).toEqual([0, `${server.url}: 0 sessions\n`])
    expect(await stats(server.url)).toMatchObject({ exit: 3 })
  })
})

describe('with the module of an application', () => {
  const MODULES: [string, string][] = [
    ['auth.cjs', `const { sessions, FileStore } = require(SILVERBACK); exports.auth = ${AUTH}`],
    ['main.cjs', `const { sessions, FileStore } = require(SILVERBACK); module.exports = ${AUTH}`],
    [
      'auth.mjs',
      `import s from SILVERBACK; const { sessions, FileStore } = s; export const auth = Promise.resolve(${AUTH})`
    ],
    [
      'main.mjs',
      `import s from SILVERBACK; const { sessions, FileStore } = s; export default ${AUTH}; setInterval(() => {}, 1000)`
    ]
  ]
  it.each(MODULES)('%s', async (name, text) => {
    const file = config(name, text)
    await silverback(['reindex', '--config', file])
    const { exit, out } = await silverback(['list', 'ann', '--config', file, '--json'])
    expect([exit, JSON.parse(out).sessions.length]).toEqual([0, 1])
    // The application's own limit, an hour.
    const { lastUsedAt, endsAt } = JSON.parse(out).sessions[0]
    expect(Date.parse(endsAt) - Date.parse(lastUsedAt)).toBe(3600_000)
  })

  it('indexes sessions that were stored before', async () => {
    const store = new FileStore({ path: sessionsAt })
    await sessions({ secret, store }).create({ userId: 'bob' } as object)
    await store.close()
    const file = config('auth.cjs', MODULES[0]![1])
    expect(await silverback(['reindex', '--config', file])).toMatchObject({ out: 'Looked at 2 sessions, indexed 1.\n' })
    expect(JSON.parse((await silverback(['list', 'bob', '--config', file, '--json'])).out).sessions).toHaveLength(1)
  })

  it('takes name, secrets and limits of a cookie from it', async () => {
    const auth = sessions({ secret, name: 'app', store: new CookieStore() })
    const [, value] = (await sessionCookie(auth, {})).split('=')
    const options = `{ secret: '${secret}', name: 'app', idle: 3600_000, store: new CookieStore() }`
    const file = config(
      'cookie.cjs',
      `const { sessions, CookieStore } = require(SILVERBACK); exports.auth = sessions(${options})`
    )
    const { out } = await silverback(['decode', '--config', file, '--json', '--', value!])
    const { authentic, secret: key, issuedAt, endsAt } = JSON.parse(out)
    expect([authentic, key, Math.round((Date.parse(endsAt) - Date.parse(issuedAt)) / 1000)]).toEqual([true, 1, 3600])
  })

  it('knows a mistake of usage from a fault, also where the application has another copy of the package', async () => {
    const copy = folder.at('copy')
    cpSync(path.join(build(), 'lib'), path.join(copy, 'lib'), { recursive: true })
    symlinkSync(path.join(ROOT, 'node_modules'), path.join(copy, 'node_modules'))
    const plain = '{ get: () => null, set: () => {}, destroy: () => {} }'
    const text = `exports.auth = require(SILVERBACK).sessions({ secret: '${secret}', userId: () => '1', store: ${plain} })`
    const args = ['list', 'ann', '--config', config('plain.cjs', text)]
    for (const bin of [undefined, path.join(copy, 'lib/bin.js')]) {
      expect(await silverback(args, { bin })).toMatchObject({
        exit: 2,
        err: expect.stringMatching(/no index of users/)
      })
    }
  })

  it('works on a store of others, as far as that goes', async () => {
    const text = `const sessions = { a: '{"cookie":{"originalMaxAge":60000,"expires":"2030-01-01T00:00:00.000Z"}}', b: '{"cookie":{}}' }
      exports.store = { get: (id, cb) => cb(null, sessions[id] && JSON.parse(sessions[id])), set: (id, s, cb) => cb(),
        destroy: (id, cb) => cb(), length: (cb) => cb(null, Object.keys(sessions).length) }`
    const file = config('foreign.cjs', text)
    expect(await silverback(['stats', '--config', file])).toMatchObject({ exit: 0, out: `${file}: 2 sessions\n` })
    expect(await silverback(['show', 'a', '--config', file])).toMatchObject({
      exit: 0,
      out: expect.stringMatching(/^ends +unknown$/m)
    })
    expect(await silverback(['list', 'ann', '--config', file])).toMatchObject({
      exit: 2,
      err: expect.stringMatching(/no index of users/)
    })
  })

  it('says what is wrong with it', async () => {
    const empty = config('empty.cjs', 'exports.x = 1')
    expect(await silverback(['stats', '--config', empty])).toMatchObject({
      exit: 2,
      err: expect.stringMatching(/exports neither/)
    })
    expect(await silverback(['stats', '--config', folder.at('none.js')])).toMatchObject({ exit: 3 })
  })
})

it('asks an application by TLS', async () => {
  const [key, cert] = [folder.at('key.pem'), folder.at('cert.pem')]
  const subject = [
    '-nodes',
    '-subj',
    '/CN=localhost',
    '-days',
    '1',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256'
  ]
  execFileSync('openssl', ['req', '-x509', ...subject, '-keyout', key, '-out', cert], { stdio: 'pipe' })
  const site = siteWith('express-session', { cookie: { secure: false }, options: { saveUninitialized: true } })
  const server = createServer({ key: readFileSync(key), cert: readFileSync(cert) }, site)
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve))
  const url = `https://localhost:${(server.address() as AddressInfo).port}/`
  expect(await silverback(['doctor', url])).toMatchObject({ exit: 3, err: expect.stringMatching(/self.signed/) })
  const { exit, out } = await silverback(['doctor', url, '--insecure'])
  server.close().closeAllConnections()
  expect([exit, out]).toEqual([1, expect.stringMatching(/cookie-secure: .*anonymous-session: /s)])
})
