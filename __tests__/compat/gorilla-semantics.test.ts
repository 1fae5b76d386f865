import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createClient } from 'redis'
import request from 'supertest'
import { infoOf, CookieStore, FileStore, generateKey, MemoryStore, SessionError, sessions } from '../../lib/index'
import { RedisStore } from '../../lib/redis'
import { sessionCookie } from '../../lib/testing'
import { cookieOf, secret } from '../helpers/app'
import { Clock } from '../helpers/clock'
import { RedisServer } from '../helpers/redis-server'
import { visitWith, type Handler } from '../helpers/basics'

/** Runs one handler behind a middleware, and gives its response. */
const textsOf = (res: request.Response) => (res.headers['set-cookie'] ?? []) as unknown as string[]

let clock: Clock | undefined
afterEach(() => {
  clock?.restore()
  clock = undefined
  jest.restoreAllMocks()
})

describe('gorilla/sessions and securecookie, line by line', () => {
  it('NewCookieStore, NewFilesystemStore: CookieStore, FileStore, with keys from secret', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'silverback-semantics-'))
    const files = new FileStore({ path: folder })
    try {
      for (const store of [new CookieStore(), files]) {
        const auth = sessions({ secret, store })
        const cookie = cookieOf(await visitWith(auth, (req, res) => res.json((req.session.user = 'ann'))))!
        const read: Handler = (req, res) => res.json([req.session.user ?? null, req.session.isNew])
        expect((await visitWith(auth, read, cookie)).body).toEqual(['ann', false])
        const strangers = sessions({ secret: generateKey(), store })
        expect((await visitWith(strangers, read, cookie)).body).toEqual([null, true])
      }
    } finally {
      await files.close()
      rmSync(folder, { recursive: true, force: true })
    }
  })

  it('store.Get(r, name): req.sessions.get(name), one instance a request, and never nothing', async () => {
    const res = await visitWith(
      sessions({ secret }),
      async (req, res) => {
        const { sessions: registry } = req
        const cart = await registry.get('cart')
        const both = await Promise.all([registry.get('cart'), registry.get('cart')])
        const main = await registry.get('sid')
        res.json([
          both.every((one: unknown) => one === cart),
          main === req.session,
          cart.isNew,
          infoOf(cart).error!.code
        ])
      },
      'cart=forged'
    )
    expect(res.body).toEqual([true, true, true, 'ERR_SESSION_SIGNATURE'])
  })

  it('store.New(r, name): req.sessions.new(name), decoded anew and not registered', async () => {
    const auth = sessions({ secret })
    const cookie = cookieOf(
      await visitWith(auth, async (req, res) => res.json(((await req.sessions.get('cart')).items = 1))),
      'cart'
    )!
    const res = await visitWith(
      auth,
      async (req, res) => {
        const first = await req.sessions.get('cart')
        first.items = 2
        const anew = await req.sessions.new('cart')
        anew.unsaved = true
        res.json([anew === first, anew.items, await req.sessions.get('cart').then((cart: unknown) => cart === first)])
      },
      cookie
    )
    expect(res.body).toEqual([false, 1, true])
    const later = await visitWith(auth, async (req, res) => res.json(await req.sessions.get('cart')), cookie)
    expect([later.body.items, later.body.unsaved]).toEqual([2, undefined])
  })

  it('session.Save, sessions.Save: automatic, session.save(), req.sessions.save()', async () => {
    const store = new MemoryStore()
    const auth = sessions({ secret, store })
    const counts: number[] = []
    const res = await visitWith(auth, async (req, res) => {
      req.session.user = 'ann'
      const [cart, preferences] = [await req.sessions.get('cart'), await req.sessions.get('preferences')]
      cart.items = 1
      await cart.save()
      counts.push(store.ids().length)
      preferences.theme = 'dark'
      await req.sessions.save()
      counts.push(store.ids().length)
      ;(await req.sessions.get('late')).x = 1
      res.send('ok')
    })
    expect(counts).toEqual([1, 3])
    expect(store.ids()).toHaveLength(4)
    for (const name of ['sid', 'cart', 'preferences', 'late']) expect(cookieOf(res, name)).toMatch(/=[\w-]+\.[\w-]+$/)
  })

  it('session.Values[k]: session[k]', async () => {
    const auth = sessions({ secret })
    const values = { text: 'ä', number: 1.5, yes: true, list: [1, [2]], map: { a: { b: null } } }
    const cookie = cookieOf(await visitWith(auth, (req, res) => res.json(Object.assign(req.session, values))))!
    const res = await visitWith(auth, (req, res) => res.json(req.session), cookie)
    const { cookie: _cookie, ...data } = res.body
    expect(data).toEqual(values)
    await visitWith(auth, (req, res) => res.json(delete req.session.text), cookie)
    expect((await visitWith(auth, (req, res) => res.json('text' in req.session), cookie)).body).toBe(false)
  })

  it('session.Options: session.cookie, its own for each session, in ms', async () => {
    clock = new Clock()
    const auth = sessions({ secret, cookie: { maxAge: 60_000 } })
    const withAge = (maxAge: number | null) =>
      visitWith(auth, (req, res) => {
        req.session.x = 1
        req.session.cookie.maxAge = maxAge
        res.send('ok')
      })
    expect(textsOf(await withAge(90_000))[0]).toMatch(/; Max-Age=90; .*Expires=Thu, 01 Jan 2026 00:01:30 GMT/)
    expect(textsOf(await withAge(null))[0]).not.toMatch(/Max-Age|Expires/)
    const untouched = await visitWith(auth, (req, res) => res.json((req.session.x = 1)))
    expect(textsOf(untouched)[0]).toMatch(/; Max-Age=60; /)
    for (const maxAge of [0, -1]) {
      const gone = await visitWith(
        auth,
        (req, res) => res.json((req.session.cookie.maxAge = maxAge)),
        cookieOf(untouched)!
      )
      expect(textsOf(gone)[0]).toMatch(/^sid=; Max-Age=0; .*Expires=Thu, 01 Jan 1970/)
      const later = await visitWith(auth, (req, res) => res.json(req.session.isNew), cookieOf(untouched)!)
      expect(later.body).toBe(true)
    }
  })

  it('IsNew, ID, Name(), Store(): isNew, id, name, store', async () => {
    const [store, own] = [new MemoryStore(), new MemoryStore()]
    const auth = sessions({ secret, store, named: { cart: { store: own } } })
    const facts: unknown[] = []
    const see: Handler = async (req, res) => {
      const { session } = req
      const cart = await req.sessions.get('cart')
      session.x = 1
      facts.push([session.isNew, session.id === req.sessionID, infoOf(session).name, infoOf(session).store === store])
      facts.push([cart.isNew, cart.id !== session.id, infoOf(cart).name, infoOf(cart).store === own])
      res.send('ok')
    }
    const cookie = cookieOf(await visitWith(auth, see))!
    await visitWith(auth, see, cookie)
    expect(facts).toEqual([
      [true, true, 'sid', true],
      [true, true, 'cart', true],
      [false, true, 'sid', true],
      [true, true, 'cart', true]
    ])
  })

  it('AddFlash, Flashes: addFlash, flashes, with the same default key _flash', async () => {
    const auth = sessions({ secret })
    const cookie = cookieOf(
      await visitWith(auth, (req, res) => {
        req.session.addFlash('saved')
        req.session.addFlash({ n: 1 })
        req.session.addFlash('careful', 'warnings')
        res.json([req.session._flash, req.session.warnings])
      })
    )!
    const see: Handler = (req, res) => {
      res.json([req.session.flashes(), req.session.flashes(), req.session.flashes('warnings'), '_flash' in req.session])
    }
    expect((await visitWith(auth, see, cookie)).body).toEqual([['saved', { n: 1 }], [], ['careful'], false])
    expect((await visitWith(auth, see, cookie)).body).toEqual([[], [], [], false])
  })

  it('a decode error and a new session together: infoOf(session).error and isNew', async () => {
    const see: Handler = (req, res) => {
      const { error, isNew } = infoOf(req.session)
      res.json([isNew, error instanceof SessionError, error!.kind, error!.code, typeof error!.message])
    }
    for (const store of [new MemoryStore(), new CookieStore()]) {
      const res = await visitWith(sessions({ secret, store }), see, 'sid=forged')
      expect(res.body).toEqual([true, true, 'decode', 'ERR_SESSION_SIGNATURE', 'string'])
    }
  })

  it('MultiError; usage, decode, internal: AggregateError; SessionError.kind', async () => {
    const down: any = {
      get: (_id: string, done: any) => done(null, null),
      set: (_id: string, _session: object, done: any) => done(new Error('down')),
      destroy: (_id: string, done: any) => done()
    }
    const auth = sessions({ secret, named: { remote: { store: down } } })
    const res = await visitWith(
      auth,
      async (req, res) => {
        ;(await req.sessions.get('remote')).x = 1
        ;(await req.sessions.get('odd')).x = 1n
        ;(await req.sessions.get('fine')).x = 1
        const err = await req.sessions.save().catch((reason: unknown) => reason)
        const kinds = err.errors.map((one: SessionError) => [one instanceof SessionError, one.kind])
        delete (await req.sessions.get('remote')).x
        delete (await req.sessions.get('odd')).x
        res.json([err instanceof AggregateError, kinds, infoOf(req.session).error!.kind])
      },
      'sid=forged'
    )
    const [aggregate, kinds, decode] = res.body
    expect([aggregate, decode]).toEqual([true, 'decode'])
    expect(kinds.sort()).toEqual([
      [true, 'store'],
      [true, 'usage']
    ])
    expect(cookieOf(res, 'fine')).toBeDefined()
  })

  it('key pairs, rotation, GenerateRandomKey: a secret array and generateKey()', async () => {
    const [older, newer, removed] = [generateKey(), generateKey(), generateKey()]
    expect(Buffer.from(older, 'base64url')).toHaveLength(32)
    for (const store of [new MemoryStore(), new CookieStore()]) {
      const read = async (keys: string[], cookie: string) =>
        visitWith(sessions({ secret: keys, store }), (req, res) => res.json(req.session.user ?? null), cookie)
      const write = async (keys: string[]) =>
        cookieOf(
          await visitWith(sessions({ secret: keys, store }), (req, res) => res.json((req.session.user = 'ann')))
        )!
      const old = await write([older])
      const renewed = await read([newer, older], old)
      expect(renewed.body).toBe('ann')
      expect((await read([newer], cookieOf(renewed)!)).body).toBe('ann')
      expect((await read([newer], await write([newer, older]))).body).toBe('ann')
      expect((await read([older], await write([newer, older]))).body).toBeNull()
      expect((await read([newer, older], await write([removed]))).body).toBeNull()
    }
  })

  it('name and timestamp inside the MAC, MaxAge on decode: in sealed and bound cookies, too', async () => {
    clock = new Clock()
    for (const store of [new MemoryStore(), new CookieStore(), new CookieStore({ encrypt: false })]) {
      const auth = sessions({ secret, store, idle: 60_000 })
      const write: Handler = (req, res) => res.json((req.session.user = 'ann'))
      const see: Handler = (req, res) => res.json([req.session.user ?? null, infoOf(req.session).error?.code ?? null])
      const cookie = cookieOf(await visitWith(auth, write))!
      expect((await visitWith(auth, see, cookie)).body).toEqual(['ann', null])
      const elsewhere = sessions({ secret, store, name: 'other' })
      const moved = cookie.replace('sid=', 'other=')
      expect((await visitWith(elsewhere, see, moved)).body).toEqual([null, 'ERR_SESSION_SIGNATURE'])
      clock.forward(60_001)
      const [user, code] = (await visitWith(auth, see, cookie)).body
      expect(user).toBeNull()
      expect(code).toMatch(/^ERR_SESSION_(EXPIRED|MISSING)$/)
    }
  })

  it('HttpOnly off, SameSite=None, an older key when encoding fails: not mirrored', async () => {
    const write: Handler = (req, res) => res.json((req.session.user = 'ann'))
    const [text] = textsOf(await visitWith(sessions({ secret }), write))
    expect(text).toMatch(/; HttpOnly/)
    expect(text).toMatch(/; SameSite=Lax/)
    const keys = [generateKey(), generateKey()]
    const auth = sessions({ secret: keys, store: new CookieStore() })
    keys[0] = null as never
    const res = await visitWith(auth, write)
    expect([res.status, cookieOf(res)]).toEqual([500, undefined])
  })

  it('MaxLength 4096: ERR_SESSION_COOKIE_TOO_LARGE, and the cookie before stays', async () => {
    const auth = sessions({ secret, store: new CookieStore() })
    const cookie = cookieOf(await visitWith(auth, (req, res) => res.json((req.session.user = 'ann'))))!
    const res = await visitWith(auth, (req, res) => res.json((req.session.big = 'x'.repeat(4096))), cookie)
    expect([res.status, res.body.code]).toEqual([500, 'ERR_SESSION_COOKIE_TOO_LARGE'])
    expect(res.body.message).toMatch(/"big" \(\d+ bytes\)/)
    expect(cookieOf(res)).toBeUndefined()
    expect((await visitWith(auth, (req, res) => res.json(req.session.user), cookie)).body).toBe('ann')
  })

  it('serializers: the serializer option of the stores', async () => {
    const serializer = {
      stringify: (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64'),
      parse: (text: string) => JSON.parse(Buffer.from(text, 'base64').toString())
    }
    const server = await RedisServer.start()
    const client = createClient({ url: `redis://127.0.0.1:${server.port}` })
    const folder = mkdtempSync(path.join(tmpdir(), 'silverback-semantics-'))
    const files = new FileStore({ path: folder, serializer })
    try {
      await client.connect()
      for (const store of [new RedisStore({ client, serializer }), files]) {
        const auth = sessions({ secret, store })
        const cookie = await sessionCookie(auth, { user: 'ann' })
        expect((await visitWith(auth, (req, res) => res.json(req.session.user), cookie)).body).toBe('ann')
      }
      const [key] = await client.keys('sess:*')
      const inRedis = (await client.get(key!))!
      const inFiles = readdirSync(folder, { withFileTypes: true, recursive: true })
        .filter((entry) => entry.isFile())
        .map((entry) => readFileSync(path.join(entry.parentPath, entry.name), 'latin1'))
        .join('')
      expect(serializer.parse(inRedis).user).toBe('ann')
      expect(serializer.parse(/[\w+/=]{100,}/.exec(inFiles)![0]).user).toBe('ann')
      for (const text of [inRedis, inFiles]) expect(text).not.toContain('ann')
    } finally {
      client.destroy()
      await server.stop()
      await files.close()
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
