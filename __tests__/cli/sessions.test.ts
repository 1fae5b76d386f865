import { writeFileSync } from 'node:fs'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { FileStore, MemoryStore, sessions } from '../../lib/index'
import { MemcachedStore } from '../../lib/memcached'
import { MysqlStore } from '../../lib/mysql'
import { PostgresStore } from '../../lib/postgres'
import { RedisStore } from '../../lib/redis'
import { SqliteStore } from '../../lib/sqlite'
import { POWERS } from '../../lib/store/contract'
import { secret } from '../helpers/app'
import { describeCommands, silverback, type Ground } from '../helpers/command-line'
import { TestFolder } from '../helpers/folder'
import { RedisServer } from '../helpers/redis-server'
import { memcachedClient, startMariadb, startMemcached, startPostgres, type RunningServer } from '../helpers/servers'

const folder = new TestFolder()
const servers: RunningServer[] = []

afterAll(async () => {
  await Promise.all(servers.map((server) => server.stop()))
  folder.remove()
})

async function running<T extends RunningServer>(starting: Promise<T>): Promise<T> {
  const server = await starting
  servers.push(server)
  return server
}

const GROUNDS: Record<string, () => Promise<Ground> | Ground> = {
  sqlite: () => {
    const path = folder.at('sessions.db')
    const store = new SqliteStore({ path })
    return { url: `sqlite:${path}`, store, close: () => store.close() }
  },
  file: () => {
    const store = new FileStore({ path: folder.at('sessions') })
    return { url: `file://${folder.at('sessions')}`, store, close: () => store.close() }
  },
  redis: async () => {
    const server = await running(RedisServer.start())
    const client = await require('redis').createClient({ url: server.url }).connect()
    return { url: server.url, store: new RedisStore({ client }), close: () => client.close() }
  },
  postgres: async () => {
    const { port } = await running(startPostgres())
    const url = `postgres://postgres:pass-word@127.0.0.1:${port}/postgres`
    const pool = new (require('pg').Pool)({ connectionString: url })
    return { url, store: new PostgresStore({ pool, createTable: true }), close: () => pool.end() }
  },
  mysql: async () => {
    const { port } = await running(startMariadb())
    const url = `mysql://root@127.0.0.1:${port}/test`
    const pool = require('mysql2/promise').createPool(url)
    return { url, store: new MysqlStore({ pool, createTable: true }), close: () => pool.end() }
  }
}

describe.each(Object.keys(GROUNDS))('on a store of %s:', (name) => describeCommands(GROUNDS[name]!))

it('takes prefix, table and hashed IDs as the stores do', async () => {
  const path = folder.at('other.db')
  const store = new SqliteStore({ path, table: 'other' })
  const auth = sessions({ secret, store, hashIds: true, userId: (session) => session.userId })
  const { id } = await auth.create({ userId: 'ann' } as object)
  const at = ['--store', `sqlite:${path}`, '--table', 'other']
  expect(await silverback(['show', ...at, '--', id])).toMatchObject({ exit: 1 })
  expect(await silverback(['show', ...at, '--hash-ids', '--', id])).toMatchObject({ exit: 0 })
  expect(await silverback(['list', 'ann', ...at, '--hash-ids', '--json'])).toMatchObject({ json: { sessions: [{}] } })
  await store.close()
})

it('memcached, which enumerates nothing: shows, lists and revokes', async () => {
  const { port } = await running(startMemcached())
  const client = memcachedClient(port)
  const store = new MemcachedStore({ client, prefix: 'app:' })
  const auth = sessions({ secret, store, userId: (session) => session.userId })
  const { id } = await auth.create({ userId: 'ann' } as object)
  const at = ['--store', `memcached://127.0.0.1:${port}`, '--prefix', 'app:']
  expect(await silverback(['show', ...at, '--', id])).toMatchObject({ exit: 0 })
  await store.set('other', { cookie: { originalMaxAge: 3_600_000 } })
  const other = await silverback(['show', 'other', ...at])
  expect(other.out).toMatch(/^ends +unknown$/m)
  expect(await silverback(['stats', ...at])).toMatchObject({
    exit: 2,
    err: 'This store cannot do that: it has no length().\n'
  })
  expect(await silverback(['revoke', 'ann', ...at, '--yes'])).toMatchObject({ exit: 0, out: 'Ended 1 session.\n' })
  client.end()
})

