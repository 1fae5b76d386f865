import './helpers/quiet'
import diagnostics from 'node:diagnostics_channel'
import request from 'supertest'
import session, { CookieStore, MemoryStore, sessions, update } from '../lib/index'
import { POWERS } from '../lib/store/contract'
import { appWith, cookieOf, secret } from './helpers/app'
import { Clock } from './helpers/clock'
import { OWN_STORES } from './helpers/own-stores'
import { SqliteStore } from '../lib/stores/sql/sqlite'
import { DAY, MINUTE } from './helpers/times'

const userId = (s: any) => s.user

const routes: Record<string, (req: any, res: any) => unknown> = {
  '/in': (req, res) => {
    Object.assign(req.session, { user: 'ann' }, req.query)
    res.json('in')
  },
  '/read': (req, res) => res.json(req.session.user ?? null),
  '/stream': (req, res) => {
    res.type('json').write(JSON.stringify(req.session.user))
    res.end()
  }
}

const classic = (options: object) =>
  session({ secret, name: 'sid', resave: false, saveUninitialized: false, ...options })

const DOORS: Record<string, (options: object) => any> = {
  'sessions()': (options) => sessions({ secret, ...options }),
  'sessions() that extends seldom': (options) => sessions({ secret, touchAfter: DAY / 2, ...options }),
  'sessions() with the header transport': (options) =>
    sessions({ secret, transport: ['cookie', 'header'], ...options }),
  'sessions() with hashed IDs': (options) => sessions({ secret, hashIds: true, ...options }),
  'the drop-in door': classic
}

const powersOf = (store: MemoryStore) => store[POWERS] as any

/** Logs in on one middleware; the cookie. */
const login = async (auth: any, query = '') => cookieOf(await request(appWith(auth, routes)).get(`/in${query}`))!

const visit = (auth: any, path: string, cookie: string) =>
  request(appWith(auth, routes)).get(path).set('Cookie', cookie)

describe.each(Object.entries(DOORS))('a session from before the option userId, at %s,', (_name, door) => {
  it.each(['/read', '/stream'])('belongs to its user once it was seen by %s, by one write', async (path) => {
    const store = new MemoryStore()
    const cookie = await login(door({ store }))
    const auth = door({ store, userId })
    expect(await auth.list('ann')).toEqual([])
    for (let i = 0; i < 3; i++) expect((await visit(auth, path, cookie)).body).toBe('ann')
    expect(await auth.list('ann')).toHaveLength(1)
    expect(auth.stats().saved).toBe(1)
    expect(await auth.revoke('ann')).toBe(1)
    expect((await visit(auth, '/read', cookie)).body).toBeNull()
  })

  it('belongs to the user that another userId gives', async () => {
    const store = new MemoryStore()
    const cookie = await login(door({ store, userId }), '?number=7')
    const auth = door({ store, userId: (s: any) => s.number })
    expect((await visit(auth, '/read', cookie)).body).toBe('ann')
    expect(await auth.list('7')).toHaveLength(1)
    expect(await auth.list('ann')).toEqual([])
  })

  it('is indexed by auth.open() as well, so that a revocation ends its connection', async () => {
    const store = new MemoryStore()
    const cookie = await login(door({ store }))
    const auth = door({ store, userId })
    expect(await auth.open({ headers: { cookie } })).toMatchObject({ user: 'ann' })
    expect(await auth.revoke('ann')).toBe(1)
  })
})

it('indexes what adopt takes over from express-session, as it is read', async () => {
  const store = new MemoryStore()
  const old = jest.requireActual('express-session')({
    secret,
    store,
    name: 'sid',
    resave: false,
    saveUninitialized: false
  })
  const cookie = await login(old)
  for (const reissue of [false, true]) {
    const auth = sessions({ secret, store, userId, adopt: { from: 'express-session', reissue } })
    expect((await visit(auth, '/read', cookie)).body).toBe('ann')
    expect(await auth.list('ann')).toHaveLength(1)
  }
})

it('indexes a named session by its own option', async () => {
  const store = new MemoryStore()
  const routesOf = {
    '/in': async (req: any, res: any) => res.json(((await req.sessions.get('cart')).user = 'ann')),
    '/read': async (req: any, res: any) => res.json((await req.sessions.get('cart')).user ?? null)
  }
  const app = (options: object) =>
    appWith(sessions({ secret, store: new MemoryStore(), named: { cart: { store, ...options } } }), routesOf)
  const cookie = cookieOf(await request(app({})).get('/in'), 'cart')!
  const auth = sessions({ secret, store, userId })
  expect((await request(app({ userId })).get('/read').set('Cookie', cookie)).body).toBe('ann')
  expect(await auth.list('ann')).toHaveLength(1)
})

