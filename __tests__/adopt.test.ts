import { infoOf } from '../lib/index'
import session, { CookieStore, MemoryStore, sessions, type SessionsOptions } from '../lib/index'
import { appWith, cookieOf, secret } from './helpers/app'
import { basics, login, read, visit } from './helpers/basics'
import { plainStore } from './helpers/classic'
import { Clock } from './helpers/clock'
import { DAY, HOUR } from './helpers/times'

const expressSession = require('express-session')

const routes = {
  '/write': (req: any, res: any) => res.json((req.session.user = 'ann')),
  '/read': (req: any, res: any) => res.json([req.session.user ?? null, infoOf(req.session).error?.code ?? null]),
  '/cart': async (req: any, res: any) => {
    const cart = await req.sessions.get('cart')
    res.json([cart.user ?? null, infoOf(cart).error?.code ?? null])
  },
  '/logout': (req: any, res: any) => req.session.destroy().then(() => res.send('out'))
}

const store = new MemoryStore().setMaxListeners(30)

const options = { store, secret, resave: false, saveUninitialized: false }

// Its sessions are its own: infoOf() knows none of them.
const before = appWith(expressSession(options), {
  ...routes,
  '/read': (req, res) => res.json([req.session.user ?? null])
})

const appOf = (given: SessionsOptions) =>
  appWith(sessions({ secret, store, name: 'connect.sid', adopt: 'express-session', ...given }), routes)

const loginBefore = async () => cookieOf(await visit(before, '/write'), 'connect.sid')!

const ACCEPTED = ['ann', null]

const REFUSED = [null, 'ERR_SESSION_SIGNATURE']

afterAll(() => store.close())