it.each(['-', '--'])('shows a session whose ID begins with %s', async (dashes) => {
  const path = folder.at(`${dashes}.db`)
  const store = new SqliteStore({ path })
  const id = dashes.padEnd(32, 'x')
  const at = ['--store', `sqlite:${path}`]
  store.set(id, { cookie: {} })
  for (const args of [
    [id, ...at],
    [...at, id],
    [...at, '--', id]
  ]) {
    expect(await silverback(['show', ...args])).toMatchObject({ exit: 0, err: '' })
  }
  await store.close()
})

it('takes no value of an option for an ID, however it begins', async () => {
  const args = ['show', '--table', '-'.padEnd(32, 'x'), 'id', '--store', `sqlite:${folder.at('any.db')}`]
  expect(await silverback(args)).toMatchObject({
    exit: 2,
    err: expect.stringMatching(/'--table' argument is ambiguous/)
  })
})

it('tells the end that the store keeps, of sessions that others have stored', async () => {
  const path = folder.at('others.db')
  const store = new SqliteStore({ path })
  const expires = new Date(Date.now() + 60_000)
  store.set('other', { cookie: { originalMaxAge: 3_600_000, expires } })
  const { json } = await silverback(['show', 'other', '--store', `sqlite:${path}`, '--json'])
  expect(Date.parse(json.endsAt)).toBe(expires.valueOf())
  await store.close()
})

it('purges sessions whose time is over', async () => {
  const path = folder.at('over.db')
  const store = new SqliteStore({ path, sweepEvery: null })
  const cookie = { originalMaxAge: 1000, expires: new Date(Date.now() + 1000) }
  store.set('over', { cookie })
  const clock = jest.spyOn(Date, 'now').mockReturnValue(Date.now() + 5000)
  await silverback(['purge', '--store', `sqlite:${path}`])
  clock.mockRestore()
  expect(store.get('over')).toBeNull()
  await store.close()
})

describe('says what is missing:', () => {
  const nowhere = folder.at('nowhere')
  it.each([
    ['no store', ['stats'], 2, /Which store\?/],
    ['another scheme', ['stats', '--store', 'constructor:x'], 2, /begins with one of redis:, rediss:/],
    ['nothing at a path', ['stats', '--store', `sqlite:${nowhere}`], 3, /There is nothing at .*nowhere/],
    ['nothing at a path', ['stats', '--store', `file:${nowhere}`], 3, /There is nothing at .*nowhere/],
    ['no server', ['stats', '--store', 'redis://:pass-word@127.0.0.1:1'], 3, /ECONNREFUSED/],
    ['a URL of no host', ['stats', '--store', 'mongodb://ann:pass-word@/x'], 3, /mongodb:\/\/\/x/],
    ['no server', ['stats', '--store', 'postgres://ann:pass-word@127.0.0.1:1/x'], 3, /PostgreSQL/],
    [
      'an option of another store',
      ['stats', '--store', `sqlite:${nowhere}`, '--prefix', 'x'],
      2,
      /--prefix says nothing/
    ],
    ['no application', ['reindex', '--store', `file:${folder.path}`], 2, /reindex needs --config/],
    ['an unknown option', ['stats', '--stroe', 'x'], 2, /Unknown option '--stroe'/],
    ['no argument', ['list'], 2, /takes one argument, USER; got 0/],
    ['an empty prefix', ['clear', '--store', 'redis://127.0.0.1:1', '--prefix', '', '--yes'], 2, /every key/],
    ['an empty path', ['stats', '--store', 'file:'], 2, /file: names no folder/],
    ['an empty path', ['stats', '--store', 'file://'], 2, /file:\/\/ names no folder/],
    ['an empty path', ['stats', '--store', 'sqlite:'], 2, /sqlite: names no file/],
    ['an empty argument', ['show', '', '--store', `file:${folder.path}`], 2, /^ID is empty/],
    ['an empty argument', ['list', '', '--store', `file:${folder.path}`], 2, /^USER is empty/],
    ['an empty argument', ['revoke', '', '--store', `file:${folder.path}`, '--yes'], 2, /^USER is empty/],
    ['an empty standard input', ['list', '-', '--store', `file:${folder.path}`], 2, /^USER is empty/],
    ['an argument too many', ['stats', 'ann'], 2, /takes no argument; got 1/],
    ['an unknown command', ['lst'], 2, /There is no command "lst"/]
  ])('%s', async (_what, args, exit, message) => {
    const result = await silverback(args)
    expect(result).toMatchObject({ exit, out: '', err: expect.stringMatching(message) })
    expect(result.err).not.toMatch(/pass-word/)
    const { json } = await silverback([...args, '--json'])
    expect(json).toEqual({ error: expect.stringMatching(message) })
  })

  it('makes nothing where there was nothing', () => expect(folder.files()).not.toContain('nowhere'))
})

