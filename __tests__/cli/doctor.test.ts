import type { RequestListener, Server } from 'node:http'
import express from 'express'
import { CookieStore, MemoryStore } from '../../lib/index'
import { secret } from '../helpers/app'
import { silverback } from '../helpers/command-line'
import { ACCOUNT, serve, siteWith, type Package, type Wrong } from '../helpers/sites'

const listening: Server[] = []
const BEHIND = ['--behind-proxy', '--json']
const MEMBER = [...ACCOUNT.flags, '--password-env', 'PASSWORD']

afterEach(() => {
  for (const server of listening.splice(0)) server.close().closeAllConnections()
})

async function open(listener: RequestListener): Promise<string> {
  const { server, url } = await serve(listener)
  listening.push(server)
  return url
}

async function doctor(listener: RequestListener, flags = [...BEHIND, ...MEMBER]) {
  return silverback(['doctor', await open(listener), ...flags], { env: ACCOUNT.env })
}

const codes = ({ json }: { json: any }) => json.findings.map(({ code }: any) => code)
const seconds = (ahead: number) => new Date(Date.now() + ahead * 1000).toUTCString()
const loginWithoutNewId = (req: any, res: any) => {
  req.session.user = req.body.email
  res.redirect('/account')
}
const bothIds = (req: any, res: any) => {
  req.session.user = req.body.email
  req.session.save(() => {
    req.sessionStore.generate(req)
    req.session.user = req.body.email
    res.redirect('/account')
  })
}
const onlyDestroys = (req: any, res: any) => req.session.destroy(() => res.redirect('/'))
const onlyClears = (_req: any, res: any) => res.clearCookie('connect.sid').redirect('/')
const staysLoggedIn = (_req: any, res: any) => {
  res.clearCookie('sid', { path: '/', secure: true, sameSite: 'lax', httpOnly: true })
  res.redirect('/')
}

const leavesAnother: express.RequestHandler = (req, res, next) => {
  if (req.path === '/login') res.append('Set-Cookie', 'connect.sid=s%3Aother; Path=/login')
  next()
}

/** Two processes with a memory each, behind a load balancer. */
function twoMemories(kind: Package): RequestListener {
  const both = [siteWith(kind, { token: false }), siteWith(kind, { token: false })]
  let turn = 0
  return (req, res) => both[turn++ % 2]!(req, res)
}

describe.each<Package>(['express-session', 'silverback'])('a right application with %s', (kind) => {
  it('has no finding', async () => {
    const { exit, json } = await doctor(siteWith(kind))
    expect(json).toMatchObject({ findings: [], asked: ['visit', 'login', 'logout'], notAsked: [] })
    expect(exit).toBe(0)
  })
})

it.each([
  ['sessions that live in their cookies', { store: new CookieStore() }],
  ['a name that binds its cookie to the host', { name: '__Host-sid' }]
])('has nothing against %s', async (_what, options) => {
  const { json } = await doctor(siteWith('silverback', { options }))
  expect(json).toMatchObject({ findings: [], asked: ['visit', 'login', 'logout'] })
})

