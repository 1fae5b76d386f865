import './helpers/quiet'
import Redis from 'ioredis'
import request from 'supertest'
import { gorillaSessions } from '../lib/gorilla'
import session, { CookieStore, FileStore, MemoryStore, sessions } from '../lib/index'
import { MongoStore } from '../lib/mongo'
import { MysqlStore } from '../lib/mysql'
import { PostgresStore } from '../lib/postgres'
import { RedisStore } from '../lib/redis'
import { SqliteStore } from '../lib/sqlite'
import { appWith, secret } from './helpers/app'
import { MongoDouble } from './helpers/mongo-double'

const { Pool }: any = require('pg')

const refusal = (make: () => unknown): any => {
  try {
    make()
  } catch (err) {
    return err
  }
  return undefined
}

const required = { secret, resave: false, saveUninitialized: false }
const big = BigInt(1000)

// What comes from JSON, from the environment or from another language: nothing of it may wait for the first request.
describe('is refused while the middleware is set up, with the name of the option:', () => {
  const BOTH: [what: string, given: object, named: RegExp][] = [
    ['idle as a BigInt', { idle: big }, /idle/],
    ['absolute as a BigInt', { absolute: big }, /absolute/],
    ['touchAfter as a BigInt', { touchAfter: big }, /touchAfter/],
    ['touchAfter of no BigInt', { touchAfter: BigInt(0) }, /touchAfter/],
    ['storeTimeout as a BigInt', { storeTimeout: big }, /storeTimeout/],
    ['storeTimeout that no timer waits for', { storeTimeout: 2 ** 31 }, /storeTimeout must be milliseconds from 1 to/],
    ['maxPerUser as a BigInt', { maxPerUser: big, userId: () => 'u' }, /maxPerUser/],
    ['hashIds as a BigInt', { hashIds: big }, /hashIds/],
    ['extend as a BigInt', { extend: big }, /extend/],
    ['transport as a BigInt', { transport: big }, /transport/],
    ['load as a BigInt', { load: big }, /load/],
    ['onStoreError as a BigInt', { onStoreError: big }, /onStoreError/],
    ['name as a BigInt', { name: big }, /name/],
    ['genid as a BigInt', { genid: big }, /genid/],
    ['store as a BigInt', { store: big }, /store/],
    ['named as a BigInt', { named: big }, /named/],
    ['schema as a BigInt', { schema: big }, /schema/],
    ['secret as a BigInt', { secret: big }, /secret/],
    ['a BigInt among the secrets', { secret: [secret, big] }, /secret/],
    ['cookie.maxAge as a BigInt', { cookie: { maxAge: big } }, /maxAge/],
    ['cookie.maxAge of no BigInt', { cookie: { maxAge: BigInt(0) } }, /maxAge/],
    ['cookie.maxAge as a text', { cookie: { maxAge: '60000' } }, /maxAge/],
    ['cookie.maxAge as an empty text', { cookie: { maxAge: '' } }, /maxAge/],
    ['cookie.maxAge that is not a number', { cookie: { maxAge: NaN } }, /maxAge/],
    ['cookie.maxAge as a flag', { cookie: { maxAge: true } }, /maxAge/],
    ['an empty list of secrets', { secret: [] }, /secret/],
    ['an empty list of secrets of a named session', { named: { cart: { secret: [] } } }, /secret/],
    ['a named cookie.maxAge as a text', { named: { cart: { cookie: { maxAge: '60000' } } } }, /maxAge/],
    ['a named sameSite of Object', { named: { cart: { cookie: { sameSite: '__proto__' } } } }, /sameSite/],
    ['named idle as a BigInt', { named: { cart: { idle: big } } }, /idle/],
    ['a named store that is none', { named: { cart: { store: {} } } }, /named\["cart"\]\.store must have the methods/],
    [
      'a text as a named store',
      { named: { cart: { store: 'redis' } } },
      /named\["cart"\]\.store must have the methods/
    ],
    ['no transport at all', { transport: [] }, /transport must name/],
    ['adopt as a BigInt', { adopt: big }, /adopt/],
    ['adopt.reissue as a text', { adopt: { from: 'express-session', reissue: 'no' } }, /adopt\.reissue/],
    ['adopt from elsewhere', { adopt: { from: 'cookie-session' } }, /adopt/],
    ['adopt from nowhere', { adopt: {} }, /adopt/]
  ]

  it.each(BOTH)('%s', (_what, given, named) => {
    for (const door of [sessions, session] as const) {
      const err = refusal(() => door({ ...required, ...given } as never))
      expect([err?.name, err?.code?.slice(0, 12), err?.message]).toEqual([
        'TypeError',
        'ERR_SESSION_',
        expect.stringMatching(named)
      ])
    }
  })

  it.each<[string, object, RegExp]>([
    ['a property of Object for sameSite', { cookie: { sameSite: '__proto__' } }, /sameSite/],
    ['another one', { cookie: { sameSite: 'constructor' } }, /sameSite/],
    ['sameSite as a BigInt', { cookie: { sameSite: big } }, /sameSite/],
    ['a property of Object for priority', { cookie: { priority: '__proto__' } }, /priority/],
    ['priority as a BigInt', { cookie: { priority: big } }, /priority/],
    ['null among the secrets', { secret: [secret, null] }, /secret/],
    ['an endless cookie.maxAge', { cookie: { maxAge: Infinity } }, /maxAge/],
    ['cookie as a BigInt', { cookie: big }, /cookie/],
    ['path as a BigInt', { cookie: { path: big } }, /path/],
    ...['rolling', 'resave', 'saveUninitialized', 'proxy'].map((flag): [string, object, RegExp] => [
      `${flag} as a text`,
      { [flag]: 'false' },
      new RegExp(`^${flag} must be true or false, got "false": .* process\\.env\\.NAME === 'true'`)
    ]),
    ...['secure', 'httpOnly', 'partitioned'].map((flag): [string, object, RegExp] => [
      `cookie.${flag} as a text`,
      { cookie: { secure: true, [flag]: 'false' } },
      new RegExp(`cookie\\.${flag} must be true`)
    ]),
    ...['httpOnly', 'partitioned'].map((flag): [string, object, RegExp] => [
      `'auto', which secure alone can be, as cookie.${flag}`,
      { cookie: { secure: true, [flag]: 'auto' } },
      new RegExp(`cookie\\.${flag} must be true or false, got "auto"`)
    ]),
    ['rolling of a named session as a text', { named: { cart: { rolling: 'false' } } }, /rolling must be true or false/]
  ])('%s, at sessions()', (_what, given, named) => {
    expect(refusal(() => sessions({ ...required, ...given } as never))?.message).toMatch(named)
  })

  it.each([null, 0, '', false, {}, big, { get() {} }, { get() {}, set() {} }])('revocations: %p', (revocations) => {
    expect(refusal(() => new CookieStore({ revocations: revocations as never }))).toMatchObject({
      code: 'ERR_SESSION_OPTION',
      message: 'revocations must be a store with the methods get, set and destroy'
    })
  })
})

