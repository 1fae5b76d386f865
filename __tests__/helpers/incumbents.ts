import express, { type Express } from 'express'
import request from 'supertest'
import silverback from '../../lib/index'
import { POWERS } from '../../lib/store/contract'
import { cookieOf } from './app'

const expressSession = jest.requireActual('express-session')

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const OPTIONS = {
  secret: 'a secret that both generations share, long enough',
  name: 'sid',
  resave: false,
  saveUninitialized: false,
  cookie: { maxAge: HOUR, sameSite: 'lax' as const }
}

/** Calls a verb as express-session does. */
function ask(store: any, verb: string, ...args: unknown[]): Promise<any> {
  return new Promise((resolve, reject) => {
    store[verb](...args, (err: unknown, value: unknown) => (err ? reject(err) : resolve(value)))
  })
}

/** An incumbent store and ours, on one table. */
export interface Generations {
  theirs: any
  ours: any
  /** The text and the time in ms that the table keeps of a session. */
  row(id: string): Promise<{ text: string; expires: number }>
}

function appOf(auth: any): Express {
  const app = express().use(auth)
  app.get('/login', (req: any, res) => {
    req.session.user = 'ann'
    req.session.cart = { items: [1, { two: 2 }], note: 'caf\u00e9' }
    res.json({ id: req.sessionID })
  })
  app.get('/add', (req: any, res) => res.json(req.session.cart.items.push(req.query.item)))
  app.get('/who', (req: any, res) => {
    const { cookie, ...data } = req.session
    res.json({ data, originalMaxAge: cookie.originalMaxAge })
  })
  app.get('/logout', (req: any, res, next) =>
    req.session.destroy((err: unknown) => (err ? next(err) : res.json('out')))
  )
  return app
}

const visit = (app: Express, path: string, cookie = '') => request(app).get(path).set('Cookie', cookie).expect(200)

/** A rolling deployment, forwards and backwards: old and new instances at once on one table. */
export function describeSideBySide(theirName: string, generations: () => Generations): void {
  const BOTH = ['theirs', 'ours'] as const
  const appWith = (which: (typeof BOTH)[number]) =>
    appOf((which === 'theirs' ? expressSession : silverback)({ ...OPTIONS, store: generations()[which] }))

  describe(`beside express-session on ${theirName}`, () => {
    it.each([BOTH, [...BOTH].reverse() as unknown as typeof BOTH])(
      'a session of %s goes on with %s, and back',
      async (first, second) => {
        const [one, other] = [appWith(first), appWith(second)]
        const login = await visit(one, '/login')
        const cookie = cookieOf(login)!
        await visit(other, '/add?item=b', cookie)
        await visit(one, '/add?item=c', cookie)
        const cart = { items: [1, { two: 2 }, 'b', 'c'], note: 'caf\u00e9' }
        for (const app of [one, other]) {
          const { body } = await visit(app, '/who', cookie)
          expect(body.data).toEqual({ user: 'ann', cart })
          // express-session takes it anew from the expiry, and a tick of the clock may pass in between.
          expect(Math.abs(body.originalMaxAge - HOUR)).toBeLessThan(MINUTE)
        }
        await visit(other, '/logout', cookie)
        for (const app of [one, other]) expect((await visit(app, '/who', cookie)).body.data).toEqual({})
      }
    )

    it('the table keeps the same text and the same time of the same session', async () => {
      const { theirs, ours, row } = generations()
      const expires = new Date(Date.now() + HOUR)
      const record = (at = expires) => ({
        cookie: { originalMaxAge: HOUR, expires: at, maxAge: at.getTime() - Date.now(), httpOnly: true, path: '/' },
        user: 'ann',
        text: 'caf\u00e9 \u6f22 \u{1f600} "\\\n',
        list: [1.5, null, { a: true }]
      })
      for (const [id, store] of [
        ['ours', ours],
        ['theirs', theirs]
      ]) {
        const session = record()
        Object.defineProperty(session.cookie, 'maxAge', { enumerable: false })
        await ask(store, 'set', id, session)
      }
      const [a, b] = [await row('ours'), await row('theirs')]
      expect(a.text).toBe(b.text)
      expect(Math.abs(a.expires - b.expires)).toBeLessThan(MINUTE)
      expect(await ask(theirs, 'get', 'ours')).toEqual(await ask(ours, 'get', 'theirs'))
      for (const [id, store] of [
        ['ours', ours],
        ['theirs', theirs]
      ]) {
        await ask(store, 'touch', id, record(new Date(Date.now() + 2 * HOUR)))
      }
      const [c, d] = [await row('ours'), await row('theirs')]
      expect(Math.abs(c.expires - d.expires)).toBeLessThan(MINUTE)
      expect([c.text, d.text]).toEqual([a.text, b.text])
    })

    it('what is over for one is over for the other', async () => {
      const { theirs, ours } = generations()
      const record = { cookie: { originalMaxAge: null, expires: null, path: '/' } }
      const text = JSON.stringify(record)
      for (const [id, ago] of [
        ['over', -3000],
        ['live', 60_000]
      ] as const) {
        await ours[POWERS].put(id, text, { usedAt: Date.now(), expiresAt: Date.now() + ago })
      }
      expect([(await ask(theirs, 'get', 'over')) ?? null, await ours.get('over')]).toEqual([null, null])
      expect([await ask(theirs, 'get', 'live'), await ours.get('live')]).toEqual([record, record])
    })

    it('one that never ends for us does so for them', async () => {
      const { theirs, ours } = generations()
      const record = { cookie: { originalMaxAge: null, expires: null, path: '/' }, n: 1 }
      await ours[POWERS].put('eternal', JSON.stringify(record), { usedAt: Date.now(), expiresAt: null })
      expect(await ask(theirs, 'get', 'eternal')).toEqual(record)
    })
  })
}
