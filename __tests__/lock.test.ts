import request from 'supertest'
import { POWERS } from '../lib/store/contract'
import session, {
  CookieStore,
  FileStore,
  lock,
  MemoryStore,
  sessions,
  update,
  type SessionsOptions
} from '../lib/index'
import { RedisStore } from '../lib/redis'
import { SqliteStore } from '../lib/sqlite'
import { clock, sessionCookie } from '../lib/testing'
import { appWith, cookieOf, deferred, secret } from './helpers/app'
import { Child } from './helpers/child'
import { TestFolder } from './helpers/folder'
import { alone, expectFreeLockAfterKill, GROUNDS, Site, type Ground } from './helpers/race'
import { CLIENTS } from './helpers/redis-clients'
import { RedisServer, until } from './helpers/redis-server'
import { DAY, HOUR } from './helpers/times'

const TheirMemoryStore = require('express-session').MemoryStore
const FOREIGN = 'a store that only knows the contract, one process'
const grounds: typeof GROUNDS = { ...GROUNDS, [FOREIGN]: alone(async () => ({ store: new TheirMemoryStore() })) }

const PLACES: Record<string, (folder: string) => any> = {
  memory: () => new MemoryStore(),
  cookies: () => new CookieStore(),
  'a store that only knows the contract': () => new TheirMemoryStore(),
  files: (folder) => new FileStore({ path: `${folder}/sessions` }),
  SQLite: (folder) => new SqliteStore({ path: `${folder}/sessions.db` })
}

describe.each(Object.entries(grounds))('session.lock() (%s)', (name, open) => {
  let ground: Ground
  let here: Site
  let there: Site
  let cookie: string

  beforeAll(async () => {
    ground = await open()
    ;({ here, there } = await ground.start({ indexless: name === FOREIGN }))
  })

  afterAll(() => ground?.close())

  beforeEach(async () => {
    cookie = cookieOf(await here.get('/set?user=ann'))!
  })

  it('lets one work at a time', async () => {
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, i) => (i % 2 ? here : there).get('/careful', cookie))
    )
    expect(answers.filter(({ status }) => status !== 200).map(({ body }) => body)).toEqual([])
    expect((await there.get('/read', cookie)).body.data).toEqual({ user: 'ann', n: 60 })
  })

  it('keeps everybody else out while it is held, and nobody afterwards', async () => {
    const holding = here.get(`/locked?ttl=${HOUR}`, cookie)
    await here.get('/held/1')
    const refused = await there.get('/locked?wait=0', cookie)
    expect([refused.status >= 500, refused.body.code]).toEqual([true, 'ERR_SESSION_LOCK_TIMEOUT'])
    const other = cookieOf(await there.get('/set?user=bob'))!
    const free = there.get('/locked?wait=0', other)
    await there.get(`/held/${here === there ? 2 : 1}`)
    await there.get('/go')
    expect((await free).body).toEqual({ lost: false })
    await here.get('/go')
    expect((await holding).body).toEqual({ lost: false })
    const next = there.get('/locked?wait=0', cookie)
    await there.get('/held/1')
    await there.get('/go')
    expect((await next).status).toBe(200)
  })

  it('comes to whoever waits as soon as it is free', async () => {
    const holding = here.get(`/locked?ttl=${HOUR}`, cookie)
    await here.get('/held/1')
    const waiting = there.get('/careful', cookie)
    // Requests of other sessions do not wait.
    expect((await there.get('/read')).status).toBe(200)
    await here.get('/go')
    expect([(await holding).status, (await waiting).status]).toEqual([200, 200])
  })
})

describe('the lock of a process that was killed', () => {
  it.each(['files', 'SQLite', 'Redis'])('is free again (%s)', async (kind) => {
    const folder = new TestFolder()
    const server = kind === 'Redis' ? await RedisServer.start() : undefined
    const places = { files: { folder: folder.at('s') }, SQLite: { sqlite: folder.at('s.db') } }
    try {
      await expectFreeLockAfterKill(places[kind as 'files'] ?? { redis: server!.url })
    } finally {
      await server?.stop()
      folder.remove()
    }
  })
})

