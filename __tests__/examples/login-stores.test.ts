import { once } from 'node:events'
import { createServer } from 'node:http'
import { dirname } from 'node:path'
import request from 'supertest'
import { FileStore, generateKey } from '../../lib'
import { MysqlStore } from '../../lib/mysql'
import { PostgresStore } from '../../lib/postgres'
import { RedisStore } from '../../lib/redis'
import { SqliteStore } from '../../lib/sqlite'
import { TestFolder } from '../helpers/folder'
import { RedisServer } from '../helpers/redis-server'
import { startMariadb, startPostgres } from '../helpers/servers'
import { cookieOf, pairOf, Visitor } from './visitor'

const { createApp } = require('../../examples/login/app')
const { createUsers } = require('../../examples/login/users')
const { openStore } = require('../../examples/login/settings')

const VARIABLES = ['REDIS_URL', 'SESSION_DIR', 'DATABASE_URL'] as const
const PASSWORD = 'four simple words together'
const before = VARIABLES.map((name) => process.env[name])

function setEnvironment(values: (string | undefined)[]): void {
  VARIABLES.forEach((name, i) => {
    if (values[i] === undefined) delete process.env[name]
    else process.env[name] = values[i]
  })
}

afterEach(() => setEnvironment(before))

/** The package as the examples have it: they and the tests may each have one. */
function fromExamples(name: string): any {
  return require(require.resolve(name, { paths: [dirname(require.resolve('../../examples/login/app'))] }))
}

/** Signs in with one process, as it were, and visits the next, which opens the store anew. */
async function outlivesAProcess(close: (store: any) => unknown, kind: new (...args: never[]) => unknown) {
  const [users, secret] = [createUsers(), generateKey()]
  let cookie = ''
  for (const visit of [register, readProfile]) {
    const store = await openStore()
    expect(store).toBeInstanceOf(kind)
    const server = createServer(createApp({ users, secret, store })).listen(0)
    try {
      await once(server, 'listening')
      await visit(server)
    } finally {
      server.close()
      await close(store)
    }
  }

  async function register(server: any): Promise<void> {
    const answer = await new Visitor(server).submit('/register', { username: 'ada', password: PASSWORD })
    cookie = pairOf(cookieOf(answer))
  }

  async function readProfile(server: any): Promise<void> {
    const page = await request(server).get('/profile').set('Cookie', cookie)
    expect([page.status, page.text.includes('ada')]).toEqual([200, true])
  }
}

describe('login example: the store', () => {
  it('is in memory where the environment names none', async () => {
    setEnvironment([])
    expect(await openStore()).toBeUndefined()
  })

  it('is files with SESSION_DIR', async () => {
    const folder = new TestFolder()
    try {
      setEnvironment([undefined, folder.at('sessions')])
      await outlivesAProcess((store) => store.close(), FileStore)
    } finally {
      folder.remove()
    }
  })

  it('is SQLite with DATABASE_URL', async () => {
    const folder = new TestFolder()
    try {
      setEnvironment([undefined, undefined, `sqlite:${folder.at('sessions.db')}`])
      await outlivesAProcess((store) => store.close(), SqliteStore)
    } finally {
      folder.remove()
    }
  })

  it.each([
    ['PostgreSQL', startPostgres, (port: number) => `postgres://postgres@127.0.0.1:${port}/postgres`, PostgresStore],
    ['MySQL', startMariadb, (port: number) => `mysql://root@127.0.0.1:${port}/test`, MysqlStore]
  ])('is %s with DATABASE_URL, in a table of its own', async (_name, start, urlAt, kind) => {
    const server = await start()
    const pools: any[] = []
    for (const [module, name] of [
      [fromExamples('pg'), 'Pool'],
      [fromExamples('mysql2/promise'), 'createPool']
    ]) {
      const make = module[name]
      jest.spyOn(module, name).mockImplementation((...args: any[]) => {
        const pool = name === 'Pool' ? new make(...args) : make(...args)
        pools.push(pool)
        return pool
      })
    }
    try {
      setEnvironment([undefined, undefined, urlAt(server.port)])
      await outlivesAProcess((store) => store.close(), kind as never)
      expect(pools).toHaveLength(2)
    } finally {
      jest.restoreAllMocks()
      await Promise.all(pools.map((pool) => pool.end()))
      await server.stop()
    }
  })

  it('is none for a URL of something else', async () => {
    setEnvironment([undefined, undefined, 'oracle://localhost'])
    await expect(openStore()).rejects.toThrow('DATABASE_URL must begin with sqlite:, postgres: or mysql:')
  })

  it('is Redis with REDIS_URL, under keys of its own', async () => {
    const server = await RedisServer.start()
    try {
      setEnvironment([server.url])
      await outlivesAProcess((store) => store.client.destroy(), RedisStore)
      expect(await server.cli('keys', '*')).toMatch(/login-example:/)
    } finally {
      await server.stop()
    }
  })
})
