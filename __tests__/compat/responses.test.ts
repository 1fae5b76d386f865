import { once } from 'node:events'
import http2 from 'node:http2'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import request from 'supertest'
import session, { sessions } from '../../lib/index'
import { appWith, cookieOf, deferred, secret } from '../helpers/app'
import { classic, classicApp, plainStore, ROUTES, setCookies, visit } from '../helpers/classic'
import { exchange, get, serving, withoutSession } from '../helpers/raw'

function codeOf(work: () => void): unknown {
  try {
    work()
  } catch (err) {
    return (err as { code?: string }).code
  }
  return 'nothing was thrown'
}

describe('a response that has ended', () => {
  it('shows a response as sent right after end(), and lets no later change into it', async () => {
    const gate = deferred()
    const store = plainStore({ set: (_id: string, _record: object, done: any) => void gate.promise.then(() => done()) })
    let after: unknown
    const app = classicApp(
      { store },
      {
        '/': (req, res) => {
          req.session.a = 1
          res.status(201).end('first')
          after = {
            sent: res.headersSent,
            ended: res.writableEnded,
            again: res.end('second'),
            thrown: codeOf(() => res.setHeader('X-Late', '1')),
            removed: codeOf(() => res.removeHeader('Content-Type'))
          }
          res.statusCode = 500
          req.session.cookie.path = '/late'
          gate.resolve()
        }
      }
    )
    const res = await request(app).get('/')
    const code = 'ERR_HTTP_HEADERS_SENT'
    expect(after).toEqual({ sent: true, ended: false, again: false, thrown: code, removed: code })
    expect(res).toMatchObject({ status: 201, text: 'first' })
    expect(res.headers).not.toHaveProperty('x-late')
    expect(setCookies(res)[0]).toContain('; Path=/;')
  })
})

const onHeaders = require('on-headers') as (res: object, listener: (this: any) => void) => void

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

  it.each([
    ['express-session', require('express-session')],
    ['the default export', session]
  ])('stores a lifetime that the cookie is given right behind the first byte (%s)', async (_name, make) => {
    const store = plainStore()
    store.touch = store.set
    const options = { secret, store, resave: false, saveUninitialized: false, cookie: { maxAge: 60_000 } }
    const app = appWith(make(options), {
      ...ROUTES,
      '/': async (req, res) => {
        await new Promise((sent) => res.write('first', sent))
        req.session.cookie.maxAge = 3_600_000
        res.end()
      }
    })
    const { cookie } = await visit(app, '/login')
    await visit(app, '/', cookie)
    const [text] = [...store.texts.values()]
    const record = JSON.parse(text)
    expect(record.user).toBe('ann')
    // The clock is read twice for it.
    expect(Math.abs(record.cookie.originalMaxAge - 3_600_000)).toBeLessThan(1000)
  })

  it.each([
    ['express-session', require('express-session')],
    ['the default export', session]
  ])('stores a lifetime that was given before the first byte once (%s)', async (_name, make) => {
    const store = plainStore()
    const touch = (store.touch = jest.fn(store.set))
    const options = { secret, store, resave: false, saveUninitialized: false, cookie: { maxAge: 60_000 } }
    const app = appWith(make(options), {
      ...ROUTES,
      '/': async (req, res) => {
        req.session.cookie.maxAge = 3_600_000
        await new Promise((sent) => res.write('first', sent))
        res.end()
      }
    })
    const { cookie } = await visit(app, '/login')
    await visit(app, '/', cookie)
    expect(touch).toHaveBeenCalledTimes(1)
  })

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
