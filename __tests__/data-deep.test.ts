import './helpers/quiet'
import express from 'express'
import request from 'supertest'
import { KeyRing } from '../lib/cookie/keys'
import session, { CookieStore, FileStore, MemoryStore, sessions, update } from '../lib/index'
import { RedisStore } from '../lib/redis'
import { appWith, cookieOf, secret } from './helpers/app'
import { TestFolder } from './helpers/folder'
import { processorTime } from './helpers/processor'
import { CLIENTS } from './helpers/redis-clients'
import { RedisServer } from './helpers/redis-server'

const NAME = 'connect.sid'
const ID = 'd'.repeat(32)
const ring = new KeyRing(secret)
const lists = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
const objects = (depth: number) => '{"a":'.repeat(depth) + '1' + '}'.repeat(depth)

/** Whether this runtime's JSON.stringify has a limit of depth at all: since Node 26 it has none. */
const limited = (text: string) => {
  try {
    JSON.stringify(JSON.parse(text))
    return false
  } catch {
    return true
  }
}

const routes: Record<string, (req: any, res: any) => unknown> = {
  '/in': (req, res) => res.json((req.session.user = 'ann')),
  '/read': (req, res) => res.json(req.session.user ?? null),
  '/keep': (req, res) => {
    req.session.kept = req.body
    res.json('kept')
  },
  '/save': (req, res) => {
    req.session.kept = req.body
    return req.session.save().then(() => res.json('kept'))
  },
  '/update': (req, res) => req.session.update((s: any) => (s.kept = req.body)).then(() => res.json('kept')),
  '/flash': (req, res) => {
    req.session.addFlash(req.body)
    res.json('kept')
  },
  '/out': (req, res) => req.session.destroy().then(() => res.json('out'))
}

const DOORS: Record<string, (options: object) => any> = {
  'sessions()': (options) => sessions({ secret, name: NAME, adopt: 'express-session', ...options }),
  'the drop-in door': (options) => session({ secret, resave: false, saveUninitialized: false, ...options })
}

const withBodies = (auth: any) => {
  const app = express()
  app.use(express.json({ limit: '1mb' }), appWith(auth, routes))
  return app
}

describe.each(Object.entries(DOORS))('a body of 40 KB that is nested 20,000 times, at %s,', (name, door) => {
  const cases: [what: string, text: string][] = [
    ['lists', lists(20_000)],
    ['objects', objects(8000)]
  ]
  const ways = name === 'sessions()' ? ['/keep', '/save', '/update', '/flash'] : ['/keep', '/save']

  describe.each(cases)('of %s', (_what, text) => {
    it.each(ways)('is refused at once where it is kept by %s, and the session stays as it was', async (path) => {
      for (const store of [new MemoryStore(), new CookieStore()]) {
        const app = withBodies(door({ store }))
        const cookie = cookieOf(await request(app).get('/in'), NAME)!
        const began = processorTime()
        const heap = process.memoryUsage().heapUsed
        const res = await request(app).post(path).set('Cookie', cookie).type('json').send(text)
        expect(processorTime() - began).toBeLessThan(1000)
        expect(process.memoryUsage().heapUsed - heap).toBeLessThan(64 * 2 ** 20)
        if (limited(text)) {
          expect(res.body).toMatchObject({
            code: 'ERR_SESSION_UNSERIALIZABLE',
            message: expect.stringMatching(/nested too deeply/)
          })
        }
        expect((await request(app).get('/read').set('Cookie', cookie)).body).toBe('ann')
      }
    })
  })
})

describe('a record that another writer nested deeply', () => {
  const recordOf = (text: string) =>
    `{"cookie":{"originalMaxAge":null,"expires":null,"path":"/"},"user":"ann","deep":${text}}`
  const cookie = `${NAME}=${encodeURIComponent(ring.signPlain(ID))}`
  let folder: TestFolder
  let server: RedisServer
  let connected: { client: any; close(): void }
  beforeAll(async () => {
    folder = new TestFolder()
    server = await RedisServer.start()
    connected = await CLIENTS['node-redis 6']!(server.url)
  })
  afterAll(async () => {
    connected.close()
    await server.stop()
    folder.remove()
  })

  const STORES: Record<string, (text: string) => Promise<any>> = {
    MemoryStore: async (text) => {
      const store: any = new MemoryStore()
      store.sessions[ID] = text
      return store
    },
    FileStore: async (text) => {
      const store = new FileStore({ path: folder.path })
      await store.set(ID, JSON.parse(recordOf('1')))
      const { readdirSync, readFileSync, writeFileSync } = require('node:fs')
      for (const name of readdirSync(folder.path, { recursive: true, withFileTypes: true })) {
        const path = `${name.parentPath}/${name.name}`
        if (!name.isFile()) continue
        const bytes = readFileSync(path, 'utf8')
        if (bytes.includes('"deep":1'))
          writeFileSync(path, bytes.replace('"deep":1', text.slice(text.indexOf('"deep"'), -1)))
      }
      return store
    },
    RedisStore: async (text) => {
      await connected.client.set(`sess:${ID}`, text)
      return new RedisStore({ client: connected.client })
    },
    "express-session's MemoryStore": async (text) => {
      const store = new (jest.requireActual('express-session').MemoryStore)()
      store.sessions[ID] = text
      return store
    }
  }

  describe.each(Object.entries(STORES))('in %s', (_store, open) => {
    it('is a session', async () => {
      const text = lists(2000)
      for (const [name, door] of Object.entries(DOORS)) {
        const app = appWith(door({ store: await open(recordOf(text)), touchAfter: 0 }), routes)
        const first = await request(app).get('/read').set('Cookie', cookie)
        expect([name, first.status]).toEqual([name, 200])
        const now = cookieOf(first, NAME) ?? cookie
        for (const path of ['/in', '/out']) {
          const res = await request(app).get(path).set('Cookie', now)
          expect([name, path, res.status]).toEqual([name, path, 200])
        }
      }
    })
  })

  it('of a depth that cannot be merged or copied is no unknown error', async () => {
    for (const [name, door] of Object.entries(DOORS)) {
      const store = await STORES.MemoryStore!(recordOf(lists(2800)))
      const isRefused = { code: 'ERR_SESSION_UNSERIALIZABLE', message: expect.stringMatching(/nested too deeply/) }
      const app = appWith(door({ store }), {
        '/update': (req, res) => update(req.session, (s: any) => (s.user = 'bob')).then(() => res.json('kept')),
        '/merge': (req, res) => {
          req.session.user = 'bob'
          store.sessions[ID] = recordOf(lists(2801))
          res.json('kept')
        }
      })
      for (const path of ['/update', '/merge']) {
        const res = await request(app).get(path).set('Cookie', cookie)
        expect([name, path, res.status, res.body]).toEqual([name, path, 500, expect.objectContaining(isRefused)])
      }
    }
  })

  it('of any depth stops no manager', async () => {
    const store = await STORES.MemoryStore!(recordOf(lists(200_000)))
    const auth = sessions<any>({ secret, store, userId: (s: any) => s.user })
    const entry = await auth.get(ID)
    expect(entry === null || entry.data.user === 'ann').toBe(true)
    expect((await auth.reindex()).seen).toBe(1)
    expect(Array.isArray(await auth.list('ann'))).toBe(true)
    await auth.destroy(ID)
  })
})
