import express from 'express'
import { RedisStore as ConnectRedis } from 'connect-redis'
import type { createClient } from 'redis'
import request from 'supertest'
import { RedisStore } from '../../lib/stores/redis/redis'
import session, { sessions } from '../../lib'
import { CLIENTS, type Connected } from '../helpers/redis-clients'
import { RedisServer, until } from '../helpers/redis-server'

// It comes without types.
const expressSession = require('express-session')

let server: RedisServer
let connected: Connected

beforeAll(async () => {
  server = await RedisServer.start()
  connected = await CLIENTS['node-redis 6']!(server.url)
})

afterAll(async () => {
  connected.close()
  await server.stop()
})

function appOf() {
  const store = new RedisStore({ client: connected.client })
  const auth = sessions({ secret: 'x'.repeat(40), store, userId: (session: any) => session.user })
  const app = express()
  app.use(auth)
  app.get('/login', async (req: any, res) => {
    req.session.user = 'ann'
    res.send('in')
  })
  app.get('/read', (req: any, res) => void res.send(String(req.session.user)))
  app.get('/count', (req: any, res) => void res.send(String((req.session.n = (req.session.n ?? 0) + 1))))
  app.get('/logout', async (req: any, res) => {
    await req.session.destroy()
    res.send('out')
  })
  return { app, auth }
}

describe('The middleware on Redis', () => {
  it('lists the session of a user, and leaves nothing of it after a logout', async () => {
    const { app, auth } = appOf()
    const agent = request.agent(app)
    await agent.get('/login').expect(200)
    expect(await auth.list('ann')).toHaveLength(1)
    await agent.get('/count').expect('1')
    await agent.get('/logout').expect(200)
    expect(await server.cli('keys', '*')).toBe('')
    await agent.get('/read').expect('undefined')
  })

  it('answers 503 without a cookie when Redis is gone, and recovers', async () => {
    const { app } = appOf()
    const agent = request.agent(app)
    await agent.get('/login').expect(200)
    await server.kill()
    const before = await agent.get('/count')
    const fresh = await request(app).get('/login')
    for (const answer of [before, fresh]) {
      expect(answer.status).toBe(503)
      expect(answer.headers['set-cookie']).toBeUndefined()
    }
    await server.restart()
    await until(async () => (await agent.get('/login')).status === 200, 'the client reconnected')
    await agent.get('/count').expect('1')
  })

  it('shares sessions with express-session on connect-redis, both ways', async () => {
    const secret = 'shared'
    const options = { secret, resave: false, saveUninitialized: false }
    const counting = (middleware: express.RequestHandler) => {
      const app = express().use(middleware)
      return app.get('/', (req: any, res) => void res.send(String((req.session.n = (req.session.n ?? 0) + 1))))
    }
    const client = connected.client as ReturnType<typeof createClient>
    const ours = counting(session({ ...options, store: new RedisStore({ client }) }) as express.RequestHandler)
    const theirs = counting(expressSession({ ...options, store: new ConnectRedis({ client }) }))
    for (const [one, other] of [
      [ours, theirs],
      [theirs, ours]
    ] as const) {
      const first = await request(one).get('/').expect('1')
      const cookie = first.headers['set-cookie']![0]!.split(';')[0]!
      await request(other).get('/').set('Cookie', cookie).expect('2')
      await request(one).get('/').set('Cookie', cookie).expect('3')
    }
  })
})