it('prints nothing that commands a terminal, as text or as JSON', async () => {
  const path = folder.at('commanding.db')
  const store = new SqliteStore({ path })
  const note = '\u001b[2J\u009b31m\u202e\u2028\u007f'
  const { id } = await sessions({ secret, store }).create({ note } as object)
  const args = ['show', '--store', `sqlite:${path}`, '--show-data']
  const { out } = await silverback([...args, '--', id])
  const { out: printed, json } = await silverback([...args, '--json', '--', id])
  expect(json.data).toEqual({ note })
  for (const text of [out, printed]) expect(text).not.toMatch(/[^ -~\n]/)
  await store.close()
})

it('waits for a server that says nothing, but not for ever', async () => {
  const open: Socket[] = []
  jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'setInterval', 'queueMicrotask', 'Date'] })
  const server = createServer((socket) => {
    open.push(socket)
    jest.advanceTimersByTime(10_000)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const place = `redis://127.0.0.1:${(server.address() as AddressInfo).port}`
  const result = await silverback(['stats', '--store', place.replace('//', '//:pass-word@')])
  expect(result).toMatchObject({ exit: 3, err: `${place} does not answer\n` })
  jest.useRealTimers()
  open.forEach((socket) => socket.destroy())
  server.close()
})

it('waits longer for a long list than a request would', async () => {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'setInterval', 'queueMicrotask', 'Date'] })
  const turn = () => new Promise(setImmediate)
  const store = new MemoryStore()
  const list = async () => {
    await turn()
    jest.advanceTimersByTime(50_000)
    await turn()
    return []
  }
  Object.assign(store[POWERS], { list })
  Object.assign(globalThis, { slowStore: store })
  writeFileSync(folder.at('slow.cjs'), 'exports.store = globalThis.slowStore')
  const result = await silverback(['list', 'ann', '--config', folder.at('slow.cjs')])
  jest.useRealTimers()
  expect(result).toMatchObject({ exit: 0, out: 'No sessions.\n' })
})

it('helps with every command', async () => {
  const { out } = await silverback(['--help'])
  const names = [...out.matchAll(/^ {2}(\w+)/gm)].map(([, name]) => name!)
  expect(names).toHaveLength(10)
  for (const name of names) {
    const { exit, out: help } = await silverback([name, '--help'])
    expect([exit, help]).toEqual([0, expect.stringMatching(`^Usage: silverback ${name}`)])
  }
})
