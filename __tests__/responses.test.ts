import http from 'node:http'
import http2 from 'node:http2'
import { Readable } from 'node:stream'
import { createGzip } from 'node:zlib'
import type { AddressInfo } from 'node:net'
import express from 'express'
import request from 'supertest'
import session, { CookieStore, MemoryStore, sessions, Store } from '../lib/index'
import { setCookies } from './helpers/classic'
import { exchange, get, serving, withoutSession } from './helpers/raw'

const secret = 'a secret for tests, thirty-two bytes or more'

/** A store of the contract whose answers wait until the test lets them through. */
class HeldStore extends (Store as unknown as new () => any) {
  readonly kept = new Map<string, string>()
  readonly waiting: (() => void)[] = []
  onSet: () => void = () => undefined
  fault: Error | undefined

  get(id: string, callback: (err: unknown, value?: unknown) => void): void {
    const text = this.kept.get(id)
    setImmediate(callback, null, text === undefined ? null : JSON.parse(text))
  }

  set(id: string, data: unknown, callback: (err?: unknown) => void): void {
    const text = JSON.stringify(data)
    this.waiting.push(() => {
      if (this.fault === undefined) this.kept.set(id, text)
      callback(this.fault)
    })
    this.onSet()
  }

  destroy(id: string, callback: (err?: unknown) => void): void {
    this.kept.delete(id)
    setImmediate(callback)
  }
}

describe('a buffered response', () => {
  it('lets no byte out before the store has answered', async () => {
    const store = new HeldStore()
    const app = express()
    app.use(sessions({ secret, store: store as never }))
    app.get('/', (req, res) => {
      ;(req.session as any).user = 'u'
      res.redirect('/next')
    })
    await serving(app, async (port) => {
      let bytes = 0
      const saving = new Promise<void>((resolve) => (store.onSet = resolve))
      const answer = exchange(port, get('/'), (chunk) => (bytes += chunk.length))
      await saving
      await new Promise((resolve) => setImmediate(resolve))
      expect(bytes).toBe(0)
      store.waiting.shift()!()
      const text = (await answer).toString()
      expect(text).toMatch(/^HTTP\/1.1 302 /)
      expect(text).toMatch(/^Set-Cookie: sid=/m)
    })
  })

  it('holds the bytes, not the state: after end() headers are sent, setHeader throws, a second end() returns false, it is not over', async () => {
    const store = new HeldStore()
    const seen: unknown[] = []
    store.onSet = () => setImmediate(() => store.waiting.shift()!())
    await serving(
      (req: any, res: any) =>
        sessions({ secret, store: store as never })(req, res, () => {
          req.session.user = 'u'
          res.statusCode = 201
          res.end('done')
          seen.push(res.headersSent, res.writableEnded, res.end('again'))
          expect(() => res.setHeader('X-Late', '1')).toThrow(expect.objectContaining({ code: 'ERR_HTTP_HEADERS_SENT' }))
          expect(() => res.writeHead(500)).toThrow(expect.objectContaining({ code: 'ERR_HTTP_HEADERS_SENT' }))
          res.statusCode = 500
        }),
      async (port) => {
        const text = (await exchange(port, get('/'))).toString()
        expect(seen).toEqual([true, false, false])
        expect(text).toMatch(/^HTTP\/1.1 201 /)
        expect(text).toMatch(/\r\n\r\ndone$/)
      }
    )
  })

  it('shows what writeHead() was given, and takes it back where an error page follows', async () => {
    const store = new HeldStore()
    store.onSet = () => setImmediate(() => store.waiting.shift()!())
    const seen: unknown[] = []
    const app = express()
    app.use(sessions({ secret, store: store as never }))
    app.get('/', (req, res) => {
      ;(req.session as any).user = 'u'
      res.set({ 'X-Q': '1', 'X-List': 'a' })
      res.writeHead(202, 'Taken', { 'x-q': '2', 'x-new': '3', 'X-List': ['b', 'c'] })
      seen.push([res.statusCode, res.statusMessage, res.getHeader('x-q'), res.getHeader('x-new'), res.headersSent])
      res.end('done')
    })
    app.use((err: any, _req: any, res: any, _next: any) => res.status(500).json(err.code))
    const sent = await request(app).get('/')
    expect(seen).toEqual([[202, 'Taken', '2', '3', true]])
    expect([sent.status, sent.text, sent.headers]).toEqual([
      202,
      'done',
      expect.objectContaining({ 'x-q': '2', 'x-new': '3', 'x-list': 'b, c' })
    ])
    store.fault = new Error('disk full')
    const failed = await request(app).get('/')
    expect([failed.status, (failed as any).res.statusMessage, failed.body]).toEqual([
      500,
      'Internal Server Error',
      'ERR_SESSION_STORE'
    ])
    expect(failed.headers).toMatchObject({ 'x-q': '1', 'x-list': 'a' })
    expect(failed.headers).not.toHaveProperty('x-new')
  })

  it.each(['sessions', 'session'] as const)(
    'becomes the error page of the application when %s() cannot save',
    async (door) => {
      const store = new HeldStore()
      store.fault = new Error('disk full')
      store.onSet = () => setImmediate(() => store.waiting.shift()!())
      const app = express()
      const options = { secret, store: store as never, resave: false, saveUninitialized: false }
      app.use(door === 'sessions' ? sessions(options) : session(options))
      app.get('/', (req, res) => {
        ;(req.session as any).user = 'u'
        res.set('ETag', 'x').json({ ok: true })
      })
      app.use((err: any, _req: any, res: any, _next: any) => {
        res.status(err.status ?? 500).send(`sorry: ${(err.cause ?? err).message}`)
      })
      const res = await request(app).get('/')
      expect(res.status).toBe(500)
      expect(res.text).toBe('sorry: disk full')
      expect(res.headers['set-cookie']).toBeUndefined()
      expect(store.kept.size).toBe(0)
    }
  )

  it('is a 500 within storeTimeout when the store never answers', async () => {
    const store = new HeldStore()
    const app = express()
    app.use(sessions({ secret, store: store as never, storeTimeout: 30 }))
    app.get('/', (req, res) => {
      ;(req.session as any).user = 'u'
      res.json({ ok: true })
    })
    app.use((err: any, _req: any, res: any, _next: any) => res.status(500).send(err.code))
    const res = await request(app).get('/')
    expect([res.status, res.text]).toEqual([500, 'ERR_SESSION_STORE_TIMEOUT'])
    expect(res.headers['set-cookie']).toBeUndefined()
  })
})