describe("adopt: 'express-session'", () => {
  it('accepts the cookie that express-session itself has set, and re-issues it bound, once', async () => {
    const app = appOf({})
    const first = await visit(app, '/read', await loginBefore())
    const bound = cookieOf(first, 'connect.sid')!
    expect([first.body, bound]).toEqual([ACCEPTED, expect.stringMatching(/^connect\.sid=[\w-]+\.[\w-]{43}$/)])
    const second = await visit(app, '/read', bound)
    expect([second.body, cookieOf(second, 'connect.sid')]).toEqual([ACCEPTED, undefined])
  })

  it.each([
    ['until the browser closes', {}, /^Path=\/; HttpOnly$/],
    ['`expires: false`', { expires: false }, /^Path=\/; HttpOnly$/],
    ['longer than any browser can count', { maxAge: 1e15 }, /^Max-Age=\d+; Path=\/; Expires=[^;]+; HttpOnly$/]
  ])('goes on with a cookie that lasts %s', async (_name, cookie, attributes) => {
    // A store of the contract, whose records are touched as they are.
    const kept = new expressSession.MemoryStore()
    const old = appWith(expressSession({ ...options, store: kept, cookie }), routes)
    const given = cookieOf(await visit(old, '/write'), 'connect.sid')!
    const app = appOf({ store: kept, touchAfter: 0 })
    const res = await visit(app, '/read', given)
    expect(res.body).toEqual(ACCEPTED)
    const [text] = res.headers['set-cookie'] as unknown as string[]
    expect(text!.replace(/^[^;]*; /, '')).toMatch(attributes)
    const bound = cookieOf(res, 'connect.sid')!
    for (const path of ['/write', '/read']) expect((await visit(app, path, bound)).status).toBe(200)
  })

  it('keeps the session ID, so that both packages serve one session meanwhile', async () => {
    const [app, cookie] = [appOf({}), await loginBefore()]
    expect((await visit(app, '/read', cookie)).body).toEqual(ACCEPTED)
    expect((await visit(before, '/read', cookie)).body[0]).toBe('ann')
    await visit(app, '/logout', cookie)
    expect((await visit(before, '/read', cookie)).body[0]).toBeNull()
  })

  it.each([
    ['', 'express-session' as const],
    [', with its cookie as it is', { from: 'express-session' as const, reissue: false }]
  ])('lets it end at its absolute limit, counted from then, also where it is only read%s', async (_how, adopt) => {
    const kept = new MemoryStore()
    const given = cookieOf(
      await visit(appWith(expressSession({ ...options, store: kept }), routes), '/write'),
      'connect.sid'
    )!
    const clock = new Clock(Date.now())
    const app = appOf({ absolute: 100_000, idle: null, adopt, store: kept })
    let cookie = cookieOf(await visit(app, '/read', given), 'connect.sid') ?? given
    for (const expected of [ACCEPTED, [null, 'ERR_SESSION_EXPIRED']]) {
      clock.forward(60_000)
      const res = await visit(app, '/read', cookie)
      expect(res.body).toEqual(expected)
      cookie = cookieOf(res, 'connect.sid') ?? cookie
    }
    clock.restore()
  })

  it('does not take it for idle where express-session has written it meanwhile', async () => {
    const kept = Object.setPrototypeOf(plainStore(), expressSession.Store.prototype)
    const cookie = { maxAge: DAY }
    const theirs = appWith(expressSession({ ...options, store: kept, cookie }), {
      '/n': (req, res) => res.json((req.session.n = (req.session.n ?? 0) + 1))
    })
    const app = appOf({ store: kept, cookie, idle: HOUR, adopt: { from: 'express-session', reissue: false } })
    const clock = new Clock()
    const given = cookieOf(await visit(theirs, '/n'), 'connect.sid')!
    await visit(app, '/write', given)
    clock.forward(0.7 * HOUR)
    expect((await visit(theirs, '/n', given)).body).toBe(2)
    clock.forward(0.7 * HOUR)
    expect((await visit(app, '/read', given)).body).toEqual(ACCEPTED)
    clock.restore()
  })

  it('accepts it from every listed secret', async () => {
    const newer = 'n'.repeat(32)
    const res = await visit(appOf({ secret: [newer, secret] }), '/read', await loginBefore())
    expect(res.body).toEqual(ACCEPTED)
    const moved = cookieOf(res, 'connect.sid')!
    expect((await visit(appOf({ secret: newer }), '/read', moved)).body).toEqual(ACCEPTED)
    expect((await visit(appOf({ secret: newer }), '/read', await loginBefore())).body).toEqual(REFUSED)
  })

  it('refuses it without the option, with a changed byte, or for other sessions than the main one', async () => {
    const cookie = await loginBefore()
    expect((await visit(appOf({ adopt: undefined }), '/read', cookie)).body).toEqual(REFUSED)
    const forged = cookie.replace(/s%3A./, (text) => text.slice(0, -1) + (text.endsWith('A') ? 'B' : 'A'))
    expect((await visit(appOf({}), '/read', forged)).body).toEqual(REFUSED)
    for (const named of [undefined, { cart: {} }]) {
      const asCart = cookie.replace('connect.sid=', 'cart=')
      expect((await visit(appOf({ named }), '/cart', asCart)).body).toEqual(REFUSED)
    }
  })

  it('follows a short secret once the drop-in door has moved the cookies to a longer one', async () => {
    const short = { ...options, secret: 'short' }
    const cookie = cookieOf(await visit(appWith(expressSession(short), routes), '/write'), 'connect.sid')!
    expect(() => appOf({ secret: [secret, 'short'] })).toThrow(/at least 32/)
    const moving = appWith(session({ ...options, secret: [secret, 'short'], rolling: true }), routes)
    const moved = cookieOf(await visit(moving, '/read', cookie), 'connect.sid')!
    expect((await visit(appOf({}), '/read', moved)).body).toEqual(ACCEPTED)
  })

  it('still refuses a bound value of another name', async () => {
    const other = appWith(sessions({ secret, store, name: 'other' }), routes)
    const cookie = cookieOf(await visit(other, '/write'), 'other')!
    expect((await visit(appOf({}), '/read', cookie.replace('other=', 'connect.sid='))).body).toEqual(REFUSED)
  })

  it('is refused at set-up with anything else', () => {
    for (const adopt of ['express', true, 1]) {
      expect(() => sessions({ secret, adopt: adopt as never })).toThrow(/adopt must be one of express-session/)
    }
  })

  it('finds nothing to adopt for sessions that live in their cookies', async () => {
    const res = await visit(appOf({ store: new CookieStore() }), '/read', await loginBefore())
    expect(res.body).toEqual(REFUSED)
  })
})

it("adopts express-session's cookie and re-issues it bound", async () => {
  const store = new MemoryStore()
  const old = appWith(session({ secret, store, name: 'sid', resave: false, saveUninitialized: false }), basics)
  const cookie = await login(old)
  const app = appWith(sessions({ secret, store, adopt: 'express-session' }), basics)
  const res = await read(app, cookie)
  expect(res.body.data).toEqual({ user: 'u' })
  expect(cookieOf(res)).toMatch(/^sid=[\w-]+\.[\w-]{43}$/)
  expect((await read(appWith(sessions({ secret, store }), basics), cookie)).body.code).toBe('ERR_SESSION_SIGNATURE')
})
