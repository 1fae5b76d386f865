import { AsyncLocalStorage } from 'node:async_hooks'
import diagnostics from 'node:diagnostics_channel'
import { createClient } from 'redis'
import request from 'supertest'
import { KeyRing } from '../lib/cookie/keys'
import classic, { CookieStore, FileStore, MemoryStore, sessions, update } from '../lib/index'
import { RedisStore } from '../lib/stores/redis/redis'
import { sessionCookie } from '../lib/testing'
import { appWith, cookieOf, deferred, secret } from './helpers/app'
import { basics, login, read, visit } from './helpers/basics'
import { plainStore } from './helpers/classic'
import { pass } from './helpers/direct'
import { TestFolder } from './helpers/folder'
import { HeldStore } from './helpers/held-store'
import { RedisServer } from './helpers/redis-server'

describe.each([
  ['memory', () => new MemoryStore()],
  ['a foreign store', () => new (require('express-session').MemoryStore)()],
  ['cookie', () => new CookieStore()]
])('concurrent requests on one session (%s)', (kind, makeStore) => {
  function race() {
    const reached = deferred()
    const go = deferred()
    const auth = sessions({ secret, store: makeStore() as never })
    const app = appWith(auth, {
      ...basics,
      '/slow': async (req: any, res: any) => {
        await req.sessions.load()
        void req.session.user
        reached.resolve()
        await go.promise
        Object.assign(req.session, req.query)
        res.send('slow')
      },
      '/rotate': async (req: any, res: any) => {
        await req.session.regenerate({ keep: true })
        res.send('rotated')
      }
    })
    /** The answer to a slow request that writes, beside which another one is answered. */
    const beside = async (cookie: string, path: string) => {
      const slow = visit(app, '/slow?a=1', cookie).then((res) => res)
      await reached.promise
      await visit(app, path, cookie)
      go.resolve()
      return slow
    }
    return { app, auth, beside }
  }

  it('keep both of two different keys', async () => {
    const { app, beside } = race()
    const cookie = await login(app)
    const res = await beside(cookie, '/write?b=2')
    expect(res.status).toBe(200)
    expect((await read(app, cookieOf(res) ?? cookie)).body.data).toEqual({ user: 'u', a: '1', b: '2' })
  })

  it.each(['/logout', '/rotate'])('do not bring a session back after %s, however slow', async (path) => {
    const { app, auth, beside } = race()
    const dropped: unknown[] = []
    const onDropped = (message: unknown) => dropped.push(message)
    diagnostics.subscribe('silverback:dropped', onDropped)
    const cookie = await login(app)
    const res = await beside(cookie, path)
    diagnostics.unsubscribe('silverback:dropped', onDropped)
    expect([res.status, res.text]).toEqual([200, 'slow'])
    expect(res.headers['set-cookie']).toBeUndefined()
    expect((await read(app, cookie)).body.code).toBe('ERR_SESSION_MISSING')
    expect(dropped).toHaveLength(1)
    expect(auth.stats().dropped).toBe(1)
  })

  it('reject an explicit save of a session that is gone', async () => {
    const { app, auth } = race()
    const cookie = await login(app)
    const gone = appWith(auth, {
      '/save': async (req: any, res: any) => {
        await req.sessions.load()
        await request(app).get('/logout').set('Cookie', cookie)
        req.session.x = 1
        await req.session.save()
        res.send('saved')
      }
    })
    const res = await request(gone).get('/save').set('Cookie', cookie)
    expect([res.status, res.body.code]).toEqual([500, 'ERR_SESSION_DESTROYED'])
  })

  if (kind !== 'cookie') {
    it('lose no increment by update()', async () => {
      const { app, auth } = race()
      const cookie = await login(app, 'n=0')
      const counting = appWith(auth, {
        '/count': async (req: any, res: any) => {
          await req.session.update((s: any) => (s.n = Number(s.n) + 1))
          res.send('ok')
        }
      })
      const server = counting.listen(0)
      const results = await Promise.all(
        Array.from({ length: 100 }, () => request(server).get('/count').set('Cookie', cookie))
      )
      server.close()
      expect(results.every(({ status }) => status === 200)).toBe(true)
      expect((await read(app, cookie)).body.data.n).toBe(100)
    })
  }
})

