import './helpers/quiet'
import request from 'supertest'
import { KeyRing } from '../lib/cookie/keys'
import session, { CookieStore, MemoryStore, sessions } from '../lib/index'
import { appWith, cookieOf, secret } from './helpers/app'

const expressSession = require('express-session')

const NAME = 'connect.sid'
const ID = 'a'.repeat(32)
const ring = new KeyRing(secret)

/** Attributes that another writer may leave in a record, and that no response can carry. */
const UNSENDABLE: Record<string, object> = {
  'an unknown SameSite': { sameSite: 'bogus' },
  'a property of Object for SameSite': { sameSite: '__proto__' },
  'a domain with a blank': { domain: 'a b' },
  'an object for a domain': { domain: {} },
  'a path with a semicolon': { path: '/a;b' },
  'an unknown priority': { priority: 'urgent' },
  'a lifetime beside it': {
    sameSite: 'bogus',
    originalMaxAge: 86_400_000,
    expires: new Date(Date.now() + 86_400_000).toJSON()
  },
  'a lifetime beyond all dates beside it': { sameSite: 'bogus', originalMaxAge: 1e18 }
}

const routes: Record<string, (req: any, res: any) => unknown> = {
  '/read': (req, res) => res.json(req.session.user ?? null),
  '/write': (req, res) => {
    req.session.seen = true
    res.json(req.session.user ?? null)
  },
  '/update': (req, res) => req.session.update((s: any) => (s.seen = true)).then(() => res.json(req.session.user)),
  '/reload': (req, res) => req.session.reload().then(() => res.json(req.session.user)),
  '/rotate': (req, res) => req.session.regenerate({ keep: true }).then(() => res.json(req.session.user)),
  '/stream': (req, res) => {
    res.type('json').write(JSON.stringify(req.session.user))
    res.end()
  },
  '/destroy': (req, res) => req.session.destroy().then(() => res.json('out')),
  '/unset': (req, res) => {
    req.session = null
    res.json('out')
  }
}

/** A store with one record of another writer, and a browser that has its cookie. */
function setUp(store: any, cookie: object) {
  const record = { cookie: { originalMaxAge: null, expires: null, httpOnly: true, path: '/', ...cookie }, user: 'ann' }
  store.sessions[ID] = JSON.stringify(record)
  return `${NAME}=${encodeURIComponent(ring.signPlain(ID))}`
}

const ask = (app: any, path: string, cookie: string) => request(app).get(path).set('Cookie', cookie).timeout(5000)

describe.each(Object.entries(UNSENDABLE))('a record whose cookie has %s', (_what, attributes) => {
  const STORES: Record<string, () => any> = {
    MemoryStore: () => new MemoryStore(),
    'a store of the contract': () => new expressSession.MemoryStore()
  }

  describe.each(Object.entries(STORES))('in %s', (_store, open) => {
    it.each(['/read', '/write', '/update', '/reload', '/rotate', '/stream'])(
      'serves its visitor on %s, with what the options say',
      async (path) => {
        const store = open()
        const cookie = setUp(store, attributes)
        const app = appWith(sessions({ secret, store, name: NAME, adopt: 'express-session', touchAfter: 0 }), routes)
        const res = await ask(app, path, cookie)
        expect([res.status, res.body]).toEqual([200, 'ann'])
        expect(res.headers['set-cookie']![0]).toMatch(/Path=\/;.* HttpOnly; SameSite=Lax$/)
        const next = await ask(app, '/read', cookieOf(res, NAME)!)
        expect([next.status, next.body]).toEqual([200, 'ann'])
      }
    )

    it.each(['/destroy', '/unset'])('lets its visitor log out by %s', async (path) => {
      const store = open()
      const cookie = setUp(store, attributes)
      const app = appWith(sessions({ secret, store, name: NAME, adopt: 'express-session' }), routes)
      const res = await ask(app, path, cookie)
      expect([res.status, res.body, cookieOf(res, NAME)]).toEqual([200, 'out', `${NAME}=`])
      expect(Object.keys(store.sessions)).toEqual([])
    })
  })
})

it('goes on with a named session, and with one in its cookie, that another writer spoilt', async () => {
  const store: any = new MemoryStore()
  const cart = `cart=${ring.signBound('cart', ID)}`
  setUp(store, { sameSite: 'bogus' })
  const app = appWith(sessions({ secret, store, named: { cart: {} } }), {
    '/cart': async (req: any, res: any) => {
      const named = await req.sessions.get('cart')
      named.seen = true
      res.json(named.user)
    },
    '/empty': async (req: any, res: any) => (await req.sessions.get('cart')).destroy().then(() => res.json('empty'))
  })
  expect((await ask(app, '/cart', cart)).body).toBe('ann')
  const res = await ask(app, '/empty', cart)
  expect([res.status, cookieOf(res, 'cart')]).toEqual([200, 'cart='])

  const carried = appWith(sessions({ secret, store: new CookieStore(), name: NAME }), routes)
  const text = JSON.stringify({
    cookie: { originalMaxAge: null, expires: null, domain: 'a b', path: '/' },
    silverback_meta: { u: Date.now(), c: Date.now(), d: ID },
    user: 'ann'
  })
  const sealed = `${NAME}=${new CookieStore().seal(text, NAME, ring)}`
  expect((await ask(carried, '/write', sealed)).body).toBe('ann')
  expect(cookieOf(await ask(carried, '/destroy', sealed), NAME)).toBe(`${NAME}=`)
})

it.each(['', `${NAME}=planted; `])(
  'lets a handler log out that spoilt the cookie itself (beside %p)',
  async (planted) => {
    const app = appWith(sessions({ secret, name: NAME }), {
      '/in': (req, res) => res.json((req.session.user = 'ann')),
      '/out': (req, res) => {
        Object.assign(req.session.cookie, { domain: 'a b', path: 'a;b' })
        return req.session.destroy().then(() => res.json('out'))
      }
    })
    const res = await ask(app, '/out', planted + cookieOf(await ask(app, '/in', ''), NAME)!)
    expect([res.status, cookieOf(res, NAME)]).toEqual([200, `${NAME}=`])
  }
)

describe('the drop-in door', () => {
  const appOn = (store: any) => appWith(session({ secret, store, resave: false, saveUninitialized: false }), routes)

  it.each(Object.entries(UNSENDABLE))('serves and logs out, as express-session does, with %s', async (_what, given) => {
    const store = new MemoryStore()
    const cookie = setUp(store, given)
    expect((await ask(appOn(store), '/read', cookie)).body).toBe('ann')
    expect((await ask(appOn(store), '/write', cookie)).body).toBe('ann')
    expect((await ask(appOn(store), '/destroy', cookie)).body).toBe('out')
    expect(store.ids()).toEqual([])
  })

  it('takes a lifetime that is no number for none, where express-session never answers', async () => {
    const store = new MemoryStore()
    const cookie = setUp(store, { originalMaxAge: 'soon' })
    expect((await ask(appOn(store), '/read', cookie)).body).toBe('ann')
    expect((await ask(appOn(store), '/write', cookie)).body).toBe('ann')
  })
})
