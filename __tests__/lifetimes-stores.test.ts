import request from 'supertest'
import session, { infoOf, sessions } from '../lib/index'
import { sessionCookie } from '../lib/testing'
import { appWith, cookieOf, deferred, secret } from './helpers/app'
import { faultApp, type FaultApp } from './helpers/fault-app'
import { FOREIGN, TimedStores } from './helpers/timed-stores'
import { MINUTE } from './helpers/times'

const LIMITS = { idle: 30 * MINUTE, absolute: 60 * MINUTE, touchAfter: 0 }
const OURS = ['MemoryStore', 'FileStore', 'RedisStore']
const STORES = ['MemoryStore', 'FileStore', 'RedisStore', 'CookieStore', FOREIGN]

const stores = new TimedStores()

/** A browser: it sends what it was sent last. */
function visitorOf(app: FaultApp, first: string) {
  let cookie = first
  return {
    get cookie() {
      return cookie
    },
    async get(path: string) {
      const res = await app.get(path, cookie)
      cookie = cookieOf(res) ?? cookie
      return res
    }
  }
}

const appOn = (name: string, options: object = {}) => faultApp({ store: stores.open(name), ...LIMITS, ...options })

describe.each(OURS)('a session that ends during a request, in %s,', (name) => {
  const ends: [string, (use: () => Promise<unknown>) => Promise<void>][] = [
    ['idle', async () => stores.forward(29 * MINUTE)],
    [
      'absolute',
      async (use) => {
        for (let i = 0; i < 2; i++) {
          await stores.forward(20 * MINUTE)
          await use()
        }
        await stores.forward(19 * MINUTE)
      }
    ]
  ]

  describe.each(ends)('by its %s limit', (_limit, live) => {
    it.each(['write', 'save', 'update', 'rotate'])('is not brought back by %s', async (what) => {
      const app = appOn(name)
      const visitor = visitorOf(app, await app.login())
      await live(() => visitor.get('/read'))
      const held = await app.hold(what, visitor.cookie)
      await stores.forward(31 * MINUTE)
      held.goOn()
      const res = await held.answer
      if (what === 'write') expect([res.status, res.body, cookieOf(res)]).toEqual([200, 'written', undefined])
      else if (what !== 'rotate') expect([res.status, res.body.code]).toEqual([500, 'ERR_SESSION_DESTROYED'])
      for (const cookie of [visitor.cookie, cookieOf(res) ?? '']) {
        expect((await app.get('/read', cookie)).body.user).toBeNull()
      }
    })
  })

  it('lives on when it is saved in time: idle counts from the save, and the absolute end stays', async () => {
    const app = appOn(name)
    const visitor = visitorOf(app, await app.login())
    const held = await app.hold('write', visitor.cookie)
    await stores.forward(29 * MINUTE)
    held.goOn()
    await held.answer
    await stores.forward(29 * MINUTE)
    expect((await visitor.get('/read')).body).toMatchObject({ user: 'ann', n: 1 })
    await stores.forward(3 * MINUTE)
    expect((await visitor.get('/read')).body.user).toBeNull()
  })

  it('is not prolonged by the save of a request that must not extend it', async () => {
    const app = appOn(name, { extend: (req: any) => !req.path.endsWith('write') })
    const visitor = visitorOf(app, await app.login())
    await stores.forward(20 * MINUTE)
    await visitor.get('/write')
    await stores.forward(11 * MINUTE)
    expect((await visitor.get('/read')).body.user).toBeNull()
  })
})

