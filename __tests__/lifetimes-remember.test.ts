import './helpers/quiet'
import { runInNewContext } from 'node:vm'
import request from 'supertest'
import session, { MemoryStore, sessions } from '../lib/index'
import { appWith, cookieOf, secret } from './helpers/app'
import { plainStore } from './helpers/classic'
import { FOREIGN, TimedStores } from './helpers/timed-stores'
import { DAY, HOUR, MINUTE, SECOND } from './helpers/times'

const stores = new TimedStores()
const STORES = ['MemoryStore', 'FileStore', 'RedisStore', 'RedisStore with a serializer', 'CookieStore', FOREIGN]
const MONTH = 30 * DAY

const routes: Record<string, (req: any, res: any) => unknown> = {
  '/in': (req, res) => {
    req.session.user = 'ann'
    if (req.query.for !== undefined) req.session.cookie.maxAge = Number(req.query.for)
    if (req.query.until !== undefined) req.session.cookie.expires = new Date(Date.now() + Number(req.query.until))
    res.json('in')
  },
  '/read': (req, res) => res.json(req.session.user ?? null)
}

const NAMED: typeof routes = {
  '/in': async (req, res) => {
    const cart = await req.sessions.get('cart')
    cart.user = 'ann'
    if (req.query.for !== undefined) cart.cookie.maxAge = Number(req.query.for)
    res.json('in')
  },
  '/read': async (req, res) => res.json((await req.sessions.get('cart')).user ?? null)
}

const DOORS: Record<string, (options: object) => any> = {
  'sessions()': (options) => appWith(sessions({ secret, name: 'cart', ...options }), routes),
  'the drop-in door': (options) =>
    appWith(session({ secret, name: 'cart', resave: false, saveUninitialized: false, ...options }), routes),
  'a named session': ({ store, ...options }: any) =>
    appWith(sessions({ secret, store, named: { cart: { ...options } } }), NAMED)
}

/** A browser that keeps what it is sent. */
function browser(app: any) {
  let cookie = ''
  return {
    async get(path: string) {
      const res = await request(app).get(path).set('Cookie', cookie)
      cookie = cookieOf(res, 'cart') ?? cookie
      return res.body
    }
  }
}

/** The longest of some spans that a session lives unused. */
async function lives(app: any, query: string, spans: number[]): Promise<boolean[]> {
  const results: boolean[] = []
  for (const span of spans) {
    const visitor = browser(app)
    await visitor.get(`/in${query}`)
    await stores.forward(span)
    results.push((await visitor.get('/read')) === 'ann')
  }
  return results
}

describe.each(Object.entries(DOORS))('at %s,', (door, appOf) => {
  describe.each(STORES)('on %s,', (name) => {
    it.each<[what: string, options: object, query: string, end: number]>([
      ['a session is remembered for its own maxAge, also beyond idle', { idle: 30 * MINUTE }, `?for=${MONTH}`, MONTH],
      ['beyond the default of idle spelt out', { idle: DAY }, `?for=${MONTH}`, MONTH],
      ['beyond a shorter maxAge of the options', { idle: HOUR, cookie: { maxAge: DAY } }, `?for=${MONTH}`, MONTH],
      ['by a date of its own', { idle: 30 * MINUTE }, `?until=${2 * DAY}`, 2 * DAY],
      ['its own maxAge may be shorter than idle', { idle: DAY }, `?for=${10 * MINUTE}`, 10 * MINUTE],
      ['of the options, idle and maxAge, the earlier wins: idle', { idle: HOUR, cookie: { maxAge: DAY } }, '', HOUR],
      ['of the options the earlier wins: maxAge', { idle: DAY, cookie: { maxAge: HOUR } }, '', HOUR],
      ['absolute holds, whatever it was given', { idle: HOUR, absolute: 3 * DAY }, `?for=${MONTH}`, 3 * DAY]
    ])('%s', async (_what, options, query, end) => {
      if (query.startsWith('?until') && door === 'a named session') query = query.replace('until', 'for')
      const app = appOf({ store: stores.open(name), absolute: null, ...options })
      expect(await lives(app, query, [end - 2 * SECOND, end + SECOND])).toEqual([true, false])
    })
  })

  it('every use begins its own lifetime anew, until absolute', async () => {
    const app = appOf({ store: stores.open('MemoryStore'), idle: HOUR, absolute: 3 * DAY, rolling: true })
    const visitor = browser(app)
    await visitor.get(`/in?for=${DAY}`)
    for (let i = 0; i < 3; i++) {
      await stores.forward(23 * HOUR)
      expect(await visitor.get('/read')).toBe('ann')
    }
    await stores.forward(4 * HOUR)
    expect(await visitor.get('/read')).toBeNull()
  })

  it('a short lifetime of its own is extended in time, whatever touchAfter fits the options', async () => {
    const app = appOf({ store: stores.open('MemoryStore'), idle: DAY, touchAfter: HOUR, rolling: true })
    const visitor = browser(app)
    await visitor.get(`/in?for=${MINUTE}`)
    for (let i = 0; i < 5; i++) {
      await stores.forward(40 * SECOND)
      expect(await visitor.get('/read')).toBe('ann')
    }
    await stores.forward(MINUTE)
    expect(await visitor.get('/read')).toBeNull()
  })
})

