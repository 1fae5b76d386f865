import '../helpers/quiet'
import express, { type Express } from 'express'
import request from 'supertest'
import silverback from '../../lib/index'
import { RedisStore as OwnRedisStore } from '../../lib/redis'
import { RedisServer } from '../helpers/redis-server'
import { visit } from '../helpers/basics'

// Old and new instances of one application on one Redis: a rolling deployment, forwards and backwards.

const expressSession = require('express-session') as typeof silverback
const { RedisStore: ConnectRedis } = require('connect-redis')

const OPTIONS = {
  secret: 'a secret that both generations share, long enough',
  resave: false,
  saveUninitialized: false,
  cookie: { maxAge: 3_600_000, sameSite: 'lax' as const }
}
const EXPRESS_SESSION = 'express-session on connect-redis'
const GENERATIONS: Record<string, (client: any) => any> = {
  [EXPRESS_SESSION]: (client) => expressSession({ ...OPTIONS, store: new ConnectRedis({ client }) }),
  'silverback on connect-redis': (client) => silverback({ ...OPTIONS, store: new ConnectRedis({ client }) }),
  'silverback on its RedisStore': (client) => silverback({ ...OPTIONS, store: new OwnRedisStore({ client }) })
}
const PAIRS = Object.keys(GENERATIONS).flatMap((a) =>
  Object.keys(GENERATIONS)
    .filter((b) => b !== a)
    .map((b) => [a, b] as const)
)

let server: RedisServer
let client: any

beforeAll(async () => {
  server = await RedisServer.start()
  client = require('redis').createClient({ url: server.url })
  await client.connect()
})

afterEach(() => server.cli('flushall'))

afterAll(async () => {
  client?.destroy()
  await server?.stop()
})

function appOf(auth: any): Express {
  const app = express()
  app.use(auth)
  app.get('/login', (req: any, res) => {
    req.session.user = 'ann'
    req.session.cart = { items: [1, { two: 2 }], note: 'caf\u00e9' }
    res.json({ id: req.sessionID })
  })
  app.get('/add', (req: any, res) => {
    req.session.cart.items.push(req.query.item)
    res.send('added')
  })
  app.get('/who', (req: any, res) => {
    const { cookie, ...data } = req.session
    res.json({ data, lasting: cookie.originalMaxAge })
  })
  app.get('/logout', (req: any, res, next) =>
    req.session.destroy((err: unknown) => (err ? next(err) : res.send('out')))
  )
  app.get('/renew', (req: any, res, next) =>
    req.session.regenerate((err: unknown) => {
      req.session.user = 'ann again'
      return err ? next(err) : res.json({ id: req.sessionID })
    })
  )
  return app
}

const cookieOf = (res: request.Response) => res.headers['set-cookie']![0]!.split(';')[0]!

describe.each(PAIRS)('%s, then %s', (before, after) => {
  let first: Express
  let second: Express

  beforeAll(() => {
    first = appOf(GENERATIONS[before]!(client))
    second = appOf(GENERATIONS[after]!(client))
  })

  it('use and change the same session, there and back again', async () => {
    const welcome = await visit(first, '/login')
    const cookie = cookieOf(welcome)
    const key = `sess:${welcome.body.id}`
    await visit(second, '/add?item=three', cookie)
    await visit(first, '/add?item=four', cookie)
    for (const app of [first, second]) {
      const { body } = await visit(app, '/who', cookie)
      const cart = { items: [1, { two: 2 }, 'three', 'four'], note: 'caf\u00e9' }
      expect(body.data).toEqual({ user: 'ann', cart })
      // express-session makes a time of maxAge and a length of that time again: a tick may pass in between.
      expect(Math.abs(body.lasting - 3_600_000)).toBeLessThan(60_000)
    }
    expect(Number(await server.cli('ttl', key))).toBeGreaterThan(3590)
    expect(await server.cli('dbsize')).toBe('1')
  })

  it('write the same bytes', async () => {
    const texts: string[] = []
    // express-session reads the clock twice for originalMaxAge: a tick in between is no difference.
    const now = Date.now()
    const clock = jest.spyOn(Date, 'now').mockReturnValue(now)
    for (const app of [first, second]) {
      const { body } = await visit(app, '/login')
      texts.push((await client.get(`sess:${body.id}`)).replace(/"expires":"[^"]+"/, '"expires":"then"'))
    }
    clock.mockRestore()
    expect(texts[1]).toBe(texts[0])
  })

  it('sign the same cookie for the same ID', async () => {
    const welcome = await visit(first, '/login')
    const extended = await visit(second, '/add?item=x', cookieOf(welcome))
    expect(cookieOf(extended)).toBe(cookieOf(welcome))
  })

  it('log out for each other', async () => {
    const cookie = cookieOf(await visit(first, '/login'))
    expect((await visit(second, '/who', cookie)).body.data.user).toBe('ann')
    await visit(second, '/logout', cookie)
    expect((await visit(first, '/who', cookie)).body.data).toEqual({})
  })

  it('follow each other to a new ID', async () => {
    const welcome = await visit(first, '/login')
    const renewed = await visit(second, '/renew', cookieOf(welcome))
    expect(renewed.body.id).not.toBe(welcome.body.id)
    expect((await visit(first, '/who', cookieOf(renewed))).body.data).toEqual({ user: 'ann again' })
    expect((await visit(first, '/who', cookieOf(welcome))).body.data).toEqual({})
  })
})

it('express-session carries along unharmed what silverback keeps beside the data', async () => {
  const later = appOf(silverback({ ...OPTIONS, idle: 600_000, store: new OwnRedisStore({ client }) }))
  const earlier = appOf(GENERATIONS[EXPRESS_SESSION]!(client))
  const welcome = await visit(later, '/login')
  const cookie = cookieOf(welcome)
  const metaOf = async () => JSON.parse(await client.get(`sess:${welcome.body.id}`)).silverback_meta
  const made = await metaOf()
  expect(made.c).toEqual(expect.any(Number))
  await visit(earlier, '/add?item=three', cookie)
  expect((await metaOf()).c).toBe(made.c)
  const { data } = (await visit(later, '/who', cookie)).body
  expect(data).toEqual({ user: 'ann', cart: { items: [1, { two: 2 }, 'three'], note: 'caf\u00e9' } })
})