describe('a wrong application has exactly its finding', () => {
  const cases: [string, Package, string, Wrong][] = [
    ['no Secure', 'express-session', 'cookie-secure', { cookie: { secure: false } }],
    ['a proxy that is not trusted', 'silverback', 'cookie-secure', { trustProxy: false }],
    ['no HttpOnly', 'express-session', 'cookie-httponly', { cookie: { httpOnly: false } }],
    ['no HttpOnly', 'silverback', 'cookie-httponly', { cookie: { httpOnly: false } }],
    ['no SameSite', 'express-session', 'cookie-samesite', { cookie: { sameSite: false } }],
    ['no SameSite', 'silverback', 'cookie-samesite', { cookie: { sameSite: false } }],
    ['a path beside its pages', 'silverback', 'cookie-path', { cookie: { path: '/login' } }],
    ['a domain of another host', 'silverback', 'cookie-domain', { cookie: { domain: 'example.org' } }],
    ['a domain of another host', 'express-session', 'cookie-domain', { cookie: { domain: 'example.org' } }],
    [
      'a prefix without what it demands',
      'express-session',
      'cookie-prefix',
      { cookie: { secure: false }, options: { name: '__Secure-sid' } }
    ],
    ['a secure cookie and no trusted proxy', 'express-session', 'trust-proxy', { trustProxy: false }],
    ['a session for everybody', 'express-session', 'anonymous-session', { options: { saveUninitialized: true } }],
    ['a session for everybody', 'silverback', 'anonymous-session', { options: { saveUninitialized: true } }],
    ['the same ID after the login', 'express-session', 'session-fixation', { login: loginWithoutNewId }],
    ['the same ID after the login', 'silverback', 'session-fixation', { login: loginWithoutNewId }],
    ['a login under the old ID, too', 'express-session', 'old-id-after-login', { login: bothIds }],
    ['a cookie that survives the logout', 'express-session', 'cookie-after-logout', { logout: onlyDestroys }],
    ['a session that survives the logout', 'express-session', 'session-after-logout', { logout: onlyClears }],
    ['a session that survives the logout', 'silverback', 'session-after-logout', { logout: staysLoggedIn }],
    ['cookies that caches may keep', 'express-session', 'cacheable', { cacheControl: 'public, max-age=60' }],
    [
      'cookies that caches may keep',
      'silverback',
      'cacheable',
      { cacheControl: 'public, max-age=60', options: { cacheGuard: false } }
    ],
    ['two cookies of one name', 'express-session', 'two-cookies', { first: leavesAnother }],
    [
      'a clock that is ahead',
      'express-session',
      'clock',
      { first: (_req, res, next) => (res.set('Date', seconds(3600)), next()) }
    ],
    [
      'a clock that is behind',
      'silverback',
      'clock',
      { first: (_req, res, next) => (res.set('Date', seconds(-3600)), next()) }
    ]
  ]
  it.each(cases)('%s (%s)', async (_what, kind, code, wrong) => {
    const result = await doctor(siteWith(kind, wrong))
    expect(codes(result)).toEqual([code])
    expect(result.exit).toBe(1)
  })

  it.each<Package>(['express-session', 'silverback'])('a store for each process (%s)', async (kind) => {
    expect(codes(await doctor(twoMemories(kind)))).toEqual(['store-forgets'])
  })

  it('a store that keeps nothing', async () => {
    const store = Object.assign(new MemoryStore(), { get: (_id: string, callback: any) => callback(null, null) })
    const forgets = siteWith('express-session', { options: { store }, token: false })
    expect(codes(await doctor(forgets))).toEqual(['store-forgets'])
  })
})

describe('examples/login', () => {
  const { createApp } = require('../../examples/login/app')
  const { seedAdmin } = require('../../examples/login/accounts')
  const { memoryDocuments } = require('../../examples/login/storage/memory')
  const { Users } = require('../../examples/login/users')
  const flags = ['--login', '/login', '--protected', '/profile', '--logout', '/logout', '--user', 'ann']

  it.each([
    ['by HTTP', []],
    ['behind a proxy', ['--behind-proxy']]
  ])('has no finding %s', async (_how, more) => {
    const documents = memoryDocuments()
    await seedAdmin(new Users(documents), { username: 'ann', password: ACCOUNT.env.PASSWORD })
    const { exit, json } = await doctor(createApp({ secret, documents, trustProxy: 1 }), [
      ...flags,
      ...more,
      '--password-env',
      'PASSWORD',
      '--json'
    ])
    expect(json).toMatchObject({ findings: [], asked: ['visit', 'login', 'logout'] })
    expect(exit).toBe(0)
  })
})

