import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import express from 'express'
import request from 'supertest'
import { createGunzip } from 'node:zlib'
import session, { MemoryStore, sessions } from '../../lib/index'
import { cookieOf, deferred, secret } from '../helpers/app'
import { classic, plainStore } from '../helpers/classic'
import { exchange, get, serving } from '../helpers/raw'

const compression = require('compression')
const livereload = require('connect-livereload')
const timeout = require('connect-timeout')

/** A store whose writes wait until `let` is called. */
function heldStore() {
  const asked = deferred()
  const answer = deferred()
  const store = plainStore()
  const { set } = store
  store.set = (id: string, record: object, done: any) => {
    asked.resolve()
    void answer.promise.then(() => set(id, record, done))
  }
  return { store, asked: asked.promise, answer: answer.resolve }
}

describe('a response that is held back', () => {
  it('is asked for its end by nobody in vain: headers are sent, the response is not over', async () => {
    const { store, answer } = heldStore()
    const seen: unknown[] = []
    const app = express().use(classic({ store }))
    app.get('/', (req: any, res) => {
      req.session.user = 'ann'
      for (const event of ['prefinish', 'finish']) res.on(event, () => seen.push(event))
      res.send('done')
      seen.push(res.headersSent, res.finished, res.writableEnded)
      answer()
    })
    expect((await request(app).get('/')).text).toBe('done')
    expect(seen).toEqual([true, false, false, 'prefinish', 'finish'])
  })

  it('tells once that it is finished where the client sends requests without waiting', async () => {
    const { store, answer } = heldStore()
    const seen: string[] = []
    const app = express().use(classic({ store }))
    app.get('/first', (_req, res) => void setImmediate(() => res.end('first')))
    app.get('/second', (req: any, res) => {
      req.session.user = 'ann'
      for (const event of ['prefinish', 'finish']) res.on(event, () => seen.push(event))
      // By then the connection belongs to this response.
      res.on('socket', () => setImmediate(answer))
      res.send('second')
    })
    const both = 'GET /first HTTP/1.1\r\nHost: localhost\r\n\r\n' + get('/second')
    const text = String(await serving(app, (port) => exchange(port, both)))
    expect(text).toMatch(/first[^]*second/)
    expect(seen).toEqual(['prefinish', 'finish'])
  })

  it.each<[string, (socket: net.Socket) => void]>([
    ['half-closes', (socket) => socket.end()],
    ['destroys', (socket) => socket.destroy()]
  ])('goes out as far as without sessions when its handler %s the connection afterwards', async (_name, close) => {
    for (const inParts of [false, true]) {
      const { store, answer } = heldStore()
      const appOf = (...layers: any[]) => {
        const app = express().use((_req, _res, next) => next(), ...layers)
        app.get('/', (req: any, res) => {
          if (req.session) req.session.user = 'ann'
          if (inParts) res.write('bye')
          else res.set('Connection', 'close').end('bye')
          close(req.socket)
          answer()
        })
        return app
      }
      const ask = async (app: any) => String(await serving(app, (port) => exchange(port, get('/'))))
      const [plain, held] = [await ask(appOf()), await ask(appOf(classic({ store })))]
      expect(held.includes('bye')).toBe(plain.includes('bye'))
      expect(/^HTTP\/1\.1 200 OK\r\n[^]*Set-Cookie: connect\.sid=/.test(held)).toBe(plain !== '')
    }
  })

  it('is not reported as timed out by connect-timeout', async () => {
    const { store, answer } = heldStore()
    const told: unknown[] = []
    const app = express().use(timeout('20ms'), classic({ store }))
    app.get('/', (req: any, res) => {
      req.session.user = 'ann'
      res.send('done')
      // connect-timeout's own timer is due before this one.
      setTimeout(answer, 60)
    })
    app.use((err: any, _req: any, _res: any, _next: any) => told.push(err.code))
    expect((await request(app).get('/')).text).toBe('done')
    expect(told).toEqual([])
  })

  it('keeps the order of flush() among its writes, so that compression sends the first event at once', async () => {
    const arrived = deferred()
    const app = express().use(compression(), classic({ store: plainStore() }))
    app.get('/', async (req: any, res: any) => {
      req.session.user = 'ann'
      res.type('text/event-stream')
      res.write('data: one\n\n')
      res.flush()
      await arrived.promise
      res.end('data: two\n\n')
    })
    await serving(app, async (port) => {
      const req = http.get({ port, headers: { 'Accept-Encoding': 'gzip' } })
      const [res] = (await once(req, 'response')) as [http.IncomingMessage]
      let text = ''
      for await (const chunk of res.pipe(createGunzip())) {
        text += chunk
        if (text.includes('one')) arrived.resolve()
      }
      expect(text).toBe('data: one\n\ndata: two\n\n')
    })
  })
})

