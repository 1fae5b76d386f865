import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import express, { type Express } from 'express'
import { Decimal128, Long, MongoClient, ObjectId, type Collection } from 'mongodb'
import request from 'supertest'
import silverback, { sessions } from '../../lib/index'
import { MongoStore } from '../../lib/mongo'
import { POWERS, type Life, type Write } from '../../lib/store/contract'
import { cookieOf, secret } from '../helpers/app'
import { openCollection, openMongoStore, mongoUrl, newName } from '../helpers/mongo-engine'
import { expectFreeLockAfterKill, expectNothingLostToKills } from '../helpers/race'
import { freePort, until } from '../helpers/redis-server'
import { storeSuite } from '../../lib/testkit'
import { hasPowers } from '../helpers/store-contract'

const expressSession = jest.requireActual('express-session') as typeof silverback
const { MongoStore: ConnectMongo } = require('connect-mongo')

const HOUR = 3_600_000
const ROUNDS = Number(process.env.KILL_ROUNDS ?? 3)
const KINDS = [
  ['JSON text', true],
  ['documents', false]
] as const

let client: MongoClient
let collection: Collection<any>
let count = 0

beforeAll(async () => {
  ;({ client, collection } = await openCollection())
})

afterAll(async () => {
  await collection?.drop().catch(() => undefined)
  await client?.close()
})

const newId = () => `mongo-${++count}`
const life = (ms = HOUR): Life => ({ usedAt: Date.now(), expiresAt: Date.now() + ms })
const textOf = (data: object) => JSON.stringify({ cookie: { path: '/', expires: null }, ...data })
const create = (id: string, text: string): Write => ({ id, text, expected: null, life: life() })
const powersOf = (options: object = {}) =>
  new MongoStore({ collection, ...options })[POWERS] as Required<MongoStore[typeof POWERS]>
const theirsOn = (options: object = {}) =>
  new ConnectMongo({ client, dbName: collection.dbName, collectionName: collection.collectionName, ...options })
const call = (store: any, verb: string, ...args: unknown[]) =>
  new Promise<any>((resolve, reject) =>
    store[verb](...args, (err: unknown, value: unknown) => (err ? reject(err) : resolve(value)))
  )

function appOn(auth: any, routes: Record<string, (req: any, res: any) => unknown> = {}): Express {
  const app = express().use(auth)
  app.get('/set', (req: any, res) => res.json({ id: Object.assign(req.session, req.query) && req.sessionID }))
  app.get('/who', (req: any, res) => {
    const { cookie, ...data } = req.session
    res.json({ data, left: cookie.maxAge })
  })
  app.get('/logout', (req: any, res, next) =>
    req.session.destroy((err: unknown) => (err ? next(err) : res.send('out')))
  )
  for (const [route, handler] of Object.entries(routes)) app.get(route, handler)
  app.use((err: any, _req: any, res: any, _next: any) => res.status(err.status ?? 500).json({ code: err.code }))
  return app
}

const visit = (app: Express, route: string, cookie = '') => request(app).get(route).set('Cookie', cookie)

