import util from 'node:util'
import express from 'express'
import request from 'supertest'
import session, { infoOf, lock, MemoryStore, sessions, update } from '../lib/index'
import { appWith, cookieOf, secret } from './helpers/app'
import { classic, classicApp, plainStore, visit } from './helpers/classic'
import { Clock } from './helpers/clock'
import { MINUTE } from './helpers/times'
import { SIDES } from './helpers/two-sides'

/** What a session of this package tells of itself, or once told, beside its data. */
const NAMES = [
  ...['name', 'store', 'isNew', 'error', 'createdAt', 'expiresAt', 'signal'],
  ...['flashes', 'addFlash', 'lock', 'update']
]

/** Every name that a session has, whether or not it is enumerable; prototypes up to Object's. */
function namesOf(of: object): string[] {
  const names = new Set<string>()
  for (let from = of; from !== Object.prototype; from = Object.getPrototypeOf(from)) {
    for (const name of Object.getOwnPropertyNames(from)) names.add(name)
  }
  return [...names].sort()
}

const DOORS: Record<string, (options?: object) => any> = {
  'the drop-in door': (options) => classic({ name: 'sid', ...options }),
  'sessions()': (options) => sessions({ secret, ...options })
}

describe('on the drop-in door a session', () => {
  // Kept from data for security, and undefined whatever is assigned.
  const reserved = ['silverback_meta', '__silverback', '__proto__']

  it('has the names of express-session and no other', async () => {
    const [theirs, ours] = await Promise.all(
      [SIDES.reference, SIDES.subject].map(async (side) => {
        const app = appWith(side({ secret, resave: false, saveUninitialized: true }), {
          '/': (req, res) => res.json(namesOf(req.session))
        })
        return (await request(app).get('/')).body as string[]
      })
    )
    expect(ours!.filter((name) => !reserved.includes(name))).toEqual(theirs)
  })

  it.each(NAMES)(
    'knows nothing of %s until the application has put it there, and nothing after its end',
    async (name) => {
      const app = classicApp(
        {},
        {
          '/in': (req, res) => {
            req.session[name] = 'ann'
            res.send('in')
          },
          '/out': (req, res) => {
            delete req.session[name]
            res.send('out')
          },
          '/look': (req, res) => res.json([name in req.session, req.session[name] ?? null])
        }
      )
      expect((await visit(app, '/look')).body).toEqual([false, null])
      expect((await visit(app, '/look', 'connect.sid=s%3Aold.cookie')).body).toEqual([false, null])
      const { cookie } = await visit(app, '/in')
      expect((await visit(app, '/look', cookie)).body).toEqual([true, 'ann'])
      await visit(app, '/out', cookie)
      expect((await visit(app, '/look', cookie)).body).toEqual([false, null])
    }
  )

  it('begins a list of its own under a name that other doors use for a verb', async () => {
    const app = classicApp(
      {},
      { '/': (req, res) => res.json(((req.session.flashes ??= []) as string[]).push('hi') && req.session.flashes) }
    )
    const { cookie, body } = await visit(app, '/')
    expect(body).toEqual(['hi'])
    expect((await visit(app, '/', cookie)).body).toEqual(['hi', 'hi'])
  })
})

describe('with sessions() a session', () => {
  const told = NAMES.slice(0, 7).filter((name) => name !== 'isNew')

  it.each(told)('knows nothing of %s until the application has put it there', async (name) => {
    const app = appWith(sessions({ secret }), {
      '/in': (req, res) => res.json((req.session[name] = 'ann')),
      '/look': (req, res) => res.json([name in req.session, req.session[name] ?? null])
    })
    expect((await request(app).get('/look')).body).toEqual([false, null])
    const cookie = cookieOf(await request(app).get('/in'))!
    expect((await request(app).get('/look').set('Cookie', cookie)).body).toEqual([true, 'ann'])
  })

  it.each(['update', 'lock', 'addFlash', 'flashes', 'isNew'])('gives %s away to data of that name', async (name) => {
    const app = appWith(sessions({ secret }), {
      '/before': (req, res) => res.json([typeof req.session[name], Object.keys(req.session).includes(name)]),
      '/in': (req, res) => res.json((req.session[name] = { mine: 1 })),
      '/look': (req, res) => res.json(req.session[name]),
      '/out': (req, res) => res.json(delete req.session[name])
    })
    const type = name === 'isNew' ? 'boolean' : 'function'
    expect((await request(app).get('/before')).body).toEqual([type, false])
    const cookie = cookieOf(await request(app).get('/in'))!
    const get = (path: string) => request(app).get(path).set('Cookie', cookie)
    expect((await get('/look')).body).toEqual({ mine: 1 })
    await get('/out')
    expect((await get('/before')).body).toEqual([type, false])
  })
})

