import request from 'supertest'
import { appWith, cookieOf, secret } from './helpers/app'
import { Clock } from './helpers/clock'
import { OWN_STORES } from './helpers/own-stores'
import type { OpenStore } from './helpers/npm-stores'
import { plainStore } from './helpers/classic'
import session, { sessions } from '../lib/index'

// No write per page view, no query per asset, and polls that do not keep a session alive.

const REQUESTS = 1000
const MINUTE = 60_000
const STORES: Record<string, () => Promise<OpenStore>> = {
  MemoryStore: OWN_STORES.MemoryStore!,
  FileStore: OWN_STORES.FileStore!,
  'a store that only knows the contract': async () => ({
    store: plainStore({
      touches: 0,
      touch(this: { touches: number }, _id: string, _record: object, done: any) {
        this.touches++
        setImmediate(done)
      }
    }),
    spoil: () => undefined,
    close: async () => undefined
  })
}

const DOORS = {
  'session()': (store: any) =>
    session({ secret, store, name: 'sid', resave: false, saveUninitialized: false, touchAfter: MINUTE }),
  'sessions()': (store: any) => sessions({ secret, store, touchAfter: MINUTE })
}

const routes = {
  '/login': (req: any, res: any) => res.json((req.session.user = 'ann')),
  '/read': (req: any, res: any) => res.json(req.session.user ?? null),
  '/asset': (_req: any, res: any) => res.send('asset')
}

let clock: Clock
beforeEach(() => (clock = new Clock()))
afterEach(() => clock.restore())

describe.each(Object.keys(STORES))('on %s', (name) => {
  let open: OpenStore
  beforeEach(async () => void (open = await STORES[name]!()))
  afterEach(() => open.close())

  it.each(Object.entries(DOORS))(
    `%s writes once in ${REQUESTS} requests of one touchAfter, and once in the next`,
    async (_name, door) => {
      const auth: any = door(open.store)
      const app = appWith(auth, routes)
      const cookie = cookieOf(await request(app).get('/login'))!
      const before = auth.stats()
      clock.forward(MINUTE + 1000)
      const ask = (path: string) => request(app).get(path).set('Cookie', cookie)
      // What comes together with the first would be asked before anything is written.
      expect((await ask('/read')).body).toBe('ann')
      for (let sent = 0; sent < REQUESTS; sent += 20) {
        clock.forward(1000)
        const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => ask(i % 2 ? '/read' : '/asset')))
        expect(answers.every(({ status }) => status === 200)).toBe(true)
      }
      const { saved, touched } = auth.stats()
      expect(saved - before.saved).toBe(0)
      // A store of ours extends while it reads, where it may.
      const { touches } = open.store as { touches?: number }
      expect([touches ?? 1, touched - before.touched]).toEqual([1, 1])

      clock.forward(MINUTE)
      await ask('/read')
      expect((open.store as { touches?: number }).touches ?? 2).toBe(2)
      expect(auth.stats().touched - before.touched).toBe(2)
    },
    60_000
  )
})
