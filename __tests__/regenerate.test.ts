import request from 'supertest'
import session, { CookieStore, MemoryStore, sessions } from '../lib/index'
import { POWERS } from '../lib/store/contract'
import { appWith, cookieOf, deferred, secret } from './helpers/app'
import { basics, login, read } from './helpers/basics'
import { Clock } from './helpers/clock'
import { alone, COOKIE_GROUNDS, type Ground, GROUNDS, type Pair } from './helpers/race'
import type { RaceOptions } from './helpers/race-app'

const TheirMemoryStore = require('express-session').MemoryStore

const GRACE = 60_000

const hashed = (open: () => Promise<Ground>) => async () => {
  const ground = await open()
  return { ...ground, start: (options?: RaceOptions) => ground.start({ ...options, given: { hashIds: true } }) }
}

// None of these has an index of users.
const indexless: typeof GROUNDS = {
  'a store that only knows the contract, one process': alone(async () => ({ store: new TheirMemoryStore() })),
  ...COOKIE_GROUNDS,
  'cookies although IDs are to be hashed, one process': hashed(COOKIE_GROUNDS['cookies, one process']!)
}

const grounds: typeof GROUNDS = {
  ...GROUNDS,
  'memory with hashed IDs, one process': hashed(GROUNDS['memory, one process']!),
  ...indexless
}