it.each<[string, () => unknown]>([
  ['durable', () => new FileStore({ path: '/nowhere', durable: 'false' as never })],
  ['durable', () => new SqliteStore({ path: ':memory:', durable: 'false' as never })],
  ['createTable', () => new PostgresStore({ pool: new Pool(), createTable: 'false' as never })],
  ['prepare', () => new PostgresStore({ pool: new Pool(), prepare: 'false' as never })],
  ['createTable', () => new MysqlStore({ pool: {} as never, createTable: 'false' as never })],
  ['disableTTL', () => new RedisStore({ client: new Redis({ lazyConnect: true }), disableTTL: 'false' as never })],
  ['disableTouch', () => new RedisStore({ client: new Redis({ lazyConnect: true }), disableTouch: 'false' as never })],
  ['stringify', () => new MongoStore({ collection: new MongoDouble() as never, stringify: 'false' as never })],
  ['createIndexes', () => new MongoStore({ collection: new MongoDouble() as never, createIndexes: 'no' as never })],
  ['encrypt', () => new CookieStore({ encrypt: 'false' as never })]
])('a text where a store wants true or false: %s', (option, make) => {
  expect(refusal(make)).toMatchObject({
    code: 'ERR_SESSION_OPTION',
    message: expect.stringContaining(`\`${option}\` must be true or false`)
  })
})

it.each([null, 'x', 5, [], { store: {} }, { store: 'x' }])(
  '%p given to req.sessions.get() and new()',
  async (options) => {
    const codes = (sessions_: any) =>
      Promise.all(['get', 'new'].map((verb) => sessions_[verb]('cart', options).catch((err: any) => err.code)))
    const app = appWith(sessions({ secret }), { '/': async (req, res) => res.json(await codes(req.sessions)) })
    expect((await request(app).get('/')).body).toEqual(['ERR_SESSION_OPTION', 'ERR_SESSION_OPTION'])
  }
)

it('hashed IDs of sessions that Go knows by them, with a bare ID for a cookie among them', () => {
  const client = new Redis({ lazyConnect: true })
  const keyPairs: [string][] = [['a hash key of at least 32 characters']]
  for (const store of [
    gorillaSessions('sessions', { format: 'filesystem', keyPairs }),
    gorillaSessions(client, { format: 'redisstore' })
  ]) {
    const refused = expect.objectContaining({ code: 'ERR_SESSION_OPTION', message: expect.stringContaining('hashIds') })
    expect(() => sessions({ secret, store, hashIds: true })).toThrow(refused)
    expect(() => sessions({ secret, hashIds: true, named: { go: { store } } })).toThrow(refused)
    sessions({ secret, hashIds: true, named: { go: { store, hashIds: false } } })
  }
  client.disconnect()
})

it.each(['rolling', 'resave', 'saveUninitialized', 'proxy', 'hashIds', 'cacheGuard'])(
  'takes an empty text as false, as stores and the drop-in door do: %s',
  (flag) => expect(() => sessions({ secret, [flag]: '' })).not.toThrow()
)

