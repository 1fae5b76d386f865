import express from 'express'
import request from 'supertest'
import { session, SECRET } from '../helpers/alias'
import { OWN_STORES } from '../helpers/own-stores'
import type { OpenStore } from '../helpers/npm-stores'
import { CookieStore } from '../../lib/index'
import { MINUTE, WEEK } from '../helpers/times'

// passport 0.7 from npm calls regenerate(callback) and save(callback): on every store of ours, the cookie one included.

const passport = require('passport')
const { Strategy } = require('passport-local')

const STORES: Record<string, () => Promise<OpenStore>> = {
  CookieStore: async () => ({ store: new CookieStore(), spoil: () => undefined, close: async () => undefined }),
  MemoryStore: OWN_STORES.MemoryStore!,
  FileStore: OWN_STORES.FileStore!,
  SqliteStore: OWN_STORES.SqliteStore!,
  'RedisStore on node-redis 6': OWN_STORES['RedisStore on node-redis 6']!,
  'RedisStore on ioredis': OWN_STORES['RedisStore on ioredis']!
}
const credentials = { username: 'ann', password: 'secret' }

const guard = new passport.Passport()
guard.use(new Strategy((name: string, _password: string, done: any) => done(null, { name })))
guard.serializeUser((user: any, done: any) => done(null, user.name))
guard.deserializeUser((name: string, done: any) => done(null, { name }))

function appOn(store: OpenStore['store'], options: object) {
  const app = express()
  app.use(session({ secret: SECRET, resave: false, saveUninitialized: false, store }), express.json(), guard.session())
  app.get('/start', (req: any, res) => res.json((req.session.returnTo = '/deep') && { id: req.sessionID }))
  app.post('/login', guard.authenticate('local', options), (req: any, res) => {
    if (req.body.remember) req.session.cookie.maxAge = WEEK
    res.redirect('/who')
  })
  app.post('/logout', (req: any, res, next) =>
    req.logout(options, (err: unknown) => (err ? next(err) : res.send('out')))
  )
  app.get('/who', (req: any, res) => {
    const { returnTo = null, cookie } = req.session
    res.json({ user: req.user?.name ?? null, returnTo, id: req.sessionID, maxAge: cookie.originalMaxAge })
  })
  return app
}

describe.each(Object.keys(STORES))('passport on %s', (name) => {
  let open: OpenStore
  beforeAll(async () => void (open = await STORES[name]!()))
  afterAll(() => open?.close())

  it('logs in under a new ID without what was there before, stays logged in, and logs out', async () => {
    const agent = request.agent(appOn(open.store, {}))
    const { id } = (await agent.get('/start')).body
    const welcome = await agent.post('/login').send(credentials).redirects(1)
    expect(welcome.body).toMatchObject({ user: 'ann', returnTo: null })
    expect(welcome.body.id).not.toBe(id)
    expect((await agent.get('/who')).body).toMatchObject({ user: 'ann', id: welcome.body.id })
    expect((await agent.post('/logout')).text).toBe('out')
    expect((await agent.get('/who')).body.user).toBeNull()
  })

  it('keeps the data across login and logout with keepSessionInfo', async () => {
    const agent = request.agent(appOn(open.store, { keepSessionInfo: true }))
    const { id } = (await agent.get('/start')).body
    const welcome = await agent.post('/login').send(credentials).redirects(1)
    expect(welcome.body).toMatchObject({ user: 'ann', returnTo: '/deep' })
    expect(welcome.body.id).not.toBe(id)
    await agent.post('/logout')
    expect((await agent.get('/who')).body).toMatchObject({ user: null, returnTo: '/deep' })
  })

  it('keeps the lifetime that the application gives the session once passport is done', async () => {
    const agent = request.agent(appOn(open.store, {}))
    const login = await agent.post('/login').send({ ...credentials, remember: true })
    expect(String(login.headers['set-cookie'])).toContain('Expires=')
    const { user, maxAge } = (await agent.get('/who')).body
    // What is left of it when it is read: a moment less, where the clock has moved on.
    expect([user, maxAge <= WEEK && maxAge > WEEK - MINUTE]).toEqual(['ann', true])
  })
})
