import request from 'supertest'
import { CookieStore, MemoryStore, sessions, type SessionsOptions } from '../lib/index'
import { sessionCookie } from '../lib/testing'
import { appWith, cookieOf, secret } from './helpers/app'

// Sessions that begin without a request, by auth.create() or sessionCookie(), and options that ask the request.

const routes = {
  '/read': (req: any, res: any) => res.json({ user: req.session.user, code: req.session.error?.code }),
  '/write': (req: any, res: any) => {
    req.session.user ??= 'bob'
    req.session.visits = (req.session.visits ?? 0) + 1
    res.json({ visits: req.session.visits })
  }
}

function open(options: SessionsOptions) {
  const auth = sessions<any>({ secret, ...options })
  const app = appWith(auth, routes)
  const visit = async (path: string, cookie?: string, agent?: string) => {
    const asked = request(app).get(path)
    if (agent !== undefined) asked.set('User-Agent', agent)
    if (cookie !== undefined) asked.set('Cookie', cookie)
    const res = await asked
    return { status: res.status, body: res.body, cookie: cookieOf(res) ?? cookie! }
  }
  return { auth, visit }
}

const REFUSED = { code: 'ERR_SESSION_BINDING' }

describe('the option bind', () => {
  const BINDINGS: Record<string, (req: any) => string> = {
    'req.get()': (req) => req.get('user-agent'),
    'req.headers': (req) => req.headers['user-agent'].toLowerCase(),
    'req.ip': (req) => req.ip + req.get('user-agent'),
    'req.socket': (req) => req.socket.remoteAddress.trim() + req.get('user-agent')
  }

  it.each(Object.keys(BINDINGS))(
    'by %s leaves a session without a request unbound until it is written',
    async (name) => {
      for (const store of [new MemoryStore(), new CookieStore()]) {
        const { auth, visit } = open({ store, bind: BINDINGS[name] })
        expect((await auth.create({ user: 'ann' })).data).toEqual({ user: 'ann' })
        const cookie = await sessionCookie(auth, { user: 'ann' })
        expect((await visit('/read', cookie, 'Firefox')).body).toEqual({ user: 'ann' })
        expect((await visit('/read', cookie, 'curl')).body).toEqual({ user: 'ann' })
        const used = await visit('/write', cookie, 'Firefox')
        expect(used.body).toEqual({ visits: 1 })
        expect((await visit('/read', used.cookie, 'Firefox')).body).toEqual({ user: 'ann' })
        expect((await visit('/read', used.cookie, 'curl')).body).toEqual(REFUSED)
      }
    }
  )

  it('takes a request without the header for one with an empty one', async () => {
    const { visit } = open({ bind: (req) => req.get('user-agent') })
    const nameless = await visit('/write')
    expect(nameless.status).toBe(200)
    expect((await visit('/read', nameless.cookie)).body).toEqual({ user: 'bob' })
    expect((await visit('/read', nameless.cookie, 'curl')).body).toEqual(REFUSED)
    const named = await visit('/write', undefined, 'Firefox')
    expect((await visit('/read', named.cookie)).body).toEqual(REFUSED)
  })

  it.each([7, {}, Promise.resolve('x')])(
    'that answers %p is the application fault, not that of the store',
    async (answer) => {
      let answers: any = 'a string'
      const { visit } = open({ bind: () => answers })
      const { cookie } = await visit('/write')
      answers = answer
      for (const sent of [undefined, cookie]) {
        const { status, body } = await visit('/write', sent)
        expect([status, body.code]).toEqual([500, 'ERR_SESSION_OPTION'])
        expect(body.message).toMatch(/bind must return a string/)
      }
      answers = 'a string'
      expect((await visit('/read', cookie)).body).toEqual({ user: 'bob' })
    }
  )
})

describe('without a request', () => {
  const OPTIONS: Record<string, SessionsOptions> = {
    'cookie by req.get()': { cookie: (req) => ({ path: req.get('x-base') ?? '/' }) },
    'cookie by req.headers': { cookie: (req) => ({ secure: req.headers.origin?.startsWith('https:') ?? false }) },
    'cookie by req.socket': { cookie: (req) => ({ secure: req.socket.encrypted === true }) },
    'genid by req.get()': { genid: (req) => `${req.get('x-region') ?? 'eu'}-${Math.random().toString(36).slice(2)}` },
    'extend by req.get()': { extend: (req) => req.get('x-poll') === undefined }
  }

  it.each(Object.keys(OPTIONS))('%s finds no header', async (name) => {
    const { auth, visit } = open(OPTIONS[name]!)
    const { id } = await auth.create({ user: 'ann' })
    expect((await auth.get(id))?.data).toEqual({ user: 'ann' })
    expect((await visit('/read', await sessionCookie(auth, { user: 'ann' }))).body).toEqual({ user: 'ann' })
  })

  it.each<[string, SessionsOptions]>([
    ['cookie', { cookie: (req) => ({ domain: req.hostname.replace('www.', '') }) }],
    ['genid', { genid: (req) => req.hostname.replace('.', '-') }],
    ['genid', { genid: async (req) => req.hostname.replace('.', '-') }]
  ])('a function %s that cannot do without says so', async (option, options) => {
    const { auth } = open(options)
    for (const attempt of [auth.create({}), sessionCookie(auth)]) {
      const err = await attempt.catch((reason) => reason)
      expect(err).toMatchObject({ name: 'SessionError', code: 'ERR_SESSION_OPTION', cause: expect.any(TypeError) })
      expect(err.message).toContain(option)
    }
  })
})