it('takes an empty text as false among the attributes of the cookie', async () => {
  const auth = sessions({ secret, cookie: { secure: '', httpOnly: '', partitioned: '' } as object })
  const app = appWith(auth, { '/': (req, res) => res.json((req.session.a = 1)) })
  const [cookie] = (await request(app).get('/')).headers['set-cookie']!
  expect(cookie!.split('; ').slice(1)).toEqual(['Path=/', 'SameSite=Lax'])
})

it('takes undefined for an option that was left out', () => {
  expect(() => new CookieStore({ revocations: undefined })).not.toThrow()
  const nothing = { idle: undefined, cookie: { maxAge: undefined, sameSite: undefined }, named: undefined }
  for (const door of [sessions, session]) expect(() => door({ ...required, ...nothing })).not.toThrow()
})

it('a collection of MongoDB that does not acknowledge writes: its locks would exclude nobody', async () => {
  const collection: any = Object.assign(new MongoDouble(), { writeConcern: { w: 0 } })
  expect(refusal(() => new MongoStore({ collection })).message).toContain('acknowledged')
  const promised = new MongoStore({ collection: Promise.resolve(collection) })
  await expect(promised.get('a')).rejects.toMatchObject({ code: 'ERR_SESSION_OPTION' })
  expect(() => gorillaSessions(collection, { format: 'mongostore', keyPairs: [[secret]] })).toThrow('acknowledged')
  collection.writeConcern = { w: 'majority' }
  expect(() => new MongoStore({ collection })).not.toThrow()
})

it.each<[string, (url: any) => unknown]>([
  ['sessions()', (store) => sessions({ secret, store })],
  ['RedisStore', (client) => new RedisStore({ client })],
  ['PostgresStore', (pool) => new PostgresStore({ pool })],
  ['MongoStore', (collection) => new MongoStore({ collection })],
  ['gorillaSessions()', (client) => gorillaSessions(client, { format: 'redisstore' })]
])('tells no password of a URL that stands for a client: %s', (_what, make) => {
  const { message } = refusal(() => make(`db://user:${'p@ss/word'.repeat(9)}@db.example.org/sessions`))
  expect(message).toContain('got "db://...@db.example.org/sessions"')
})

it.each([
  ['host=db.example.org password=hunter2', 'host=db.example.org password...'],
  ['host=db.example.org password = hunter2', 'host=db.example.org password...'],
  ['DB_PASSWORD=hunter2', 'DB_PASSWORD...'],
  ['{"password":"hunter2"}', '{"password...'],
  ['a Pool of passport', 'a Pool of passport']
])('tells no password of other texts that stand for a client: %s', (text, told) => {
  const pool: any = text
  expect(refusal(() => new PostgresStore({ pool })).message).toContain(`got ${JSON.stringify(told)}`)
})

it('tells no key that stands for a serializer', () => {
  const serializer: any = 'keyboard cat'
  for (const make of [
    () => new RedisStore({ client: {} as never, serializer }),
    () => new FileStore({ path: 'x', serializer })
  ]) {
    expect(refusal(make).message).toMatch(/`serializer` must be an object .*, got a string$/)
  }
})

it.each<[string, (text: any) => unknown]>([
  ['sessions()', (options) => sessions(options)],
  ['a named session', (cart) => sessions({ secret, named: { cart } })]
])('tells no secret that stands for the options: %s', (_what, make) => {
  const { code, message } = refusal(() => make('keyboard cat'))
  expect([code, message]).toEqual([
    'ERR_SESSION_OPTION',
    expect.stringMatching(/must be an object of options, got a string$/)
  ])
})

it('takes what is no object for no options behind the drop-in door, as express-session does', async () => {
  const routes = { '/': (req: any, res: any) => res.send(typeof req.session.id) }
  const cookies = jest.requireActual('cookie-parser')('a secret of the cookie parser, 32 bytes')
  for (const door of [session, jest.requireActual('express-session')]) {
    for (const options of ['keyboard cat', 5, true, ['keyboard cat']]) {
      const auth = door(options)
      const app = appWith((req: any, res: any, next: any) => cookies(req, res, () => auth(req, res, next)), routes)
      expect((await request(app).get('/')).text).toBe('string')
    }
  }
})

// express-session takes its cookie options as they are, and finds out when it serializes them.
it("answers as express-session does where the drop-in door's sameSite is a property of Object", async () => {
  const routes = { '/': (req: any, res: any) => res.send(String((req.session.a = 1))) }
  const answers = []
  for (const door of [session, jest.requireActual('express-session')]) {
    const auth = door({ ...required, store: new MemoryStore(), cookie: { sameSite: '__proto__' } })
    const { status, text, headers } = await request(appWith(auth, routes)).get('/')
    answers.push([status, text, headers['set-cookie']])
  }
  expect(answers[0]).toEqual(answers[1])
})
