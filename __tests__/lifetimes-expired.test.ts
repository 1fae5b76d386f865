import { infoOf } from '../lib/index'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import request from 'supertest'
import session, { sessions } from '../lib/index'
import { sessionCookie } from '../lib/testing'
import { appWith, cookieOf, secret } from './helpers/app'
import { Clock } from './helpers/clock'
import type { OpenStore } from './helpers/npm-stores'
import { OWN_STORES } from './helpers/own-stores'
import { HOUR } from './helpers/times'

// A visitor who comes back too late is told that the session expired, and not that nobody knows it.

const routes = {
  '/login': (req: any, res: any) => res.json((req.session.user = 'ann')),
  '/read': (req: any, res: any) => res.json([req.session.user ?? null, infoOf(req.session).error?.code ?? null])
}

describe.each(['MemoryStore', 'FileStore', 'SqliteStore', 'PostgresStore', 'MysqlStore'])(
  'an expired session, on %s,',
  (name) => {
    let clock: Clock

    beforeEach(() => (clock = new Clock()))

    afterEach(() => clock.restore())

    let opened: OpenStore
    beforeEach(async () => void (opened = await OWN_STORES[name]!()))
    afterEach(() => opened.close())

    function open(options: object = {}) {
      const auth = sessions<any>({ secret, store: opened.store, idle: HOUR, ...options })
      const app = appWith(auth, routes)
      const read = async (cookie: string) => (await request(app).get('/read').set('Cookie', cookie)).body
      return { auth, read }
    }

    it.each([{}, { hashIds: true }, { extend: false }, { load: 'eager' }])(
      'is told and counted once, and nothing of it is left (%j)',
      async (options) => {
        const { auth, read } = open(options)
        const [ann, bob] = [await sessionCookie(auth, { user: 'ann' }), await sessionCookie(auth, { user: 'bob' })]
        const told: unknown[] = []
        const listen = (message: any) => told.push(message.reason)
        subscribe('silverback:expired', listen)
        clock.forward(HOUR)
        expect(await read(ann)).toEqual([null, 'ERR_SESSION_EXPIRED'])
        expect(await read(ann)).toEqual([null, 'ERR_SESSION_MISSING'])
        const codes = (await Promise.all([1, 2, 3, 4].map(() => read(bob)))).map(([, code]) => code).sort()
        unsubscribe('silverback:expired', listen)
        expect(codes).toEqual(['ERR_SESSION_EXPIRED', ...new Array(3).fill('ERR_SESSION_MISSING')])
        expect(auth.stats()).toMatchObject({ expired: 2, rejected: 4, loaded: 0 })
        expect(told).toEqual(['ERR_SESSION_EXPIRED', 'ERR_SESSION_EXPIRED'])
        clock.forward(-HOUR)
        expect(await opened.store.ids()).toEqual([])
      }
    )

    it('is told by the drop-in door as well', async () => {
      const auth: any = session({ secret, store: opened.store, resave: false, saveUninitialized: false, idle: HOUR })
      const app = appWith(auth, routes)
      const cookie = cookieOf(await request(app).get('/login'), 'connect.sid')!
      clock.forward(HOUR)
      expect((await request(app).get('/read').set('Cookie', cookie)).body).toEqual([null, 'ERR_SESSION_EXPIRED'])
      expect(auth.stats()).toMatchObject({ expired: 1, rejected: 0 })
    })

    it('is missing once the store has let go of it', async () => {
      const { auth, read } = open()
      const cookie = await sessionCookie(auth)
      const [id] = await opened.store.ids()
      clock.forward(HOUR)
      // A MemoryStore frees what it meets.
      await (name === 'MemoryStore' ? opened.store.get(id) : opened.store.sweep())
      expect(await read(cookie)).toEqual([null, 'ERR_SESSION_MISSING'])
      expect(auth.stats().expired).toBe(0)
    })

    it('is no session: for the contract, for the manager, for a write that began before', async () => {
      const { auth, read } = open()
      const cookie = await sessionCookie(auth, { user: 'ann' })
      const [id] = await opened.store.ids()
      const held = await auth.open({ headers: { cookie } })
      held.user = 'eve'
      clock.forward(HOUR)
      expect([await opened.store.get(id), await auth.get(id), await auth.extend(id)]).toEqual([null, null, false])
      await expect(held.save()).rejects.toMatchObject({ code: 'ERR_SESSION_DESTROYED' })
      expect((await read(cookie))[0]).toBeNull()
      await expect(held.save()).rejects.toMatchObject({ code: 'ERR_SESSION_DESTROYED' })
      clock.forward(-HOUR)
      expect(await opened.store.ids()).toEqual([])
    })

    it('that was rotated away long ago was none, but an old ID', async () => {
      const { auth, read } = open()
      const cookie = await sessionCookie(auth, { user: 'ann' })
      const held = await auth.open({ headers: { cookie } })
      await held.regenerate({ keep: true, grace: 1000 })
      expect(await read(cookie)).toEqual(['ann', null])
      clock.forward(2000)
      expect(await read(cookie)).toEqual([null, 'ERR_SESSION_MISSING'])
      expect(auth.stats().expired).toBe(0)
    })
  }
)
