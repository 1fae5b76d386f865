import request from 'supertest'
import session, { CookieStore, MemoryStore, sessions } from '../lib/index'
import { POWERS } from '../lib/store/contract'
import { appWith, cookieOf, deferred, secret } from './helpers/app'
import { basics, login, read } from './helpers/basics'
import { describeGrace } from './helpers/grace'

const GRACE = 60_000

describeGrace('one process')

describe('a rotation where the store sees hashes of IDs', () => {
  const rotating = () => {
    const store = new MemoryStore()
    const auth = sessions({ secret, store, hashIds: true, userId: (data: any) => data.user })
    const app = appWith(auth, {
      '/set': (req, res) => res.json(Object.assign(req.session, req.query) && req.session.id),
      '/read': (req, res) => res.json(req.session.user ?? null),
      '/rotate': async (req, res) => {
        await req.session.regenerate({ keep: true, grace: GRACE })
        res.json(req.session.id)
      }
    })
    return { store, auth, app }
  }

  it('shows it neither the old ID nor the new one', async () => {
    const { store, app } = rotating()
    const first = await request(app).get('/set?user=ann')
    const second = await request(app).get('/rotate').set('Cookie', cookieOf(first)!)
    const third = await request(app).get('/rotate').set('Cookie', cookieOf(second)!)
    const kept = JSON.stringify(store.sessions)
    expect(store.ids()).toHaveLength(3)
    for (const { body: id } of [first, second, third]) expect([id.length, kept.includes(id)]).toEqual([32, false])
    for (const each of [first, second, third]) {
      expect((await request(app).get('/read').set('Cookie', cookieOf(each)!)).body).toBe('ann')
    }
  })

  it('is followed by whoever ends the session by the hash of its old ID', async () => {
    const { store, auth, app } = rotating()
    const first = await request(app).get('/set?user=ann')
    const [listed] = await auth.list('ann')
    expect(store.ids()).toEqual([listed!.id])
    const { remove } = store[POWERS]
    let next: any
    // Between the list and the removal of what is in it.
    const removal = jest.spyOn(store[POWERS], 'remove').mockImplementation(function (this: any, ...args: any[]) {
      removal.mockRestore()
      return request(app)
        .get('/rotate')
        .set('Cookie', cookieOf(first)!)
        .then((res) => ((next = res), remove.apply(store[POWERS], args as never))) as never
    })
    await auth.revoke('ann')
    for (const each of [first, next]) {
      expect((await request(app).get('/read').set('Cookie', cookieOf(each)!)).body).toBeNull()
    }
    expect(store.ids()).toEqual([])
  })
})

describe('a rotation that the store refuses', () => {
  it('leaves the session as it is, and nothing else behind', async () => {
    const store = new MemoryStore()
    const app = appWith(sessions({ secret, store }), {
      '/set': (req, res) => res.json(Object.assign(req.session, req.query).user),
      '/read': (req, res) => res.json(req.session.user ?? null),
      '/rotate': async (req, res) => res.json(await req.session.regenerate({ keep: true, grace: GRACE }))
    })
    const cookie = cookieOf(await request(app).get('/set?user=ann'))!
    const powers = store[POWERS]
    const { write } = powers
    jest.spyOn(powers, 'write').mockImplementation((given) => {
      if (given.expected !== null) throw new Error('full')
      return write.call(powers, given)
    })
    const res = await request(app).get('/rotate').set('Cookie', cookie)
    expect([res.status, res.body.code, res.headers['set-cookie']]).toEqual([500, 'ERR_SESSION_STORE', undefined])
    expect(store.ids()).toHaveLength(1)
    expect((await request(app).get('/read').set('Cookie', cookie)).body).toBe('ann')
  })
})

