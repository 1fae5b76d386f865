import { AsyncLocalStorage } from 'node:async_hooks'
import http2 from 'node:http2'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import request from 'supertest'
import { appWith, cookieOf, secret } from '../helpers/app'
import { classic, classicApp, plainStore, ROUTES, setCookies, visit } from '../helpers/classic'
import { exchange, get, serving, withoutSession } from '../helpers/raw'
import session, { sessions } from '../../lib/index'

// What applications and stores lean on, part three: odd stores, odd requests, odd responses.

const onHeaders = require('on-headers') as (res: object, listener: (this: any) => void) => void

describe('the store base class', () => {
  it('defines no optional verb, because its presence is how a store says what it can', () => {
    const store: any = {}
    ;(session.Store as any).call(store)
    for (const verb of ['get', 'set', 'destroy', 'touch', 'all', 'ids', 'length', 'clear']) {
      expect(session.Store.prototype).not.toHaveProperty(verb)
      expect(store).not.toHaveProperty(verb)
    }
  })

  it('gives set() the live session, which it may change', async () => {
    const store = plainStore()
    const { set } = store
    const live: boolean[] = []
    store.set = (id: string, given: any, done: any) => {
      live.push(given.cookie instanceof session.Cookie && typeof given.cookie.maxAge === 'number')
      given.__lastAccess = 42
      set.call(store, id, given, done)
    }
    const app = classicApp({ store, cookie: { maxAge: 60_000 } }, ROUTES)
    const { cookie } = await visit(app, '/login')
    expect((await visit(app, '/who', cookie)).body.user).toBe('ann')
    expect(live).toEqual([true])
    expect(JSON.parse([...store.texts.values()][0])).toMatchObject({ user: 'ann', __lastAccess: 42 })
  })

  it('takes one answer from a store that calls back and also returns a promise', async () => {
    const texts = new Map<string, string>()
    const twice = <T>(value: T, done?: (err: unknown, value?: T) => void) => {
      done?.(null, value)
      return Promise.resolve(value)
    }
    const store = Object.assign(Reflect.construct(session.Store, []) as session.Store, {
      get: async (id: string, done?: any) => twice(texts.has(id) ? JSON.parse(texts.get(id)!) : undefined, done),
      set: async (id: string, given: object, done?: any) =>
        twice(texts.set(id, JSON.stringify(given)) && undefined, done),
      destroy: async (id: string, done?: any) => twice(texts.delete(id) && undefined, done)
    })
    let runs = 0
    const app = classicApp({ store }, { ...ROUTES, '/count': (_req, res) => res.json(++runs) })
    const { cookie } = await visit(app, '/login')
    expect((await visit(app, '/who', cookie)).body.user).toBe('ann')
    expect((await visit(app, '/count', cookie)).body).toBe(1)
    await visit(app, '/logout', cookie)
    expect(texts.size).toBe(0)
  })

  it('waits for a store that calls back and returns what its client returned', async () => {
    const store = plainStore()
    for (const verb of ['get', 'set', 'destroy']) {
      const original = store[verb]
      store[verb] = (...args: unknown[]) => {
        original.apply(store, args)
        return { client: 'queued' }
      }
    }
    const app = classicApp({ store }, ROUTES)
    const { cookie } = await visit(app, '/login')
    expect((await visit(app, '/who', cookie)).body.user).toBe('ann')
    await visit(app, '/logout', cookie)
    expect(store.texts.size).toBe(0)
  })

  it('store.regenerate waits for a genid that answers by promise, and hands its failure on', async () => {
    let count = 0
    const genid = async () => {
      if (++count === 3) throw new Error('no more IDs')
      return `id-${count}`
    }
    const app = classicApp(
      { genid },
      {
        '/regenerate': (req, res) => {
          req.session.user = 'ann'
          req.sessionStore.regenerate(req, (err: any) => res.json({ id: req.sessionID ?? null, failed: err?.message }))
        }
      }
    )
    expect((await visit(app, '/regenerate')).body).toEqual({ id: 'id-2' })
    count = 1
    expect((await visit(app, '/regenerate')).body.failed).toBe('no more IDs')
  })

  it('has generate, createSession, load and regenerate for applications', async () => {
    const store = new session.MemoryStore()
    const app = classicApp(
      { store },
      {
        ...ROUTES,
        '/load': (req, res) =>
          store.load(req.sessionID, (_err, found: any) => res.json({ user: found.user, id: found.id })),
        '/generate': (req, res) => {
          const before = req.sessionID
          req.sessionStore.generate(req)
          res.json({ renewed: req.sessionID !== before, user: req.session.user ?? null })
        },
        '/regenerate': (req, res) => {
          const before = req.sessionID
          req.sessionStore.regenerate(req, () => res.json({ renewed: req.sessionID !== before }))
        },
        '/create': (req, res) => {
          const made = store.createSession(req, { cookie: { expires: '2030-01-01T00:00:00.000Z' }, user: 'eve' })
          res.json({ same: made === req.session, user: req.session.user, dated: made.cookie.expires instanceof Date })
        }
      }
    )
    const { cookie } = await visit(app, '/login')
    const { id } = (await visit(app, '/who', cookie)).body
    expect((await visit(app, '/load', cookie)).body).toEqual({ user: 'ann', id })
    expect((await visit(app, '/create', cookie)).body).toEqual({ same: true, user: 'eve', dated: true })
    expect((await visit(app, '/generate', cookie)).body).toEqual({ renewed: true, user: null })
    expect((await visit(app, '/regenerate', cookie)).body).toEqual({ renewed: true })
  })

  it('has MemoryStore.sessions as a map of JSON texts, to read and to write', async () => {
    const store = new session.MemoryStore()
    const app = classicApp({ store }, ROUTES)
    const { cookie } = await visit(app, '/login')
    const [id] = Object.keys(store.sessions)
    expect(JSON.parse(store.sessions[id!]!)).toMatchObject({ user: 'ann', cookie: { path: '/' } })
    store.sessions[id!] = store.sessions[id!]!.replace('ann', 'eve')
    expect((await visit(app, '/who', cookie)).body.user).toBe('eve')
    delete store.sessions[id!]
    expect((await visit(app, '/who', cookie)).body.user).toBeUndefined()
  })
})