describe.each(STORES)('a session in use, in %s:', (name) => {
  // A store that only knows the contract goes by the cookie.
  const cookie = name === FOREIGN ? { maxAge: LIMITS.idle } : {}

  it.each(['/read', '/write', '/save', '/update', '/rotate', '/rotate?grace=60000'])(
    '%s again and again does not move its absolute end',
    async (path) => {
      const app = appOn(name, { cookie })
      const visitor = visitorOf(app, await app.login())
      for (let i = 0; i < 5; i++) {
        await stores.forward(10 * MINUTE)
        await visitor.get(path)
        expect((await visitor.get('/read')).body.user).toBe('ann')
      }
      await stores.forward(10 * MINUTE + 1000)
      expect((await visitor.get('/read')).body.user).toBeNull()
    }
  )

  it('tells the end that the request which asks gives it, as its cookie does', async () => {
    const told: number[] = []
    const app = appWith(
      sessions({
        secret,
        store: stores.open(name),
        idle: 30 * MINUTE,
        absolute: 60 * MINUTE,
        cookie: { maxAge: 30 * MINUTE }
      }),
      {
        '/in': (req, res) => res.json((req.session.user = 'ann')),
        '/end': (req, res) => {
          told.push(Math.round((infoOf(req.session).expiresAt! - Date.now()) / MINUTE))
          res.json(req.session.user)
        }
      }
    )
    let res = await request(app).get('/in')
    const sent: number[] = []
    for (const minutes of [25, 0, 25]) {
      await stores.forward(minutes * MINUTE)
      const answer = await request(app).get('/end').set('Cookie', cookieOf(res)!)
      expect(answer.body).toBe('ann')
      const [, seconds] = /Max-Age=(\d+)/.exec(String(answer.headers['set-cookie'])) ?? []
      if (seconds === undefined) continue
      sent.push(Math.round(Number(seconds) / 60))
      res = answer
    }
    expect(told).toEqual([30, 30, 10])
    expect(sent).toEqual([30, 10])
  })

  it('counts its absolute limit anew from a login', async () => {
    const app = appOn(name, { cookie })
    const visitor = visitorOf(app, await app.login())
    for (let i = 0; i < 4; i++) {
      await stores.forward(20 * MINUTE)
      await visitor.get(i === 1 ? '/login?user=bob' : '/read')
    }
    expect((await visitor.get('/read')).body.user).toBe('bob')
  })
})

