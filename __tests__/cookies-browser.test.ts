import { createServer, type RequestListener, type Server } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import session, { CookieStore, MemoryStore, sessions } from '../lib/index'
import { contextOf, launchChromium } from './examples/chromium'
import { appWith, secret } from './helpers/app'

const HOST = 'app.example.test'

const routes = {
  '/begin': (req: any, res: any) => {
    req.session.cart = 1
    res.send('begun')
  },
  '/login': async (req: any, res: any) => {
    await req.session.regenerate()
    req.session.user = 'ann'
    res.redirect('/read')
  },
  '/read': (req: any, res: any) => res.send(String(req.session.user ?? 'nobody')),
  '/logout': async (req: any, res: any) => {
    await req.session.destroy()
    res.send('out')
  }
}

let browser: Browser
let server: Server
let listener: RequestListener
let context: BrowserContext
let page: Page

beforeAll(async () => {
  browser = await launchChromium(['--host-resolver-rules=MAP *.example.test 127.0.0.1'])
})

afterAll(() => browser?.close())

beforeEach(async () => {
  server = createServer((req, res) => listener(req, res)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  context = await contextOf(browser, `http://${HOST}:${(server.address() as AddressInfo).port}`)
  page = await context.newPage()
})

afterEach(async () => {
  await context.close()
  server.closeAllConnections()
  server.close()
})

/** Goes to a page of the application that is deployed now, as a visitor who types its address. */
async function open(path: string): Promise<string> {
  return (await page.goto(path))!.text()
}

async function jar(): Promise<string[]> {
  return (await context.cookies()).map(({ name, domain, path }) => `${name} ${domain} ${path}`).sort()
}

const hostOnly = { path: '/' }
const shared = { path: '/', domain: 'example.test' }
const deep = { path: '/', domain: HOST }

describe.each([
  ['on the server', () => new MemoryStore()],
  ['in the cookie', () => new CookieStore()]
])('a cookie whose Domain changes with a deployment, in Chromium, sessions %s', (_where, makeStore) => {
  it.each([
    ['without Domain, then with Domain', hostOnly, shared, 'sid .example.test /'],
    ['with Domain, then without', shared, hostOnly, `sid ${HOST} /`],
    ['with one Domain, then with another', deep, shared, 'sid .example.test /']
  ])('deployed %s: login still works, and the old cookie is gone', async (_name, before, after, expected) => {
    const store = makeStore()
    const deploy = (cookie: object) => (listener = appWith(sessions({ secret, store, cookie }), routes))
    deploy(before)
    await open('/begin')
    expect(await jar()).toHaveLength(1)
    deploy(after)
    expect(await open('/read')).toBe('nobody')
    expect(await open('/login')).toBe('ann')
    expect(await jar()).toEqual([expected])
    expect(await open('/read')).toBe('ann')
    expect(await open('/logout')).toBe('out')
    expect(await jar()).toEqual([])
  })

  it('deployed with Domain when the old session is gone: login works at once', async () => {
    listener = appWith(sessions({ secret, store: makeStore(), cookie: hostOnly }), routes)
    await open('/login')
    listener = appWith(sessions({ secret, store: makeStore(), cookie: shared }), routes)
    expect(await open('/login')).toBe('ann')
    expect(await jar()).toEqual(['sid .example.test /'])
    expect(await open('/read')).toBe('ann')
  })
})

describe.each([
  ['on the server', () => new MemoryStore()],
  ['in the cookie', () => new CookieStore()]
])(
  'a cookie whose Path changes with a deployment when the old session is gone, in Chromium, %s',
  (_where, makeStore) => {
    it.each([
      ['of the host', {}, `sid ${HOST} /`],
      ['of a domain', { domain: 'example.test' }, 'sid .example.test /']
    ])('%s: login works at once, and the old cookie is gone', async (_whose, scope, expected) => {
      const mounted = () => Object.fromEntries(Object.entries(routes).map(([path, route]) => [`/app${path}`, route]))
      const app = (path: string) => {
        const login = async (req: any, res: any) => {
          await req.session.regenerate()
          req.session.user = 'ann'
          res.redirect('/app/read')
        }
        const auth = sessions({ secret, store: makeStore(), cookie: { path, ...scope } })
        return appWith(auth, { ...mounted(), '/app/login': login })
      }
      listener = app('/app')
      await open('/app/begin')
      listener = app('/')
      expect(await open('/app/login')).toBe('ann')
      expect(await jar()).toEqual([expected])
      expect(await open('/app/logout')).toBe('out')
      expect(await jar()).toEqual([])
    })
  }
)

describe('behind the default export, when the cookie has moved and the old session is gone, in Chromium,', () => {
  const mounted = Object.fromEntries(Object.entries(routes).map(([path, route]) => [`/app${path}`, route]))
  const login = async (req: any, res: any) => {
    await req.session.regenerate()
    req.session.user = 'ann'
    res.redirect('/app/read')
  }

  it.each([
    ['to a Domain', hostOnly, shared],
    ['from a Domain', shared, hostOnly],
    ['from a folder', { path: '/app' }, hostOnly],
    ['to a folder', hostOnly, { path: '/app' }],
    ['from a folder of a Domain', { ...shared, path: '/app' }, hostOnly]
  ])('%s, login works at once, and so does logout', async (_where, before, after) => {
    const deploy = (cookie: object) => {
      const auth = session({ secret, resave: false, saveUninitialized: false, cookie })
      listener = appWith(auth, { ...mounted, '/app/login': login })
    }
    deploy(before)
    await open('/app/login')
    deploy(after)
    expect(await open('/app/read')).toBe('nobody')
    for (let i = 0; i < 2; i++) {
      expect(await open('/app/login')).toBe('ann')
      expect(await open('/app/logout')).toBe('out')
      expect(await open('/app/read')).toBe('nobody')
    }
  })
})

it('an old cookie beside the new one locks nobody out for longer than one visit', async () => {
  const store = new MemoryStore()
  listener = appWith(sessions({ secret, store, cookie: hostOnly }), routes)
  await open('/login')
  const [old] = await context.cookies()
  listener = appWith(sessions({ secret, store, cookie: shared }), routes)
  await context.clearCookies()
  await open('/login')
  await context.addCookies([{ ...old! }])
  expect(await jar()).toHaveLength(2)
  expect(await open('/read')).toBe('nobody')
  expect(await jar()).toEqual([])
  expect(await open('/login')).toBe('ann')
  expect(await open('/read')).toBe('ann')
})

it('a planted cookie of a neighbour never locks anybody out', async () => {
  listener = appWith(sessions({ secret }), routes)
  await open('/login')
  await context.addCookies([{ name: 'sid', value: 'planted', domain: '.example.test', path: '/' }])
  expect(await open('/read')).toBe('ann')
  expect(await jar()).toEqual([`sid ${HOST} /`])
})

it.each([
  ['Partitioned', false, true],
  ['no more Partitioned', true, false]
])(
  'a deployment that makes the cookie %s lets its visitors log in, and leaves one cookie',
  async (_what, before, after) => {
    const store = new MemoryStore()
    const deploy = (partitioned: boolean) => {
      const cookie = { secure: true, sameSite: 'none', partitioned } as const
      listener = appWith(sessions({ secret, store, proxy: true, cookie }), routes)
    }
    await context.close()
    // There alone is Secure without TLS.
    context = await contextOf(browser, `http://localhost:${(server.address() as AddressInfo).port}`)
    page = await context.newPage()
    await page.setExtraHTTPHeaders({ 'X-Forwarded-Proto': 'https' })
    deploy(before)
    await open('/begin')
    deploy(after)
    expect(await open('/login')).toBe('ann')
    expect(await open('/read')).toBe('ann')
    expect(await jar()).toHaveLength(1)
    expect(await open('/logout')).toBe('out')
    expect(await jar()).toEqual([])
  }
)