it('serves a session that cannot be indexed, where the store takes no writes for auth.open()', async () => {
  const store = new MemoryStore()
  const cookie = await login(sessions({ secret, store }))
  const auth = sessions({ secret, store, userId })
  const write = jest.spyOn(powersOf(store), 'write').mockImplementation(() => {
    throw new Error('read-only')
  })
  expect(await auth.open({ headers: { cookie } })).toMatchObject({ user: 'ann' })
  expect(write).toHaveBeenCalledTimes(1)
  expect(auth.stats().errors).toBe(1)
})

it('starts the absolute limit of a session that the drop-in door only reads', async () => {
  const store = new MemoryStore()
  const clock = new Clock(Date.now())
  try {
    const cookie = await login(classic({ store }))
    const auth = classic({ store, absolute: DAY })
    for (const expected of ['ann', 'ann', null]) {
      expect((await visit(auth, '/read', cookie)).body).toBe(expected)
      clock.forward(DAY / 2 + MINUTE / 2)
    }
  } finally {
    clock.restore()
  }
})

describe('auth.reindex()', () => {
  // memcached cannot list what it holds.
  const LISTING = Object.entries(OWN_STORES).filter(([name]) => !name.startsWith('Memcached'))

  it.each(LISTING)('names the users of sessions in %s that none was seen of', async (_name, open) => {
    const { store, close } = await open()
    try {
      const before = sessions({ secret, store })
      const cookies: string[] = []
      for (const query of ['', '?n=1', '?user=', '?user=bob']) cookies.push(await login(before, query))
      const auth = sessions({ secret, store, userId: (s: any) => s.user || undefined })
      expect(await auth.list('ann')).toEqual([])
      const told: object[] = []
      const result = await auth.reindex({ onProgress: (progress) => told.push(progress) })
      expect(result).toEqual({ seen: 4, indexed: 3, total: 4 })
      expect(told).toHaveLength(4)
      expect(told.at(-1)).toEqual(result)
      expect(await auth.list('ann')).toHaveLength(2)
      expect(await auth.list('bob')).toHaveLength(1)
      expect(await auth.reindex()).toEqual({ seen: 4, indexed: 0, total: 4 })
      expect(await auth.revoke('ann')).toBe(2)
      const seen = await Promise.all(cookies.map(async (cookie) => (await visit(auth, '/read', cookie)).body))
      expect(seen).toEqual([null, null, '', 'bob'])
    } finally {
      await close()
    }
  })

  it('ends when it is told to, and keeps what was done', async () => {
    const store = new MemoryStore()
    const before = sessions({ secret, store })
    for (let i = 0; i < 5; i++) await login(before)
    const auth = sessions({ secret, store, userId })
    const controller = new AbortController()
    const onProgress = async ({ seen }: { seen: number }) => {
      await new Promise(setImmediate)
      if (seen === 2) controller.abort()
    }
    expect(await auth.reindex({ signal: controller.signal, onProgress })).toEqual({ seen: 2, indexed: 2, total: 5 })
    expect(await auth.list('ann')).toHaveLength(2)
    expect(await auth.reindex({ signal: AbortSignal.abort() })).toMatchObject({ seen: 0 })
  })

  it.each([
    ['MemoryStore', () => new MemoryStore()],
    ['SqliteStore', () => new SqliteStore({ path: ':memory:' })]
  ])('lets the process do other work meanwhile, on a %s that answers at once', async (_name, open) => {
    const store: any = open()
    const before = sessions<any>({ secret, store })
    for (let i = 0; i < 500; i++) await before.create({ user: 'ann' })
    const auth = sessions({ secret, store, userId })
    const controller = new AbortController()
    // Once it is at work: other work was done before.
    const onProgress = ({ seen }: { seen: number }) => void (seen === 1 && setImmediate(() => controller.abort()))
    const { seen } = await auth.reindex({ signal: controller.signal, onProgress })
    expect([seen > 0, seen < 500]).toEqual([true, true])
    store.close()
  })

  it('keeps the times of a session, its data and its ID', async () => {
    const clock = new Clock(Date.now())
    try {
      const store = new MemoryStore()
      const cookie = await login(sessions({ secret, store }))
      const auth = sessions({ secret, store, userId })
      const { id } = (await auth.get(cookie.slice(4).split('.')[0]!))!
      clock.forward(MINUTE)
      const before = await auth.get(id)
      await auth.reindex()
      expect(await auth.get(id)).toEqual(before)
    } finally {
      clock.restore()
    }
  })

  it('asks a store that lists its IDs without a callback as well', async () => {
    class Listing extends MemoryStore {
      override ids(): any {
        return super.ids()
      }
    }
    const store = new Listing()
    await login(sessions({ secret, store }))
    expect(await sessions({ secret, store, userId }).reindex()).toEqual({ seen: 1, indexed: 1, total: 1 })
  })

  it('sees data as requests do, where a schema migrates it, and leaves alone what the schema refuses', async () => {
    const store = new MemoryStore()
    const before = sessions({ secret, store })
    for (const query of ['', '?user=bad']) await login(before, query)
    const schema = {
      '~standard': {
        version: 1 as const,
        vendor: 'test',
        validate: ({ user, ...value }: any) => (user === 'bad' ? { issues: [] } : { value: { ...value, who: user } })
      }
    }
    const auth = sessions({ secret, store, schema: schema as never, userId: (s: any) => s.who })
    expect(await auth.reindex()).toEqual({ seen: 2, indexed: 1, total: 2 })
    expect(await auth.list('ann')).toHaveLength(1)
  })

  it('needs the option userId, and a store of this package that lists its IDs', async () => {
    await expect(sessions({ secret }).reindex()).rejects.toThrow(/option userId/)
    for (const store of [new CookieStore(), new (jest.requireActual('express-session').MemoryStore)()]) {
      await expect(sessions({ secret, store, userId }).reindex()).rejects.toThrow(/list its IDs/)
    }
  })
})

