import request from 'supertest'
import session, { MemoryStore, sessions } from '../lib/index'
import { appWith, secret } from './helpers/app'
import { basics } from './helpers/basics'
import { enter, pass } from './helpers/direct'
import { HeldStore } from './helpers/held-store'

describe('an anonymous request', () => {
  it('sets no cookie and leaves no record, whether its session is read or not', async () => {
    const store = new MemoryStore()
    const app = appWith(sessions({ secret, store }), basics)
    for (const path of ['/nothing', '/read']) {
      const res = await request(app).get(path)
      expect(res.headers['set-cookie']).toBeUndefined()
    }
    expect(store.ids()).toEqual([])
  })
})

const VISITORS = 100_000

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

it.each<[string, (store: HeldStore) => any]>([
  ['sessions()', (store) => sessions({ secret, store: store as never })],
  ['the drop-in door', (store) => session({ secret, store: store as never, resave: false, saveUninitialized: false })]
])('makes no call of %s for 100,000 requests without a cookie, session read or not', async (_door, open) => {
  const store = new HeldStore()
  store.goOn()
  const set = jest.spyOn(store, 'set')
  const auth = open(store)
  for (let i = 0; i < 100_000; i++) {
    const { req } = enter(auth, '').outcome!
    if (i % 2 === 0) void req.session.user
    if (i % 1000 === 0) await new Promise(setImmediate)
  }
  for (let i = 0; i < 1000; i++) {
    await pass(auth, '', (req, res) => {
      void req.session.user
      res.end('read')
      expect(res.getHeader('Set-Cookie')).toBeUndefined()
    })
  }
  expect([set.mock.calls.length, store.asked, store.records.size]).toEqual([0, 0, 0])
})