describe.each(Object.entries(grounds))('regenerate({ keep, grace }) (%s)', (name, open) => {
  // Data that is nowhere but in its cookies meets within a process only.
  const split = name in COOKIE_GROUNDS && !name.endsWith('one process')
  let ground: Ground
  let here: Pair['here']
  let there: Pair['there']
  let cookie: string
  let user: string
  let users = 0

  beforeAll(async () => {
    ground = await open()
    ;({ here, there } = await ground.start({ indexless: name in indexless }))
  })

  afterAll(() => ground?.close())

  beforeEach(async () => {
    user = `user${++users}`
    cookie = cookieOf(await here.get(`/set?user=${user}`))!
    await here.get('/dropped')
    await there.get('/dropped')
  })

  // Elsewhere nothing is known of a session that nobody has come with yet, so nothing is led to.
  const leadsIn = (site: Pair['here']) => !split || site === here
  const expectSessions = async (count: number) => {
    if (!(name in indexless)) expect((await there.get(`/listed?user=${user}`)).body).toHaveLength(count)
  }
  const rotated = async (grace = GRACE) => cookieOf(await here.get(`/rotate?grace=${grace}`, cookie))!

  it('leads three requests with the old ID to the one new session, and sets no other cookie', async () => {
    const next = await rotated()
    const { id } = (await there.get('/read', next)).body
    const sites = [here, there, here]
    const late = await Promise.all(sites.map((site) => site.get('/read', cookie)))
    const gone = { id: expect.any(String), data: {}, isNew: true, code: 'ERR_SESSION_MISSING' }
    late.forEach(({ body, headers }, i) => {
      expect(body).toEqual(leadsIn(sites[i]!) ? { id, data: { user }, isNew: false, code: null } : gone)
      expect(headers['set-cookie']).toBeUndefined()
    })
    await expectSessions(1)
  })

  it('leads them there before the new ID is even sent', async () => {
    const rotation = await here.hold([`respond?grace=${GRACE}`], cookie)
    const { body, headers } = await (split ? here : there).get('/read', cookie)
    expect([body.data, headers['set-cookie']]).toEqual([{ user }, undefined])
    const [answer] = await rotation.letGo()
    expect((await there.get('/read', cookieOf(answer!))).body).toMatchObject({ id: body.id, data: { user } })
  })

  it('leads a request under way there that reloads its session', async () => {
    const late = await here.hold(['reload'], cookie)
    const next = await rotated()
    await here.get('/set?b=1', next)
    const { id } = (await here.get('/read', next)).body
    const [answer] = await late.letGo()
    expect(answer!.body).toEqual({ id, data: { user, b: '1' }, isNew: false, code: null })
    expect(answer!.headers['set-cookie']).toBeUndefined()
    expect((await here.get('/dropped')).body).toEqual(['ERR_SESSION_DESTROYED'])
    expect((await here.get('/read', next)).body.data).not.toHaveProperty('late')
  })

  it('lets no request reload a session without a grace', async () => {
    const late = await here.hold(['reload'], cookie)
    await rotated(0)
    const [answer] = await late.letGo()
    expect([answer!.status, answer!.body.code]).toEqual([500, 'ERR_SESSION_MISSING'])
  })

  it('ends the old ID at once without a grace', async () => {
    const next = await rotated(0)
    for (const site of [here, there]) {
      expect((await site.get('/read', cookie)).body).toMatchObject({ data: {}, code: 'ERR_SESSION_MISSING' })
      expect((await site.get('/read', next)).body.data).toEqual({ user })
    }
  })

  it('lets the old ID only read, and tells whoever wants more', async () => {
    const next = await rotated()
    const site = split ? here : there
    const written = await site.get('/set?late=1', cookie)
    expect([written.status, written.headers['set-cookie']]).toEqual([200, undefined])
    expect((await site.get('/dropped')).body).toEqual(['ERR_SESSION_DESTROYED'])
    for (const path of ['/save?late=1', '/count', '/rotate']) {
      const res = await site.get(path, cookie)
      expect([path, res.status, res.body.code]).toEqual([path, 500, 'ERR_SESSION_DESTROYED'])
      expect(res.headers['set-cookie']).toBeUndefined()
    }
    expect((await here.get('/read', next)).body.data).toEqual({ user })
    await expectSessions(1)
  })

  it('has rotated for those who come to it with the old ID', async () => {
    const next = await rotated()
    const late = await (split ? here : there).get(`/rotate?grace=${GRACE}`, cookie)
    expect([late.status, late.headers['set-cookie']]).toEqual([200, undefined])
    expect((await here.get('/read', next)).body.data).toEqual({ user })
    await expectSessions(1)
  })

  it('ends the session where the old ID logs out', async () => {
    const next = await rotated()
    expect((await (split ? here : there).get('/logout', cookie)).body).toBe('done')
    for (const each of [cookie, next]) {
      expect((await here.get('/read', each)).body).toMatchObject({ data: {}, code: 'ERR_SESSION_MISSING' })
    }
    await expectSessions(0)
  })

  it('ends the session where the old ID logs in as somebody else, who gets one of its own', async () => {
    const next = await rotated()
    const other = cookieOf(await (split ? here : there).get(`/login?user=other-${user}`, cookie))
    expect((await here.get('/read', other)).body).toMatchObject({ data: { user: `other-${user}` }, isNew: false })
    for (const each of [cookie, next]) {
      expect((await here.get('/read', each)).body).toMatchObject({ data: {}, code: 'ERR_SESSION_MISSING' })
    }
  })

  it('makes one session of several rotations at once, and keeps what each has written', async () => {
    const [both, one] = await Promise.all([
      here.hold([`rotate?grace=${GRACE}&key=a`, `rotate?grace=${GRACE}&key=b`], cookie),
      there === here ? undefined : there.hold([`rotate?grace=${GRACE}&key=c`], cookie)
    ])
    const answers = (await Promise.all([both.letGo(), one?.letGo() ?? []])).flat()
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
    // A process that was not first, and knows nothing of the new session, sends no cookie in the place of its own.
    const cookies = answers.map((answer) => cookieOf(answer)).filter((each) => !split || each !== undefined)
    const seen = await Promise.all(cookies.map((each) => there.get('/read', each)))
    expect(new Set(seen.map(({ body }) => body.id)).size).toBe(1)
    expect(seen[0]!.body.data).toMatchObject({ user })
    if (split) return
    const keys = Object.fromEntries(answers.map((_, i) => ['abc'[i], true]))
    expect(seen.at(-1)!.body.data).toEqual({ user, ...keys })
    expect((await here.get('/read', cookie)).body.data).toEqual({ user, ...keys })
    await expectSessions(1)
  })

  if (!split) {
    it.each([GRACE, 0])('takes along what others write while the request runs (grace %d)', async (grace) => {
      const late = await here.hold([`rotate?grace=${grace}&key=a`], cookie)
      await there.get('/set?b=1', cookie)
      const [answer] = await late.letGo()
      expect((await there.get('/read', cookieOf(answer!))).body.data).toEqual({ user, a: true, b: '1' })
      await expectSessions(1)
    })
  }

  it('carries nothing on when somebody logged out meanwhile', async () => {
    const late = await here.hold([`rotate?grace=${GRACE}&key=a`], cookie)
    await there.get('/logout', cookie)
    const [answer] = await late.letGo()
    expect(answer!.status).toBe(200)
    expect((await there.get('/read', cookieOf(answer!))).body).toMatchObject({ data: {}, isNew: false })
    expect((await there.get('/read', cookie)).body.code).toBe('ERR_SESSION_MISSING')
    await expectSessions(0)
  })

  if (name.endsWith('one process')) {
    it('ends the old ID when the grace is over, however often it was used', async () => {
      const clock = new Clock(Date.now())
      try {
        cookie = cookieOf(await here.get(`/set?user=${user}`))!
        const next = await rotated()
        for (let i = 0; i < 4; i++) {
          clock.forward(GRACE / 4 - 1)
          expect((await here.get('/read', cookie)).body.data).toEqual({ user })
        }
        clock.forward(4)
        expect((await here.get('/read', cookie)).body).toMatchObject({ data: {}, code: 'ERR_SESSION_MISSING' })
        expect((await here.get('/read', next)).body.data).toEqual({ user })
      } finally {
        clock.restore()
      }
    })
  }
})

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
