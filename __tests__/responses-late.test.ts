import express from 'express'
import { appWith, cookieOf, deferred, secret } from './helpers/app'
import { plainStore } from './helpers/classic'
import { exchange, get, serving } from './helpers/raw'
import { GUARDS, play, type Respond } from './helpers/responses'
import request from 'supertest'
import session, { sessions } from '../lib/index'

const bytes = new Uint8Array([0, 104, 255, 105])
const pairs: [string, string][] = [
  ['X-A', '1'],
  ['Content-Type', 'text/plain'],
  ['Set-Cookie', 'other=1']
]
const EARLY = { link: ['</a.css>; rel=preload; as=style', '</b.js>; rel=preload; as=script'] }

const I3: Record<string, Respond> = {
  'end()': (res, log) => log(res.end() === res),
  'end(cb)': (res, log) => log(res.end(() => log('called')) === res),
  "end('x')": (res) => res.end('x'),
  "end('x', cb)": (res, log) => res.end('x', () => log('called')),
  "end('x', cb) with Content-Length": (res, log) => {
    res.setHeader('Content-Length', 1)
    res.end('x', () => log('called'))
  },
  "end('aGk=', 'base64', cb)": (res, log) => res.end('aGk=', 'base64', () => log('called')),
  "end('', cb)": (res, log) => res.end('', () => log('called')),
  'end(undefined, undefined, cb)': (res, log) => res.end(undefined, undefined, () => log('called')),
  'end(Buffer, cb)': (res, log) => res.end(Buffer.from(bytes), () => log('called')),
  'end(Uint8Array)': (res) => res.end(bytes),
  'end(Uint8Array, cb) with Content-Length': (res, log) => {
    res.setHeader('Content-Length', bytes.length)
    res.end(bytes, () => log('called'))
  },
  'write(Uint8Array, cb), end(cb)': (res, log) => {
    res.write(bytes, () => log('written'))
    res.end(() => log('called'))
  },
  "write('x', 'latin1', cb), end('y', cb) with Content-Length": (res, log) => {
    res.setHeader('Content-Length', 3)
    res.write('\u00e9', 'latin1', () => log('written'))
    res.end('yz', () => log('called'))
  },
  'writes on several turns': async (res, log) => {
    for (const part of ['a', 'b', 'c']) {
      res.write(part, () => log(part))
      await new Promise(setImmediate)
    }
    res.end(() => log('called'))
  }
}

const I4: Record<string, Respond> = {
  'writeHead(200)': (res) => res.writeHead(200).end('x'),
  'writeHead with an object': (res) => res.writeHead(201, Object.fromEntries(pairs)).end('x'),
  'writeHead with an object of lists': (res) => res.writeHead(200, { 'Set-Cookie': ['a=1', 'b=2'], 'X-N': 7 }).end('x'),
  'writeHead with pairs': (res) => res.writeHead(200, pairs).end('x'),
  'writeHead with pairs that repeat a name': (res) => res.writeHead(200, [...pairs, ['Set-Cookie', 'b=2']]).end('x'),
  'writeHead with a flat array': (res) => res.writeHead(200, pairs.flat()).end('x'),
  'writeHead with a flat array that repeats a name': (res) =>
    res.writeHead(200, [...pairs.flat(), 'Set-Cookie', 'b=2']).end('x'),
  'writeHead with a reason': (res) => res.writeHead(200, 'Fine').end('x'),
  'writeHead with a reason and an object': (res) => res.writeHead(200, 'Fine', Object.fromEntries(pairs)).end('x'),
  'writeHead with a reason and pairs': (res) => res.writeHead(200, 'Fine', pairs).end('x'),
  'writeHead with a reason and a flat array': (res) => res.writeHead(200, 'Fine', pairs.flat()).end('x'),
  'writeHead with an undefined reason': (res) => res.writeHead(200, undefined, Object.fromEntries(pairs)).end('x'),
  'writeHead with a null reason': (res) => res.writeHead(200, null, Object.fromEntries(pairs)).end('x'),
  'writeHead with null for headers': (res) => res.writeHead(200, Object.fromEntries(pairs), null).end('x'),
  'writeHead with an undefined reason beside setHeader': (res) => {
    res.statusMessage = 'Fine'
    res.setHeader('X-A', 'overwritten')
    res.writeHead(200, undefined, pairs.flat()).end('x')
  },
  'writeHead beside setHeader': (res) => {
    res.setHeader('X-A', 'overwritten')
    res.setHeader('X-B', 'kept')
    res.setHeader('Set-Cookie', ['replaced=1'])
    res.writeHead(200, Object.fromEntries(pairs)).end('x')
  },
  'a flat array beside setHeader': (res) => {
    res.setHeader('X-B', 'kept')
    res.writeHead(200, pairs.flat()).end('x')
  },
  'writeHead, then writes': (res) => {
    res.writeHead(200, pairs)
    res.write('a')
    res.end('b')
  },
  'setHeader and appendHeader': (res) => {
    res.setHeader('Set-Cookie', 'a=1')
    res.appendHeader('Set-Cookie', 'b=2')
    res.end('x')
  },
  'a status and a message': (res) => {
    res.statusCode = 404
    res.statusMessage = 'Nothing Here'
    res.end('x')
  },
  204: (res) => {
    res.statusCode = 204
    res.end()
  },
  '204 by writeHead': (res) => res.writeHead(204, { 'X-A': '1' }).end(),
  304: (res) => {
    res.statusCode = 304
    res.setHeader('ETag', '"x"')
    res.end()
  },
  '304 by writeHead': (res) => res.writeHead(304, ['ETag', '"x"']).end(),
  'early hints': (res) => {
    res.writeEarlyHints(EARLY)
    res.end('x')
  },
  'early hints with a callback, then writeHead': (res, log) =>
    res.writeEarlyHints(EARLY, () => {
      log('hinted')
      res.writeHead(200, pairs.flat()).end('x')
    }),
  'writeProcessing and writeContinue': (res) => {
    res.writeProcessing()
    res.writeContinue()
    res.end('x')
  },
  flushHeaders: (res) => {
    res.setHeader('X-A', '1')
    res.flushHeaders()
    res.end('x')
  },
  trailers: (res, _log, req) => {
    // A response without a body has none.
    if (req.method === 'HEAD') return res.end()
    res.setHeader('Trailer', 'X-Sum')
    res.write('x')
    res.addTrailers({ 'X-Sum': '1' })
    return res.end()
  }
}