describe('a rotation that the revocations of a CookieStore refuse', () => {
  it('leaves the session as it is, in every process', async () => {
    const revocations = new MemoryStore()
    const [app, elsewhere] = [0, 1].map(() =>
      appWith(sessions({ secret, store: new CookieStore({ revocations }) }), {
        '/set': (req, res) => res.json(Object.assign(req.session, req.query).user),
        '/read': (req, res) => res.json(req.session.user ?? null),
        '/rotate': async (req, res) => res.json(await req.session.regenerate({ keep: true, grace: GRACE }))
      })
    )
    const cookie = cookieOf(await request(app!).get('/set?user=ann'))!
    const write = jest.spyOn(revocations[POWERS], 'write').mockImplementation(() => {
      throw new Error('full')
    })
    const res = await request(app!).get('/rotate').set('Cookie', cookie)
    expect([res.status, res.body.code, res.headers['set-cookie']]).toEqual([500, 'ERR_SESSION_STORE', undefined])
    write.mockRestore()
    for (const each of [app, elsewhere]) {
      expect((await request(each!).get('/read').set('Cookie', cookie)).body).toBe('ann')
    }
  })
})

it('three regenerations at once leave three sessions of their own and a dead ID', async () => {
  const auth = sessions({ secret })
  const ready = Array.from({ length: 3 }, () => deferred())
  const go = deferred()
  let waiting = 0
  const app = appWith(auth, {
    ...basics,
    '/rotate': async (req: any, res: any) => {
      void req.session.user
      ready[waiting++]!.resolve()
      await go.promise
      await req.session.regenerate()
      req.session.me = req.query.me
      res.send('ok')
    }
  })
  const cookie = await login(app)
  const server = app.listen(0)
  const calls = [0, 1, 2].map((me) =>
    request(server)
      .get(`/rotate?me=${me}`)
      .set('Cookie', cookie)
      .then((res) => res)
  )
  await Promise.all(ready.map(({ promise }) => promise))
  go.resolve()
  const results = await Promise.all(calls)
  server.close()
  expect((await read(app, cookie)).body.code).toBe('ERR_SESSION_MISSING')
  for (const [me, res] of results.entries()) {
    expect(res.status).toBe(200)
    expect((await read(app, cookieOf(res))).body.data).toEqual({ me: String(me) })
  }
})

// From the environment or from a condition: a text as grace would never end, and one as keep would keep its letters.
describe.each([['sessions()', sessions] as const, ['the drop-in door', session] as const])(
  'behind %s',
  (_name, door) => {
    const late = 'ERR_SESSION_HEADERS_SENT'
    it.each([
      [GRACE, late],
      [0, door === sessions ? late : 'done']
    ])('keep with a grace of %d, when the client cannot be told the new ID any more: %s', async (grace, outcome) => {
      const app = appWith(door({ name: 'sid', secret, resave: false, saveUninitialized: false } as never), {
        ...basics,
        '/late': async (req, res) => {
          res.write('late: ')
          const { code = 'done' } =
            (await req.session.regenerate({ keep: true, grace }).catch((err: unknown) => err)) ?? {}
          res.end(code)
        }
      })
      const cookie = await login(app)
      expect((await request(app).get('/late').set('Cookie', cookie)).text).toBe(`late: ${outcome}`)
      expect((await read(app, cookie)).body.data).toEqual(outcome === late ? { user: 'u' } : {})
    })

    it.each([
      [{ keep: 'user' }, /keep .*got "user"/],
      [{ keep: {} }, /keep/],
      [{ keep: false }, /keep .*got false/],
      [{ keep: true, grace: '60000' }, /grace .*got "60000"/],
      [{ keep: true, grace: NaN }, /grace/],
      [{ keep: true, grace: -1 }, /grace/],
      [{ keep: true, grace: Infinity }, /grace/]
    ])('regenerate(%p) is refused by name, before anything has ended', async (options, message) => {
      const app = appWith(door({ secret, name: 'sid', resave: false, saveUninitialized: false }), {
        ...basics,
        '/rotate': async (req, res) => res.json((await req.session.regenerate(options)) ?? null)
      })
      const cookie = await login(app)
      const { status, body } = await request(app).get('/rotate').set('Cookie', cookie)
      expect([status, body.code, body.message]).toEqual([500, 'ERR_SESSION_OPTION', expect.stringMatching(message)])
      expect((await read(app, cookie)).body.data).toEqual({ user: 'u' })
    })
  }
)
