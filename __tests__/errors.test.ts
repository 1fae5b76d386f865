import { writeFileSync } from 'node:fs'
import express from 'express'
import request from 'supertest'
import { infoOf, CookieStore, FileStore, MemoryStore, SessionError, sessions } from '../lib/index'
import type { ErrorKind, SessionErrorCode } from '../lib/index'
import type { Write } from '../lib/store/contract'
import { cookieOf, deferred } from './helpers/app'
import { Clock } from './helpers/clock'
import { TestFolder } from './helpers/folder'

const secret = 'the-secret-that-no-message-may-tell-anybody'
const DATA = 'what-somebody-keeps-in-a-session'

/** An application whose errors are kept as they are, and the IDs of its sessions beside them. */
class Site {
  readonly errors: any[] = []
  readonly told = new Set<string>()
  readonly #server: express.Express

  constructor(auth: any, handler: (req: any, res: any) => unknown) {
    this.#server = express()
    this.#server.use(auth)
    this.#server.get('/log-in', (req: any, res: any) => {
      req.session.data = DATA
      this.told.add(req.sessionID)
      res.send('ok')
    })
    this.#server.get('/', async (req: any, res: any, next: any) => {
      try {
        await handler(req, res)
      } catch (err) {
        next(err)
      }
    })
    this.#server.use((err: any, _req: any, res: any, _next: any) => {
      this.errors.push(err)
      if (res.headersSent) res.end()
      else res.status(err.status ?? 500).end()
    })
  }

  /** Logs a visitor in, and gives the cookie. */
  async logIn(): Promise<string> {
    const cookie = cookieOf(await this.#get('/log-in', ''))!
    this.told.add(decodeURIComponent(cookie.slice('sid='.length)))
    return cookie
  }

  visit(cookie = ''): Promise<request.Response> {
    return this.#get('/', cookie)
  }

  async #get(path: string, cookie: string): Promise<request.Response> {
    return request(this.#server).get(path).set('Cookie', cookie)
  }
}

/** What every error of ours must be, whoever gets it. */
function expectReason(err: any, code: SessionErrorCode, kind: ErrorKind, says: RegExp, told: Iterable<string> = []) {
  expect(err).toBeInstanceOf(Error)
  expect({ code: err.code, kind: err.kind }).toEqual({ code, kind })
  expect(err.message).toMatch(says)
  for (const text of [secret, DATA, ...told]) expect(`${err.stack} ${JSON.stringify(err)}`).not.toContain(text)
}

/** The reason why the visitor's session was not accepted. */
async function refusalOf(auth: any, cookieFrom: (cookie: string) => string | Promise<string>): Promise<[any, Site]> {
  let error: any
  const site = new Site(auth, (req, res) => {
    error = infoOf(req.session).error
    res.json([req.session.isNew, req.session.data ?? null])
  })
  const res = await site.visit(await cookieFrom(await site.logIn()))
  expect(res.body).toEqual([true, null])
  expect(error).toBeInstanceOf(SessionError)
  return [error, site]
}

function optionError(options: object): any {
  try {
    sessions(options)
  } catch (err) {
    return err
  }
  throw new Error('was accepted')
}

const never = {
  get: (_id: string, _done: any) => undefined,
  set: (_id: string, _session: object, _done: any) => undefined,
  destroy: (_id: string, _done: any) => undefined
}
const failing = (cause: Error) => ({
  get: (_id: string, done: any) => done(null, null),
  set: (_id: string, _session: object, done: any) => done(cause),
  destroy: (_id: string, done: any) => done()
})

let clock: Clock | undefined
afterEach(() => {
  clock?.restore()
  clock = undefined
  jest.restoreAllMocks()
})