describe('doctor', () => {
  it('asks as a visitor alone when it is told of no login', async () => {
    const { exit, out } = await doctor(siteWith('silverback'), [])
    expect(out).toMatch(/: nothing found\n\nAsked: visit\.\nNot asked: cookie.*\nNot asked: login, logout/)
    expect(exit).toBe(0)
  })

  it('prints each finding with its remedy, and no value of a cookie', async () => {
    const { out } = await doctor(siteWith('express-session', { login: loginWithoutNewId }), [
      '--behind-proxy',
      ...MEMBER
    ])
    expect(out).toMatch(
      /: 1 finding\n\nsession-fixation: The session has the same ID.*\.\n  await req\.session\.regenerate\(\)/
    )
    expect(out).not.toMatch(/s:|s%3A|correct horse/)
  })

  it.each([
    [
      'a wrong password',
      [...ACCOUNT.flags, '--password-env', 'WRONG'],
      3,
      /not accepted: POST \/login was answered with 401/
    ],
    ['a page that is open', ['--login', '/login', '--protected', '/'], 2, /--protected \/ is open to visitors/],
    ['a login without a page for members', ['--login', '/login'], 2, /needs --protected/],
    ['a variable that is not set', [...ACCOUNT.flags, '--password-env', 'NOTHING'], 2, /NOTHING holds no password/],
    ['a path elsewhere', ['--login', 'http://example.org/', '--protected', '/account'], 2, /no path of 127/],
    ['a field without a value', [...ACCOUNT.flags, '--field', 'otp'], 2, /--field otp is not of the form/]
  ])('cannot ask with %s', async (_what, flags, exit, message) => {
    const url = await open(siteWith('silverback'))
    const result = await silverback(['doctor', url, '--behind-proxy', ...flags], {
      env: { ...ACCOUNT.env, WRONG: 'wrong' }
    })
    expect(result).toMatchObject({ exit, out: '', err: expect.stringMatching(message) })
  })

  it('cannot ask where nobody answers', async () => {
    const url = await open(siteWith('silverback'))
    listening.splice(0).forEach((server) => server.close())
    expect(await silverback(['doctor', url])).toMatchObject({
      exit: 3,
      err: expect.stringMatching(/could not be asked/)
    })
    expect(await silverback(['doctor', 'ftp://example.org'])).toMatchObject({ exit: 2 })
  })

  it('names no password of a URL, in messages and to the application', async () => {
    const seen: unknown[] = []
    const app = siteWith('silverback', {
      first: (req, _res, next) => void (seen.push(req.headers.referer), next())
    })
    const url = (await open(app)).replace('//', '//ann:pass-word@')
    await silverback(['doctor', url, '--behind-proxy', ...MEMBER], { env: ACCOUNT.env })
    expect(String(seen)).toMatch(/login.*logout/)
    expect(String(seen)).not.toContain('pass-word')
    listening.splice(0).forEach((server) => server.close().closeAllConnections())
    const { exit, err } = await silverback(['doctor', `${url}?token=to-ken`])
    expect([exit, err]).toEqual([3, expect.not.stringMatching(/pass-word|to-ken/)])
  })

  it('cannot ask what answers by another protocol', async () => {
    const url = await open((_req, res) => {
      res.socket!.end('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n')
    })
    expect(await silverback(['doctor', url])).toMatchObject({
      exit: 3,
      err: expect.stringMatching(/not answer by HTTP/)
    })
  })

  it('asks for the name of a cookie that looks like none of a session', async () => {
    const login: express.RequestHandler = (_req, res) => void res.cookie('ticket', 'opaque').redirect('/account')
    const site = siteWith('express-session', { login, token: false })
    expect(await silverback(['doctor', await open(site), ...MEMBER], { env: ACCOUNT.env })).toMatchObject({
      exit: 2,
      err: expect.stringMatching(/Name it by --cookie: ticket/)
    })
  })

  it('sends a login as JSON', async () => {
    const seen: unknown[] = []
    const app = siteWith('silverback', {
      first: (req, _res, next) => void (seen.push(req.headers['content-type']), next())
    })
    await doctor(app, ['--behind-proxy', ...MEMBER, '--login-json'])
    expect(seen).toContain('application/json')
  })

  it('sends a password to no other host', async () => {
    const elsewhere = express()
    elsewhere.get(
      '/login',
      (_req, res) => void res.send('<form action="http://example.org/"><input type=password name=p></form>')
    )
    expect(await silverback(['doctor', await open(elsewhere), ...MEMBER], { env: ACCOUNT.env })).toMatchObject({
      exit: 2,
      err: expect.stringMatching(/goes to example\.org/)
    })
  })
})
