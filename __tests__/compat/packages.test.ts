import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import express, { type Express } from 'express'
import request from 'supertest'
import { session, SECRET } from '../helpers/alias'
import { exchange, get, serving } from '../helpers/raw'

// Packages from npm that know only the name express-session, unchanged.

const passport = require('passport')
const { Strategy } = require('passport-local')
const flash = require('connect-flash')
const { csrfSync } = require('csrf-sync')
const lusca = require('lusca')
const compression = require('compression')

function base(options: object = {}): Express {
  const app = express()
  app.use(session({ secret: SECRET, resave: false, saveUninitialized: false, ...options }))
  app.use(express.json())
  return app
}

it('is what these packages get when they require express-session', () => {
  expect(require('express-session')).toBe(require('../../lib/index'))
  expect(new (require('connect-redis').RedisStore)({ client: {} })).toBeInstanceOf(session.Store)
})

describe('passport 0.7', () => {
  const guard = new passport.Passport()
  guard.use(new Strategy((name: string, _password: string, done: any) => done(null, { name })))
  guard.serializeUser((user: any, done: any) => done(null, user.name))
  guard.deserializeUser((name: string, done: any) => done(null, { name }))

  function app(options: object) {
    const app = base()
    app.use(guard.session())
    app.get('/start', (req: any, res) => res.json((req.session.returnTo = '/deep') && { id: req.sessionID }))
    app.post('/login', guard.authenticate('local', options), (_req, res) => void res.redirect('/who'))
    app.post('/logout', (req: any, res, next) =>
      req.logout(options, (err: unknown) => (err ? next(err) : res.send('out')))
    )
    app.get('/who', (req: any, res) => {
      res.json({ user: req.user?.name ?? null, returnTo: req.session.returnTo ?? null, id: req.sessionID })
    })
    return app
  }
  const credentials = { username: 'ann', password: 'secret' }

  it('logs in under a new ID, stays logged in, and logs out', async () => {
    const agent = request.agent(app({}))
    const { id } = (await agent.get('/start')).body
    const welcome = await agent.post('/login').send(credentials).redirects(1)
    expect(welcome.body).toMatchObject({ user: 'ann', returnTo: null })
    expect(welcome.body.id).not.toBe(id)
    expect((await agent.get('/who')).body.user).toBe('ann')
    expect((await agent.post('/logout')).text).toBe('out')
    expect((await agent.get('/who')).body.user).toBeNull()
  })

  it('keeps the session across login and logout with keepSessionInfo', async () => {
    const agent = request.agent(app({ keepSessionInfo: true }))
    const { id } = (await agent.get('/start')).body
    const welcome = await agent.post('/login').send(credentials).redirects(1)
    expect(welcome.body).toMatchObject({ user: 'ann', returnTo: '/deep' })
    expect(welcome.body.id).not.toBe(id)
    await agent.post('/logout')
    expect((await agent.get('/who')).body).toMatchObject({ user: null, returnTo: '/deep' })
  })
})

it('connect-flash shows a message once, on the page after the redirect', async () => {
  const app = base()
  app.use(flash())
  app.post('/save', (req: any, res) => {
    req.flash('info', 'Saved.')
    res.redirect('/page')
  })
  app.get('/page', (req: any, res) => void res.json(req.flash('info')))
  const agent = request.agent(app)
  expect((await agent.post('/save').redirects(1)).body).toEqual(['Saved.'])
  expect((await agent.get('/page')).body).toEqual([])
})

it('csrf-sync keeps its token in the session', async () => {
  const { generateToken, csrfSynchronisedProtection } = csrfSync()
  const app = base()
  app.get('/token', (req, res) => void res.json({ token: generateToken(req) }))
  app.post('/form', csrfSynchronisedProtection, (_req, res) => void res.send('accepted'))
  const agent = request.agent(app)
  const { token } = (await agent.get('/token')).body
  expect((await agent.post('/form')).status).toBe(403)
  expect((await agent.post('/form').set('x-csrf-token', token)).text).toBe('accepted')
})