describe('usage', () => {
  it('ERR_SESSION_OPTION: an option that cannot work, a TypeError at set-up', () => {
    for (const [options, says] of [
      [{ secret: 'the-secret-that-no' }, /secret must be .* at least 32 .* generateKey\(\)/],
      [{ secret, idle: 0 }, /idle must be a number of milliseconds above 0, or null/]
    ] as const) {
      const err = optionError(options)
      expect(err).toBeInstanceOf(TypeError)
      expectReason(err, 'ERR_SESSION_OPTION', 'usage', says, ['the-secret-that-no'])
    }
  })

  it('ERR_SESSION_NAME: no cookie name, a TypeError at set-up, a SessionError of the registry', async () => {
    const err = optionError({ secret, name: 'a b' })
    expect(err).toBeInstanceOf(TypeError)
    expectReason(err, 'ERR_SESSION_NAME', 'usage', /name must be a cookie name/)
    const site = new Site(sessions({ secret }), (req) => req.sessions.get('a;b'))
    await site.visit()
    expect(site.errors[0]).toBeInstanceOf(SessionError)
    expectReason(site.errors[0], 'ERR_SESSION_NAME', 'usage', /must be a cookie name: letters, digits/)
  })

  it('ERR_SESSION_NOT_LOADED: req.session read before an asynchronous store has answered', async () => {
    const kept = new Map<string, string>()
    const store = {
      get: async (id: string) => JSON.parse(kept.get(id) ?? 'null'),
      set: async (id: string, session: object) => void kept.set(id, JSON.stringify(session)),
      destroy: async (id: string) => void kept.delete(id)
    }
    const site = new Site(sessions({ secret, store, load: 'lazy' }), (req, res) => res.json(req.session.data))
    const cookie = await site.logIn()
    expect((await site.visit(cookie)).status).toBe(500)
    expectReason(site.errors[0], 'ERR_SESSION_NOT_LOADED', 'usage', /call "await req\.sessions\.load\(\)"/, site.told)
  })

  it('ERR_SESSION_DESTROYED: an explicit save of a session that ended meanwhile', async () => {
    const auth = sessions({ secret })
    const site = new Site(auth, async (req) => {
      void req.session.data
      await auth.destroy(req.sessionID)
      req.session.more = 1
      await req.session.save()
    })
    await site.visit(await site.logIn())
    expectReason(site.errors[0], 'ERR_SESSION_DESTROYED', 'usage', /not saved\. Let the visitor log in/, site.told)
  })

  it('ERR_SESSION_UNSERIALIZABLE: names the key path, with the cause', async () => {
    const site = new Site(sessions({ secret }), (req, res) => {
      req.session.cart = { items: [{ price: 10n }] }
      res.send('ok')
    })
    expect((await site.visit(await site.logIn())).status).toBe(500)
    expectReason(
      site.errors[0],
      'ERR_SESSION_UNSERIALIZABLE',
      'usage',
      /session\.cart\.items\.0\.price .* store a string/,
      site.told
    )
    expect(site.errors[0].cause).toBeInstanceOf(TypeError)
  })

  it('ERR_SESSION_TOO_LARGE: names the biggest key, and the session before stays', async () => {
    const auth = sessions({ secret, store: new MemoryStore({ maxBytes: 1_000_000 }) })
    const seen: unknown[] = []
    const site = new Site(auth, (req, res) => {
      seen.push(Object.keys(req.session))
      req.session.small = DATA
      req.session.huge = DATA.repeat(300_000)
      res.send('ok')
    })
    const cookie = await site.logIn()
    for (let i = 0; i < 2; i++) expect((await site.visit(cookie)).status).toBe(500)
    expect(seen).toEqual([
      ['cookie', 'data'],
      ['cookie', 'data']
    ])
    const [err] = site.errors
    expectReason(
      err,
      'ERR_SESSION_TOO_LARGE',
      'usage',
      /Largest keys: "huge" \(\d+ bytes\).*raise the bound/,
      site.told
    )
  })

  it('ERR_SESSION_COOKIE_TOO_LARGE: names the largest keys', async () => {
    const site = new Site(sessions({ secret, store: new CookieStore() }), (req, res) => {
      req.session.huge = DATA.repeat(200)
      res.send('ok')
    })
    const res = await site.visit(await site.logIn())
    expect([res.status, cookieOf(res)]).toEqual([500, undefined])
    const [err] = site.errors
    expectReason(
      err,
      'ERR_SESSION_COOKIE_TOO_LARGE',
      'usage',
      /Largest keys: "huge".*use a store on the server/,
      site.told
    )
  })

  it('ERR_SESSION_HEADERS_SENT: a session begun after the first byte', async () => {
    jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const store = new MemoryStore()
    const site = new Site(sessions({ secret, store }), async (req, res) => {
      res.write('first byte')
      req.session.data = DATA
      await req.session.save()
    })
    await site.visit()
    expectReason(site.errors[0], 'ERR_SESSION_HEADERS_SENT', 'usage', /before the first byte/)
    expect(store.ids()).toEqual([])
  })
})

