import request from 'supertest'
import { CookieStore, MemoryStore, sessions, type SessionsOptions } from '../lib/index'
import { SqliteStore } from '../lib/sqlite'
import { sessionCookie } from '../lib/testing'
import { openToAgents } from './helpers/agents'
import { appWith, secret } from './helpers/app'
import { basics, login } from './helpers/basics'
import { OWN_STORES } from './helpers/own-stores'
import { openSqlite } from './helpers/sqlite'

it('stats() counts what lives', async () => {
  for (const store of [new MemoryStore(), new CookieStore()]) {
    const auth = sessions({ secret, store })
    const app = appWith(auth, basics)
    const cookie = await login(app)
    await login(app)
    expect(auth.stats()).toMatchObject({ created: 2, active: 2, lastCleanup: null })
    await request(app).get('/logout').set('Cookie', cookie)
    expect(auth.stats()).toMatchObject({ destroyed: 1, active: 1 })
  }
})

it('stats() asks no database', () => {
  const database = openSqlite(':memory:')
  const auth = sessions({ secret, store: new SqliteStore({ database }) })
  database.close()
  expect(auth.stats()).toMatchObject({ active: 0 })
})

describe('without a request', () => {
  // Sessions that begin without a request, by auth.create() or sessionCookie(), and options that ask the request.

  const OPTIONS: Record<string, SessionsOptions> = {
    'cookie by req.get()': { cookie: (req) => ({ path: req.get('x-base') ?? '/' }) },
    'cookie by req.headers': { cookie: (req) => ({ secure: req.headers.origin?.startsWith('https:') ?? false }) },
    'cookie by req.socket': { cookie: (req) => ({ secure: req.socket.encrypted === true }) },
    'genid by req.get()': { genid: (req) => `${req.get('x-region') ?? 'eu'}-${Math.random().toString(36).slice(2)}` },
    'extend by req.get()': { extend: (req) => req.get('x-poll') === undefined }
  }

  it.each(Object.keys(OPTIONS))('%s finds no header', async (name) => {
    const { auth, visit } = openToAgents(OPTIONS[name]!)
    const { id } = await auth.create({ user: 'ann' })
    expect((await auth.get(id))?.data).toEqual({ user: 'ann' })
    expect((await visit('/read', await sessionCookie(auth, { user: 'ann' }))).body).toEqual({ user: 'ann' })
  })

  it.each<[string, SessionsOptions]>([
    ['cookie', { cookie: (req) => ({ domain: req.hostname.replace('www.', '') }) }],
    ['genid', { genid: (req) => req.hostname.replace('.', '-') }],
    ['genid', { genid: async (req) => req.hostname.replace('.', '-') }]
  ])('a function %s that cannot do without says so', async (option, options) => {
    const { auth } = openToAgents(options)
    for (const attempt of [auth.create({}), sessionCookie(auth)]) {
      const err = await attempt.catch((reason) => reason)
      expect(err).toMatchObject({ name: 'SessionError', code: 'ERR_SESSION_OPTION', cause: expect.any(TypeError) })
      expect(err.message).toContain(option)
    }
  })
})

describe('sessionCookie()', () => {
  const routes = {
    '/login': (req: any, res: any) => res.json((req.session.user = 'ann')),
    '/read': (req: any, res: any) => res.json(req.session.user ?? null),
    '/logout': async (req: any, res: any) => {
      await req.session.destroy()
      res.send('out')
    }
  }

  it.each(['MemoryStore', 'FileStore', 'RedisStore on node-redis 6'])(
    'a test is logged in by one line on %s',
    async (name) => {
      const open = await OWN_STORES[name]!()
      try {
        const auth = sessions<any>({ secret, store: open.store })
        const cookie = await sessionCookie(auth, { user: 'ann' })
        expect((await request(appWith(auth, routes)).get('/read').set('Cookie', cookie)).body).toBe('ann')
      } finally {
        await open.close()
      }
    }
  )
})