describe('a streaming response', () => {
  it('saves at its first byte and again at its end', async () => {
    const store = new MemoryStore()
    const auth = sessions({ secret, store })
    const app = express()
    app.use(auth)
    app.get('/', async (req, res) => {
      const data = req.session as any
      data.first = 1
      res.write('a')
      data.second = 2
      res.end('b')
    })
    const res = await request(app).get('/')
    expect(res.text).toBe('ab')
    const id = (await auth.get((store.ids() as unknown as string[])[0]!))!
    expect(id.data).toEqual({ first: 1, second: 2 })
  })

  it('that begins a session in its cookie withholds nothing', async () => {
    const auth = sessions({ secret, store: new CookieStore() })
    const app = express()
    app.use(auth)
    app.get('/', (req, res) => {
      ;(req.session as any).user = 'u'
      res.write('a')
      res.end('b')
    })
    const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const res = await request(app).get('/')
    expect(res.headers['set-cookie']).toHaveLength(1)
    expect([auth.stats().withheld, warned.mock.calls]).toEqual([0, []])
    warned.mockRestore()
  })

  it('reports a session begun after the first byte and leaves no record of it', async () => {
    const store = new MemoryStore()
    const app = express()
    app.use(sessions({ secret, store }))
    app.get('/', (req, res) => {
      res.write('a')
      ;(req.session as any).user = 'u'
      res.end('b')
    })
    const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const res = await request(app).get('/')
    expect(res.text).toBe('ab')
    expect(res.headers['set-cookie']).toBeUndefined()
    expect(store.ids()).toEqual([])
    expect(warned).toHaveBeenCalledWith(
      expect.stringContaining('not stored'),
      expect.objectContaining({ code: 'SILVERBACK_ERR_SESSION_HEADERS_SENT' })
    )
    warned.mockRestore()
  })
})