describe.each([
  ['rejects', () => Promise.reject()],
  [
    'throws',
    () => {
      throw undefined
    }
  ]
])('a store that %s with nothing', (_how, fail) => {
  it.each([
    ['get', '/who'],
    ['set', '/login'],
    ['destroy', '/logout']
  ])('has failed in %s()', async (verb, path) => {
    const store = plainStore()
    const app = classicApp({ store }, ROUTES)
    const { cookie } = await visit(app, '/login')
    const answer = store[verb]
    store[verb] = fail
    const res = await visit(app, path, verb === 'set' ? '' : cookie)
    expect([res.status, res.body.code]).toEqual([500, 'ERR_SESSION_STORE'])
    expect(res.body.message).toBe(`The session store failed in ${verb}() and did not say why.`)
    store[verb] = answer
    expect((await visit(app, '/who', cookie)).body.user).toBe('ann')
  })
})

describe('a request', () => {
  it('may be just { headers, url }', async () => {
    const auth = classic()
    const { cookie } = await visit(appWith(auth, ROUTES), '/login')
    const req: any = { headers: { cookie }, url: '/' }
    await new Promise<void>((resolve) => auth(req, {}, () => resolve()))
    expect(req.session.user).toBe('ann')
    req.session.user = 'eve'
    await req.session.save()
    const again: any = { headers: { cookie }, url: '/' }
    await new Promise<void>((resolve) => auth(again, {}, () => resolve()))
    expect(again.session.user).toBe('eve')
  })

  it('keeps its AsyncLocalStorage context while equal loads are under way', async () => {
    const context = new AsyncLocalStorage<string>()
    const auth = classic({ store: plainStore() })
    const app = appWith(
      (req: any, res: any, next: any) => context.run(String(req.headers['x-request']), () => auth(req, res, next)),
      {
        ...ROUTES,
        '/context': (_req, res) => res.json(context.getStore())
      }
    )
    const { cookie } = await visit(app, '/login')
    const names = Array.from({ length: 20 }, (_, at) => `request ${at}`)
    await serving(app, async (port) => {
      const answers = names.map((name) =>
        exchange(port, get('/context', { Cookie: cookie, 'X-Request': name })).then((bytes) => bytes.toString())
      )
      for (const [at, text] of (await Promise.all(answers)).entries()) expect(text).toContain(`"${names[at]}"`)
    })
  })
})