describe('addFlash() with sessions()', () => {
  it.each<[unknown]>([['cookie'], [['cookie']], ['__proto__'], ['silverback_meta'], ['__silverback']])(
    'takes no key under which a session keeps no data: %p',
    async (key) => {
      const app = appWith(sessions({ secret }), {
        '/': (req, res) => {
          req.session.user = 'ann'
          req.session.addFlash('x', key)
          res.send('added')
        }
      })
      const { status, body } = await request(app).get('/')
      expect([status, body.code]).toEqual([500, 'ERR_SESSION_OPTION'])
      expect(body.message).toMatch(/^addFlash\(\): `key` must be a name that data can have, got /)
    }
  )

  it.each([['ann'], [{ a: 1 }], [0], [false]])('replaces no data of the application by a list: %p', async (data) => {
    const app = appWith(sessions({ secret }), {
      '/': (req, res) => {
        req.session.user = data
        const add = () => req.session.addFlash('x', 'user')
        expect(add).toThrow(expect.objectContaining({ name: 'TypeError', code: 'ERR_SESSION_OPTION' }))
        expect(add).not.toThrow(/ann/)
        res.json(req.session.user)
      }
    })
    expect((await request(app).get('/')).body).toEqual(data)
  })

  it.each(['id', 'req', 'constructor', 'toString', 'save', '', 'ü'])(
    'takes %p, as data may have that name',
    async (key) => {
      const app = appWith(sessions({ secret }), {
        '/in': (req, res) => {
          req.session.addFlash('x', key)
          req.session.addFlash('y', key)
          res.send('added')
        },
        '/out': (req, res) => res.json([req.session.flashes(key), req.session.flashes(key)])
      })
      const cookie = cookieOf(await request(app).get('/in'))!
      expect((await request(app).get('/out').set('Cookie', cookie)).body).toEqual([['x', 'y'], []])
    }
  )
})

it.each(Object.entries(DOORS))('session.cookie takes no list, %s', async (_door, open) => {
  const app = appWith(open(), { '/': (req, res) => res.json((req.session.cookie = [])) })
  const { status, body } = await request(app).get('/')
  expect([status, body.code]).toEqual([500, 'ERR_SESSION_OPTION'])
})

describe.each(['id', 'req'])('data called %s behind sessions()', (name) => {
  it.each(Object.entries({ 'a store of ours': () => new MemoryStore(), 'a store from npm': () => plainStore() }))(
    'is kept in %s, through changes of several requests',
    async (_store, make) => {
      const app = appWith(sessions({ secret, store: make() }), {
        '/in': (req, res) => res.json((req.session[name] = 'mine')),
        '/add': async (req, res) => {
          await update(req.session, (session: any) => (session.n = (session.n ?? 0) + 1))
          res.json([req.session[name], req.session.n, req.sessionID === 'mine'])
        }
      })
      const res = await request(app).get('/in')
      expect(res.status).toBe(200)
      const add = () => request(app).get('/add').set('Cookie', cookieOf(res)!)
      expect((await Promise.all([add(), add()])).map(({ status }) => status)).toEqual([200, 200])
      expect((await add()).body).toEqual(['mine', 3, false])
    }
  )
})