describe('a lock that is held', () => {
  // Long, for a third of it a machine may stall and the lock is renewed in time.
  const TTL = 9000

  it('is renewed while its holder lives', async () => {
    const folder = new TestFolder()
    const server = await RedisServer.start()
    const child = await Child.start('app-child')
    try {
      const leaseTimes = () => folder.files('s', 'leases').map((file) => timeOf(folder.at('s', 'leases', file)))
      const ends: [object, () => Promise<number>][] = [
        [{ folder: folder.at('s') }, async () => leaseTimes()[0] ?? 0],
        [{ redis: server.url }, async () => Number(await server.cli('pexpiretime', await lockKey(server)))]
      ]
      await Promise.all(
        ends.map(async ([place, end]) => {
          const site = new Site(await child.call('start', place, secret))
          const cookie = cookieOf(await site.get('/set?user=ann'))!
          const holding = site.get(`/locked?ttl=${TTL}`, cookie)
          await site.get('/held/1')
          const first = await end()
          await until(async () => (await end()) > first + TTL / 4, 'the lock was renewed')
          expect((await site.get('/locked?wait=0', cookie)).body.code).toBe('ERR_SESSION_LOCK_TIMEOUT')
          await site.get('/go')
          expect((await holding).body).toEqual({ lost: false })
        })
      )
    } finally {
      await child.kill()
      await server.stop()
      folder.remove()
    }
  })

  async function lockKey(server: RedisServer): Promise<string> {
    return server.cli('keys', 'silverback:lock:*')
  }

  function timeOf(file: string): number {
    return require('node:fs').statSync(file).mtimeMs
  }
})

describe('a lock', () => {
  async function opened(options: SessionsOptions<any>) {
    const auth = sessions({ secret, ...options })
    const cookie = await sessionCookie(auth, { user: 'ann' })
    return { auth, session: await auth.open({ headers: { cookie }, url: '/' }) }
  }

  afterEach(() => {
    jest.useRealTimers()
    jest.restoreAllMocks()
  })

  // Holds a lock of 30 s, and looks at the signal after so many seconds.
  async function reasonAfter(session: any, seconds: number): Promise<unknown> {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] })
    return session.lock(
      async (signal: AbortSignal) => {
        await jest.advanceTimersByTimeAsync(seconds * 1000)
        return signal.reason
      },
      { ttl: 30_000 }
    )
  }

  it('is kept for much longer than its ttl, and by nobody else', async () => {
    const { session } = await opened({ store: new MemoryStore() })
    const others = jest.fn()
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] })
    const holding = session.lock(
      async (signal: AbortSignal) => {
        for (let at = 0; at < 10; at++) {
          await jest.advanceTimersByTimeAsync(10_000)
          others(await session.lock(() => 'in', { wait: 0 }).catch((err: any) => err.code))
        }
        return signal.aborted
      },
      { ttl: 30_000 }
    )
    expect(await holding).toBe(false)
    expect(others.mock.calls.flat()).toEqual(Array(10).fill('ERR_SESSION_LOCK_TIMEOUT'))
  })

  it.each(Object.keys(PLACES))(
    'lets nobody of its process in when the clock goes ahead, or the process stood still (%s)',
    async (place) => {
      const folder = new TestFolder()
      const store = PLACES[place]!(folder.path)
      const { session } = await opened({ store })
      const time = clock()
      try {
        const during = session.lock(() => {
          time.forward(HOUR)
          return session.lock(() => 'in', { wait: 0 }).catch((err: any) => err.code)
        })
        expect(await during).toBe('ERR_SESSION_LOCK_TIMEOUT')
        expect(await session.lock(() => 'in', { wait: 0 })).toBe('in')
      } finally {
        time.restore()
        await store.close?.()
        folder.remove()
      }
    }
  )

  it('is renewed no sooner for a ttl that no timer waits for', async () => {
    const store = new MemoryStore()
    const { session } = await opened({ store })
    const renew = jest.spyOn(store[POWERS].lock!, 'renew')
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] })
    await session.lock(() => jest.advanceTimersByTimeAsync(1000), { ttl: 90 * DAY })
    expect(renew).not.toHaveBeenCalled()
  })

  it('tells its holder when somebody else has taken it', async () => {
    const store = new MemoryStore()
    const { session } = await opened({ store })
    const renew = jest.spyOn(store[POWERS].lock!, 'renew').mockReturnValue(false)
    expect(await reasonAfter(session, 9)).toBeUndefined()
    expect(await reasonAfter(session, 40)).toMatchObject({ code: 'ERR_SESSION_LOCK_TIMEOUT' })
    expect(renew).toHaveBeenCalledTimes(1)
  })

  it('tells its holder when it could not be renewed in time', async () => {
    const store = new MemoryStore()
    const { session } = await opened({ store })
    const renew = jest.spyOn(store[POWERS].lock!, 'renew').mockImplementation(() => {
      throw new Error('down')
    })
    expect(await reasonAfter(session, 29)).toBeUndefined()
    expect(renew).toHaveBeenCalledTimes(2)
    expect(await reasonAfter(session, 31)).toMatchObject({ code: 'ERR_SESSION_LOCK_TIMEOUT' })
  })

  it('is given back when its holder fails, with the error of the holder', async () => {
    const { session } = await opened({})
    const failure = new Error('mine')
    await expect(session.lock(() => Promise.reject(failure))).rejects.toBe(failure)
    await expect(session.lock(() => 'free', { wait: 0 })).resolves.toBe('free')
  })

  it('spoils no work when it cannot be given back', async () => {
    const store = new MemoryStore()
    const { session } = await opened({ store })
    jest.spyOn(store[POWERS].lock!, 'release').mockImplementation(() => {
      throw new Error('down')
    })
    await expect(session.lock(() => 'done')).resolves.toBe('done')
  })

  it('fails in time when Redis does not answer, and is not left behind', async () => {
    const server = await RedisServer.start()
    const { client, close } = await CLIENTS['node-redis 6']!(server.url)
    try {
      const store = new RedisStore({ client })
      const cookie = await sessionCookie(sessions({ secret, store }), {})
      // Short, for it is to wait until it is over.
      const auth = sessions({ secret, store, storeTimeout: 250 })
      const session = await auth.open({ headers: { cookie }, url: '/' })
      const before = auth.stats().errors
      const work = jest.fn()
      server.pause()
      const refused = { code: 'ERR_SESSION_STORE_TIMEOUT', status: 503 }
      await expect(session.lock(work, { ttl: HOUR })).rejects.toMatchObject(refused)
      expect(work).not.toHaveBeenCalled()
      expect(auth.stats().errors).toBe(before + 1)
      server.resume()
      await until(async () => (await server.cli('keys', 'silverback:lock:*')) === '', 'the lock was given back')
      await until(() => session.lock(() => true, { wait: 0 }).catch(() => false), 'it can be taken')
    } finally {
      close()
      await server.stop()
    }
  })

  it('waits no longer than it was told to', async () => {
    const { session } = await opened({})
    const [held, release] = [deferred(), deferred()]
    const holding = session.lock(() => {
      held.resolve()
      return release.promise
    })
    await held.promise
    await expect(session.lock(() => undefined, { wait: 20 })).rejects.toMatchObject({
      code: 'ERR_SESSION_LOCK_TIMEOUT',
      kind: 'store',
      message: 'The session stayed locked for 20 ms by somebody else; try again, or raise wait.'
    })
    release.resolve()
    await holding
  })

  it.each([
    [40, 60],
    [90, 100],
    [150, 200],
    [280, 300],
    [900, 1000]
  ])('that is held for %i ms comes to whoever waits %i ms', async (held, wait) => {
    const { session } = await opened({})
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] })
    // The longest pauses there are, and the shortest.
    for (const luck of [0.999, 0]) {
      jest.spyOn(Math, 'random').mockReturnValue(luck)
      const holding = session.lock(() => new Promise((resolve) => setTimeout(resolve, held)))
      await jest.advanceTimersByTimeAsync(0)
      const waiting = session.lock(() => 'mine', { wait }).catch((err) => err)
      await jest.advanceTimersByTimeAsync(wait)
      expect(await waiting).toBe('mine')
      await holding
    }
  })

  it('is asked for until the very end of the wait, and no longer', async () => {
    const store = new MemoryStore()
    const { session } = await opened({ store })
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] })
    const start = performance.now()
    const asked: number[] = []
    jest.spyOn(store[POWERS].lock!, 'acquire').mockImplementation(() => {
      asked.push(performance.now() - start)
      return false
    })
    const waiting = session.lock(() => undefined, { wait: 200 }).catch((err) => err)
    await jest.advanceTimersByTimeAsync(1000)
    expect((await waiting).code).toBe('ERR_SESSION_LOCK_TIMEOUT')
    expect(asked.at(-1)).toBe(200)
  })
})

