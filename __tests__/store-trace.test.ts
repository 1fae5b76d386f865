import { AsyncLocalStorage } from 'node:async_hooks'
import diagnostics from 'node:diagnostics_channel'
import { inspect } from 'node:util'
import request from 'supertest'
import { MemoryStore, sessions } from '../lib/index'
import type { StoreCall } from '../lib/base/diagnostics'
import { appWith, cookieOf, secret } from './helpers/app'
import { basics, login, visit } from './helpers/basics'
import { plainStore } from './helpers/classic'

const EVENTS = ['start', 'end', 'asyncStart', 'asyncEnd', 'error'] as const
const tracing = diagnostics.tracingChannel<string, StoreCall>('silverback:store')
let told: [(typeof EVENTS)[number], StoreCall][]
const listeners = Object.fromEntries(
  EVENTS.map((event) => [event, (call: any) => void told.push([event, call])])
) as never

beforeEach(() => {
  told = []
  tracing.subscribe(listeners)
})

afterEach(() => void tracing.unsubscribe(listeners))

const summary = () => told.map(([event, { operation, store }]) => `${store} ${operation} ${event}`)

describe('the tracing channel silverback:store', () => {
  it('tells of what is answered at once, with its duration', async () => {
    await login(appWith(sessions({ secret }), basics))
    expect(summary()).toEqual(['MemoryStore set start', 'MemoryStore set end'])
    expect(told[1]![1]).toEqual({ operation: 'set', store: 'MemoryStore', duration: expect.any(Number) })
    expect(told[0]![1]).toBe(told[1]![1])
  })

  it('tells of what is answered later', async () => {
    class Later extends MemoryStore {
      override set = async (id: string, session: any): Promise<void> =>
        MemoryStore.prototype.set.call(this, id, session)
    }
    await login(appWith(sessions({ secret, store: new Later() as never }), basics))
    expect(summary()).toEqual(['start', 'end', 'asyncStart', 'asyncEnd'].map((event) => `Later set ${event}`))
    expect(told.at(-1)![1].duration).toBeGreaterThan(0)
  })

  it('tells of failures, of those without an answer too', async () => {
    const store = plainStore()
    const app = appWith(sessions({ secret, store }), basics)
    const cookie = await login(app)
    told = []
    store.get = (_id: string, done: any) => setImmediate(done, new Error('down'))
    await visit(app, '/read', cookie).expect(503)
    expect(summary()).toEqual(['start', 'end', 'error', 'asyncStart', 'asyncEnd'].map((event) => `Store get ${event}`))
    expect(told[2]![1].error).toMatchObject({ message: 'down' })
    store.get = (_id: string, _done: any) => undefined
    told = []
    await visit(appWith(sessions({ secret, store, storeTimeout: 50 }), basics), '/read', cookie).expect(503)
    expect(told.at(-1)![1].error).toMatchObject({ code: 'ERR_SESSION_STORE_TIMEOUT' })
  })

  it('never holds data or an ID', async () => {
    const app = appWith(sessions({ secret, userId: ({ user }) => user }), {
      ...basics,
      '/id': (req, res) => res.json(req.sessionID)
    })
    const cookie = await login(app, 'user=ann')
    const id = (await visit(app, '/id', cookie)).body
    await visit(app, '/write?user=bob', cookie)
    await visit(app, '/logout', cookie)
    expect(new Set(told.map(([, { operation }]) => operation))).toEqual(new Set(['get', 'set', 'destroy']))
    const text = told.map(([, call]) => inspect(call, { showHidden: true, depth: 9 })).join('\n')
    expect(text).not.toMatch(new RegExp(`${id}|ann|bob`))
  })

  it('carries the context of whoever binds one to it', async () => {
    const current = new AsyncLocalStorage<string>()
    tracing.start.bindStore(current, ({ operation }: any) => `span of ${operation}`)
    const seen: unknown[] = []
    const store = plainStore()
    const { set } = store
    store.set = (id: string, session: object, done: any) => {
      seen.push(current.getStore())
      return set.call(store, id, session, done)
    }
    await login(appWith(sessions({ secret, store }), basics))
    tracing.start.unbindStore(current)
    expect(seen).toEqual(['span of set'])
  })

  it('leaves a store that answers at once one that does', async () => {
    const app = appWith(sessions({ secret }), {
      '/': (req, res) => res.json((req.session.n = (req.session.n ?? 0) + 1))
    })
    const first = await request(app).get('/')
    const again = await request(app).get('/').set('Cookie', cookieOf(first)!)
    expect([first.body, again.body]).toEqual([1, 2])
    expect(told.some(([event]) => event === 'asyncEnd')).toBe(false)
  })
})
