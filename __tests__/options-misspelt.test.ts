import './helpers/quiet'
import { GorillaStore, gorillaSessions, securecookie } from '../lib/gorilla'
import session, { CookieStore, FileStore, MemoryStore, requireSession, sessions } from '../lib/index'
import { MemcachedStore } from '../lib/memcached'
import { MongoStore } from '../lib/mongo'
import { MysqlStore } from '../lib/mysql'
import { PostgresStore } from '../lib/postgres'
import { RedisStore } from '../lib/redis'
import { SqliteStore } from '../lib/sqlite'
import { appWith, secret } from './helpers/app'
import request from 'supertest'

/** Warnings about options. Each is told once a process, so every test has names of its own. */
const told: string[] = []
beforeAll(() => {
  jest.spyOn(process, 'emitWarning').mockImplementation((message, options) => {
    if ((options as NodeJS.EmitWarningOptions)?.code === 'SILVERBACK_OPTION') told.push(String(message))
  })
})
afterAll(() => jest.restoreAllMocks())
beforeEach(() => (told.length = 0))

const required = { secret, resave: false, saveUninitialized: false }

describe('a misspelt option is told once, with the name that was meant:', () => {
  it.each<[given: Record<string, unknown>, said: string, meant: string]>([
    [{ hashIDs: true }, 'hashIDs', 'hashIds'],
    [{ cookie: { samesite: 'strict' } }, 'cookie.samesite', 'cookie.sameSite'],
    [{ cookie: { maxage: 1000 } }, 'cookie.maxage', 'cookie.maxAge'],
    [{ cookie: { httponly: true } }, 'cookie.httponly', 'cookie.httpOnly'],
    [{ maxAge: 1000 }, 'maxAge', 'cookie.maxAge'],
    [{ sameSite: 'lax' }, 'sameSite', 'cookie.sameSite'],
    [{ sotre: new MemoryStore() }, 'sotre', 'store'],
    [{ Name: 'x' }, 'Name', 'name'],
    [{ userID: () => 'u' }, 'userID', 'userId'],
    [{ saveUninitialised: false }, 'saveUninitialised', 'saveUninitialized'],
    [{ roling: true }, 'roling', 'rolling'],
    [{ touchafter: 1 }, 'touchafter', 'touchAfter'],
    [{ adopt: { from: 'express-session', reisue: false } }, 'adopt.reisue', 'adopt.reissue'],
    [{ named: { cart: { idel: 1000 } } }, 'named.cart.idel', 'named.cart.idle'],
    [{ named: { cart: { cookie: { Path: '/' } } } }, 'named.cart.cookie.Path', 'named.cart.cookie.path'],
    [{ named: { cart: { maxAge: 1000 } } }, 'named.cart.maxAge', 'named.cart.cookie.maxAge']
  ])('%j', (given, said, meant) => {
    sessions({ ...required, ...given })
    sessions({ ...required, ...given })
    session({ ...required, ...given })
    expect(told).toEqual([`The option ${said} is not known and has no effect; ${meant} was probably meant.`])
  })

  it('at the drop-in door as well', () => {
    session({ ...required, storee: new MemoryStore() } as object)
    expect(told).toEqual([expect.stringContaining('storee')])
  })

  it('key, which is a name at the drop-in door alone', () => {
    session({ ...required, key: 'k' })
    expect(told).toEqual([])
    sessions({ ...required, key: 'k' } as object)
    expect(told).toEqual([expect.stringMatching(/option key .*; name was/)])
  })

  it('in what a function answers for the cookie', async () => {
    const app = appWith(sessions({ ...required, cookie: () => ({ domian: 'x.example' }) as object }), {
      '/': (req, res) => res.json((req.session.a = 1))
    })
    expect((await request(app).get('/')).status).toBe(200)
    expect(told).toEqual([expect.stringMatching(/cookie\.domian .*cookie\.domain was/)])
  })

  it('in options that a request gives a named session', async () => {
    const app = appWith(sessions(required), {
      '/': (req, res) => req.sessions.get('wizard', { hashIDs: true }).then(() => res.json(1))
    })
    for (let i = 0; i < 2; i++) expect((await request(app).get('/')).status).toBe(200)
    expect(told).toEqual([expect.stringMatching(/named\.wizard\.hashIDs .*named\.wizard\.hashIds was/)])
  })
})

