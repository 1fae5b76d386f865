import request from 'supertest'
import { KeyRing } from '../lib/cookie/keys'
import { infoOf, CookieStore, FileStore, MemoryStore, sessions } from '../lib/index'
import { appWith, cookieOf, secret } from './helpers/app'
import { basics, login, read } from './helpers/basics'
import { plainStore } from './helpers/classic'
import { TestFolder } from './helpers/folder'

const ID = 'AbCdEfGhIjKlMnOpQrStUvWxYz012345'

let folder: TestFolder

beforeEach(() => (folder = new TestFolder()))

afterEach(() => folder.remove())

const STORES: Record<string, () => unknown> = {
  MemoryStore: () => new MemoryStore(),
  FileStore: () => new FileStore({ path: folder.path }),
  CookieStore: () => new CookieStore(),
  'a foreign store': () => plainStore()
}

function setUp(store: unknown) {
  const app = appWith(sessions({ secret, store: store as never }), {
    '/cart': (req, res) => {
      req.session.cart = ['apple']
      res.send(req.sessionID)
    },
    '/login': async (req, res) => {
      await req.session.regenerate(req.query.keep === undefined ? {} : { keep: ['cart'] })
      req.session.user = 'ann'
      res.send(req.sessionID)
    },
    '/read': (req, res) => {
      const { user, cart } = req.session
      const { error } = infoOf(req.session)
      res.json({ id: req.sessionID, user: user ?? null, cart: cart ?? null, code: error?.code ?? null })
    }
  })
  return (path: string, cookie = '') => request(app).get(path).set('Cookie', cookie)
}

describe.each(Object.keys(STORES))('a login with %s', (name) => {
  it.each(['/login', '/login?keep=cart'])(
    'gives the visitor another ID (%s), and the one from before is worth nothing',
    async (path) => {
      const visit = setUp(STORES[name]!())
      const planted = await visit('/cart')
      const cookie = cookieOf(planted)!
      const login = await visit(path, cookie)
      expect(login.text).not.toBe(planted.text)
      const own = cookieOf(login)!
      expect(own).not.toBe(cookie)
      const cart = path === '/login' ? null : ['apple']
      expect((await visit('/read', own)).body).toEqual({ id: login.text, user: 'ann', cart, code: null })
      // Whoever planted the ID, or knew it, sees nobody's session.
      const { body } = await visit('/read', cookie)
      expect([body.user, body.id === login.text]).toEqual([null, false])
      expect(body.id).not.toBe(planted.text)
    }
  )
})

// A sealed cookie has no ID that somebody could choose.
describe.each(Object.keys(STORES).filter((name) => name !== 'CookieStore'))(
  'an authentic ID that nobody was given, with %s:',
  (name) => {
    it.each(['/read', '/cart', '/login'])('is never adopted by %s', async (path) => {
      const visit = setUp(STORES[name]!())
      const cookie = `sid=${new KeyRing(secret).signBound('sid', ID)}`
      const res = await visit(path, cookie)
      expect(res.status).toBe(200)
      expect(res.text).not.toContain(ID)
      expect(cookieOf(res) ?? '').not.toContain(ID)
      expect((await visit('/read', cookie)).body).toMatchObject({ user: null, cart: null, code: 'ERR_SESSION_MISSING' })
    })
  }
)

it('never adopts an authentic ID that the store does not know', async () => {
  const store = new MemoryStore()
  const app = appWith(sessions({ secret, store }), basics)
  const cookie = await login(app)
  store.clear()
  const res = await request(app).get('/write?x=1').set('Cookie', cookie)
  expect(cookieOf(res)).not.toBe(cookie)
  expect((await read(app, cookie)).body.code).toBe('ERR_SESSION_MISSING')
})