describe.each(['at once', 'later'])(
  'the middleware called again for one request, on a store that answers %s',
  (kind) => {
    const storeOf = () => (kind === 'later' ? plainStore() : new MemoryStore())

    const DOORS: Record<string, (store: any) => any> = {
      session: (store) => session({ secret, store, resave: false, saveUninitialized: false, name: 'sid' }),
      sessions: (store) => sessions({ secret, store })
    }

    // What is left of the first session, as with express-session, whose option `unset` keeps the record by default.
    const ENDS: [string, (req: any) => unknown, string][] = [
      ['destroy()', (req) => req.session.destroy(), 'nobody'],
      ['req.session = null', (req) => (req.session = null), 'ann'],
      ['delete req.session', (req) => delete req.session, 'ann']
    ]

    it.each(ENDS)('after %s: the page goes out, and what was set is there afterwards', async (_how, leave, user) => {
      for (const [door, open] of Object.entries(DOORS)) {
        const auth = open(storeOf())
        for (const second of [auth, open(storeOf())]) {
          const app = express().use(auth)
          app.get('/in', (req: any, res) => {
            req.session.user = 'ann'
            res.send('in')
          })
          app.get('/again', async (req: any, res, next) => {
            await leave(req)
            second(req, res, (err: unknown) => {
              if (err) return next(err)
              req.session.fresh = true
              res.write(req.session.user ?? 'nobody')
              res.end()
            })
          })
          app.get('/who', (req: any, res) => res.json({ ...req.session, cookie: undefined }))
          const old = cookieOf(await request(app).get('/in'))!
          const again = await request(app).get('/again').set('Cookie', old)
          // `unset: 'destroy'` is the default of sessions(): nothing is left there.
          const expected = second === auth && door === 'session' ? user : 'nobody'
          expect([door, again.status, again.text]).toEqual([door, 200, expected])
          if (expected === 'nobody') expect(cookieOf(again)).not.toBe(old)
          if (second !== auth) continue
          const who = await request(app)
            .get('/who')
            .set('Cookie', cookieOf(again) ?? old)
          expect(who.body).toEqual({ ...(expected === 'ann' && { user }), fresh: true })
        }
      }
    })

    it('while the response is held back: it goes out', async () => {
      const auth = classic({ store: storeOf() })
      const app = express().use(auth)
      app.get('/', (req: any, res) => {
        req.session.user = 'ann'
        res.send('sent')
        delete req.session
        auth(req, res, () => undefined)
      })
      const res = await request(app).get('/')
      expect([res.status, res.text]).toEqual([200, 'sent'])
    })

    it('is told of its own failure to save, in place of the answer', async () => {
      const failing = plainStore({
        set: (_id: string, _data: unknown, done: any) => setImmediate(done, new Error('full'))
      })
      const auth = sessions({ secret, store: storeOf() as never })
      const second = sessions({ secret, store: failing, name: 'other' })
      const app = express().use(auth)
      app.get('/', async (req: any, res, next) => {
        req.session.user = 'ann'
        await req.session.destroy()
        second(req, res, (err: any) => {
          if (err) return void res.status(500).send(err.code)
          req.session.user = 'bob'
          res.send('in')
        })
        void next
      })
      const res = await request(app).get('/')
      expect([res.status, res.text]).toEqual([500, 'ERR_SESSION_STORE'])
      expect(cookieOf(res, 'other')).toBeUndefined()
    })
  }
)

describe.each(['at once', 'later'])(
  'a middleware that keeps the body until its end, on a store that answers %s',
  (kind) => {
    it('leaves a streamed page its cookie and its only record', async () => {
      const store = kind === 'later' ? plainStore() : new MemoryStore()
      const auth = sessions({ secret, store: store as never })
      const app = express().use(livereload({ port: 35729 }), auth)
      app.get('/', (req: any, res) => {
        req.session.visits = (req.session.visits ?? 0) + 1
        res.type('html').write(`<html><body>${req.session.visits}`)
        res.end('</body></html>')
      })
      const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
      const first = await request(app).get('/').set('Accept', 'text/html')
      const cookie = cookieOf(first)!
      const second = await request(app).get('/').set('Accept', 'text/html').set('Cookie', cookie)
      expect([first.text, second.text]).toEqual([
        expect.stringMatching(/<body>1.*livereload/),
        expect.stringMatching(/<body>2.*livereload/)
      ])
      expect([auth.stats().created, auth.stats().withheld ?? 0, warned.mock.calls]).toEqual([1, 0, []])
      warned.mockRestore()
    })
  }
)
