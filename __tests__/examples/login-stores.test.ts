import { once } from 'node:events'
import { createServer } from 'node:http'
import { FileStore, generateKey } from '../../lib'
import { MysqlStore } from '../../lib/mysql'
import { PostgresStore } from '../../lib/postgres'
import { RedisStore } from '../../lib/redis'
import { SqliteStore } from '../../lib/sqlite'
import { TestFolder } from '../helpers/folder'
import { RedisServer } from '../helpers/redis-server'
import { startMariadb, startPostgres } from '../helpers/servers'
import { Visitor } from './visitor'

const { createApp } = require('../../examples/login/app')
const { openStorage } = require('../../examples/login/storage')

const PASSWORD = 'four simple words together'

/**
 * Two instances behind one port, each with a store and accounts of its own opening, that take turns: what one has done
 * the other knows.
 */
async function isShared(settings: object, kind: new (...args: never[]) => unknown): Promise<void> {
  const secret = generateKey()
  const storages = [await openStorage(settings), await openStorage(settings)]
  for (const { store } of storages) expect(store).toBeInstanceOf(kind)
  const apps = storages.map(({ store, documents }) => createApp({ secret, store, documents }))
  let turn = 0
  const server = createServer((req, res) => apps[turn++ % 2](req, res)).listen(0)
  try {
    await once(server, 'listening')
    const [visitor, other] = [new Visitor(server), new Visitor(server)]
    await visitor.submit('/register', { username: 'ada', password: PASSWORD })
    for (let i = 0; i < 2; i++) expect((await visitor.get('/profile')).text).toContain('<strong>ada</strong>')
    await visitor.submit('/profile', { displayName: 'Ada', bio: '' })
    for (let i = 0; i < 2; i++) expect((await visitor.get('/api/session')).body.user.displayName).toBe('Ada')
    expect((await other.submit('/register', { username: 'ada', password: PASSWORD })).status).toBe(409)
    await other.submit('/login', { username: 'ada', password: PASSWORD })
    await other.submit('/sessions/end-others', {}, '/sessions')
    for (let i = 0; i < 2; i++) expect((await visitor.get('/profile')).headers.location).toBe('/login')
    expect((await visitor.get('/login')).text).toContain('You signed out everywhere else')
    expect(await storages[0].documents.list('user:')).toHaveLength(1)
  } finally {
    const closed = once(server, 'close')
    server.close().closeAllConnections()
    await closed
    await Promise.all(storages.map(({ close }) => close()))
  }
}

describe('login example: the store', () => {
  it('is in memory where the environment names none', async () => {
    expect((await openStorage({})).store).toBeUndefined()
  })

  it('is files with SESSION_DIR, and accounts in memory', async () => {
    const folder = new TestFolder()
    try {
      const { store, close } = await openStorage({ sessionDir: folder.at('sessions') })
      expect(store).toBeInstanceOf(FileStore)
      await close()
    } finally {
      folder.remove()
    }
  })

  it('is SQLite with DATABASE_URL', async () => {
    const folder = new TestFolder()
    try {
      await isShared({ databaseUrl: `sqlite:${folder.at('sessions.db')}` }, SqliteStore)
    } finally {
      folder.remove()
    }
  })

  it.each([
    ['PostgreSQL', startPostgres, (port: number) => `postgres://postgres@127.0.0.1:${port}/postgres`, PostgresStore],
    ['MySQL', startMariadb, (port: number) => `mysql://root@127.0.0.1:${port}/test`, MysqlStore]
  ])('is %s with DATABASE_URL, in tables of its own', async (_name, start, urlAt, kind) => {
    const server = await start()
    try {
      await isShared({ databaseUrl: urlAt(server.port) }, kind as never)
    } finally {
      await server.stop()
    }
  })

  it('is none for a URL of something else', async () => {
    const opened = openStorage({ databaseUrl: 'oracle://localhost' })
    await expect(opened).rejects.toThrow('DATABASE_URL must begin with sqlite:, postgres: or mysql:')
  })

  it('is Redis with REDIS_URL, under keys of its own', async () => {
    const server = await RedisServer.start()
    try {
      await isShared({ redisUrl: server.url }, RedisStore)
      expect(await server.cli('keys', '*')).toMatch(/login-example:/)
    } finally {
      await server.stop()
    }
  })
})