describe.each([...OURS, 'SqliteStore', FOREIGN])("behind express-session's door, with maxAge, in %s,", (name) => {
  const HALF_AN_HOUR = 30 * MINUTE
  const userId = ({ user }: any) => user as string

  /** An hour's use of a session, or as many minutes, extended a few times and never saved since its beginning. */
  async function used(
    options: object,
    whenBegun: (auth: any, cookie: string) => unknown = () => undefined,
    minutes = [20, 20, 20]
  ) {
    const open = { secret, name: 'sid', resave: false, saveUninitialized: false, store: stores.open(name) }
    const given = { ...open, cookie: { maxAge: HALF_AN_HOUR }, ...options }
    const auth = session(given)
    const ends: number[] = []
    const app = appWith(auth, {
      '/in': (req, res) => res.json(((req.session.user = 'ann'), req.sessionID)),
      '/see': (req, res) => {
        ends.push(Math.round((infoOf(req.session).expiresAt! - Date.now()) / MINUTE))
        res.json(req.session.user ?? null)
      },
      '/save': async (req, res) => {
        req.session.seen = true
        await req.session.save()
        res.json(req.session.user)
      },
      '/write': (req, res) => {
        req.session.seen = Date.now()
        res.json(req.session.user ?? null)
      },
      '/watch': async (req, res) => {
        expect(infoOf(req.session).signal!.aborted).toBe(false)
        res.write('watching')
        watched.resolve(res)
      }
    })
    const begun = await request(app).get('/in')
    const cookie = cookieOf(begun)!
    const send = (path: string) => request(app).get(path).set('Cookie', cookie)
    const get = async (path: string) => (await send(path)).body as unknown
    await whenBegun(auth, cookie)
    for (const span of minutes) {
      await stores.forward(span * MINUTE)
      expect(await get('/see')).toBe('ann')
    }
    return { auth, get, send, ends, given, id: begun.body as string, cookie }
  }

  let watched: ReturnType<typeof deferred<any>>

  // One that is watched from now on, and ends: by the time it is told so, those before it were asked for as well.
  async function polled({ auth, given: { store } }: { auth: any; given: { store: any } }) {
    const other = await auth.open({ headers: { cookie: await sessionCookie(auth, { user: 'bob' }) }, url: '/' })
    const told = new Promise((resolve) => infoOf(other).signal!.addEventListener('abort', resolve))
    await store.destroy(other.id, () => undefined)
    await told
  }

  describe.each([
    ['no other limit', {}],
    ['idle and a user', { idle: HALF_AN_HOUR, userId }]
  ])('and %s', (_limits, options) => {
    it('tells when a session ends that was extended since it was saved', async () => {
      const { auth, ends, id } = await used(options)
      expect(ends).toEqual([30, 30, 30])
      expect(Math.round(((await auth.get(id))!.expiresAt! - Date.now()) / MINUTE)).toBe(30)
    })

    it('is not ended by the write of a request that must not extend it', async () => {
      const extend = (req: any) => req.path !== '/write'
      const { get, send } = await used({ extend, ...options }, undefined, [20])
      await stores.forward(5 * MINUTE)
      const written = await send('/write')
      // What the browser is told is no earlier.
      const [, date] = /Expires=([^;]+)/.exec(String(written.headers['set-cookie']))!
      expect((new Date(date!).valueOf() - stores.clock.now) / MINUTE).toBeGreaterThan(24.9)
      await stores.forward(20 * MINUTE)
      expect(await get('/see')).toBe('ann')
    })

    it('is not ended by auth.extend()', async () => {
      const { auth, get, id } = await used(options)
      expect(await auth.extend(id)).toBe(true)
      expect([await get('/see'), await get('/see')]).toEqual(['ann', 'ann'])
    })

    it('is not ended by a save()', async () => {
      const { get } = await used(options)
      expect([await get('/save'), await get('/see')]).toEqual(['ann', 'ann'])
    })

    it('fires no signal while others use the session', async () => {
      let signal!: AbortSignal
      const over = new AbortController()
      const visit = await used(options, async (manager, cookie) => {
        const req = { headers: { cookie }, url: '/' }
        signal = infoOf(await manager.open(req, { until: over.signal })).signal!
      })
      await polled(visit)
      expect(signal.aborted).toBe(false)
      over.abort()
    })

    it('is extended at the end of a response that watched it', async () => {
      watched = deferred()
      const visit = await used(options)
      const watching = visit.get('/watch')
      const response = await watched.promise
      await stores.forward(20 * MINUTE)
      await polled(visit)
      response.end()
      await watching
      await stores.forward(20 * MINUTE)
      expect(await visit.get('/see')).toBe('ann')
    })

    it('is not ended by a save() after an extension that touchAfter allows', async () => {
      const { get } = await used({ touchAfter: 5 * MINUTE, ...options }, undefined, [20, 8])
      expect(await get('/save')).toBe('ann')
      await stores.forward(4 * MINUTE)
      expect(await get('/see')).toBe('ann')
    })
  })

  it('tells no later end than it has where touchAfter leaves a session as it is', async () => {
    const { ends } = await used({ touchAfter: 10 * MINUTE }, undefined, [4, 16, 4, 20])
    expect(ends).toEqual([26, 30, 26, 30])
  })

  it('tells no later end than it has to a request that must not extend it', async () => {
    const extend = jest.fn().mockReturnValue(false)
    const { ends, auth, cookie } = await used({ extend }, undefined, [4, 20])
    expect(ends).toEqual([26, 6])
    const opened = await auth.open({ headers: { cookie }, url: '/' })
    expect(Math.round((infoOf(opened).expiresAt! - Date.now()) / MINUTE)).toBe(6)
  })

  it('tells such a request of an extension by another one', async () => {
    const begun = stores.clock.now
    const extend = () => stores.clock.now === begun + 20 * MINUTE
    const { ends } = await used({ extend }, undefined, [20, 4])
    expect(ends).toEqual([30, 26])
  })

  if (name === FOREIGN) return

  it('is not ended by auth.reindex()', async () => {
    const { get, given } = await used({})
    const auth = session({ ...given, userId })
    expect(await auth.reindex()).toEqual({ seen: 1, indexed: 1, total: 1 })
    expect((await auth.list('ann')).length).toBe(1)
    expect(await get('/see')).toBe('ann')
  })

  // Redis knows of no last use where there are no metadata.
  if (name === 'RedisStore') return

  it('is not kept alive by writes of requests that must not extend it', async () => {
    const { get } = await used({ extend: (req: any) => req.path !== '/write' }, undefined, [])
    for (let i = 0; i < 2; i++) {
      await stores.forward(14 * MINUTE)
      expect(await get('/write')).toBe('ann')
    }
    await stores.forward(3 * MINUTE)
    expect(await get('/write')).toBeNull()
  })
})
