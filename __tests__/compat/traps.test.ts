import { EventEmitter } from 'node:events'
import { inherits } from 'node:util'
import request from 'supertest'
import { appWith, deferred, secret } from '../helpers/app'
import { classic, classicApp, plainStore, ROUTES, setCookies, visit } from '../helpers/classic'
import { Clock } from '../helpers/clock'
import session from '../../lib/index'

// What applications and stores lean on, part one: each title names the habit; "kept" marks what the default door keeps
// on purpose although sessions() does otherwise.

let clock: Clock | undefined
afterEach(() => {
  clock?.restore()
  clock = undefined
})

describe('stores', () => {
  it('believes a store that still answers a record whose cookie.expires is past', async () => {
    clock = new Clock()
    const store = plainStore({ touch: (_id: string, _session: object, done: any) => setImmediate(done) })
    const app = classicApp({ store, cookie: { maxAge: 60_000 } }, ROUTES)
    const { cookie } = await visit(app, '/login')
    clock.forward(3_600_000)
    expect((await visit(app, '/who', cookie)).body.user).toBe('ann')
  })

  it('lets Store be called as a function and inherited with util.inherits', async () => {
    const records = new Map<string, object>()
    function Legacy(this: object) {
      ;(session.Store as any).call(this)
    }
    inherits(Legacy, session.Store)
    Object.assign(Legacy.prototype, {
      get: (id: string, done: any) => setImmediate(done, null, records.get(id)),
      set: (id: string, record: object, done: any) => setImmediate(done, records.set(id, { ...record }) && null),
      destroy: (id: string, done: any) => setImmediate(done, records.delete(id) && null)
    })
    const store = new (Legacy as any)()
    expect(store).toBeInstanceOf(session.Store)
    expect(store).toBeInstanceOf(EventEmitter)
    const app = classicApp({ store }, ROUTES)
    const { cookie } = await visit(app, '/login')
    expect((await visit(app, '/who', cookie)).body.user).toBe('ann')
    expect(new session.Cookie({ httpOnly: false }).serialize('name', 'a b')).toBe('name=a%20b; Path=/')
  })

  it('never turns a good response into a 500 for an error of touch()', async () => {
    const store = plainStore({
      touch: (_id: string, _session: object, done: any) => setImmediate(done, new Error('Unable to find the session'))
    })
    const app = classicApp({ store }, ROUTES)
    const { cookie } = await visit(app, '/login')
    expect(await visit(app, '/who', cookie)).toMatchObject({ status: 200, body: { user: 'ann' } })
  })

  it('takes an error of get() with the code ENOENT for no session', async () => {
    const absent = Object.assign(new Error('no such file'), { code: 'ENOENT' })
    const store = plainStore()
    const app = classicApp({ store }, ROUTES)
    const { cookie } = await visit(app, '/login')
    store.get = (_id: string, done: any) => setImmediate(done, absent)
    const res = await visit(app, '/who', cookie)
    expect(res.status).toBe(200)
    expect(res.body.user).toBeUndefined()
    store.get = (_id: string, done: any) => setImmediate(done, new Error('anything else'))
    expect((await visit(app, '/who', cookie)).status).toBe(500)
  })

  it('lets requests pass without a session from "disconnect" until "connect"', async () => {
    const store = plainStore()
    const app = classicApp({ store }, ROUTES)
    store.emit('disconnect')
    expect((await visit(app, '/none')).body).toEqual({ there: false })
    store.emit('connect')
    expect((await visit(app, '/none')).body).toEqual({ there: true })
  })
})

