import request from 'supertest'
import { KeyRing } from '../lib/cookie/keys'
import { MemoryStore, sessions } from '../lib/index'
import { appWith, cookieOf, secret } from './helpers/app'
import { basics, login, read } from './helpers/basics'
import { Clock } from './helpers/clock'

let clock: Clock | undefined

afterEach(() => {
  clock?.restore()
  clock = undefined
})

describe('users', () => {
  const userId = (s: any) => s.user
  it('lists and revokes the sessions of a user', async () => {
    const auth = sessions({ secret, userId })
    const app = appWith(auth, basics)
    const cookies = [await login(app), await login(app), await login(app, 'user=other')]
    const current = cookies[0]!.slice(4).split('.')[0]!
    const list = await auth.list('u', { current })
    expect(list.map((entry) => entry.current).sort()).toEqual([false, true])
    expect(list[0]).toMatchObject({ data: { user: 'u' }, createdAt: expect.any(Number), expiresAt: expect.any(Number) })
    expect(await auth.revoke('u', { except: current })).toBe(1)
    expect((await read(app, cookies[0])).body.isNew).toBe(false)
    expect((await read(app, cookies[1])).body.code).toBe('ERR_SESSION_MISSING')
    expect((await read(app, cookies[2])).body.isNew).toBe(false)
    expect(await auth.list('u')).toHaveLength(1)
  })

  it.each([false, true])('takes an ID of a list for one to keep (hashIds: %p)', async (hashIds) => {
    const auth = sessions({ secret, userId, hashIds })
    const app = appWith(auth, basics)
    const cookies = [await login(app), await login(app), await login(app)]
    const { id } = (await auth.list('u'))[1]!
    expect((await auth.list('u', { current: id })).map((entry) => entry.current)).toEqual([false, true, false])
    expect(await auth.revoke('u', { except: id })).toBe(2)
    expect((await auth.list('u')).map((entry) => entry.id)).toEqual([id])
    const left = await Promise.all(cookies.map(async (cookie) => (await read(app, cookie)).body.isNew))
    expect(left.sort()).toEqual([false, true, true])
  })

  it('refuses what is no session', async () => {
    const auth = sessions({ secret, userId })
    const refused = expect.objectContaining({ code: 'ERR_SESSION_OPTION' })
    await expect(auth.list('u', { current: {} as never })).rejects.toEqual(refused)
    await expect(auth.revoke('u', { except: {} as never })).rejects.toEqual(refused)
  })

  it('keeps to maxPerUser: the least recently used goes', async () => {
    clock = new Clock()
    const auth = sessions({ secret, userId, maxPerUser: 2 })
    const app = appWith(auth, basics)
    const cookies: string[] = []
    for (let i = 0; i < 3; i++) {
      cookies.push(await login(app))
      clock.forward(1000)
    }
    expect((await read(app, cookies[0])).body.code).toBe('ERR_SESSION_MISSING')
    expect((await read(app, cookies[1])).body.isNew).toBe(false)
    expect(await auth.list('u')).toHaveLength(2)
  })

  it.each([
    ['a number', 42],
    ['an object with a text of its own', { toString: () => '42', toJSON: () => 42 }]
  ])('takes %s for a user', async (_what, user: any) => {
    const auth = sessions({ secret, userId })
    const app = appWith(auth, { ...basics, '/in': (req, res) => res.json((req.session.user = user)) })
    expect((await request(app).get('/in')).status).toBe(200)
    await auth.create({}, { userId: user })
    expect(await auth.list('42')).toHaveLength(2)
    expect(await auth.list(user)).toHaveLength(2)
    expect(await auth.revoke(user)).toBe(2)
    expect(await auth.list('42')).toEqual([])
  })

  it('takes null for nobody, and revokes nothing of nobody without a word', async () => {
    const auth = sessions({ secret, userId })
    const app = appWith(auth, { '/in': (req, res) => res.json((req.session.user = null)) })
    expect((await request(app).get('/in')).status).toBe(200)
    for (const user of [null, undefined, NaN, {}, [], Promise.resolve('u')] as any[]) {
      await expect(auth.list(user)).rejects.toThrow(/userId/)
      await expect(auth.revoke(user)).rejects.toThrow(/userId/)
    }
  })

  it.each<[string, any, RegExp]>([
    ['an object', (s: any) => ({ name: s.user }), /^userId must be a text or a number, got an object$/],
    ['a promise', async (s: any) => s.user, /^The option userId must answer at once, and answered a promise/]
  ])('refuses %s as an answer, which would make one user of all', async (_what, userId, message) => {
    const res = await request(appWith(sessions({ secret, userId }), basics)).get('/write?user=u')
    expect([res.status, res.body]).toEqual([
      500,
      { code: 'ERR_SESSION_OPTION', message: expect.stringMatching(message) }
    ])
  })

  describe('of a session whose user is known from auth.create alone', () => {
    const auths = () => {
      const store = new MemoryStore()
      return { auth: sessions({ secret, store, userId }), ignorant: sessions({ secret, store }) }
    }
    const routes = {
      ...basics,
      '/note': (req: any, res: any) => res.json((req.session.note = Math.random())),
      '/rotate': (req: any, res: any) => req.session.regenerate({ keep: true }).then(() => res.end()),
      '/lead': (req: any, res: any) => req.session.regenerate({ keep: true, grace: 1000 }).then(() => res.end()),
      '/login': (req: any, res: any) => req.session.regenerate().then(() => res.end())
    }
    const begin = async (auth: any) => {
      const { id } = await auth.create({ a: 1 }, { userId: 'u' })
      return `sid=${new KeyRing(secret).signBound('sid', id)}`
    }

    it.each(['/note', '/rotate', '/lead'])('%s does not hide it from list and revoke', async (path) => {
      const { auth } = auths()
      const app = appWith(auth, routes)
      let cookie = await begin(auth)
      for (let i = 0; i < 2; i++) cookie = cookieOf(await request(app).get(path).set('Cookie', cookie)) ?? cookie
      expect(await auth.list('u')).toHaveLength(1)
      expect(await auth.revoke('u')).toBe(1)
      expect((await read(app, cookie)).body.isNew).toBe(true)
    })

    it('nor does a write by a middleware that knows of no users', async () => {
      const { auth, ignorant } = auths()
      const cookie = await begin(auth)
      await request(appWith(ignorant, routes)).get('/note').set('Cookie', cookie)
      expect(await auth.list('u')).toHaveLength(1)
    })

    it('a login ends it, and a logout of the data ends the other kind', async () => {
      const { auth } = auths()
      const app = appWith(auth, { ...routes, '/out': (req, res) => res.json(delete req.session.user) })
      await request(app)
        .get('/login')
        .set('Cookie', await begin(auth))
      expect(await auth.list('u')).toEqual([])
      const cookie = await login(app)
      expect(await auth.list('u')).toHaveLength(1)
      await request(app).get('/out').set('Cookie', cookie)
      expect(await auth.list('u')).toEqual([])
    })
  })
})
