import { createServer } from 'node:http'
import request from 'supertest'
import session, { CookieStore, infoOf, MemoryStore, sessions } from '../lib/index'
import { appWith, cookieOf, deferred, secret } from './helpers/app'
import { basics, read } from './helpers/basics'

// A store of the contract whose sessions travel in their cookies: `set` answers what the cookie must carry from now on.
class CarryingStore {
  readonly tokens = {}
  readonly seen: string[] = []
  readonly #filler: string
  #count = 0

  constructor(filler = '') {
    this.#filler = filler
  }

  get(value: string): object | null {
    this.seen.push(`get ${this.#numberOf(value)}`)
    return value.startsWith('{') ? JSON.parse(value).session : null
  }

  set(value: string, data: object): string {
    this.seen.push(`set ${this.#numberOf(value)}`)
    return JSON.stringify({ number: ++this.#count, filler: this.#filler, session: data })
  }

  destroy(value: string): void {
    this.seen.push(`destroy ${this.#numberOf(value)}`)
  }

  #numberOf(value: string): number {
    return value.startsWith('{') ? JSON.parse(value).number : 0
  }
}

const routes: Parameters<typeof appWith>[1] = {
  '/count': (req, res) => {
    req.session.n = (req.session.n ?? 0) + 1
    res.json({ n: req.session.n, error: infoOf(req.session).error?.code })
  },
  '/twice': async (req, res) => {
    req.session.n++
    await req.session.save()
    req.session.n++
    await req.session.save()
    await req.session.reload()
    res.json({ n: req.session.n })
  },
  '/read': (req, res) => res.json({ n: req.session.n ?? null }),
  '/logout': async (req, res) => {
    req.session.n++
    await req.session.save()
    await req.session.destroy()
    res.end()
  },
  '/end': async (req, res) => {
    await req.session.destroy()
    res.end()
  },
  '/stream': (req, res) => {
    res.write('x')
    req.session.n++
    res.end()
  }
}

const doors = {
  'sessions()': (store: any) => sessions({ secret, store }),
  'session()': (store: any) => session({ name: 'sid', secret, store, resave: false, saveUninitialized: false })
}

describe.each(Object.entries(doors))('what `set` answers, with %s', (_door, middleware) => {
  async function visitor(store = new CarryingStore()) {
    const app = appWith(middleware(store), routes)
    let cookie: string | undefined
    const get = async (path: string) => {
      const res = await request(app)
        .get(path)
        .set('Cookie', cookie ?? '')
      const sent = cookieOf(res)
      cookie = sent ?? cookie
      return { body: res.body, sent: sent !== undefined, text: res.text }
    }
    return { get, store }
  }

  it('goes into the cookie after every change, and not after a look', async () => {
    const { get } = await visitor()
    for (const n of [1, 2, 3]) expect(await get('/count')).toMatchObject({ body: { n }, sent: true })
    expect(await get('/read')).toMatchObject({ body: { n: 3 }, sent: false })
    expect(await get('/count')).toMatchObject({ body: { n: 4 }, sent: true })
  })

  it('may have any characters and any length that a cookie has room for', async () => {
    const { get } = await visitor(new CarryingStore('\u00e9 "; \u{1f600}'.repeat(40)))
    for (const n of [1, 2, 3]) expect((await get('/count')).body).toEqual({ n })
  })

  it('is what the store is asked for from then on, also by the same request', async () => {
    const { get, store } = await visitor()
    await get('/count')
    store.seen.length = 0
    expect(await get('/twice')).toMatchObject({ body: { n: 3 }, sent: true })
    expect(store.seen.filter((call) => call.startsWith('set'))).toEqual(['set 1', 'set 2'])
    expect(await get('/read')).toMatchObject({ body: { n: 3 } })
    await get('/logout')
    expect(store.seen.at(-1)).toBe('destroy 4')
  })

  it('that is what the cookie carries already is not sent again', async () => {
    const records = new Map<string, string>()
    const store = {
      get: (id: string) => JSON.parse(records.get(id) ?? 'null'),
      set: (id: string, data: object) => (records.set(id, JSON.stringify(data)), id),
      destroy: (id: string) => void records.delete(id)
    }
    const { get } = await visitor(store as unknown as CarryingStore)
    expect(await get('/count')).toMatchObject({ sent: true })
    for (const n of [2, 3]) expect(await get('/count')).toMatchObject({ body: { n }, sent: false })
  })

  it('after the first byte reaches nobody, and spoils nothing', async () => {
    const { get } = await visitor()
    await get('/count')
    expect(await get('/stream')).toMatchObject({ text: 'x', sent: false })
    expect((await get('/read')).body).toEqual({ n: 1 })
  })
})

it('a hashed ID that a store answers is no value of its own', async () => {
  const records = new Map<string, string>()
  const store: any = {
    get: async (id: string) => JSON.parse(records.get(id) ?? 'null'),
    set: async (id: string, data: object) => (records.set(id, JSON.stringify(data)), id),
    destroy: async (id: string) => void records.delete(id)
  }
  const app = appWith(sessions({ secret, store, hashIds: true }), routes)
  const cookie = cookieOf(await request(app).get('/count'))!
  for (const n of [2, 3]) {
    const res = await request(app).get('/count').set('Cookie', cookie)
    expect([res.body, cookieOf(res)]).toEqual([{ n }, undefined])
  }
  expect(records.size).toBe(1)
})

describe('a session that its cookie carries, in a store of the contract', () => {
  it('is not written any more by a request that was under way as it was destroyed', async () => {
    const [entered, released] = [deferred(), deferred()]
    const app = appWith(sessions({ secret, store: new CarryingStore() as any }), {
      ...routes,
      '/slow': async (req, res) => {
        req.session.n++
        entered.resolve()
        await released.promise
        res.end()
      }
    })
    const cookie = cookieOf(await request(app).get('/count'))!
    const slow = request(app)
      .get('/slow')
      .set('Cookie', cookie)
      .then((res) => res)
    await entered.promise
    await request(app).get('/end').set('Cookie', cookie)
    released.resolve()
    expect(cookieOf(await slow)).toBeUndefined()
  })

  it.each([60_000, 0])('gets another value with a rotation (grace %d)', async (grace) => {
    const store = new CarryingStore()
    const app = appWith(sessions({ secret, store: store as any }), {
      ...routes,
      '/rotate': async (req, res) => {
        await req.session.regenerate({ keep: true, grace })
        res.end()
      }
    })
    const cookie = cookieOf(await request(app).get('/count'))!
    const next = cookieOf(await request(app).get('/rotate').set('Cookie', cookie))!
    expect(store.seen).toContain('destroy 1')
    expect((await request(app).get('/read').set('Cookie', next)).body).toEqual({ n: 1 })
  })
})

it('what `set` answers is the ID that the manager gives and takes', async () => {
  const store = new CarryingStore()
  const auth = sessions<any>({ secret, store: store as any })
  const { id } = await auth.create({ n: 1 })
  expect((await auth.get(id))?.data).toEqual({ n: 1 })
  await auth.destroy(id)
  expect(store.seen.at(-1)).toBe('destroy 1')
})

describe("CookieStore with express-session's defaults", () => {
  const started = (options: object = {}) =>
    appWith(
      session({ name: 'sid', secret, store: new CookieStore(), resave: false, saveUninitialized: false, ...options }),
      routes
    )

  it('sends every change, so that a restart loses none', async () => {
    let cookie: string | undefined
    for (const n of [1, 2, 3]) {
      // A process of its own each: nothing but the cookie goes along.
      const res = await request(started())
        .get('/count')
        .set('Cookie', cookie ?? '')
      expect(res.body).toEqual({ n })
      cookie = cookieOf(res)!
    }
    const res = await request(started()).get('/read').set('Cookie', cookie!)
    expect([res.body, cookieOf(res)]).toEqual([{ n: 3 }, undefined])
  })

  it('sends it again for a look only where the idle limit moves', async () => {
    const app = started({ idle: 60_000 })
    const cookie = cookieOf(await request(app).get('/count'))!
    expect(cookieOf(await request(app).get('/read').set('Cookie', cookie))).toBeDefined()
  })
})

describe('a session in its cookie', () => {
  it('works behind the drop-in door as well', async () => {
    const app = appWith(session({ secret, store: new CookieStore(), resave: false, saveUninitialized: false }), basics)
    const cookie = cookieOf(await request(app).get('/write?user=u'), 'connect.sid')
    expect((await read(app, cookie)).body.data).toEqual({ user: 'u' })
  })
})

describe('a store that throws at a cookie which is none of its own', () => {
  const answers: [string, (value: string) => unknown][] = [
    ['throws', (value) => (value.startsWith('id:') ? value.slice(3) : JSON.parse(value))],
    ['answers undefined', (value) => /^id:(.*)/.exec(value)?.[1]],
    ['answers a number', (value) => (value.startsWith('id:') ? value.slice(3) : 7)],
    ['answers by promise', (value) => (value.startsWith('id:') ? value.slice(3) : Promise.resolve(null))]
  ]

  it.each(answers)('has refused it, and locks nobody out: it %s', async (_, decode) => {
    const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const store = Object.assign(new MemoryStore(), { tokens: { encode: (id: string) => `id:${id}`, decode } })
    for (const auth of [
      sessions({ secret, store: store as any }),
      session({ secret, name: 'sid', store: store as any, resave: false, saveUninitialized: false })
    ]) {
      const serve = (req: any, res: any) =>
        auth(req, res, (err?: Error) => {
          req.session.n = (req.session.n ?? 0) + 1
          res.end(JSON.stringify([err?.message, req.session.n, infoOf(req.session).error?.code]))
        })
      const server = createServer((req, res) => {
        try {
          serve(req, res)
        } catch (err) {
          // Without this it would end the process.
          res.end(JSON.stringify(String(err)))
        }
      })
      const ask = async (cookie: string) => {
        const res = await request(server).get('/').set('Cookie', cookie)
        return { cookie: cookieOf(res)!, body: JSON.parse(res.text) }
      }
      const { cookie } = await ask('')
      expect((await ask('sid=planted')).body).toEqual([null, 1, 'ERR_SESSION_SIGNATURE'])
      expect((await ask(`sid=planted; ${cookie}`)).body).toEqual([null, 2, null])
    }
    for (const [message] of warned.mock.calls) expect(String(message)).not.toContain('planted')
  })
})