describe('decode', () => {
  it('ERR_SESSION_SIGNATURE: a cookie that no listed secret made', async () => {
    const [err, site] = await refusalOf(sessions({ secret }), (cookie) => `${cookie.slice(0, -1)}!`)
    expectReason(err, 'ERR_SESSION_SIGNATURE', 'decode', /keep the old secret behind the new one/, site.told)
  })

  it('ERR_SESSION_EXPIRED: past its deadline', async () => {
    clock = new Clock()
    const auth = sessions({ secret, store: new CookieStore(), idle: 1000 })
    const [err, site] = await refusalOf(auth, (cookie) => {
      clock!.forward(1001)
      return cookie
    })
    expectReason(err, 'ERR_SESSION_EXPIRED', 'decode', /the options idle and absolute/, site.told)
    expect(auth.stats()).toMatchObject({ expired: 1, rejected: 0 })
  })

  it('ERR_SESSION_MISSING: authentic, but the store does not know it', async () => {
    const store = new MemoryStore()
    const [err, site] = await refusalOf(sessions({ secret, store }), (cookie) => {
      store.clear()
      return cookie
    })
    expectReason(err, 'ERR_SESSION_MISSING', 'decode', /authentic, but the store does not know/, site.told)
  })

  it('ERR_SESSION_CORRUPT: what the store holds is no session, and it is left alone', async () => {
    const store = new MemoryStore()
    const [err, site] = await refusalOf(sessions({ secret, store }), (cookie) => {
      const [id] = store.ids() as unknown as string[]
      store.sessions[id!] = `{"data":"${DATA}"}`
      return cookie
    })
    expectReason(err, 'ERR_SESSION_CORRUPT', 'decode', /left alone/, site.told)
    expect(Object.values(store.sessions)).toEqual([`{"data":"${DATA}"}`])
  })

  it('ERR_SESSION_CORRUPT: a damaged file is in quarantine, as the message says', async () => {
    const folder = new TestFolder()
    const store = new FileStore({ path: folder.path })
    try {
      const [err, site] = await refusalOf(sessions({ secret, store }), (cookie) => {
        const [file] = folder.files('records')
        writeFileSync(folder.at('records', file!), DATA)
        return cookie
      })
      expectReason(err, 'ERR_SESSION_CORRUPT', 'decode', /moved to quarantine by a FileStore/, site.told)
      expect(folder.files('records')).toEqual([])
      expect(folder.files('quarantine')).toHaveLength(1)
    } finally {
      await store.close()
      folder.remove()
    }
  })

  it('ERR_SESSION_BINDING: used from elsewhere than it is bound to', async () => {
    let from = 'one client'
    const auth = sessions({ secret, bind: () => from })
    const [err, site] = await refusalOf(auth, (cookie) => {
      from = 'another client'
      return cookie
    })
    expectReason(err, 'ERR_SESSION_BINDING', 'decode', /the option bind/, [
      ...site.told,
      'one client',
      'another client'
    ])
  })

  it('ERR_SESSION_AMBIGUOUS: two authentic cookies of two sessions', async () => {
    const auth = sessions({ secret })
    const other = await new Site(auth, () => undefined).logIn()
    const [err, site] = await refusalOf(auth, (cookie) => `${cookie}; ${other}`)
    expectReason(err, 'ERR_SESSION_AMBIGUOUS', 'decode', /neither is believed.*__Host-/, site.told)
  })

  it('ERR_SESSION_SCHEMA: stored data does not fit, and the record is left alone', async () => {
    const store = new MemoryStore()
    const validate = () => ({ issues: [{ message: DATA }] })
    const schema = { '~standard': { version: 1 as const, vendor: 'test', validate } }
    const [err, site] = await refusalOf(sessions({ secret, store, schema }), (cookie) => cookie)
    expectReason(err, 'ERR_SESSION_SCHEMA', 'decode', /Let the schema migrate/, site.told)
    expect(Object.values(store.sessions)[0]).toContain(DATA)
  })
})

