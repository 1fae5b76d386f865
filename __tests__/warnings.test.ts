import cluster from 'node:cluster'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import request from 'supertest'
import { appWith, secret } from './helpers/app'

type Library = typeof import('../lib/index')

interface SetUp {
  /** Builds the application; outside production unless it says otherwise. */
  app(lib: Library): any
  headers?: Record<string, string>
  /** Requests to make; the same warning is not repeated. */
  path?: string
}

const write = {
  '/': (req: any, res: any) => {
    req.session.user = 'u'
    res.send('written')
  }
}

const classic = { secret, resave: false, saveUninitialized: false }
const CROSS_ORIGIN = { Origin: 'https://front.example', 'Sec-Fetch-Site': 'same-site', 'Sec-Fetch-Mode': 'cors' }
const CROSS_SITE = { Origin: 'https://front.example', 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'cors' }

/** Lets another origin send cookies along, as the cors package does. */
const withCredentials = (app: any, auth: any) => {
  const allowing = require('express')()
  allowing.use((_req: any, res: any, next: any) => {
    res.set({ 'Access-Control-Allow-Origin': 'https://front.example', 'Access-Control-Allow-Credentials': 'true' })
    next()
  })
  return allowing.use(app(auth))
}

const wrong: Record<string, [code: string, names: RegExp, setUp: SetUp]> = {
  'no secret, so another one at every start': [
    'SILVERBACK_SECRET',
    /Pass secret/,
    { app: ({ sessions }) => appWith(sessions(), write) }
  ],
  'a cookie that another secret made, as after a change of it': [
    'SILVERBACK_SIGNATURE',
    /\[newSecret, oldSecret\]/,
    { app: ({ sessions }) => appWith(sessions({ secret }), write), headers: { Cookie: `sid=x.${'A'.repeat(43)}` } }
  ],
  'a Secure cookie without HTTPS': [
    'SILVERBACK_SECURE_COOKIE_OVER_HTTP',
    /cookie\.secure 'auto'/,
    { app: ({ sessions }) => appWith(sessions({ secret, cookie: { secure: true } }), write) }
  ],
  'a proxy that is not trusted': [
    'SILVERBACK_PROXY_NOT_TRUSTED',
    /trust proxy/,
    {
      app: ({ sessions }) => appWith(sessions({ secret, cookie: { secure: true } }), write),
      headers: { 'X-Forwarded-Proto': 'https' }
    }
  ],
  'SameSite=None without Secure': [
    'SILVERBACK_SAMESITE_NONE',
    /secure true/,
    { app: (session) => appWith(session({ ...classic, cookie: { sameSite: 'none' } }), write) }
  ],
  'fetch from another origin without credentials': [
    'SILVERBACK_CREDENTIALS',
    /credentials: 'include'/,
    { app: ({ sessions }) => appWith(sessions({ secret }), write), headers: CROSS_ORIGIN }
  ],
  'fetch from another site with a Lax cookie': [
    'SILVERBACK_CROSS_SITE',
    /sameSite: 'none'/,
    {
      app: ({ sessions }) => withCredentials((auth: any) => appWith(auth, write), sessions({ secret })),
      headers: CROSS_SITE
    }
  ],
  'a Domain of somebody else': [
    'SILVERBACK_DOMAIN',
    /cookie\.domain/,
    { app: ({ sessions }) => appWith(sessions({ secret, cookie: { domain: 'example.org' } }), write) }
  ],
  'a Path that begins with no slash': [
    'SILVERBACK_PATH',
    /must begin with "\/"/,
    {
      app: (session) => appWith(session({ ...classic, cookie: { path: 'app' } }), { '/': (_req, res) => res.send('x') })
    }
  ],
  'two session middlewares': [
    'SILVERBACK_MOUNTED_TWICE',
    /option named/,
    {
      app: ({ sessions }) => {
        const app = require('express')()
        app.use(sessions({ secret }))
        return app.use(appWith(sessions({ secret, name: 'other' }), write))
      }
    }
  ],
  'memory in each of several processes': [
    'SILVERBACK_MEMORY_PER_PROCESS',
    /RedisStore/,
    {
      app: ({ sessions }) => {
        jest.replaceProperty(cluster, 'isWorker', true)
        return appWith(sessions({ secret }), write)
      }
    }
  ],
  'a session begun after the first byte': [
    'SILVERBACK_ERR_SESSION_HEADERS_SENT',
    /before the first byte/,
    {
      app: ({ sessions }) =>
        appWith(sessions({ secret }), {
          '/': (req, res) => {
            res.write('a')
            req.session.user = 'u'
            res.end('b')
          }
        })
    }
  ]
}

/** Visits twice with a fresh copy of the library, and gives the warnings that came of it. */
async function warningsOf({ app, headers = {}, path = '/' }: SetUp): Promise<[code: string, message: string][]> {
  const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
  let library!: Library
  jest.isolateModules(() => (library = require('../lib/index')))
  const listener = app(library)
  for (let i = 0; i < 2; i++) await request(listener).get(path).set(headers)
  return warned.mock.calls.map(([message, options]) => [(options as { code: string }).code, String(message)])
}

afterEach(() => jest.restoreAllMocks())

it.each(Object.entries(wrong))('%s: one warning, with a code and the remedy', async (_name, [code, names, setUp]) => {
  const warnings = await warningsOf(setUp)
  expect(warnings).toEqual([[code, expect.stringMatching(names)]])
  expect(warnings[0]![1]).not.toContain(secret)
})