describe('a text that stands for true or false at the drop-in door, which takes it as express-session does,', () => {
  it.each<[given: object, said: string]>([
    [{ resave: 'false' }, 'resave'],
    [{ saveUninitialized: 'false' }, 'saveUninitialized'],
    [{ rolling: '0' }, 'rolling'],
    [{ proxy: 'true' }, 'proxy'],
    [{ cookie: { secure: 'false' } }, 'cookie.secure'],
    [{ cookie: { httpOnly: 'false' } }, 'cookie.httpOnly'],
    [{ cookie: { partitioned: 'auto' } }, 'cookie.partitioned']
  ])('is told once: %j', (given, said) => {
    for (let i = 0; i < 2; i++) session({ ...required, ...given } as object)
    expect(told).toEqual([expect.stringMatching(new RegExp(`^The option ${said} must be true or false, got "`))])
  })

  it('is no text that is meant, or empty', () => {
    session({ ...required, rolling: '', cookie: { secure: 'auto' } } as object)
    session({ ...required, cookie: null } as object)
    expect(told).toEqual([])
  })
})

describe('a misspelt option of a store is told once, before what is missing without it:', () => {
  const open: Record<string, (options: any) => unknown> = {
    MemoryStore: (options) => new MemoryStore(options),
    CookieStore: (options) => new CookieStore(options),
    FileStore: (options) => new FileStore(options),
    RedisStore: (options) => new RedisStore(options),
    SqliteStore: (options) => new SqliteStore(options),
    PostgresStore: (options) => new PostgresStore(options),
    MysqlStore: (options) => new MysqlStore(options),
    MemcachedStore: (options) => new MemcachedStore(options),
    MongoStore: (options) => new MongoStore(options),
    GorillaStore: (options) => new GorillaStore(options),
    gorillaSessions: (options) => gorillaSessions({}, { format: 'cookie', ...options }),
    securecookie: (options) => securecookie(options)
  }

  it.each([
    ['MemoryStore', 'maxbytes', 'maxBytes'],
    ['MemoryStore', 'swepEvery', 'sweepEvery'],
    ['CookieStore', 'encrpyt', 'encrypt'],
    ['CookieStore', 'revocation', 'revocations'],
    ['FileStore', 'pth', 'path'],
    ['FileStore', 'ttll', 'ttl'],
    ['RedisStore', 'cleint', 'client'],
    ['RedisStore', 'ttll', 'ttl'],
    ['RedisStore', 'disableTtl', 'disableTTL'],
    ['SqliteStore', 'pathh', 'path'],
    ['SqliteStore', 'createtable', 'createTable'],
    ['PostgresStore', 'poool', 'pool'],
    ['PostgresStore', 'timout', 'timeout'],
    ['MysqlStore', 'Pool', 'pool'],
    ['MysqlStore', 'tabel', 'table'],
    ['MemcachedStore', 'clientt', 'client'],
    ['MongoStore', 'colection', 'collection'],
    ['MongoStore', 'createIndices', 'createIndexes'],
    ['GorillaStore', 'keypairs', 'keyPairs'],
    ['gorillaSessions', 'maxage', 'maxAge'],
    ['securecookie', 'blockkey', 'blockKey']
  ])('%s, %s', (owner, said, meant) => {
    for (let i = 0; i < 2; i++) {
      try {
        open[owner]!({ [said]: 'x' })
      } catch (err) {
        expect(err).toBeInstanceOf(TypeError)
      }
    }
    expect(told).toEqual([
      `The option ${owner}.${said} is not known and has no effect; ${owner}.${meant} was probably meant.`
    ])
  })

  it.each(Object.keys(open).filter((owner) => owner !== 'gorillaSessions'))(
    '%s refuses options that are no object',
    (owner) => {
      for (const options of [5, 'redis://ann:geheim@h', true, () => 1]) {
        let thrown: any
        try {
          open[owner]!(options)
        } catch (err) {
          thrown = err
        }
        expect([thrown.name, thrown.code]).toEqual(['TypeError', 'ERR_SESSION_OPTION'])
        expect(thrown.message).toMatch(new RegExp(`^${owner}: \`options\` must be an object, got `))
        expect(thrown.message).not.toContain('geheim')
      }
    }
  )

  it('and nothing of names that are like none, or of no options at all', () => {
    for (const make of Object.values(open)) {
      for (const options of [undefined, null, {}, Object.create(null), { url: 'x', db: 1 }]) {
        try {
          make(options)
        } catch (err) {
          expect(err).toBeInstanceOf(TypeError)
        }
      }
    }
    expect(told).toEqual([])
  })
})

