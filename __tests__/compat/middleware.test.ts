import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import request from 'supertest'
import session from '../../lib/index'
import { appWith, secret } from '../helpers/app'
import { classic, classicApp, plainStore, ROUTES, setCookies, visit } from '../helpers/classic'
import { exchange, get, serving } from '../helpers/raw'

describe('the middleware', () => {
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

  it('takes options that are inherited', async () => {
    const store = plainStore()
    const genid = () => 'an-id-of-the-options'
    const options = Object.create({ secret, resave: false, saveUninitialized: false, store, genid, proxy: true })
    const app = appWith(session(options), {
      '/': (req, res) => res.json([req.sessionStore === store, req.sessionID]),
      '/login': (req, res) => res.send((req.session.user = 'ann'))
    })
    expect((await visit(app, '/')).body).toEqual([true, genid()])
    await visit(app, '/login')
    expect([...store.texts.keys()]).toEqual([genid()])
  })

  it.each([undefined, null, 7])('neither stores nor sends a session whose genid returned %s', async (id) => {
    const store = plainStore()
    const app = classicApp({ store, genid: () => id, saveUninitialized: true }, ROUTES)
    const listener = () => undefined
    subscribe('silverback:dropped', listener)
    const res = await visit(app, '/login').finally(() => unsubscribe('silverback:dropped', listener))
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

  it('calls handlers and callbacks in their AsyncLocalStorage context, whatever context the store calls back in', async () => {
    const context = new AsyncLocalStorage<string>()
    // As clients do that share connections: the socket has the context of whoever opened it.
    const connection = context.run('who opened the connection', () => new AsyncResource('connection'))
    const store = plainStore()
    for (const verb of ['get', 'set', 'destroy']) {
      const ask = store[verb]
      store[verb] = (...args: any[]) => ask(...args.slice(0, -1), connection.bind(args.at(-1)))
    }
    const places: Record<string, string | undefined> = {}
    const note = (place: string) => (places[place] = context.getStore())
    const call = (req: any, verb: string) => new Promise<void>((done) => req.session[verb](() => done(void note(verb))))
    const verbs = ['save', 'reload', 'regenerate']
    const auth = classic({ store })
    const app = appWith((req: any, res: any, next: any) => context.run('the request', () => auth(req, res, next)), {
      ...ROUTES,
      '/verbs': async (req, res) => {
        note('handler')
        req.session.visited = true
        for (const verb of verbs) await call(req, verb)
        req.session.visited = true
        res.on('finish', () => note('finish')).send('ok')
      },
      '/end': (req, res) => call(req, 'destroy').then(() => res.send('ended'))
    })
    const { cookie } = await visit(app, '/login')
    const saved = await visit(app, '/verbs', cookie)
    expect((await visit(app, '/end', saved.cookie)).text).toBe('ended')
    const all = ['handler', ...verbs, 'finish', 'destroy']
    expect(places).toEqual(Object.fromEntries(all.map((place) => [place, 'the request'])))
  })
})