describe('maxPerUser', () => {
  /** What is told of ends, with the number of sessions that the store still has at that moment. */
  function told(store: MemoryStore): unknown[] {
    const list: unknown[] = []
    diagnostics.subscribe('silverback:destroyed', (message: any) => list.push([message.reason, store.ids().length]))
    return list
  }

  it('tells of each end before the removal', async () => {
    const store = new MemoryStore()
    const auth = sessions({ secret, store, userId, maxPerUser: 1 })
    const list = told(store)
    await login(auth)
    await login(auth)
    expect(list).toEqual([['maxPerUser', 2]])
    expect([store.ids().length, auth.stats().destroyed]).toEqual([1, 1])
  })

  it('tells of every one of them also when the removal fails', async () => {
    const store = new MemoryStore()
    const unlimited = sessions({ secret, store, userId })
    for (let i = 0; i < 3; i++) await login(unlimited)
    const auth = sessions({ secret, store, userId, maxPerUser: 1 })
    jest.spyOn(powersOf(store), 'remove').mockImplementation(() => {
      throw new Error('read-only')
    })
    const list = told(store)
    expect((await request(appWith(auth, routes)).get('/in')).status).toBe(500)
    expect(list).toEqual([1, 2, 3].map(() => ['maxPerUser', 4]))
    expect(auth.stats().destroyed).toBe(3)
  })

  it.each(Object.keys(DOORS))('shows what update() has stored also when the removal fails (%s)', async (door) => {
    const store = new MemoryStore()
    const auth = DOORS[door]!({ store, userId, maxPerUser: 1 })
    await login(auth)
    jest.spyOn(powersOf(store), 'remove').mockImplementation(() => {
      throw new Error('read-only')
    })
    const app = appWith(auth, {
      ...routes,
      '/update': async (req, res) => {
        const enter = (s: any) => Object.assign(s, { user: 'ann', n: (s.n ?? 0) + 1 })
        const failed = await update(req.session, enter).then(
          () => false,
          () => true
        )
        res.json([failed, req.session.user, req.session.n])
      }
    })
    const res = await request(app).get('/update')
    expect(res.body).toEqual([true, 'ann', 1])
    const header = res.headers['x-session']
    expect((await visit(auth, '/read', header ?? cookieOf(res)!)).body).toBe('ann')
  })

  it('counts a session that is indexed as it is seen', async () => {
    const store = new MemoryStore()
    const before = sessions({ secret, store })
    const cookies = [await login(before), await login(before), await login(before)]
    const auth = sessions({ secret, store, userId, maxPerUser: 2 })
    for (const cookie of cookies) expect((await visit(auth, '/read', cookie)).body).toBe('ann')
    expect(await auth.list('ann')).toHaveLength(2)
    expect((await visit(auth, '/read', cookies[2]!)).body).toBe('ann')
  })
})