describe('store', () => {
  it("ERR_SESSION_STORE: its fault, with the store's own error as the cause", async () => {
    const cause = new Error('connection refused')
    const site = new Site(sessions({ secret, store: failing(cause) }), (req, res) => {
      req.session.data = DATA
      res.send('ok')
    })
    const res = await site.visit()
    expect([res.status, cookieOf(res)]).toEqual([500, undefined])
    expectReason(site.errors[0], 'ERR_SESSION_STORE', 'store', /see the cause, and check that the store is reachable/)
    expect(site.errors[0].cause).toBe(cause)
  })

  it('ERR_SESSION_STORE_TIMEOUT: no answer within storeTimeout', async () => {
    const site = new Site(sessions({ secret, store: never, storeTimeout: 20 }), (req, res) => {
      req.session.data = DATA
      res.send('ok')
    })
    await site.visit()
    const says = /did not answer set\(\) within 20 ms; check .* or raise storeTimeout/
    expectReason(site.errors[0], 'ERR_SESSION_STORE_TIMEOUT', 'store', says)
  })

  it('ERR_SESSION_CONFLICT: others keep changing the session', async () => {
    const auth = sessions({ secret, store: restless() })
    const site = new Site(auth, async (req, res) => {
      req.session.mine = DATA
      await req.session.save()
      res.send('ok')
    })
    const cookie = await site.logIn()
    await site.visit(cookie)
    const says = /Use session\.update\(\) or session\.lock\(\)/
    expectReason(site.errors[0], 'ERR_SESSION_CONFLICT', 'store', says, site.told)
    expect(auth.stats().conflicts).toBeGreaterThan(0)
  })

  // Somebody else writes between each read and each write of ours.
  function restless(): MemoryStore {
    const store = new MemoryStore()
    let writes = 0
    const powers = (store as any)[
      Object.getOwnPropertySymbols(store).find(({ description }) => /powers/.test(description!))!
    ]
    const write = powers.write.bind(powers)
    powers.write = (given: Write) => {
      const { id, expected } = given
      if (expected !== null)
        store.sessions[id] = store.sessions[id]!.replace(/("n":\d+,)?"data"/, `"n":${++writes},"data"`)
      return write(given)
    }
    return store
  }

  it('ERR_SESSION_LOCK_TIMEOUT: somebody else holds the lock', async () => {
    const [held, release] = [deferred(), deferred()]
    const auth = sessions({ secret })
    const site = new Site(auth, async (req, res) => {
      const wait = { wait: 1 }
      await req.session.lock(() => undefined, wait)
      res.send('ok')
    })
    const cookie = await site.logIn()
    const holder = await auth.open({ headers: { cookie }, url: '/' })
    const holding = holder.lock(() => {
      held.resolve()
      return release.promise
    })
    await held.promise
    await site.visit(cookie)
    release.resolve()
    await holding
    expectReason(site.errors[0], 'ERR_SESSION_LOCK_TIMEOUT', 'store', /try again, or raise wait/, site.told)
    expect((await site.visit(cookie)).status).toBe(200)
  })
})