it('lusca keeps its secret in the session', async () => {
  const app = base()
  app.use(lusca.csrf())
  app.get('/token', (_req, res) => void res.json({ token: res.locals._csrf }))
  app.post('/form', (_req, res) => void res.send('accepted'))
  const agent = request.agent(app)
  const { token } = (await agent.get('/token')).body
  expect((await agent.post('/form')).status).toBe(403)
  expect((await agent.post('/form').set('x-csrf-token', token)).text).toBe('accepted')
})

it.each(['before', 'after'])('compression mounted %s it sends the same bytes, and the cookie', async (place) => {
  const app = express()
  const auth = session({ secret: SECRET, resave: false, saveUninitialized: false })
  const layers = place === 'before' ? [compression({ threshold: 0 }), auth] : [auth, compression({ threshold: 0 })]
  app.use(...(layers as [any]))
  const text = 'a long text. '.repeat(1000)
  app.get('/', (req: any, res) => {
    req.session.visits = (req.session.visits ?? 0) + 1
    res.type('text').send(text)
  })
  app.get('/stream', (req: any, res) => {
    req.session.streamed = true
    for (let i = 0; i < 100; i++) res.write(text)
    res.end()
  })
  const res = await request(app).get('/')
  expect(res.headers).toMatchObject({
    'content-encoding': 'gzip',
    'set-cookie': [expect.stringMatching(/^connect\.sid=/)]
  })
  expect(res.text).toBe(text)
  const stream = await request(app).get('/stream').buffer(true)
  expect(stream.headers).toHaveProperty('set-cookie')
  expect(stream.text).toBe(text.repeat(100))
})

it('express.static serves files, and 304 for what the browser has', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'static-'))
  try {
    await writeFile(join(folder, 'page.txt'), 'static text')
    const app = base({ saveUninitialized: true })
    app.use(express.static(folder))
    const first = await request(app).get('/page.txt')
    expect(first.text).toBe('static text')
    expect(first.headers).toHaveProperty('set-cookie')
    const again = await request(app).get('/page.txt').set('If-None-Match', first.headers.etag!)
    expect(again.status).toBe(304)
  } finally {
    await rm(folder, { recursive: true })
  }
})

it('a redirect finds its own session, however slow the store and however quick the browser', async () => {
  const store = new session.MemoryStore()
  const { set } = store
  store.set = ((id: string, record: any, done: any) => setTimeout(() => set.call(store, id, record, done), 50)) as any
  const app = base({ store })
  app.get('/login', (req: any, res) => {
    req.session.user = 'ann'
    res.redirect('/home')
  })
  app.get('/home', (req: any, res) => void res.json({ user: req.session.user ?? null }))
  await serving(app, async (port) => {
    let following: Promise<Buffer> | undefined
    await exchange(port, get('/login'), (chunk) => {
      const cookie = /set-cookie: ([^;]+)/i.exec(chunk.toString())?.[1]
      following ??= exchange(port, get('/home', { Cookie: cookie! }))
    })
    expect(String(await following)).toContain('{"user":"ann"}')
  })
})

it('Server-Sent Events arrive one by one, with the cookie in front', async () => {
  const app = base()
  let proceed!: () => void
  app.get('/events', async (req: any, res) => {
    req.session.subscribed = true
    res.writeHead(200, { 'Content-Type': 'text/event-stream' })
    res.write('data: one\n\n')
    await new Promise<void>((resolve) => (proceed = resolve))
    res.end('data: two\n\n')
  })
  await serving(app, async (port) => {
    const seen: string[] = []
    const all = await exchange(port, get('/events'), (chunk) => {
      seen.push(chunk.toString())
      if (seen.join('').includes('data: one')) proceed()
    })
    expect(seen.findIndex((text) => text.includes('one'))).toBeLessThan(seen.findIndex((text) => text.includes('two')))
    expect(String(all)).toMatch(/set-cookie: connect\.sid=[^]*data: one[^]*data: two/i)
  })
})