const shapes: Record<string, (req: any, res: any) => void> = {
  'send a string': (_req, res) => res.end('hello'),
  'send bytes': (_req, res) => res.end(new Uint8Array([104, 105])),
  'an empty body': (_req, res) => res.end(),
  'end(callback)': (_req, res) => res.end(() => undefined),
  'end(chunk, encoding, callback)': (_req, res) => res.end('aGk=', 'base64', () => undefined),
  'end with Content-Length': (_req, res) => {
    res.setHeader('Content-Length', 5)
    res.end('hello', () => undefined)
  },
  '204': (_req, res) => {
    res.statusCode = 204
    res.end()
  },
  '304': (_req, res) => res.writeHead(304, { ETag: '"x"' }).end(),
  'writeHead with an object': (_req, res) =>
    res.writeHead(200, 'Fine', { 'X-A': '1', 'Set-Cookie': 'other=1' }).end('x'),
  'writeHead with pairs': (_req, res) =>
    res
      .writeHead(200, [
        ['X-A', '1'],
        ['X-B', '2']
      ])
      .end('x'),
  'writeHead with a flat array': (_req, res) => res.writeHead(200, ['X-A', '1', 'X-A', '2']).end('x'),
  'several writes': (_req, res) => {
    res.write('a')
    res.write(Buffer.from('b'), () => undefined)
    res.end('c')
  },
  'flushHeaders, then writes': (_req, res) => {
    res.setHeader('Content-Type', 'text/event-stream')
    res.flushHeaders()
    res.write('data: 1\n\n')
    res.end('data: 2\n\n')
  },
  'a piped stream': (_req, res) =>
    void Readable.from(Array.from({ length: 50 }, (_, i) => `${i} `.repeat(2000))).pipe(res),
  'a compressed stream': (_req, res) => {
    res.setHeader('Content-Encoding', 'gzip')
    Readable.from(['a'.repeat(10000), 'b'.repeat(10000)])
      .pipe(createGzip({ level: 1 }))
      .pipe(res)
  }
}

describe.each(['async', 'sync'] as const)(
  'with a session written on an %s store, the response is byte for byte the same',
  (kind) => {
    const answering = () => {
      if (kind === 'sync') return new MemoryStore()
      const store = new HeldStore()
      store.onSet = () => setImmediate(() => store.waiting.shift()!())
      return store as never
    }

    it.each(Object.entries(shapes))('%s', async (_name, respond) => {
      for (const method of ['GET', 'HEAD']) {
        const plain = await serving(respond, (port) => exchange(port, get('/', {}, method)))
        const mw = sessions({ secret, store: answering() })
        const guarded = await serving(
          (req: any, res) =>
            mw(req, res, () => {
              req.session.user = 'u'
              respond(req, res)
            }),
          (port) => exchange(port, get('/', {}, method))
        )
        expect(withoutSession(guarded)).toBe(withoutSession(plain))
        expect(guarded.toString('latin1')).toMatch(/^Set-Cookie: sid=/im)
      }
    })

    it('calls the callback of end() once', async () => {
      let calls = 0
      const mw = sessions({ secret, store: answering() })
      await serving(
        (req: any, res) =>
          mw(req, res, () => {
            req.session.user = 'u'
            res.end('x', () => calls++)
          }),
        (port) => exchange(port, get('/'))
      )
      expect(calls).toBe(1)
    })
  }
)

it('keeps back-pressure: from the high-water mark on a held write() returns false, and drain follows', async () => {
  const store = new HeldStore()
  store.onSet = () => setImmediate(() => store.waiting.shift()!())
  const mw = sessions({ secret, store: store as never })
  const seen: unknown[] = []
  await serving(
    (req: any, res) =>
      mw(req, res, () => {
        req.session.user = 'u'
        res.once('drain', () => {
          seen.push('drain')
          res.end('b')
        })
        seen.push(res.write('a'), res.write(Buffer.alloc(res.writableHighWaterMark - 2)), res.write('a'))
      }),
    (port) => exchange(port, get('/'))
  )
  expect(seen).toEqual([true, true, false, 'drain'])
})

