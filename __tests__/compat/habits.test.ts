import '../helpers/quiet'
import request from 'supertest'
import { appWith, cookieOf, secret } from '../helpers/app'
import { SIDES } from '../helpers/two-sides'
import { HOUR, MINUTE } from '../helpers/times'

// Habits of applications in the field, which must do here what they do with express-session.

const get = (app: any, path: string, cookie = '') => request(app).get(path).set('Cookie', cookie)

/** An application of either package over its own MemoryStore, whose records can be looked at. */
function appOf(side: any, routes: Parameters<typeof appWith>[1], options: object = {}) {
  const store = new side.MemoryStore()
  const app = appWith(side({ secret, store, resave: false, saveUninitialized: false, ...options }), routes)
  const kept = () => Object.values(store.sessions as Record<string, string>).map((text) => JSON.parse(text))
  return { app, store, kept }
}

describe.each(Object.entries(SIDES))('with the package of the %s', (name, side) => {
  const Cookie = name === 'subject' ? side.Cookie : require('express-session/session/cookie')

  it('deletes every key of a session, restores data, and assigns a new cookie (ApostropheCMS)', async () => {
    const { app, kept } = appOf(side, {
      '/login': (req, res) => res.json(Object.assign(req.session, { user: 'ann' })),
      '/move': (req, res) => {
        const elsewhere = JSON.parse(JSON.stringify(req.session))
        for (const key of Object.keys(req.session)) delete req.session[key]
        Object.assign(req.session, elsewhere, { locale: 'fr' })
        req.session.cookie = new Cookie({ path: '/', maxAge: HOUR })
        res.json(Object.keys(req.session).sort())
      }
    })
    const res = await get(app, '/move', cookieOf(await get(app, '/login'), 'connect.sid'))
    expect(res.body).toEqual(['cookie', 'locale', 'user'])
    expect(String(res.headers['set-cookie'])).toMatch(/; Path=\/; Expires=.*HttpOnly/)
    const [record] = kept()
    expect(record).toMatchObject({ user: 'ann', locale: 'fr' })
    expect(Math.abs(record.cookie.originalMaxAge - HOUR)).toBeLessThan(MINUTE)
    expect(Date.parse(record.cookie.expires)).toBeGreaterThan(Date.now() + HOUR - MINUTE)
  })

  it('keeps the end of a cookie that a record, or a plain object with a text, is assigned to', async () => {
    const expires = new Date(Date.now() + HOUR)
    const { app, kept } = appOf(side, {
      '/record': (req, res) => {
        req.session.user = 'ann'
        req.session.cookie = { originalMaxAge: HOUR, expires: expires.toISOString(), httpOnly: true, path: '/' }
        res.send('x')
      },
      '/text': (req, res) => {
        req.session.user = 'ann'
        req.session.cookie = { expires: expires.toUTCString(), httpOnly: true, path: '/' }
        res.send('x')
      }
    })
    for (const path of ['/record', '/text']) expect((await get(app, path)).status).toBe(200)
    for (const { cookie } of kept()) {
      expect(Date.parse(cookie.expires)).toBeGreaterThan(Date.now() + HOUR - MINUTE)
      expect(Date.parse(cookie.expires)).toBeLessThan(Date.now() + HOUR + MINUTE)
    }
    expect(kept()[0].cookie.originalMaxAge).toBe(HOUR)
  })

  it.each([{ expires: 'never' }, { maxAge: 1e18 }])(
    'stores a session whose cookie was given an end of %j',
    async (end) => {
      const { app, kept } = appOf(side, {
        '/login': (req, res) => {
          req.session.user = 'ann'
          req.session.cookie = { ...end, httpOnly: true, path: '/' }
          res.send('x')
        }
      })
      const res = await get(app, '/login')
      expect(res.status).toBe(200)
      expect(String(res.headers['set-cookie'])).toMatch(/^connect\.sid=/)
      expect(kept()).toMatchObject([{ user: 'ann' }])
    }
  )

  it('copies a cookie by for...in, verbs included', async () => {
    const copy: Record<string, unknown> = {}
    const cookie = new Cookie()
    for (const key in cookie) copy[key] = cookie[key]
    expect(Object.keys(copy).sort()).toEqual(
      ['_expires', 'data', 'expires', 'httpOnly', 'maxAge', 'originalMaxAge', 'path', 'serialize', 'toJSON'].sort()
    )
  })

  it('sends what an application adds to the attributes of every cookie', async () => {
    const own = Object.getOwnPropertyDescriptor(Cookie.prototype, 'data')!
    const { app } = appOf(
      side,
      { '/': (req, res) => res.json(Object.assign(req.session, { user: 'ann' })) },
      { cookie: { maxAge: HOUR } }
    )
    const data = function (this: object) {
      return { ...own.get!.call(this), maxAge: 3600 }
    }
    Object.defineProperty(Cookie.prototype, 'data', { ...own, get: data })
    const res = await get(app, '/')
    Object.defineProperty(Cookie.prototype, 'data', own)
    expect(String(res.headers['set-cookie'])).toContain('; Max-Age=3600; Path=/; Expires=')
  })

  it('asks MemoryStore for a session, and compares with undefined', async () => {
    const store = new side.MemoryStore()
    const answer = await new Promise((resolve) => store.get('none', (...args: unknown[]) => resolve(args)))
    expect(answer).toEqual([null, undefined])
  })
})