describe('the middleware', () => {
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
          gate.resolve()
        }
      }
    )
    const res = await request(app).get('/')
    const code = 'ERR_HTTP_HEADERS_SENT'
    expect(after).toEqual({ sent: true, ended: true, again: false, thrown: code, removed: code })
    expect(res).toMatchObject({ status: 201, text: 'first' })
    expect(res.headers).not.toHaveProperty('x-late')
  })

  it.each([
    ['{}', {}],
    ['{ writeHead: {} }', { writeHead: {} }],
    ['a response without on()', { writeHead: () => undefined, end: () => undefined, setHeader: () => undefined }],
    ['undefined', undefined]
  ])('gives a request with the response %s its session', async (_name, res) => {
    const auth = classic()
    const { cookie } = await visit(appWith(auth, ROUTES), '/login')
    const req: any = { headers: { cookie }, url: '/', method: 'GET' }
    await new Promise<void>((resolve, reject) => auth(req, res, (err) => (err ? reject(err as Error) : resolve())))
    expect(req.session.user).toBe('ann')
  })

  it('follows push, splice and pop of the secret array at once', async () => {
    const older = 'the older secret, which is long enough as well'
    const secrets = [older]
    const app = classicApp({ secret: secrets }, ROUTES)
    const { cookie } = await visit(app, '/login')
    const user = async (from: string) => (await visit(app, '/who', from)).body.user
    expect(await user(cookie)).toBe('ann')
    secrets.splice(0, 1, secret)
    expect(await user(cookie)).toBeUndefined()
    secrets.push(older)
    expect(await user(cookie)).toBe('ann')
    const renewed = await visit(app, '/login')
    secrets.pop()
    expect(await user(cookie)).toBeUndefined()
    expect(await user(renewed.cookie)).toBe('ann')
  })

  it.each([undefined, null, 7])('neither stores nor sends a session whose genid returned %s', async (id) => {
    const store = plainStore()
    const app = classicApp({ store, genid: () => id, saveUninitialized: true }, ROUTES)
    const res = await visit(app, '/login')
    expect([res.status, res.text, res.cookie, store.texts.size]).toEqual([200, 'in', '', 0])
    expect((await visit(app, '/who')).body).toEqual(id === undefined ? {} : { id })
    expect((await visit(app, '/logout')).text).toBe('out')
  })

  it('does nothing when mounted twice, and runs genid once a request without a valid cookie', async () => {
    let made = 0
    const genid = jest.fn((_req: unknown) => `id-${++made}`)
    const second = jest.fn((_req: unknown) => 'never')
    const auth = classic({ genid, saveUninitialized: true })
    const app = appWith(
      (req: any, res: any, next: any) => auth(req, res, () => classic({ genid: second })(req, res, next)),
      ROUTES
    )
    const { cookie, body } = await visit(app, '/who')
    expect(body.id).toBe('id-1')
    await visit(app, '/who', cookie)
    expect(genid).toHaveBeenCalledTimes(1)
    expect(genid.mock.calls[0]![0]).toHaveProperty('headers')
    await visit(app, '/who', 'connect.sid=s%3Aforged.signature')
    expect(genid).toHaveBeenCalledTimes(2)
    expect(second).not.toHaveBeenCalled()
  })

  it('leaves req.session undefined outside of cookie.path', async () => {
    const app = classicApp({ cookie: { path: '/admin' } }, { ...ROUTES, '/admin/none': ROUTES['/none']! })
    expect((await visit(app, '/none')).body).toEqual({ there: false })
    expect((await visit(app, '/admin/none')).body).toEqual({ there: true })
  })

  it('decides secure "auto" when the session is made, and stores it', async () => {
    const store = plainStore()
    const app = classicApp({ store, proxy: true, cookie: { secure: 'auto' } }, ROUTES)
    const res = await request(app).get('/login').set('X-Forwarded-Proto', 'https')
    expect(setCookies(res)[0]).toMatch(/; Secure/)
    const [text] = [...store.texts.values()]
    expect(JSON.parse(text).cookie.secure).toBe(true)
    const later = await visit(app, '/who', setCookies(res)[0]!.split(';')[0])
    expect(later.body.user).toBe('ann')
    expect(JSON.parse([...store.texts.values()][0]).cookie.secure).toBe(true)
  })

  it('appends its cookie to other Set-Cookie headers, and replaces none', async () => {
    const app = classicApp(
      {},
      {
        '/text': (req, res) => {
          res.setHeader('Set-Cookie', 'first=1')
          req.session.a = 1
          res.send('ok')
        },
        '/list': (req, res) => {
          res.setHeader('Set-Cookie', ['first=1', 'second=2'])
          req.session.a = 1
          res.send('ok')
        }
      }
    )
    const names = async (path: string) => setCookies(await visit(app, path)).map((text) => text.split('=')[0])
    expect(await names('/text')).toEqual(['first', 'connect.sid'])
    expect(await names('/list')).toEqual(['first', 'second', 'connect.sid'])
  })
})

function codeOf(work: () => void): unknown {
  try {
    work()
  } catch (err) {
    return (err as { code?: string }).code
  }
  return 'nothing was thrown'
}