it('works over HTTP/2, without writeHead and while the store is asked', async () => {
  const store = new HeldStore()
  store.onSet = () => setImmediate(() => store.waiting.shift()!())
  const mw = sessions({ secret, store: store as never })
  const seen: unknown[] = []
  const server = http2.createServer((req: any, res: any) =>
    mw(req, res, () => {
      req.session.user = 'u'
      res.end('two')
      seen.push(res.headersSent, res.end())
    })
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const client = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  try {
    const stream = client.request({ ':path': '/' })
    const headers = await new Promise<any>((resolve) => stream.on('response', resolve))
    let text = ''
    for await (const chunk of stream) text += chunk
    expect(text).toBe('two')
    expect(headers[':status']).toBe(200)
    expect(headers['set-cookie'][0]).toMatch(/^sid=/)
    expect(seen).toEqual([true, false])
  } finally {
    client.close()
    server.close()
  }
})

it.each([
  ['{}', () => ({})],
  ['a response with a non-callable writeHead', () => ({ writeHead: {} })]
])('serves a request whose response is %s', (_name, makeResponse) => {
  const next = jest.fn()
  const req: any = { headers: {}, url: '/' }
  session({ secret, resave: false, saveUninitialized: false })(
    req,
    makeResponse() as unknown as http.ServerResponse,
    next
  )
  expect(next).toHaveBeenCalledWith()
  expect(req.session.cookie.path).toBe('/')
})

describe.each(['async', 'sync'] as const)('a chunk that Node refuses, on a store that answers %s', (kind) => {
  const refused = { code: 'ERR_INVALID_ARG_TYPE' }

  async function answerOf(handler: (req: any, res: any) => void) {
    const store = new MemoryStore()
    if (kind === 'async') {
      const set = store.set.bind(store)
      store.set = ((id: string, data: any) => Promise.resolve().then(() => set(id, data))) as never
    }
    const app = express()
    app.use(sessions({ secret, store }))
    app.get('/', (req, res) => {
      ;(req.session as any).user = 'u'
      handler(req, res)
    })
    app.use(((err, _req, res, next) => {
      if (res.headersSent) next(Object.assign(err, { stack: '' }))
      else res.status(500).json({ code: err.code })
    }) as express.ErrorRequestHandler)
    app.set('env', 'test')
    return request(app).get('/')
  }

  it('leads to the error page, and no response hangs', async () => {
    expect((await answerOf((_req, res) => res.end({}))).body).toEqual(refused)
    expect((await answerOf((_req, res) => res.status(503).end(new Error('shown')))).body).toEqual(refused)
    const second = await answerOf((_req, res) => {
      res.status(503).write({})
      res.end()
    })
    expect(second.body).toEqual(refused)
  })

  it.each<[string, (res: any) => void]>([
    ['write({})', (res) => res.write({})],
    ['write(null)', (res) => res.write(null)],
    ['end(5)', (res) => res.end(5)],
    ['writeHead() with a header that has no value', (res) => res.writeHead(200, { 'X-None': undefined })],
    ['writeHead(99)', (res) => res.writeHead(99)]
  ])('leads to an error page with the cookie of the session that was stored: %s', async (_name, send) => {
    const res = await answerOf((_req, res) => send(res))
    expect([res.status, setCookies(res).length]).toEqual([500, 1])
  })

  it('ends the connection when it comes after the first byte', async () => {
    const answer = answerOf((_req, res) => {
      res.write('first')
      res.end({})
    })
    await expect(answer).rejects.toThrow()
  })
})

it('leads to another error page for a chunk that Node refuses while the store fails', async () => {
  const app = express()
  const store = new MemoryStore()
  store.set = (() => Promise.reject(new Error('store down'))) as never
  app.use(sessions({ secret, store }))
  app.get('/', (req, res) => {
    ;(req.session as any).user = 'u'
    res.status(500).end(new Error('shown') as never)
  })
  app.use(((err, _req, res, _next) => res.status(500).json({ code: err.code })) as express.ErrorRequestHandler)
  expect((await request(app).get('/')).body).toEqual({ code: 'ERR_INVALID_ARG_TYPE' })
})

it("leaves Express's own properties of request and response as they are, accessors too", async () => {
  const seen: boolean[] = []
  const ownOf = (object: object) => {
    const own = Object.getOwnPropertyDescriptors(object) as Record<string, PropertyDescriptor>
    return new Map(
      Object.entries(own).map(([name, { value, get, writable, enumerable }]) => [
        name,
        [value ?? get, writable, enumerable]
      ])
    )
  }
  const app = express()
  app.use((req: any, res: any, next) => {
    if (req.url === '/accessor') Object.defineProperty(req, 'res', { configurable: true, get: () => res })
    const before = [ownOf(req), ownOf(res)]
    sessions({ secret })(req, res, () => {
      const after = [ownOf(req), ownOf(res)]
      before.forEach((own, i) => {
        for (const [name, description] of own) expect([name, after[i]!.get(name)]).toEqual([name, description])
      })
      seen.push(req.res === res && res.req === req)
      next()
    })
  })
  app.use((_req, res) => void res.send('ok'))
  for (const path of ['/', '/accessor']) expect((await request(app).get(path)).status).toBe(200)
  expect(seen).toEqual([true, true])
})

describe("a response whose members are another middleware's own", () => {
  const asyncStore = () => {
    const store = new MemoryStore()
    const set = store.set.bind(store)
    store.set = ((id: string, data: any) => Promise.resolve().then(() => set(id, data))) as never
    return store
  }

  it('has them back after it was held, where it is none of node:http', async () => {
    const headers: Record<string, unknown> = {}
    const res: any = await new Promise((resolve, reject) => {
      // As test doubles are made: every member is its own.
      const double: any = {
        statusCode: 200,
        headersSent: false,
        finished: false,
        writableEnded: false,
        getHeader: (name: string) => headers[name],
        setHeader: (name: string, value: unknown) => (headers[name] = value),
        removeHeader: (name: string) => delete headers[name],
        writeHead: () => (double.headersSent = true),
        write: () => true,
        end() {
          double.writeHead(200)
          double.finished = double.writableEnded = true
          resolve(double)
        }
      }
      const req: any = { url: '/', headers: {} }
      sessions({ secret, store: asyncStore() })(req, double, (err: unknown) => {
        if (err) return reject(err as Error)
        req.session.user = 'u'
        double.end()
        expect([double.headersSent, double.writableEnded, double.finished]).toEqual([true, false, false])
        expect(() => double.setHeader('X-Late', '1')).toThrow('after they are sent')
      })
    })
    expect(String(headers['Set-Cookie'])).toMatch(/^sid=/)
    expect([res.headersSent, res.writableEnded, res.finished]).toEqual([true, true, true])
    expect([typeof res.setHeader, typeof res.removeHeader]).toEqual(['function', 'function'])
  })

  it('has them back when a plain node:http application takes over after a failed save', async () => {
    const store = new MemoryStore()
    store.set = ((_id: string, _data: unknown, callback: (err: Error) => void) =>
      setImmediate(callback, new Error('store down'))) as never
    const auth = session({ secret, store, resave: false, saveUninitialized: false })
    const seen: string[] = []
    const server = http.createServer((req: any, res) => {
      const { setHeader } = res
      res.setHeader = function (this: any, name: string, value: any) {
        seen.push(name)
        return setHeader.call(this, name, value)
      }
      auth(req, res, (err?: Error) => {
        if (err) {
          res.setHeader('X-Fault', err.message)
          return res.end('sorry')
        }
        req.session.user = 'u'
        res.end('done')
      })
    })
    const res = await request(server).get('/')
    expect([res.headers['x-fault'], res.text]).toEqual(['store down', 'sorry'])
    expect(seen).toContain('X-Fault')
  })
})
