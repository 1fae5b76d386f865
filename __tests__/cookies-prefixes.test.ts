import request from 'supertest'
import { sessions, type SessionsOptions } from '../lib/index'
import { appWith, cookieOf, secret } from './helpers/app'

type Cookie = NonNullable<Exclude<SessionsOptions['cookie'], (req: any) => unknown>>

const PREFIXES = ['__Secure-', '__Host-', '__Http-', '__Host-Http-']
const spellings = PREFIXES.flatMap((prefix) => [prefix, prefix.toLowerCase(), prefix.toUpperCase()])

const appOf = (options: SessionsOptions) =>
  appWith(sessions({ secret, proxy: true, ...options }), {
    '/write': (req, res) => res.json((req.session.user = 'ann')),
    '/read': (req, res) => res.json(req.session.user ?? null),
    '/logout': (req, res) => req.session.destroy(() => res.send('out'))
  })

const visit = (app: ReturnType<typeof appOf>, path: string, cookie = '') =>
  request(app).get(path).set('X-Forwarded-Proto', 'https').set('Cookie', cookie)

const textOf = (res: request.Response) => (res.headers['set-cookie'] as unknown as string[])[0]!
/** Attributes without the name, the value and what tells the time. */
const attributesOf = (res: request.Response) =>
  textOf(res)
    .split('; ')
    .slice(1)
    .filter((text) => !/^(Max-Age|Expires)=/.test(text))

function refusalOf(name: string, cookie: Cookie): unknown {
  try {
    sessions({ secret, name, cookie })
  } catch (err) {
    return err
  }
  return undefined
}

describe.each(spellings)('a cookie named %ssid', (prefix) => {
  const name = `${prefix}sid`
  const kind = prefix.toLowerCase()

  it('is refused at set-up with attributes that make browsers drop it, whatever the case', () => {
    const wrong: Cookie[] = [{ secure: false }]
    if (kind.startsWith('__host-')) wrong.push({ domain: 'example.com' }, { path: '/app' })
    if (kind.endsWith('http-')) wrong.push({ httpOnly: false })
    for (const cookie of wrong) {
      expect(refusalOf(name, cookie)).toBeInstanceOf(TypeError)
      expect(refusalOf(name, cookie)).toMatchObject({ code: 'ERR_SESSION_OPTION' })
    }
  })

  it('may have the attributes that its prefix says nothing about', () => {
    expect(refusalOf(name, { sameSite: 'strict', maxAge: 60_000, priority: 'high', partitioned: true })).toBeUndefined()
    if (!kind.startsWith('__host-')) expect(refusalOf(name, { domain: 'example.com', path: '/app' })).toBeUndefined()
    if (!kind.endsWith('http-')) expect(refusalOf(name, { httpOnly: false })).toBeUndefined()
  })

  it('is Secure by itself, and makes the whole way: set, read, expired', async () => {
    const app = appOf({ name })
    const login = await visit(app, '/write')
    expect(attributesOf(login)).toEqual(['Path=/', 'HttpOnly', 'Secure', 'SameSite=Lax'])
    const cookie = cookieOf(login, name)!
    expect((await visit(app, '/read', cookie)).body).toBe('ann')
    expect(attributesOf(await visit(app, '/logout', cookie))).toEqual(attributesOf(login))
  })

  it('is refused as the name of another session, too', () => {
    const cart = { cookie: { secure: false } }
    expect(() => sessions({ secret, named: { [`${prefix}cart`]: cart } })).toThrow(/cookie\.secure must be true/)
  })
})

it('a cookie function is held to the rules of the prefix when it answers', async () => {
  const app = appOf({ name: '__Host-sid', cookie: () => ({ path: '/app' }) })
  const res = await visit(app, '/write')
  expect([res.status, res.body.code]).toEqual([500, 'ERR_SESSION_OPTION'])
  expect(res.headers['set-cookie']).toBeUndefined()
})

it('holds a cookie function of the main session to the prefix of whoever takes it over', async () => {
  const auth = sessions({ secret, cookie: () => ({ path: '/app' }), proxy: true })
  const app = appWith(auth, {
    '/app': async (req, res) => res.json(((await req.sessions.get(String(req.query.name))).items = 1))
  })
  const res = await visit(app, '/app?name=__Host-cart')
  expect([res.status, res.body.code, res.headers['set-cookie']]).toEqual([500, 'ERR_SESSION_OPTION', undefined])
  expect(attributesOf(await visit(app, '/app?name=__Secure-cart'))).toContain('Secure')
})

it.each<[string, Cookie, string[]]>([
  ['Partitioned', { partitioned: true, sameSite: 'none' }, ['Secure', 'Partitioned', 'SameSite=None']],
  ['Priority', { priority: 'high' }, ['Priority=High']],
  ['Domain and Path', { domain: 'example.com', path: '/write' }, ['Domain=example.com', 'Path=/write']]
])('%s is sent, and the cookie is expired with the same attributes', async (_name, attributes, expected) => {
  const app = appWith(sessions({ secret, proxy: true, cookie: attributes }), {
    '/write': (req, res) => res.json((req.session.user = 'ann')),
    '/write/logout': (req, res) => req.session.destroy(() => res.send('out'))
  })
  const login = await visit(app, '/write')
  expect(attributesOf(login)).toEqual(expect.arrayContaining(expected))
  const logout = await visit(app, '/write/logout', cookieOf(login))
  expect(textOf(logout)).toMatch(/^sid=; Max-Age=0; .*Expires=Thu, 01 Jan 1970/)
  expect(attributesOf(logout).sort()).toEqual(attributesOf(login).sort())
})