describe.each(KINDS)('as %s', (_kind, stringify) => {
  let open: Awaited<ReturnType<typeof openMongoStore>>

  beforeAll(async () => {
    open = await openMongoStore({ stringify })
  })

  afterAll(() => open?.close())

  storeSuite(() => new MongoStore({ collection: open.collection, stringify }), {
    acrossProcesses: true,
    spoil: (id) => open.spoil(id)
  })
  hasPowers(() => open)

  describe('beside connect-mongo', () => {
    const OPTIONS = { secret, name: 'sid', resave: false, saveUninitialized: false, cookie: { maxAge: HOUR } }
    const GENERATIONS: Record<string, () => any> = {
      'express-session on connect-mongo': () => expressSession({ ...OPTIONS, store: theirsOn({ stringify }) }),
      'express-session on connect-mongo with touchAfter': () =>
        expressSession({ ...OPTIONS, store: theirsOn({ stringify, touchAfter: 60, timestamps: true }) }),
      'express-session on MongoStore': () =>
        expressSession({ ...OPTIONS, store: new MongoStore({ collection, stringify }) }),
      'silverback on MongoStore': () => silverback({ ...OPTIONS, store: new MongoStore({ collection, stringify }) })
    }
    const names = Object.keys(GENERATIONS)
    const pairs = names.flatMap((a) => names.filter((b) => b !== a).map((b) => [a, b] as const))

    it.each(pairs)("%s and %s use, change and end each other's sessions", async (before, after) => {
      const [first, second] = [appOn(GENERATIONS[before]!()), appOn(GENERATIONS[after]!())]
      const welcome = await visit(first, '/set?user=ann')
      const cookie = cookieOf(welcome)!
      await visit(second, '/set?two=2', cookie)
      await visit(first, '/set?three=3', cookie)
      for (const app of [first, second]) {
        const { body } = await visit(app, '/who', cookie)
        expect(body.data).toMatchObject({ user: 'ann', two: '2', three: '3' })
        expect(body.left).toBeGreaterThan(HOUR - 60_000)
      }
      const document = await collection.findOne({ _id: welcome.body.id })
      expect(document.expires.getTime()).toBeGreaterThan(Date.now() + HOUR - 60_000)
      expect(typeof document.session).toBe(stringify ? 'string' : 'object')
      await visit(second, '/logout', cookie)
      expect((await visit(first, '/who', cookie)).body.data).toEqual({})
    })

    it('loses nothing that connect-mongo wrote since', async () => {
      const powers = powersOf({ stringify })
      const theirs = theirsOn({ stringify })
      const id = newId()
      await powers.write(create(id, textOf({ n: 1 })))
      const { text } = (await powers.read(id))!
      await call(theirs, 'set', id, { cookie: {}, n: 2 })
      const answer = await powers.write({ ...create(id, textOf({ n: 3 })), expected: text })
      expect(JSON.parse((answer as { text: string }).text)).toMatchObject({ n: 2 })
      expect(await call(theirs, 'get', id)).toMatchObject({ n: 2 })
    })

    it('brings nothing back that connect-mongo destroyed', async () => {
      const powers = powersOf({ stringify })
      const id = newId()
      await powers.write(create(id, textOf({ n: 1 })))
      const { text } = (await powers.read(id))!
      await call(theirsOn({ stringify }), 'destroy', id)
      expect(await powers.write({ ...create(id, textOf({ n: 2 })), expected: text })).toBeNull()
      expect(await powers.extend(id, life())).toBe(false)
      expect(await collection.findOne({ _id: id })).toBeNull()
    })

    it('takes an extension by connect-mongo for a use', async () => {
      const powers = powersOf({ stringify })
      const id = newId()
      const ago = Date.now() - HOUR / 2
      const usedThen = { usedAt: ago, expiresAt: ago + HOUR }
      await powers.write({ ...create(id, textOf({ silverback_meta: { u: ago, c: ago } })), life: usedThen })
      expect(await powers.read(id)).toMatchObject(usedThen)
      const expires = new Date(ago + HOUR + 600_000)
      await call(theirsOn({ stringify }), 'touch', id, { cookie: { expires } })
      expect(await powers.read(id)).toMatchObject({ usedAt: ago + 600_000, expiresAt: expires.getTime() })
    })

    it('hides its locks from connect-mongo', async () => {
      const theirs = theirsOn({ stringify, collectionName: newName() })
      const own = client.db(collection.dbName).collection(theirs.options.collectionName)
      const { lock } = powersOf({ collection: own, stringify })
      expect(await lock.acquire('a', 'token', HOUR)).toBe(true)
      await call(theirs, 'set', 'a', { cookie: {}, n: 1 })
      expect(await call(theirs, 'all')).toEqual([expect.objectContaining({ n: 1 })])
      expect(await lock.renew('a', 'token', HOUR)).toBe(true)
      await own.drop()
    })
  })

  it('tells a session that is over, once, and lets go of it', async () => {
    const powers = powersOf({ stringify })
    const id = newId()
    await powers.write({ ...create(id, textOf({})), life: { usedAt: 1, expiresAt: Date.now() - 1 } })
    expect(await powers.load(id)).toBe('expired')
    expect([await powers.load(id), await collection.findOne({ _id: id })]).toEqual([null, null])
  })

  it('makes a session anew where one is over', async () => {
    const powers = powersOf({ stringify })
    const id = newId()
    await powers.write({ ...create(id, textOf({ old: 1 })), life: { usedAt: 1, expiresAt: Date.now() - 1 } })
    expect(await powers.write({ ...create(id, textOf({ old: 2 })), expected: textOf({ old: 1 }) })).toBeNull()
    expect(await powers.write(create(id, textOf({ n: 1 })))).toBe(true)
    expect(JSON.parse((await powers.read(id))!.text)).toMatchObject({ n: 1 })
  })

  it('removes only what is still what was read, where that is asked for', async () => {
    const powers = powersOf({ stringify })
    const id = newId()
    const [one, two] = [textOf({ n: 1 }), textOf({ n: 2 })]
    await powers.write(create(id, one))
    await powers.write({ ...create(id, two), expected: one })
    expect(await powersOf({ stringify }).remove(id, undefined, one)).toMatchObject({ text: two })
    expect(await powersOf({ stringify }).remove(id, undefined, two)).toBe(true)
    expect(await powers.remove(id, undefined, two)).toBe(false)
  })

  it('does not extend a session that was moved on to another ID', async () => {
    const powers = powersOf({ stringify })
    const id = newId()
    await powers.write(create(id, textOf({ silverback_meta: { u: 1, c: 1, n: 'next', g: 1 } })))
    expect(await powers.extend(id, life())).toBe(false)
  })

  it('lists, revokes and evicts the sessions of a user', async () => {
    const auth: any = sessions({
      secret,
      maxPerUser: 2,
      userId: (data: any) => data.user,
      store: new MongoStore({ collection, stringify })
    })
    const app = appOn(auth)
    const user = newName()
    const cookies: string[] = []
    for (let i = 0; i < 3; i++) cookies.push(cookieOf(await visit(app, `/set?user=${user}`))!)
    expect(await auth.list(user)).toHaveLength(2)
    expect((await visit(app, '/who', cookies[0])).body.data).toEqual({})
    expect(await auth.revoke(user)).toBe(2)
    expect((await visit(app, '/who', cookies[2])).body.data).toEqual({})
    expect(await collection.countDocuments({ 'silverback.user': user })).toBe(0)
  })

  it('frees the lock of a process that was killed', async () => {
    await expectFreeLockAfterKill({ mongo: { url: mongoUrl(), name: newName(), stringify } })
  })

  it(
    'loses nothing that was confirmed to processes that were killed',
    () => {
      const mongo = { url: mongoUrl(), name: open.collection.collectionName, stringify }
      return expectNothingLostToKills(open.store, { mongo }, ROUNDS)
    },
    240_000 + 5000 * ROUNDS
  )
})

