import { once } from 'node:events'
import { createServer } from 'node:http'
import request from 'supertest'
import { FileStore, generateKey } from '../../lib'
import { RedisStore } from '../../lib/redis'
import { TestFolder } from '../helpers/folder'
import { RedisServer } from '../helpers/redis-server'
import { cookieOf, pairOf, Visitor } from './visitor'

const { createApp } = require('../../examples/login/app')
const { createUsers } = require('../../examples/login/users')
const { openStore } = require('../../examples/login/settings')

const VARIABLES = ['REDIS_URL', 'SESSION_DIR'] as const
const PASSWORD = 'four simple words together'
const before = VARIABLES.map((name) => process.env[name])

function setEnvironment(values: (string | undefined)[]): void {
  VARIABLES.forEach((name, i) => {
    if (values[i] === undefined) delete process.env[name]
    else process.env[name] = values[i]
  })
}

afterEach(() => setEnvironment(before))

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

  it('is Redis with REDIS_URL, under keys of its own', async () => {
    const server = await RedisServer.start()
    try {
      setEnvironment([server.url, undefined])
      await outlivesAProcess((store) => store.client.destroy(), RedisStore)
      expect(await server.cli('keys', '*')).toMatch(/login-example:/)
    } finally {
      await server.stop()
    }
  })
})