describe('options of a call are checked like those of a store:', () => {
  const auth = sessions({ ...required, userId: ({ user }) => user })
  const inside = async (use: (req: any) => unknown) => {
    const app = appWith(auth, { '/': (req, res, next) => void Promise.resolve(use(req)).then(() => res.json(1), next) })
    const { status, body } = await request(app).get('/')
    if (status !== 200) throw Object.assign(new TypeError(body.message), body)
  }
  const calls: [owner: string, said: string, meant: string, call: (options: any) => unknown][] = [
    ['requireSession()', 'redirectto', 'redirectTo', (options) => requireSession(() => true, options)],
    ['auth.open()', 'untill', 'until', (options) => auth.open({ headers: {} }, options)],
    ['auth.create()', 'userID', 'userId', (options) => auth.create({}, options)],
    ['auth.list()', 'curent', 'current', (options) => auth.list('u', options)],
    ['auth.revoke()', 'exept', 'except', (options) => auth.revoke('u', options)],
    ['auth.reindex()', 'onprogress', 'onProgress', (options) => auth.reindex(options)],
    ['session.lock()', 'wiat', 'wait', (options) => inside((req) => req.session.lock(() => 1, options))],
    ['session.regenerate()', 'keeep', 'keep', (options) => inside((req) => req.session.regenerate(options))]
  ]

  it.each(calls)('%s, %s', async (owner, said, meant, call) => {
    await call({ [said]: undefined })
    expect(told).toEqual([
      `The option ${owner}.${said} is not known and has no effect; ${owner}.${meant} was probably meant.`
    ])
  })

  it.each(calls)('%s refuses options that are no object', async (owner, _said, _meant, call) => {
    for (const options of [5, 'some-session-id', [1]]) {
      const refused = await (async () => call(options))().catch((err: unknown) => err)
      expect(refused).toMatchObject({ name: 'TypeError', code: 'ERR_SESSION_OPTION' })
      expect((refused as Error).message).toMatch(`${owner}: \`options\` must be an object`)
      expect((refused as Error).message).not.toContain('some-session-id')
    }
  })

  it('a guard whose check is none never stands open', () => {
    for (const check of [5, 'user', true, []]) {
      expect(() => requireSession(check as never)).toThrow(expect.objectContaining({ code: 'ERR_SESSION_OPTION' }))
    }
  })

  it('of sessions(), and not of session(), which takes what is no object for none as express-session does', () => {
    for (const options of [5, 'x', true, []]) {
      const refused = expect.objectContaining({ name: 'TypeError', code: 'ERR_SESSION_OPTION' })
      expect(() => sessions(options as never)).toThrow(refused)
      session(options as never)
    }
    sessions(null as never)
    for (const options of [null, false, 0, '', Object.assign(() => 1, required)]) session(options as never)
  })
})

it('says nothing of names that are like none, of every option there is, or in production', () => {
  const cookie = { path: '/', domain: 'x.example', httpOnly: true, secure: false, sameSite: 'lax', maxAge: 1000 }
  const all = { ...required, store: new MemoryStore(), name: 'n', idle: 1000, absolute: 1000, touchAfter: 1 }
  const more = { extend: true, rolling: true, unset: 'keep', genid: undefined, proxy: true, transport: 'cookie' }
  const rest = { load: 'auto', storeTimeout: 1, onStoreError: 'fail', cacheGuard: false, named: {}, adopt: undefined }
  const given = { ...all, ...more, ...rest, cookie: { ...cookie, partitioned: false, priority: 'low' } }
  const odd = { logger: console, '': 1, [Symbol('s')]: 1 }
  for (const door of [session, sessions]) door({ ...given, ...odd, hashIds: false, bind: undefined } as never)
  const { NODE_ENV } = process.env
  process.env.NODE_ENV = 'production'
  try {
    sessions({ ...required, storre: 1, named: { a: { idlee: 1 } } } as object)
    session({ ...required, storre: 1 } as object)
  } finally {
    process.env.NODE_ENV = NODE_ENV
  }
  expect(told).toEqual([])
})

// Checked by the compiler: a line that is no error is one.
it('is an error in TypeScript', () => {
  const typed = () => {
    // @ts-expect-error hashIds
    sessions({ hashIDs: true })
    // @ts-expect-error sameSite
    sessions({ cookie: { samesite: 'lax' } })
    // @ts-expect-error cookie.maxAge
    sessions({ maxAge: 1000 })
    // @ts-expect-error store
    sessions({ sotre: new MemoryStore() })
    // @ts-expect-error name
    sessions({ key: 'x' })
    // @ts-expect-error reissue
    sessions({ adopt: { from: 'express-session', reisue: false } })
    // @ts-expect-error idle
    sessions({ named: { cart: { idel: 1 } } })
    // @ts-expect-error store
    session({ sotre: new MemoryStore() })
    // @ts-expect-error maxAge
    session({ cookie: { maxage: 1 } })
  }
  expect(typed).toBeInstanceOf(Function)
})