describe.each(Object.entries(GUARDS))('%s', (_guard, open) => {
  const rows = Object.entries({ I3, I4 })
  const shapes = rows.flatMap(([row, all]) =>
    Object.entries(all).map(([name, how]) => [`${row} ${name}`, how] as const)
  )

  it.each(shapes)('%s: the same bytes and callbacks as without sessions, and one cookie', async (_name, respond) => {
    for (const method of ['GET', 'HEAD']) {
      const plain = await play(undefined, respond, method)
      const guarded = await play(open(), respond, method)
      expect([method, guarded]).toEqual([method, { ...plain, cookies: 1 }])
      expect(plain.text).toMatch(/^HTTP\/1\.1 \d/)
      expect(plain.log).toContain('finish')
    }
  })
})

const DOORS: Record<string, (store: unknown) => any> = {
  'sessions()': (store) => sessions({ secret, store: store as never }),
  'the drop-in door': (store) => session({ secret, store: store as never, resave: false, saveUninitialized: false })
}

describe.each(Object.entries(DOORS))('work after the end of a response, with %s', (_door, open) => {
  const unhandled: unknown[] = []
  const note = (err: unknown) => void unhandled.push(err)
  beforeAll(() => void process.on('unhandledRejection', note))
  afterAll(() => void process.off('unhandledRejection', note))
  afterEach(() => expect(unhandled.splice(0)).toEqual([]))

  it.each(['finish', 'the very next line'])('a save after the end (%s) is stored', async (when) => {
    const store = plainStore()
    const saved = deferred<unknown>()
    const later = async (req: any) => {
      req.session.later = 1
      saved.resolve(await req.session.save().catch((err: unknown) => err))
    }
    const app = appWith(open(store), {
      '/login': (req, res) => {
        req.session.user = 'ann'
        res.send('in')
      },
      '/': (req, res) => {
        void req.session.user
        if (when === 'finish') res.once('finish', () => void later(req))
        res.send('sent')
        if (when !== 'finish') void later(req)
      }
    })
    const login = await request(app).get('/login')
    const cookie = cookieOf(login) ?? cookieOf(login, 'connect.sid')!
    const res = await request(app).get('/').set('Cookie', cookie)
    expect([res.status, res.text]).toEqual([200, 'sent'])
    expect(await saved.promise).toBeUndefined()
    expect(JSON.parse([...store.texts.values()][0])).toMatchObject({ user: 'ann', later: 1 })
  })

  it.each(['finish', 'the very next line'])('a logout after the end (%s) is carried out', async (when) => {
    const store = plainStore()
    const gone = deferred<unknown>()
    const later = async (req: any) => gone.resolve(await req.session.destroy().catch((err: unknown) => err))
    const app = appWith(open(store), {
      '/': (req, res) => {
        req.session.user = 'ann'
        if (when === 'finish') res.once('finish', () => void later(req))
        res.send('sent')
        if (when !== 'finish') void later(req)
      }
    })
    const res = await request(app).get('/')
    expect([res.status, res.text]).toEqual([200, 'sent'])
    expect(await gone.promise).toBeUndefined()
    expect([...store.texts.keys()]).toEqual([])
  })

  // As slow as a store can be: it answers when the mistake has been made and dealt with.
  function slowApp(handle: (err: any, res: any, next: any) => void) {
    const answered = deferred()
    const store = plainStore()
    const { set } = store
    store.set = (id: string, record: object, done: any) => void answered.promise.then(() => set(id, record, done))
    const told: unknown[] = []
    const app = express().set('env', 'test').use(open(store))
    app.get('/', (req: any, res) => {
      req.session.user = 'ann'
      res.redirect('/next')
      res.send('second')
    })
    app.use((err: any, _req: any, res: any, next: any) => {
      told.push(err.code)
      handle(err, res, next)
      setImmediate(answered.resolve)
    })
    return { app, store, told }
  }

  it.each<[string, (err: any, res: any, next: any) => void]>([
    ['left to Express, which destroys the socket', (err, _res, next) => next(err)],
    ['logged and left', () => undefined],
    [
      'answered a third time',
      (_err, res) => {
        expect(() => res.status(500).send('third')).toThrow(expect.objectContaining({ code: 'ERR_HTTP_HEADERS_SENT' }))
      }
    ]
  ])('a second response is ERR_HTTP_HEADERS_SENT and no more, %s', async (_name, handle) => {
    const { app, store, told } = slowApp(handle)
    const answer = String(await serving(app, (port) => exchange(port, get('/'))))
    expect(told).toEqual(['ERR_HTTP_HEADERS_SENT'])
    expect(answer).toMatch(/^HTTP\/1\.1 302 Found\r\n[^]*\r\nSet-Cookie: [^]*\r\n\r\nFound. Redirecting to \/next$/)
    expect(answer).toMatch(/^Location: \/next\r$/m)
    expect([...store.texts.keys()]).toHaveLength(1)
  })
})