describe('a response', () => {
  it('keeps Set-Cookie headers that are given to writeHead()', async () => {
    const app = classicApp(
      {},
      {
        '/': (req, res) => {
          req.session.a = 1
          res.setHeader('Set-Cookie', 'zero=0')
          res.writeHead(200, { 'Set-Cookie': ['first=1', 'second=2'] })
          res.end('ok')
        }
      }
    )
    const names = setCookies(await visit(app, '/')).map((text) => text.split('=')[0])
    expect(names).toEqual(['first', 'second', 'connect.sid'])
  })

  it.each([
    [
      'pairs',
      [
        ['X-A', 'b'],
        ['X-A', 'c']
      ]
    ],
    ['a flat list', ['X-A', 'b', 'X-A', 'c']]
  ])('takes %s in writeHead(), whether or not a session cookie is sent', async (_form, headers) => {
    const answer = (_req: any, res: any) => {
      res.writeHead(200, headers)
      res.end()
    }
    const app = classicApp(
      {},
      {
        '/none': answer,
        '/write': (req, res) => {
          req.session.a = 1
          answer(req, res)
        }
      }
    )
    for (const path of ['/none', '/write']) {
      const { status, headers: sent } = await visit(app, path)
      expect([path, status, sent['x-a']]).toEqual([path, 200, 'b, c'])
    }
  })

  it('shows the cookie to on-headers listeners set before, and runs those set later first', async () => {
    const seen: Record<string, boolean> = {}
    const note = (key: string) =>
      function (this: any) {
        seen[key] = this.getHeader('Set-Cookie') !== undefined
      }
    const auth = classic()
    const app = appWith((req: any, res: any, next: any) => {
      onHeaders(res, note('before'))
      auth(req, res, (err) => {
        onHeaders(res, note('after'))
        next(err)
      })
    }, ROUTES)
    await visit(app, '/login')
    expect(seen).toEqual({ before: true, after: false })
  })

  describe.each([
    ['an on-headers listener', (res: any, listener: () => void) => onHeaders(res, listener)],
    [
      'a wrapper of writeHead',
      (res: any, listener: () => void) => {
        const { writeHead } = res
        res.writeHead = function (...args: unknown[]) {
          listener()
          return writeHead.apply(this, args)
        }
      }
    ]
  ])('with %s that was put there later', (_name, put) => {
    const ENDS: Record<string, (res: any) => unknown> = {
      'write()': (res) => {
        res.write('a')
        res.end('b')
      },
      'flushHeaders()': (res) => {
        res.flushHeaders()
        res.end('b')
      },
      'writeHead()': (res) => res.writeHead(200).end('b'),
      'a stream': (res) => Readable.from(['a', 'b']).pipe(res),
      'sendFile()': (res) => res.sendFile(__filename),
      'end()': (res) => res.end('b'),
      'send()': (res) => res.send('b')
    }
    const DOORS: Record<string, () => any> = {
      'the drop-in door': () => classic(),
      'the drop-in door on an asynchronous store': () => classic({ store: plainStore() }),
      'sessions()': () => sessions({ secret, name: 'connect.sid' }),
      'sessions() on an asynchronous store': () => sessions({ secret, name: 'connect.sid', store: plainStore() })
    }
    const behind = (auth: any, routes: Record<string, any>) =>
      appWith((req: any, res: any, next: any) => {
        auth(req, res, (err: unknown) => {
          put(res, () => (req.session.visits = (req.session.visits ?? 0) + 1))
          next(err)
        })
      }, routes)

    it.each(Object.keys(DOORS).flatMap((door) => Object.keys(ENDS).map((end) => [door, end] as const)))(
      'may begin and change a session: %s, %s',
      async (door, end) => {
        const app = behind(DOORS[door]!(), {
          '/': (_req: any, res: any) => ENDS[end]!(res),
          '/visits': (req: any, res: any) => res.json(req.session.visits)
        })
        const { cookie } = await visit(app, '/')
        expect(cookie).not.toBe('')
        await visit(app, '/', cookie)
        expect((await visit(app, '/visits', cookie)).body).toBe(2)
      }
    )

    it.each(Object.keys(ENDS))('leaves every byte of %s as it is without a session', async (end) => {
      const frame = async (auth: any) => {
        const app = behind(auth, { '/': (_req: any, res: any) => ENDS[end]!(res) })
        const answer = await serving(app, (port) => exchange(port, get('/')))
        return withoutSession(answer)
      }
      const bare = await frame((req: any, _res: any, next: any) => next(void (req.session = {})))
      for (const door of Object.values(DOORS)) expect(await frame(door())).toBe(bare)
    })

    it('may fail, and lead to an error page', async () => {
      const app = appWith((req: any, res: any, next: any) => {
        classic()(req, res, (err) => {
          let calls = 0
          put(res, () => {
            if (++calls === 1) throw Object.assign(new Error('listener'), { code: 'LISTENER' })
          })
          next(err)
        })
      }, ROUTES)
      expect((await visit(app, '/login')).text).toContain('LISTENER')
    })
  })

  it('runs an on-headers listener once where the save fails', async () => {
    const store = plainStore({
      set: (_id: string, _record: object, done: any) => setImmediate(done, new Error('full'))
    })
    const auth = classic({ store })
    let calls = 0
    const app = appWith((req: any, res: any, next: any) => {
      auth(req, res, (err) => {
        if (!err) onHeaders(res, () => res.setHeader('X-Calls', ++calls))
        next(err)
      })
    }, ROUTES)
    const res = await visit(app, '/login')
    expect([res.status, res.text, res.headers['x-calls']]).toEqual([500, '{"message":"full"}', '1'])
  })

  it.each(['end(done)', 'end("text", done)', 'end("text", "utf8", done)'])(
    'calls the callback of %s once',
    async (form) => {
      let calls = 0
      const done = () => void calls++
      const app = classicApp(
        {},
        {
          '/': (req, res) => {
            req.session.a = 1
            if (form === 'end(done)') res.end(done)
            else if (form.includes('utf8')) res.end('text', 'utf8', done)
            else res.end('text', done)
          }
        }
      )
      const res = await request(app).get('/').buffer(true)
      expect(cookieOf(res, 'connect.sid')).toBeDefined()
      expect(res.text ?? '').toBe(form === 'end(done)' ? '' : 'text')
      expect(calls).toBe(1)
    }
  )

  it('ends over HTTP/2 without writeHead()', async () => {
    const auth = classic()
    const server = http2.createServer((req: any, res: any) =>
      auth(req, res, () => {
        req.session.count = (req.session.count ?? 0) + 1
        res.end(String(req.session.count))
      })
    )
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const client = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    const ask = async (cookie?: string) => {
      const stream = client.request({ ':path': '/', ...(cookie && { cookie }) })
      const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders]
      let body = ''
      for await (const chunk of stream.setEncoding('utf8')) body += chunk
      return { body, cookie: headers['set-cookie']?.[0]?.split(';')[0] }
    }
    try {
      const first = await ask()
      expect(first.body).toBe('1')
      expect((await ask(first.cookie)).body).toBe('2')
    } finally {
      client.close()
      server.close()
    }
  })
})