describe('session.update()', () => {
  beforeEach(() => {
    jest.useFakeTimers({ now: Date.now(), doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask', 'performance'] })
  })
  afterEach(() => {
    jest.useRealTimers()
  })

  async function begun() {
    const auth = sessions<any>({ secret })
    const session = await auth.open({ headers: {} })
    session.n = 1
    await session.save()
    return { auth, session }
  }

  it('runs its function in the async context of its own request, also one that had to wait', async () => {
    const { auth, session } = await begun()
    const context = new AsyncLocalStorage<string>()
    const headers = { cookie: `sid=${new KeyRing(secret).signBound('sid', session.id)}` }
    const [first, second] = [await auth.open({ headers }), await auth.open({ headers })]
    const seen = async () => context.getStore()
    const updates = [context.run('first', () => first.update(seen)), context.run('second', () => second.update(seen))]
    expect(await Promise.all(updates)).toEqual(['first', 'second'])
  })

  it('inside another one of the same session does not hang', async () => {
    const { auth, session } = await begun()
    const updated = session.update(async (outer: any) => {
      outer.a = 1
      await outer.update((inner: any) => (inner.n += 1))
    })
    await jest.advanceTimersByTimeAsync(5000)
    await updated
    expect((await auth.get(session.id))!.data).toEqual({ n: 2, a: 1 })
  })

  it('whose function never ends holds up no other writer for ever', async () => {
    const { auth, session } = await begun()
    const inFn = deferred()
    void session.update(() => {
      inFn.resolve()
      return new Promise(() => undefined)
    })
    await inFn.promise
    const other = await auth.open({ headers: { cookie: `sid=${new KeyRing(secret).signBound('sid', session.id)}` } })
    const updated = other.update((data: any) => (data.n += 1))
    await jest.advanceTimersByTimeAsync(5000)
    expect(await updated).toBe(2)
    // Nor one that comes only then.
    expect(await other.update((data: any) => (data.n += 1))).toBe(3)
    expect((await auth.get(session.id))!.data).toEqual({ n: 3 })
  })

  it.each([
    ['sessions()', sessions],
    ['session()', classic]
  ])('that fails is undone: its request saves nothing over what others make of it (%s)', async (_door, door) => {
    let refuses = false
    class Refusing extends require('express-session').MemoryStore {
      set(id: string, data: unknown, done: (err?: unknown) => void) {
        if (refuses) setImmediate(done, new Error('refused'))
        else super.set(id, data, done)
      }
    }
    const [failed, go] = [deferred(), deferred()]
    const auth = door({ secret, name: 'sid', store: new Refusing() as never, resave: false, saveUninitialized: false })
    const add = (req: any) => update(req.session, (data: any) => (data.n = (data.n ?? 0) + 1))
    const app = appWith(auth, {
      ...basics,
      '/add': async (req: any, res: any) => res.send(String(await add(req))),
      '/fail': async (req: any, res: any) => {
        refuses = true
        req.session.before = true
        const adding = add(req)
        await expect(adding).rejects.toThrow()
        refuses = false
        failed.resolve()
        await go.promise
        req.session.after = true
        res.send('not added')
      }
    })
    const cookie = await login(app)
    const failing = request(app)
      .get('/fail')
      .set('Cookie', cookie)
      .then((res) => res)
    await failed.promise
    for (const n of ['1', '2']) expect((await request(app).get('/add').set('Cookie', cookie)).text).toBe(n)
    go.resolve()
    expect((await failing).status).toBe(200)
    expect((await read(app, cookie)).body.data).toEqual({ user: 'u', n: 2, before: true, after: true })
  })

  it('behind the first byte of the response runs again on what that has saved', async () => {
    const app = appWith(sessions({ secret, store: plainStore() }), {
      ...basics,
      '/stream': async (req: any, res: any) => {
        req.session.n = 'streamed'
        res.write('a')
        await req.session.update((session: any) => (session.n += ', updated'))
        res.end('b')
      }
    })
    const cookie = await login(app)
    expect((await request(app).get('/stream').set('Cookie', cookie)).text).toBe('ab')
    expect((await read(app, cookie)).body.data).toEqual({ user: 'u', n: 'streamed, updated' })
  })

  it('takes nothing back that others write after it, beside a save that has not been waited for', async () => {
    const folder = new TestFolder()
    const store = new FileStore({ path: folder.at('s') })
    const add = (session: any) => session.update((data: any) => (data.n = (data.n ?? 0) + 1))
    const app = appWith(sessions({ secret, store }), {
      ...basics,
      '/add': async (req, res) => res.json(await add(req.session)),
      '/both': async (req, res) => {
        void req.session.user
        await request(app).get('/add').set('Cookie', cookie)
        req.session.k = 1
        const saving = req.session.save()
        await add(req.session)
        await saving
        await request(app).get('/add').set('Cookie', cookie)
        res.send('done')
      }
    })
    const cookie = await login(app)
    await request(app).get('/both').set('Cookie', cookie)
    expect((await read(app, cookie)).body.data).toEqual({ user: 'u', k: 1, n: 3 })
    await store.close()
    folder.remove()
  })

  it('whose result cannot be stored leaves a session that can', async () => {
    const { auth, session } = await begun()
    const broken = session.update((data: any) => (data.big = 1n))
    await expect(broken).rejects.toMatchObject({ code: 'ERR_SESSION_UNSERIALIZABLE' })
    await session.save()
    expect((await auth.get(session.id))!.data).toEqual({ n: 1 })
  })

  it.each(['ends', 'never ends'])(
    'whose function takes longer than a store may, and %s, holds up no later one',
    async (how) => {
      const { auth, session } = await begun()
      const end = deferred()
      const slow = session.update((data: any) => end.promise.then(() => (data.slow = true)))
      await jest.advanceTimersByTimeAsync(6000)
      const other = await auth.open({ headers: { cookie: `sid=${new KeyRing(secret).signBound('sid', session.id)}` } })
      const updated = other.update((data: any) => (data.n += 1))
      if (how === 'ends') {
        end.resolve()
        await slow
      }
      expect(await updated).toBe(2)
      expect((await auth.get(session.id))!.data).toEqual(how === 'ends' ? { n: 2, slow: true } : { n: 2 })
    }
  )
})

describe('10,000 requests at once that write to one session', () => {
  async function writeAll(auth: any): Promise<void> {
    const cookie = await sessionCookie(auth, { n: 0 })
    const outcomes = await Promise.all(
      Array.from({ length: 10_000 }, (_, i) =>
        pass(auth, cookie, (req, res) => {
          req.session.n = i
          req.session[`key${i % 20}`] = true
          res.end('done')
        })
      )
    )
    expect(outcomes.filter(({ err }) => err !== undefined).map(({ err }) => err.code)).toEqual([])
    const { req } = await pass(auth, cookie, (_req, res) => res.end())
    expect(Object.keys(req.session).filter((key) => key.startsWith('key'))).toHaveLength(20)
  }

  it('are all saved by Redis', async () => {
    const server = await RedisServer.start()
    // By itself it gives a command up that could not be sent within 5 s, which a loaded machine may well need.
    const client = createClient({ url: server.url, commandOptions: { timeout: 60_000 } })
    await client.connect()
    try {
      await writeAll(sessions({ secret, store: new RedisStore({ client }), storeTimeout: 60_000 }))
    } finally {
      client.destroy()
      await server.stop()
    }
  })

  it('are all saved by a store that only knows the contract', async () => {
    const store = new HeldStore()
    store.goOn()
    await writeAll(sessions({ secret, store: store as never, storeTimeout: 60_000 }))
  })
})
