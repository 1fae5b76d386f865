import request from 'supertest'
import { gorillaSessions } from '../../lib/gorilla'
import session, { CookieStore, sessions, update } from '../../lib/index'
import { appWith, cookieOf, secret } from '../helpers/app'

// A session in its cookie is where its cookie is: whatever stores it, the response carries it.

const keyPairs: [Buffer, Buffer][] = [[Buffer.alloc(32, 1), Buffer.alloc(32, 2)]]
const STORES: Record<string, () => any> = {
  'a sealed cookie': () => new CookieStore(),
  'a signed cookie': () => new CookieStore({ encrypt: false }),
  "Go's cookie": () => gorillaSessions(undefined, { format: 'cookie', keyPairs })
}
const DOORS: Record<string, (options: object) => any> = {
  'the drop-in door': (options) =>
    session({ secret, name: 'sid', resave: false, saveUninitialized: false, ...options }),
  'sessions()': (options) => sessions({ secret, ...options })
}
const cases = Object.keys(DOORS).flatMap((door) => Object.keys(STORES).map((store) => [door, store] as const))

const WAYS: Record<string, (req: any) => unknown> = {
  'save()': (req) => {
    req.session.n = 2
    return req.session.save()
  },
  'save(callback)': (req) => {
    req.session.n = 2
    return new Promise((resolve) => req.session.save(resolve))
  },
  'update()': (req) => update(req.session, (current: any) => (current.n = 2)),
  'req.sessions.save()': (req) => {
    req.session.n = 2
    return req.sessions.save()
  },
  'save() and reload()': async (req) => {
    req.session.n = 2
    await req.session.save()
    await req.session.reload()
  },
  'update() on the object from before a reload()': async (req) => {
    const before = req.session
    await before.reload()
    await update(before, (current: any) => (current.n = 2))
  }
}

describe.each(cases)('behind %s, %s', (door, store) => {
  const serve = () =>
    appWith(DOORS[door]!({ store: STORES[store]!() }), {
      '/first': (req, res) => res.json((req.session.n = 1)),
      '/look': (req, res) => res.json(req.session.n ?? null),
      '/act': async (req, res) => {
        await WAYS[req.query.way as string]!(req)
        res.send('done')
      },
      '/out': async (req, res) => {
        req.session.n = 2
        const { session: current } = req
        await Promise.allSettled([current.save(), current.destroy()])
        res.send('out')
      },
      '/late': async (req, res) => {
        res.write('begun')
        const outcome = await update(req.session, (current: any) => (current.n = 2)).then(
          () => 'stored',
          (err) => err.code
        )
        res.end(outcome)
      }
    })

  it.each(Object.keys(WAYS))('a response after %s carries what was stored', async (way) => {
    const app = serve()
    const first = cookieOf(await request(app).get('/first'))!
    const res = await request(app).get('/act').query({ way }).set('Cookie', first)
    expect([res.status, res.text]).toEqual([200, 'done'])
    // Another process knows nothing but the cookie.
    const { body } = await request(serve()).get('/look').set('Cookie', cookieOf(res)!)
    expect(body).toBe(2)
  })

  it('a logout beside a save() expires it', async () => {
    const app = serve()
    const first = cookieOf(await request(app).get('/first'))!
    expect(cookieOf(await request(app).get('/out').set('Cookie', first))).toBe('sid=')
  })

  it.each<[string, (req: any) => unknown, withheld: number]>([
    ['stores nothing new is no mistake', () => undefined, 0],
    ['has a change to store is told of, in words that fit', (req) => (req.session.n = 3), 1]
  ])('a save() after the answer that %s', async (_what, change, withheld) => {
    const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const outcomes: unknown[] = []
    // A warning is given once for each name.
    const auth = DOORS[door]!({
      store: STORES[store]!(),
      name: `late-${cases.findIndex((one) => one[0] === door && one[1] === store)}`
    })
    const app = appWith(auth, {
      '/': async (req, res) => {
        req.session.n = 1
        res.write('begun')
        if (req.query.first === undefined) change(req)
        outcomes.push(await req.session.save().catch((err: any) => err.message))
        res.end()
      }
    })
    const first = (await request(app).get('/?first')).headers['set-cookie']![0]!.split(';')[0]!
    await request(app).get('/').set('Cookie', first)
    const told = /^A session whose cookie changes with it was changed after the response had started/
    const isRefused = withheld === 1 && door === 'sessions()'
    expect(outcomes).toEqual([undefined, isRefused ? expect.stringMatching(told) : undefined])
    const warnings = warned.mock.calls
      .map(([message]) => String(message))
      .filter((text) => !text.includes('its data was'))
    expect(warnings).toEqual(withheld === 0 ? [] : [expect.stringMatching(told)])
    expect(auth.stats().withheld).toBe(withheld)
    warned.mockRestore()
  })

  if (door === 'sessions()') {
    it('an update() after the first byte is refused, as a save() is', async () => {
      const app = serve()
      const first = cookieOf(await request(app).get('/first'))!
      const res = await request(app).get('/late').set('Cookie', first)
      expect(res.text).toBe('begunERR_SESSION_HEADERS_SENT')
    })
  }
})
