import type { Express } from 'express'
import { createClient } from 'redis'
import { createClient as createClient5 } from 'redis5'
import request from 'supertest'
import { sessions } from '../../lib'
import { RedisStore } from '../../lib/redis'
import { appWith, cookieOf, secret } from '../helpers/app'
import { RedisServer, until } from '../helpers/redis-server'

// node-redis keeps what it read at hand, and the server tells it when a key has changed (RESP 3, CLIENT TRACKING).

const CACHE = { RESP: 3, clientSideCache: { ttl: 0, maxEntries: 1000 } } as const

let server: RedisServer

beforeAll(async () => {
  server = await RedisServer.start()
})

afterAll(() => server?.stop())

function instance(client: any): Express {
  return appWith(sessions({ secret, store: new RedisStore({ client }) }), {
    '/login': (req, res) => {
      req.session.user = 'ann'
      res.send('in')
    },
    '/who': (req, res) => res.json({ user: req.session.user, cart: req.session.cart }),
    '/add': (req, res) => {
      req.session.cart = ['book']
      res.send('added')
    },
    '/logout': async (req, res) => {
      await req.session.destroy()
      res.send('out')
    }
  })
}

describe.each([
  ['node-redis 6', () => createClient({ url: server.url, ...CACHE })],
  ['node-redis 5', () => createClient5({ url: server.url, ...CACHE })]
])('sessions that %s keeps at hand', (_, connect) => {
  let clients: any[]
  let here: Express
  let elsewhere: Express
  const visit = (app: Express, path: string, cookie = '') => request(app).get(path).set('Cookie', cookie)
  const who = async (cookie: string) => (await visit(here, '/who', cookie)).body

  beforeEach(async () => {
    clients = [connect(), connect()]
    for (const client of clients) {
      client.on('error', () => undefined)
      await client.connect()
    }
    here = instance(clients[0])
    elsewhere = instance(clients[1])
  })

  afterEach(async () => {
    for (const client of clients) client.destroy()
    await server.cli('flushall')
  })

  it('cost no command at all while nobody changes them', async () => {
    const cookie = cookieOf(await visit(here, '/login'))!
    await who(cookie)
    await server.resetCounts()
    for (let i = 0; i < 20; i++) expect(await who(cookie)).toEqual({ user: 'ann' })
    const { get, evalsha, set, expire } = await server.counts()
    expect({ get, evalsha, set, expire }).toEqual({})
  })

  it('end when another process logs them out', async () => {
    const cookie = cookieOf(await visit(here, '/login'))!
    await who(cookie)
    expect(await who(cookie)).toEqual({ user: 'ann' })
    await visit(elsewhere, '/logout', cookie)
    await until(async () => (await who(cookie)).user === undefined, 'the logout is known here')
  })

  it('change when another process changes them, and lose no write to what was at hand', async () => {
    const cookie = cookieOf(await visit(here, '/login'))!
    await who(cookie)
    await visit(elsewhere, '/add', cookie)
    await until(async () => (await who(cookie)).cart !== undefined, 'the change is known here')
    expect(await who(cookie)).toEqual({ user: 'ann', cart: ['book'] })
  })

  it('stay dead, whatever is at hand', async () => {
    const cookie = cookieOf(await visit(here, '/login'))!
    await who(cookie)
    await visit(elsewhere, '/logout', cookie)
    await visit(here, '/add', cookie)
    const id = cookie.slice('sid='.length).split('.')[0]!
    expect(await server.cli('exists', `sess:${id}`)).toBe('0')
  })
})