it.each([
  { wait: NaN },
  { wait: -1 },
  { ttl: 'x' as any },
  { ttl: '5000' as any },
  { wait: null as any },
  { ttl: 0 },
  { ttl: Infinity }
])('refuses a time that is none: %p', async (options) => {
  const app = appWith(sessions({ secret }), {
    '/': async (req, res) => {
      await req.session.lock(() => undefined, options)
      res.end()
    }
  })
  const res = await request(app).get('/')
  expect([res.status, res.body.code]).toEqual([500, 'ERR_SESSION_OPTION'])
})

it.each([
  ['sessions()', (options: object) => sessions({ secret, ...options })],
  ['the default export', (options: object) => session({ secret, resave: false, saveUninitialized: false, ...options })]
])('refuses a mistake as every verb does, and counts no fault of the store (%s)', async (_door, door) => {
  const auth = door({})
  const req: any = { headers: {}, url: '/' }
  const opened: any = await auth.open(req)
  const mistakes = [
    () => lock(opened, () => 1, { wait: -1 }),
    () => lock(opened, () => 1, { ttl: 0 }),
    () => lock(opened, () => 1, 5 as any),
    () => lock(opened, 5 as any),
    () => update(opened, 5 as any),
    () => opened.regenerate({ grace: -1 })
  ]
  for (const make of mistakes) {
    const err = await make().catch((refusal: unknown) => refusal)
    expect(err).toMatchObject({ name: 'TypeError', code: 'ERR_SESSION_OPTION', kind: 'usage' })
  }
  expect(auth.stats().errors).toBe(0)
})