describe('types that BSON has and JSON has not', () => {
  const id = new ObjectId()
  const when = new Date(1_700_000_000_000)
  const price = Decimal128.fromString('12.50')
  const doors: Record<string, (store: MongoStore) => any> = {
    'sessions()': (store) => sessions({ secret, store }),
    'the drop-in door': (store) => silverback({ secret, name: 'sid', resave: false, saveUninitialized: false, store }),
    'express-session': (store) =>
      expressSession({ secret, name: 'sid', resave: false, saveUninitialized: false, store })
  }

  it.each(Object.entries(doors))('stay what they are behind %s', async (_name, door) => {
    const app = appOn(door(new MongoStore({ collection, stringify: false })), {
      '/types': (req, res) => {
        Object.assign(req.session, { when, nested: { id, list: [when, price] } })
        res.json(req.sessionID)
      },
      '/told': (req, res) => {
        const { when: date, nested } = req.session
        res.json([date instanceof Date, nested.id instanceof ObjectId, nested.list[0] instanceof Date])
      }
    })
    const welcome = await visit(app, '/types')
    const cookie = cookieOf(welcome)!
    expect((await visit(app, '/told', cookie)).body).toEqual([true, true, true])
    await visit(app, '/set?other=1', cookie)
    expect((await visit(app, '/told', cookie)).body).toEqual([true, true, true])
    const { session } = await collection.findOne({ _id: welcome.body })
    expect(session).toMatchObject({ when, other: '1', nested: { id, list: [when, price] } })
    expect(session.cookie.path).toBe('/')
  })

  it.each([{ useBigInt64: true }, { promoteValues: false }, { promoteLongs: false }])(
    'are no obstacle where the client is set to %j',
    async (settings) => {
      const other = await new MongoClient(mongoUrl(), settings).connect()
      const set = other.db(collection.dbName).collection<any>(collection.collectionName)
      const app = appOn(sessions({ secret, store: new MongoStore({ collection: set, stringify: false }) }))
      const welcome = await visit(app, '/set?user=ann')
      const cookie = cookieOf(welcome)!
      const long = Long.fromString('9007199254740993')
      await collection.updateOne(
        { 'session.user': 'ann' },
        { $set: { 'session.user': 'eve', 'session.long': long, 'session.like': /a/i } }
      )
      await visit(app, '/set?two=2', cookie)
      expect((await visit(app, '/who', cookie)).body.data).toMatchObject({ user: 'eve', two: '2' })
      const kept = await collection.findOne({ 'session.user': 'eve' }, { promoteLongs: false })
      expect(kept.session).toMatchObject({ long, like: /a/i })
      expect((await visit(app, '/logout', cookie)).status).toBe(200)
      await other.close()
    }
  )

  it('stay what they are in what two requests changed at once', async () => {
    const powers = powersOf({ stringify: false })
    const session = newId()
    await powers.write({ ...create(session, textOf({ when })), live: () => ({ when }) })
    const { text } = (await powers.read(session))!
    // The session object of a request that has merged: the date is known as text alone.
    expect(await powers.write({ ...create(session, textOf({ when, n: 1 })), expected: text })).toBe(true)
    expect((await collection.findOne({ _id: session })).session.when).toEqual(when)
  })
})