it.each([
  ['that another site embeds', 'iframe', ['SILVERBACK_CROSS_SITE']],
  ['that another site links to', 'document', []]
])('a page %s', async (_name, target, codes) => {
  const headers = { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': target }
  const warnings = await warningsOf({ app: ({ sessions }) => appWith(sessions({ secret }), write), headers })
  expect(warnings.map(([code]) => code)).toEqual(codes)
})

it('has a code of its own for each', () => {
  const codes = Object.values(wrong).map(([code]) => code)
  expect(new Set(codes).size).toBe(codes.length)
})

it.each<[string, SetUp]>([
  ['sessions()', { app: ({ sessions }) => appWith(sessions({ secret }), write) }],
  ['the drop-in door', { app: (session) => appWith(session(classic), write) }],
  [
    'a Secure cookie behind a trusted proxy',
    {
      app: ({ sessions }) => appWith(sessions({ secret, proxy: true, cookie: { secure: true } }), write),
      headers: { 'X-Forwarded-Proto': 'https' }
    }
  ],
  [
    'a Domain of ours, also behind a proxy that names another host',
    {
      app: ({ sessions }) => appWith(sessions({ secret, cookie: { domain: '.example.org' } }), write),
      headers: { Host: 'backend:8080', 'X-Forwarded-Host': 'www.Example.org:443' }
    }
  ],
  [
    'another site, allowed to send cookies along',
    {
      app: ({ sessions }) =>
        withCredentials(
          (auth: any) => appWith(auth, write),
          sessions({ secret, proxy: true, cookie: { sameSite: 'none', secure: true } })
        ),
      headers: { ...CROSS_SITE, 'X-Forwarded-Proto': 'https' }
    }
  ],
  [
    'a visitor who follows a link from another site',
    {
      app: ({ sessions }) => appWith(sessions({ secret }), write),
      headers: { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate' }
    }
  ],
  [
    'a page of the same origin that fetches',
    {
      app: ({ sessions }) => appWith(sessions({ secret }), write),
      headers: { 'Sec-Fetch-Site': 'same-origin', 'Sec-Fetch-Mode': 'cors' }
    }
  ],
  [
    'a Path that other requests of the mount are in',
    {
      app: ({ sessions }) => {
        const auth = sessions({ secret, cookie: { path: '/acme' } })
        return require('express')().use('/:tenant', appWith(auth, { '/': (req, res) => res.send(typeof req.session) }))
      },
      path: '/other'
    }
  ],
  [
    'one middleware, mounted twice',
    {
      app: ({ sessions }) => {
        const auth = sessions({ secret })
        return require('express')().use(auth, appWith(auth, write))
      }
    }
  ]
])('%s: no warning', async (_name, setUp) => {
  expect(await warningsOf(setUp)).toEqual([])
})

/** What is counted as withheld in production, and what is warned of. */
async function countedOf(open: (library: Library) => any, headers: Record<string, string>) {
  jest.replaceProperty(process, 'env', { ...process.env, NODE_ENV: 'production' })
  const reasons: string[] = []
  const note = (message: unknown) => reasons.push((message as { reason: string }).reason)
  subscribe('silverback:withheld', note)
  let auth: any
  const warnings = await warningsOf({ app: (library) => appWith((auth = open(library)), write), headers })
  unsubscribe('silverback:withheld', note)
  expect(warnings.filter(([code]) => code !== 'SILVERBACK_MEMORY')).toEqual([])
  expect(auth.stats().withheld).toBe(reasons.length)
  return reasons
}

it('in production counts what it withholds, with the reason, and warns of nothing', async () => {
  const open = ({ sessions }: Library) => sessions({ secret, cookie: { secure: true } })
  const reasons = ['PROXY_NOT_TRUSTED', 'PROXY_NOT_TRUSTED']
  expect(await countedOf(open, { 'X-Forwarded-Proto': 'https' })).toEqual(reasons)
})

describe('in production counts a cookie that it sends and browsers drop, and warns of nothing:', () => {
  it.each<[string, headers: Record<string, string>, string[]]>([
    ['somebody else', { Host: 'shop.example.com' }, ['DOMAIN', 'DOMAIN']],
    ['somebody else, with a port', { Host: 'shop.example.com:8080' }, ['DOMAIN', 'DOMAIN']],
    ['the host that a proxy knows', { Host: 'a.internal', 'X-Forwarded-Host': 'www.example.org' }, []],
    ['a host that a proxy may hide', { Host: '10.0.0.7:3000' }, []],
    ['a host that a proxy may call otherwise', { Host: 'backend:3000' }, []],
    ['a parent of the host', { Host: 'www.example.org' }, []]
  ])('a Domain of %s', async (_name, headers, reasons) => {
    const cookie = { domain: 'example.org' }
    expect(await countedOf(({ sessions }) => sessions({ secret, cookie }), headers)).toEqual(reasons)
    expect(await countedOf((session) => session({ ...classic, cookie }), headers)).toEqual(reasons)
  })

  it('SameSite=None without Secure', async () => {
    const cookie = { sameSite: 'none' as const }
    const reasons = ['SAMESITE_NONE', 'SAMESITE_NONE']
    expect(await countedOf((session) => session({ ...classic, cookie }), {})).toEqual(reasons)
  })

  it('and none that depends on where the request comes from', async () => {
    expect(await countedOf(({ sessions }) => sessions({ secret }), CROSS_SITE)).toEqual([])
  })
})