describe.each(Object.entries(DOORS))('behind %s', (_name, door) => {
  it('infoOf() tells what is known of a session, whatever its data is called', async () => {
    const store = new MemoryStore()
    const app = appWith(door({ store, idle: MINUTE }), {
      '/in': (req, res) => {
        for (const name of NAMES) req.session[name] = 'data'
        res.send('in')
      },
      '/info': (req, res) => {
        const { name, store: of, isNew, error, createdAt, expiresAt, signal } = infoOf(req.session)
        const ended = signal instanceof AbortSignal && signal.aborted
        res.json({ name, same: of === store, isNew, code: error?.code, span: expiresAt! - createdAt, ended })
      }
    })
    const before = (await request(app).get('/info').set('Cookie', 'sid=s%3Aold.cookie')).body
    const known = { name: 'sid', same: true, span: MINUTE, ended: false }
    expect(before).toEqual({ ...known, isNew: true, code: 'ERR_SESSION_SIGNATURE' })
    const cookie = cookieOf(await request(app).get('/in'))!
    const after = (await request(app).get('/info').set('Cookie', cookie)).body
    expect(after).toEqual({ ...known, isNew: false, span: expect.any(Number) })
  })

  it('makes no prototype of a __proto__ that a client has put into data', async () => {
    const app = appWith(door(), {
      '/begin': (req, res) => res.json((req.session.n = 1)),
      '/in': (req, res) => res.json((req.session.prefs = JSON.parse('{"a":1,"__proto__":{"admin":true}}'))),
      '/look': (req, res) => res.json([req.session.prefs.a, req.session.prefs.admin ?? null])
    })
    const cookie = cookieOf(await request(app).get('/begin'))!
    await request(app).get('/in').set('Cookie', cookie)
    expect((await request(app).get('/look').set('Cookie', cookie)).body).toEqual([1, null])
  })

  it('update() and lock() change a session whose data has their names', async () => {
    const app = appWith(door(), {
      '/in': (req, res) => res.json(Object.assign(req.session, { n: 0, update: 'data', lock: 'data' })),
      '/add': async (req, res) => {
        const answer = await update(req.session, (current: any) => (current.n += 1))
        const held = await lock(req.session, (signal) => !signal.aborted, { wait: 0 })
        res.json([answer, held, req.session.update])
      }
    })
    const cookie = cookieOf(await request(app).get('/in'))!
    const add = () => request(app).get('/add').set('Cookie', cookie)
    const answers = (await Promise.all([add(), add(), add()])).map(({ body }) => body)
    expect(answers.map(([n]) => n).sort()).toEqual([1, 2, 3])
    expect((await add()).body).toEqual([4, true, 'data'])
  })

  it('infoOf() refuses what is no session', () => {
    for (const value of [undefined, null, {}, 'x']) {
      expect(() => infoOf(value as never)).toThrow(expect.objectContaining({ code: 'ERR_SESSION_OPTION' }))
    }
  })

  it('a session shows its data and its cookie, and nothing of ours, where it is printed', async () => {
    // As in express-session, a tick of the clock while maxAge is set would take a millisecond off.
    const clock = new Clock()
    const app = appWith(door({ cookie: { maxAge: MINUTE } }), {
      '/': (req, res) => {
        req.session.user = 'ann'
        res.json([
          util.inspect(req.session),
          util.format('%O', req.session),
          util.inspect({ deep: { of: req.session } })
        ])
      }
    })
    const printed: string[] = (await request(app).get('/')).body
    clock.restore()
    expect(printed[0]).toMatch(/^Session \{/)
    for (const text of printed.slice(0, 2)) {
      expect(text).toContain("user: 'ann'")
      expect(text).toContain(`originalMaxAge: ${MINUTE}`)
    }
    for (const text of printed) expect(text).not.toMatch(/Getter|silverback|Symbol\(/)
  })

  it('a request shows nothing of its sessions, and no secret, where it is printed', async () => {
    const app = appWith(door(), {
      '/': (req, res) => (void req.session.user, res.send(util.inspect(req, { depth: 9 })))
    })
    const printed = (await request(app).get('/')).text
    expect(printed).toContain('[Symbol(silverback.sessions)]: {}')
    expect(printed).not.toMatch(/SessionHandle|Engine|KeyRing/)
  })

  it('a middleware shows nothing of its sessions, and no key, where all of it is printed', async () => {
    const auth = door()
    await request(appWith(auth, { '/': (req, res) => res.send((req.session.user = 'ann')) })).get('/')
    expect(util.inspect(auth, { depth: null, showHidden: true })).not.toMatch(/Engine|KeyRing|Store/)
  })

  it.each(['after', 'before'])(
    "req.sessions is the application's own where it is assigned %s the sessions",
    async (when) => {
      'use strict'
      const devices = ['phone', 'laptop']
      const assign = (req: any, _res: any, next: any) => {
        req.sessions = devices
        next()
      }
      const app = express()
      if (when === 'before') app.use(assign)
      app.use(door())
      if (when === 'after') app.use(assign)
      app.get('/', (req: any, res) => {
        req.session.user = 'ann'
        res.json(req.sessions)
      })
      app.get('/who', (req: any, res) => res.json(req.session.user ?? null))
      const res = await request(app).get('/')
      expect(res.body).toEqual(devices)
      expect((await request(app).get('/who').set('Cookie', cookieOf(res)!)).body).toBe('ann')
    }
  )

  it("req.sessions is the application's own where its requests have a member of that name", async () => {
    const app = express()
    Object.defineProperty(app.request, 'sessions', { configurable: true, get: () => 'ours' })
    app.use(door())
    app.get('/', (req: any, res) => res.json(req.sessions))
    expect((await request(app).get('/')).body).toBe('ours')
  })

  it('named sessions that were opened before the application took their name away are saved', async () => {
    const app = appWith(door(), {
      '/': async (req, res) => {
        const cart = await req.sessions.get('cart')
        req.sessions = 'mine'
        cart.items = 1
        res.json(req.sessions)
      },
      '/cart': async (req, res) => res.json((await req.sessions.get('cart')).items ?? null)
    })
    const cookie = cookieOf(await request(app).get('/'), 'cart')!
    expect((await request(app).get('/cart').set('Cookie', cookie)).body).toBe(1)
  })
})

it('verbs of the class work on a session whose data has their names', async () => {
  const app = appWith(sessions({ secret }), {
    '/in': (req, res) => res.json(Object.assign(req.session, { user: 'ann', destroy: 1, regenerate: 1, save: 1 })),
    '/out': async (req, res) => {
      await (session.Session.prototype as any).destroy.call(req.session)
      res.send('out')
    },
    '/who': (req, res) => res.json(req.session.user ?? null)
  })
  const cookie = cookieOf(await request(app).get('/in'))!
  expect((await request(app).get('/who').set('Cookie', cookie)).body).toBe('ann')
  await request(app).get('/out').set('Cookie', cookie)
  expect((await request(app).get('/who').set('Cookie', cookie)).body).toBeNull()
})

it.each([undefined, null, {}, 'x'])('infoOf(), update() and lock() refuse %p by what they need', (thing) => {
  for (const [name, ask] of Object.entries<(session: any, fn: any) => unknown>({ infoOf, update, lock })) {
    expect(() => ask(thing, () => undefined)).toThrow(`${name}() needs a session`)
  }
})
