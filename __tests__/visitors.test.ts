import request from 'supertest'
import { MemoryStore, sessions } from '../lib/index'
import { sessionCookie } from '../lib/testing'
import { appWith, cookieOf, secret } from './helpers/app'
import { OWN_STORES } from './helpers/own-stores'

const VISITORS = 100_000

const routes = {
  '/login': (req: any, res: any) => res.json((req.session.user = 'ann')),
  '/read': (req: any, res: any) => res.json(req.session.user ?? null),
  '/logout': async (req: any, res: any) => {
    await req.session.destroy()
    res.send('out')
  }
}

it(`${VISITORS} readers without a cookie make no record and get no cookie`, () => {
  const store = new MemoryStore()
  const auth = sessions({ secret, store })
  const headers: string[] = []
  for (let n = 0; n < VISITORS; n++) {
    const req: any = { url: '/', headers: {} }
    const res: any = {
      setHeader: (name: string) => void headers.push(name),
      getHeader: () => undefined,
      writeHead: () => res,
      write: () => true,
      end: () => res
    }
    auth(req, res, (err?: unknown) => {
      if (err || req.session.user !== undefined) throw err ?? new Error('somebody')
      res.end('page')
    })
  }
  expect(headers.filter((name) => /^set-cookie$/i.test(name))).toEqual([])
  expect(store.ids()).toEqual([])
  expect(auth.stats()).toMatchObject({ created: 0, saved: 0, loaded: 0, rejected: 0, active: 0 })
})

it('the cookie of a partitioned session is expired as a partitioned one', async () => {
  const cookie = { partitioned: true, secure: true, sameSite: 'none' } as const
  const app = appWith(sessions({ secret, proxy: true, cookie }), routes)
  const ask = (path: string, sent = '') => request(app).get(path).set({ 'X-Forwarded-Proto': 'https', Cookie: sent })
  const sent = cookieOf(await ask('/login'))!
  const [expired] = (await ask('/logout', sent)).headers['set-cookie'] as unknown as string[]
  expect(expired).toMatch(/^sid=; Max-Age=0; Path=\/; Expires=Thu, 01 Jan 1970 00:00:00 GMT/)
  expect(expired!.split('; ')).toEqual(expect.arrayContaining(['Partitioned', 'Secure', 'SameSite=None']))
})

it('a header logs in only where headers are enabled', async () => {
  const store = new MemoryStore()
  const open = appWith(sessions({ secret, store, transport: ['cookie', 'header'] }), routes)
  const token = (await request(open).get('/login').set('X-Session', '')).headers['x-session']!
  const closed = appWith(sessions({ secret, store }), routes)
  expect((await request(open).get('/read').set('X-Session', token)).body).toBe('ann')
  expect((await request(closed).get('/read').set('X-Session', token)).body).toBeNull()
  expect((await request(closed).get('/read').set('Cookie', `sid=${token}`)).body).toBe('ann')
})

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