describe('indexes', () => {
  it('are those of connect-mongo and ours, whoever comes first', async () => {
    const own = client.db(collection.dbName).collection<any>(newName())
    const theirs = theirsOn({ collectionName: own.collectionName })
    await theirs.collectionP
    await new MongoStore({ collection: own }).set('a', { cookie: {} } as never)
    const keys = async () => (await own.listIndexes().toArray()).map(({ key }) => Object.keys(key)[0])
    await until(async () => (await keys()).length === 4, 'all indexes are there')
    expect((await keys()).sort()).toEqual(['_id', 'expires', 'silverback.until', 'silverback.user'])
    await own.drop()
  })
})

describe('a collection', () => {
  it('may be promised', async () => {
    const store = new MongoStore({ collection: Promise.resolve(collection) })
    await store.set('promised', { cookie: {} } as never)
    expect(await store.get('promised')).toMatchObject({ cookie: {} })
  })

  it('that never comes is an error of every call', async () => {
    const store = new MongoStore({ collection: Promise.reject(new Error('no')) })
    await expect(store.get('a')).rejects.toMatchObject({ code: 'ERR_SESSION_STORE', status: 503 })
  })
})

describe('a server that does not answer', () => {
  let port: number
  let gateway: ChildProcess
  let own: MongoClient
  let app: Express

  async function start(): Promise<void> {
    const postgres = process.env.SILVERBACK_POSTGRES_PORT
    if (postgres === undefined) throw new Error('These tests stop the server: only scripts/mongo.sh has one for that')
    const file = path.resolve(__dirname, '../../scripts/mongo-gateway.js')
    gateway = spawn(process.execPath, [file, String(port), postgres], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(gateway.stdout!, 'data')
  }

  async function kill(): Promise<void> {
    const ended = once(gateway, 'exit')
    gateway.kill('SIGKILL')
    await ended
  }

  beforeEach(async () => {
    port = await freePort()
    await start()
    own = new MongoClient(`mongodb://127.0.0.1:${port}/?directConnection=true`)
    const store = new MongoStore({ collection: own.db(collection.dbName).collection(collection.collectionName) })
    app = appOn(sessions({ secret, storeTimeout: 2000, store }))
  })

  afterEach(async () => {
    await own.close()
    await kill()
  })

  it('is an error while it is gone, and has everything when it is back', async () => {
    const cookie = cookieOf(await visit(app, '/set?user=ann'))!
    await kill()
    expect((await visit(app, '/who', cookie)).status).toBe(503)
    expect((await visit(app, '/logout', cookie)).status).toBe(503)
    await start()
    await until(async () => (await visit(app, '/who', cookie)).status === 200, 'the application goes on')
    expect((await visit(app, '/who', cookie)).body.data).toEqual({ user: 'ann' })
  })

  it('is an error while it stands still, and has everything when it goes on', async () => {
    const cookie = cookieOf(await visit(app, '/set?user=ann'))!
    gateway.kill('SIGSTOP')
    expect((await visit(app, '/who', cookie)).status).toBe(503)
    gateway.kill('SIGCONT')
    await until(async () => (await visit(app, '/who', cookie)).status === 200, 'the application goes on')
    expect((await visit(app, '/who', cookie)).body.data).toEqual({ user: 'ann' })
  })
})