describe('sockets', () => {
  const auth = session({ secret: SECRET, resave: false, saveUninitialized: false })
  const app = express().use(auth)
  app.get('/login', (req: any, res) => res.send((req.session.user = 'ann')))
  app.get('/count', (req: any, res) => void res.json({ count: req.session.count ?? 0 }))
  let server: http.Server
  let port: number
  let cookie: string

  beforeEach(async () => {
    server = http.createServer(app)
    await once(server.listen(0, '127.0.0.1'), 'listening')
    port = (server.address() as AddressInfo).port
    cookie = (await request(server).get('/login')).headers['set-cookie']![0]!.split(';')[0]!
  })

  afterEach(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })

  it('ws finds the session of an upgrade request', async () => {
    const { WebSocketServer, WebSocket } = require('ws')
    const sockets = new WebSocketServer({ noServer: true })
    server.on('upgrade', (req: any, socket, head) => {
      auth(req, {}, () => {
        sockets.handleUpgrade(req, socket, head, (ws: any) => ws.send(String(req.session.user)))
      })
    })
    const client = new WebSocket(`ws://127.0.0.1:${port}`, { headers: { Cookie: cookie } })
    const [message] = await once(client, 'message')
    expect(String(message)).toBe('ann')
    client.terminate()
    sockets.close()
  })

  it('socket.io reads, reloads and saves the session of its handshake', async () => {
    const { Server } = require('socket.io')
    const io = new Server(server, { transports: ['polling', 'websocket'] })
    io.engine.use(auth)
    io.on('connection', (socket: any) => {
      const { session: s } = socket.request
      socket.emit('user', s.user)
      socket.on('count', (done: (err: unknown) => void) =>
        socket.request.session.reload((err: unknown) => {
          if (err) return done(String(err))
          socket.request.session.count = (socket.request.session.count ?? 0) + 1
          socket.request.session.save((failed: unknown) => done(failed ? String(failed) : null))
        })
      )
    })
    const client = require('socket.io-client').io(`http://127.0.0.1:${port}`, { extraHeaders: { Cookie: cookie } })
    try {
      expect(await new Promise((resolve) => client.once('user', resolve))).toBe('ann')
      expect(await client.emitWithAck('count')).toBeNull()
      expect(await client.emitWithAck('count')).toBeNull()
      expect((await request(server).get('/count').set('Cookie', cookie)).body).toEqual({ count: 2 })
    } finally {
      client.disconnect()
      io.disconnectSockets(true)
      io.engine.close()
    }
  })
})

it('NestJS injects it, its guards find it, and every event is sent', async () => {
  require('reflect-metadata')
  const { of } = require('rxjs')
  const nest = require('@nestjs/common')
  const { NestFactory } = require('@nestjs/core')
  class Pages {
    login(data: any) {
      data.user = 'ann'
      return 'in'
    }
    who(data: any) {
      return { user: data.user ?? null }
    }
    events(data: any) {
      data.subscribed = true
      return of({ data: 'one' }, { data: 'two' })
    }
  }
  class App {}
  // By hand what decorators do, so that the tests compile like everything else here.
  for (const verb of ['login', 'who', 'events'] as const) {
    const decorate = verb === 'events' ? nest.Sse : nest.Get
    nest.Session()(Pages.prototype, verb, 0)
    decorate(verb)(Pages.prototype, verb, Object.getOwnPropertyDescriptor(Pages.prototype, verb))
  }
  nest.Controller()(Pages)
  nest.Module({ controllers: [Pages] })(App)
  const app = await NestFactory.create(App, { logger: false })
  const store = new session.MemoryStore()
  const { set } = store
  store.set = ((id: string, record: any, done: any) => setImmediate(() => set.call(store, id, record, done))) as any
  app.use(session({ secret: SECRET, resave: false, saveUninitialized: false, store }))
  await app.init()
  const agent = request.agent(app.getHttpServer())
  expect((await agent.get('/login')).text).toBe('in')
  expect((await agent.get('/who')).body).toEqual({ user: 'ann' })
  expect((await agent.get('/events')).text).toContain('data: two')
  await app.close()
})