describe.each(['MemoryStore', 'FileStore', FOREIGN])('behind the drop-in door, in %s,', (name) => {
  it.each([
    ['touchAfter has not passed', { touchAfter: HOUR }],
    ['extend says no', { extend: (req: any) => req.path !== '/stay' }]
  ])('stores a lifetime that a request gives, and nothing else, where %s', async (_when, options) => {
    const open = { secret, name: 'cart', resave: false, saveUninitialized: false, store: stores.open(name) }
    const stay = (req: any, res: any) => res.json((req.session.cookie.maxAge = DAY))
    const app = appWith(session({ ...open, cookie: { maxAge: HOUR }, ...options }), { ...routes, '/stay': stay })
    const visitor = browser(app)
    await visitor.get('/in')
    await stores.forward(MINUTE)
    await visitor.get('/stay')
    await stores.forward(23 * HOUR)
    expect(await visitor.get('/read')).toBe('ann')
  })
})

it('takes a lifetime for that of the options although the clock ticked while it was counted', async () => {
  let ticks = 0
  jest.mocked(Date.now).mockImplementation(() => stores.clock.now + ticks++)
  const app = appWith(sessions({ secret, name: 'cart', idle: HOUR, cookie: { maxAge: MONTH } }), routes)
  const visitor = browser(app)
  await visitor.get('/in')
  await stores.forward(HOUR + 5 * SECOND)
  expect(await visitor.get('/read')).toBeNull()
})

it.each(Object.entries(DOORS).slice(0, 2))(
  'takes a Date of another realm for the end of a session, %s',
  async (_, make) => {
    const date = (ms: number) => runInNewContext(`new Date(${ms})`) as Date
    for (const name of ['expires', 'maxAge']) {
      const app = make({ store: new MemoryStore() })
      app.get('/realm', (req: any, res: any) => {
        req.session.user = 'ann'
        req.session.cookie[name] = date(Date.now() + HOUR)
        res.json(req.session.cookie.maxAge)
      })
      const res = await request(app).get('/realm')
      expect([res.status, Math.round(res.body / MINUTE)]).toEqual([200, 60])
      expect(cookieOf(res, 'cart')).toBeDefined()
    }
  }
)

it('takes a lifetime that is given while a save is under way', async () => {
  const store = plainStore()
  const set = jest.spyOn(store, 'set')
  const app = appWith(sessions({ secret, store }), {
    '/in': async (req, res) => {
      req.session.user = 'ann'
      const saved = req.session.save()
      req.session.cookie.maxAge = MONTH
      await saved
      res.end()
    }
  })
  const res = await request(app).get('/in')
  expect(res.headers['set-cookie']![0]).toContain('; Max-Age=2592000;')
  expect(set.mock.calls.map(([, session]: any) => session.cookie.originalMaxAge)).toEqual([null, MONTH])
})
