import express from 'express'
import fc from 'fast-check'
import { Redis } from 'ioredis'
import request from 'supertest'
import { gorillaSessions, type GorillaFormat } from '../lib/gorilla'
import session, { infoOf, MemoryStore, sessions } from '../lib/index'
import { decodeRecord, encodeRecord } from '../lib/record/record'
import { POWERS, type Powers, type TokenCodec } from '../lib/store/contract'
import { appWith, cookieOf, secret } from './helpers/app'
import { blocksOf, run } from './helpers/documented'
import { goKeys, GoPeer } from './helpers/go'
import { startBacking, type Backing } from './helpers/go-facts'

const NAME = 'session-name'
const hash = Buffer.alloc(32, 'h')
const block = Buffer.alloc(32, 'b')
const keys = goKeys([hash, block])
const keyPairs = [[hash, block]] as const
const HOUR = 60 * 60 * 1000

/** Stands in for a collection of MongoDB: the calls that are made, answered as MongoDB documents them. */
class Collection {
  readonly #documents = new Map<string, { _id: unknown; data: string; modified: Date }>()

  async findOne({ _id }: { _id: unknown }) {
    const found = this.#documents.get(String(_id))
    return found === undefined ? null : { ...found }
  }

  async insertOne(document: { _id: unknown; data: string; modified: Date }) {
    const id = String(document._id)
    if (this.#documents.has(id)) throw Object.assign(new Error('E11000 duplicate key error'), { code: 11_000 })
    this.#documents.set(id, document)
  }

  async updateOne(filter: { _id: unknown; data: string }, { $set }: { $set: object }) {
    const found = this.#documents.get(String(filter._id))
    if (found?.data !== filter.data) return { matchedCount: 0 }
    this.#documents.set(String(filter._id), { ...found, ...$set })
    return { matchedCount: 1 }
  }

  async deleteOne({ _id, data }: { _id: unknown; data?: string }) {
    const found = this.#documents.get(String(_id))
    if (found === undefined || (data !== undefined && data !== found.data)) return { deletedCount: 0 }
    this.#documents.delete(String(_id))
    return { deletedCount: 1 }
  }
}

let go: GoPeer
const backings = new Map<GorillaFormat, Backing>()
const FORMATS = [
  'filesystem',
  'redistore',
  'redistore-json',
  'redisstore',
  'pgstore',
  'memcache',
  'memcache-gob',
  'mongostore'
] as const
beforeAll(async () => {
  go = new GoPeer()
  const [files, redis, postgres, memcached] = await Promise.all(
    (['filesystem', 'redistore', 'pgstore', 'memcache'] as const).map(startBacking)
  )
  backings.set('mongostore', { client: new Collection() } as unknown as Backing)
  for (const format of FORMATS) {
    if (format === 'mongostore') continue
    const kind = format.startsWith('redis') ? redis : format.startsWith('memcache') ? memcached : undefined
    backings.set(format, kind ?? (format === 'pgstore' ? postgres! : files!))
  }
})
afterAll(async () => {
  go?.stop()
  await Promise.all([...new Set(backings.values())].map((backing) => backing.stop?.()))
})
afterEach(() => jest.restoreAllMocks())

const prefixed = (format: GorillaFormat) => (format.startsWith('memcache') ? { keyPrefix: `${format}_` } : {})
const storeFor = (format: GorillaFormat, more = {}) =>
  gorillaSessions(backings.get(format)!.client, { format, keyPairs, ...prefixed(format), ...more })

/** A store as the engine uses it, without the engine. */
function seam(format: GorillaFormat) {
  const store = storeFor(format) as unknown as { [POWERS]: Powers; tokens: Required<TokenCodec> }
  const { [POWERS]: powers, tokens } = store
  const cookie = { name: NAME, secrets: [] }
  const life = () => ({ usedAt: Date.now(), expiresAt: Date.now() + 24 * HOUR })
  return {
    async change(value: string, change: object) {
      const id = tokens.decode(value, cookie)!
      const found = (await powers.read(id))!
      const { meta, data, cookieText } = decodeRecord(found.text)!
      const text = encodeRecord(cookieText, meta, JSON.stringify({ ...data, ...change }))
      expect(await powers.write({ id, text, expected: found.text, life: life() })).toBe(true)
      return data
    },
    async begin(data: object) {
      const id = tokens.newId(cookie)
      const now = Date.now()
      const text = encodeRecord(
        '{"originalMaxAge":null,"expires":null,"path":"/"}',
        { u: now, c: now },
        JSON.stringify(data)
      )
      expect(await powers.write({ id, text, expected: null, life: life() })).toBe(true)
      return tokens.encode(id, cookie)
    }
  }
}

const inGo = (format: GorillaFormat) => {
  const { client } = backings.get(format)!
  const at =
    format === 'filesystem' ? { path: client } : { address: (client as any).options.url.replace('redis://', '') }
  return async (op: string, more: object = {}) =>
    go.ask({ op: `stored ${op}`, name: NAME, keys, ...at, json: format === 'redistore-json', ...more })
}

describe.each(['filesystem', 'redistore'] as const)('Sessions of a Go program in its %s store', (format) => {
  it('lose nothing when they are written here', async () => {
    const [ask, ours] = [inGo(format), seam(format)]
    let unknowns = 0
    let count = 0
    for (let seed = 1; seed <= 300; seed++) {
      const unknown = seed % 3 === 0
      const { cookie, error } = await ask('random', { seed, unknown })
      // Its own limit of 4096 bytes.
      if (/too (?:long|big)/.test(error ?? '')) continue
      expect(error).toBeUndefined()
      await ours.change(cookie!, {}).catch((err) => expect(err.code).toBe('ERR_SESSION_TOO_LARGE'))
      expect((await ask('differ', { seed, unknown, cookie })).differs ?? []).toEqual([])
      count++
      if (unknown) unknowns++
    }
    expect(count).toBeGreaterThan(250)
    expect(unknowns).toBeGreaterThan(75)
  })
})

it('give Go as JSON what it would read again', async () => {
  const [ask, ours] = [inGo('redistore-json'), seam('redistore-json')]
  let count = 0
  for (let seed = 1; seed <= 300; seed++) {
    const { cookie } = await ask('random', { seed, unknown: false })
    // What encoding/json has no text for.
    if (cookie === undefined) continue
    const before = (await ask('read', { cookie })).kinds!.sort()
    await ours.change(cookie, {})
    expect((await ask('read', { cookie })).kinds!.sort()).toEqual(before)
    count++
  }
  expect(count).toBeGreaterThan(150)
})

describe.each(['filesystem', 'redistore', 'redistore-json'] as const)(
  'Sessions made here, in the %s store',
  (format) => {
    it('are read by Go, as soon as written', async () => {
      const [ask, ours] = [inGo(format), seam(format)]
      const data = fc.dictionary(
        fc.stringMatching(/^k[a-z]{1,6}$/),
        fc.oneof(fc.stringMatching(/^[a-z ]{0,9}$/), fc.nat(), fc.boolean())
      )
      const number = format === 'redistore-json' ? 'float64' : 'int'
      const types: Record<string, string> = { number, boolean: 'bool', string: 'string' }
      for (const each of fc.sample(data, 350)) {
        const { kinds, error } = await ask('read', { cookie: await ours.begin({ ...each, user: 'ann' }) })
        expect(error).toBeUndefined()
        const texts = Object.entries({ ...each, user: 'ann' }).map(([key, value]) => [
          `string ${key}`,
          types[typeof value],
          value
        ])
        const spelled = kinds!.map((kind) =>
          kind.replace(/ = (\S+) (.*)$/, (_all, type, value) => `|${type}|${Number(value) > 0 ? Number(value) : value}`)
        )
        expect(spelled.sort()).toEqual(texts.map((parts) => parts.join('|')).sort())
      }
    })
  }
)

function appFor(format: GorillaFormat, more = {}) {
  const gate: { held?: Promise<void>; arrived?: () => void } = {}
  // Many wait for one session here.
  const options = { secret, name: NAME, absolute: null, storeTimeout: 60_000 }
  const app = appWith(sessions({ ...options, store: storeFor(format, more) }), {
    '/read': (req, res) => {
      const { cookie: _cookie, ...data } = req.session
      res.json({ data, isNew: req.session.isNew, code: infoOf(req.session).error?.code })
    },
    '/set': async (req, res) => {
      req.session[req.query.key] = 'x'
      gate.arrived?.()
      await gate.held
      res.send('set')
    },
    '/update': async (req, res) => {
      await req.session.update((session: any) => (session.n = (session.n ?? 0) + 1))
      res.send('updated')
    },
    '/rotate': async (req, res) => {
      await req.session.regenerate({ keep: req.query.keep ? [req.query.keep] : true, grace: 60_000 })
      await req.session.reload()
      res.send('rotated')
    },
    '/logout': async (req, res) => {
      await req.session.destroy()
      res.send('out')
    }
  })
  const ask = (path: string, cookie: string) => request(app).get(path).set('Cookie', cookie)
  return { ask, gate }
}

describe.each(FORMATS)('Parallel requests to %s', (format) => {
  const begin = async (ask: ReturnType<typeof appFor>['ask']) => cookieOf(await ask('/set?key=user', ''), NAME)!

  it('both survive, in one process and in several', async () => {
    const [one, two] = [appFor(format), appFor(format)]
    const cookie = await begin(one.ask)
    const calls = Array.from({ length: 12 }, (_, at) => (at % 2 ? one : two).ask(`/set?key=k${at}`, cookie))
    for (const res of await Promise.all(calls)) expect([res.status, res.text]).toEqual([200, 'set'])
    const updates = Array.from({ length: 10 }, (_, at) => (at % 2 ? one : two).ask('/update', cookie))
    for (const res of await Promise.all(updates)) expect([res.status, res.text]).toEqual([200, 'updated'])
    const { data } = (await two.ask('/read', cookie)).body
    expect(Object.keys(data).sort()).toEqual(
      ['user', 'n', ...calls.keys()].map((at) => (typeof at === 'number' ? `k${at}` : at)).sort()
    )
    expect(data.n).toBe(10)
  })

  it('do not bring back a session that has ended meanwhile', async () => {
    const { ask, gate } = appFor(format)
    const cookie = await begin(ask)
    const arrived = new Promise<void>((resolve) => (gate.arrived = resolve))
    let release!: () => void
    gate.held = new Promise((resolve) => (release = resolve))
    const slow = ask('/set?key=late', cookie).then((res) => res)
    await arrived
    await appFor(format).ask('/logout', cookie).expect(200)
    release()
    expect((await slow).status).toBe(200)
    expect((await ask('/read', cookie)).body).toMatchObject({ isNew: true, code: 'ERR_SESSION_MISSING' })
  })

  it('follow a rotation for the time of its grace', async () => {
    const { ask } = appFor(format)
    const old = await begin(ask)
    const next = cookieOf(await ask('/rotate', old), NAME)!
    expect((await ask('/read', old)).body).toMatchObject({ isNew: false, data: { user: 'x' } })
    expect((await ask('/read', next)).body).toMatchObject({ isNew: false, data: { user: 'x' } })
  })
})

describe.each(['filesystem', 'redistore'] as const)('A login of Go in %s', (format) => {
  const browserOf = (value: string) => `${NAME}=${value}`

  it('keeps its types through update, rotation and parallel writes, and ends from either side', async () => {
    const [inside, { ask }, other] = [inGo(format), appFor(format), appFor(format)]
    const seed = 9
    const { cookie } = await inside('random', { seed, unknown: true })
    await Promise.all([ask('/set?key=a', browserOf(cookie!)), other.ask('/set?key=b', browserOf(cookie!))])
    await ask('/update', browserOf(cookie!)).expect(200)
    const rotated = cookieOf(await ask('/rotate', browserOf(cookie!)), NAME)!
    const value = rotated.slice(NAME.length + 1)
    const { differs } = await inside('differ', { seed, unknown: true, cookie: value })
    expect(differs!.sort()).toEqual(['string a is new', 'string b is new', 'string n is new'])
    await inside('add', { cookie: value })
    expect((await ask('/read', rotated)).body.data).toMatchObject({ go: 1, a: 'x', b: 'x', n: 1 })
    await inside('delete', { cookie: value })
    expect((await ask('/read', rotated)).body).toMatchObject({ isNew: true, code: 'ERR_SESSION_MISSING' })
    const again = await inside('random', { seed: 1, unknown: false })
    await ask('/logout', browserOf(again.cookie!)).expect(200)
    expect((await inside('read', { cookie: again.cookie })).error).toMatch(/no such file|new session/)
  })

  it('takes along nothing but what is kept', async () => {
    const { cookie } = await inGo(format)('random', { seed: 3, unknown: true })
    const { ask } = appFor(format)
    const rotated = cookieOf(await ask('/rotate?keep=user', browserOf(cookie!)), NAME)!
    const { kinds } = await inGo(format)('read', { cookie: rotated.slice(NAME.length + 1) })
    expect(kinds).toEqual(['string user = string ann'])
  })

  it('is extended by being used here, for as long as Go gives it', async () => {
    const { cookie, id } = await inGo(format)('random', { seed: 1, unknown: false })
    // Redis has a clock of its own.
    if (format === 'redistore')
      await (backings.get(format)!.client as any).expire(`session_${id}`, (10 * 24 * HOUR) / 1000)
    const { ask } = appFor(format)
    const now = Date.now()
    const clock = jest.spyOn(Date, 'now').mockReturnValue(now + 20 * 24 * HOUR)
    const res = await ask('/read', browserOf(cookie!)).expect(200)
    expect(res.headers['set-cookie']![0]).toMatch(/Max-Age=2592000/)
    clock.mockReturnValue(now + 40 * 24 * HOUR)
    expect((await ask('/read', cookieOf(res, NAME)!)).body).toMatchObject({ isNew: false, data: { user: 'ann' } })
    // As Go would say of a cookie that it has not seen for so long.
    expect((await ask('/read', browserOf(cookie!))).body.code).toBe('ERR_SESSION_EXPIRED')
  })
})

it.each(['filesystem', 'redistore', 'redistore-json'] as const)(
  'is shared by the drop-in door as well: %s',
  async (format) => {
    const options = { secret, name: NAME, resave: false, saveUninitialized: false, store: storeFor(format) }
    const app = appWith(session(options), {
      '/read': (req, res) => void res.json({ user: req.session.user, go: req.session.go }),
      '/login': (req, res, next) =>
        req.session.regenerate((err: unknown) => {
          if (err) return next(err)
          req.session.user = 'ann'
          res.send('in')
        }),
      '/logout': (req, res, next) => req.session.destroy((err: unknown) => (err ? next(err) : res.send('out')))
    })
    const inside = inGo(format)
    const cookie = cookieOf(await request(app).get('/login'), NAME)!
    const value = cookie.slice(NAME.length + 1)
    expect((await inside('read', { cookie: value })).kinds).toEqual(['string user = string ann'])
    await inside('add', { cookie: value })
    expect((await request(app).get('/read').set('Cookie', cookie)).body).toEqual({ user: 'ann', go: 1 })
    await request(app).get('/logout').set('Cookie', cookie).expect(200)
    expect((await inside('read', { cookie: value })).error).toMatch(/no such file|new session/)
    expect((await request(app).get('/read').set('Cookie', cookie)).body).toEqual({})
  }
)

it('shows through its verbs what the application has put there, and nothing of its own', async () => {
  const store = storeFor('redistore') as any
  const id = store.tokens.newId({ name: NAME })
  await store.set(id, { cookie: { expires: new Date(Date.now() + HOUR) }, user: 'ann' })
  expect(Object.keys(await store.get(id))).toEqual(['cookie', 'user'])
  const unread = { cookie: { expires: new Date(Date.now() + 3 * HOUR) }, toJSON: () => expect(1).toBe('not asked') }
  await store.touch(id, unread)
  expect((await store[POWERS].read(id)).expiresAt).toBeGreaterThan(Date.now() + 2 * HOUR)
  await store.destroy(id)
  expect(await store.get(id)).toBeNull()
})

it.each(FORMATS)('reads behind the changes that were called before (%s)', async (format) => {
  const store = storeFor(format) as any
  const id = store.tokens.newId({ name: NAME, secrets: [] })
  const kept = (n: number) => ({ cookie: { expires: new Date(Date.now() + HOUR) }, n })
  const [, , found] = await Promise.all([store.set(id, kept(1)), store.set(id, kept(2)), store.get(id)])
  expect(found.n).toBe(2)
  const [, gone] = await Promise.all([store.destroy(id), store.get(id)])
  expect(gone).toBeNull()
})

it.each(FORMATS)('keeps and reads what maxLength allows (%s)', async (format) => {
  const store = storeFor(format, { maxLength: 10_000 })
  const app = appWith(sessions({ secret, name: NAME, store }), {
    '/set': (req, res) => {
      req.session.big = 'x'.repeat(5000)
      res.send('set')
    },
    '/read': (req, res) => res.json([req.session.big?.length, req.session.go])
  })
  const cookie = cookieOf(await request(app).get('/set').expect(200), NAME)!
  const shared = format === 'filesystem' || format === 'redistore'
  const saved = shared && (await inGo(format)('add', { cookie: cookie.slice(NAME.length + 1), long: true }))
  if (saved) expect(saved.error).toBeUndefined()
  expect((await request(app).get('/read').set('Cookie', cookie)).body).toEqual([5000, shared ? 1 : null])
})

it.each(['filesystem', 'redistore'] as const)('leaves Go as documented, login by login (%s)', async (format) => {
  const block = blocksOf('docs/from-gorilla.md').find(({ code }) => code.includes('await old.destroy()'))!
  const app = express()
  const old = appWith(sessions({ secret, name: NAME, store: storeFor(format) }), {
    '/login': (req, res) => {
      req.session.user = 'ann'
      res.send('in')
    }
  })
  await run(block, { app, secret, store: new MemoryStore(), goStore: storeFor(format) })
  app.get('/me', (req: any, res) => res.json(req.session.user ?? null))
  app.get('/logout', async (req, res) => {
    await req.session.destroy()
    res.send('out')
  })
  const cookie = cookieOf(await request(old).get('/login'), NAME)!
  const agent = request.agent(app)
  expect((await agent.get('/me').set('Cookie', cookie)).body).toBe('ann')
  expect((await agent.get('/me')).body).toBe('ann')
  await agent.get('/logout')
  expect((await request(app).get('/me').set('Cookie', cookie)).body).toBeNull()
  const value = cookie.slice(NAME.length + 1)
  expect((await inGo(format)('read', { cookie: value })).error).toMatch(/no such file|new session/)
})

it('is shared by a client of ioredis', async () => {
  const { url } = (backings.get('redistore')!.client as any).options
  const client = new Redis(url)
  const store = gorillaSessions(client, { format: 'redistore', keyPairs })
  const seed = 12
  const { cookie } = await inGo('redistore')('random', { seed, unknown: true })
  const app = appWith(sessions({ secret, name: NAME, store }), {
    '/set': (req, res) => {
      req.session.seen = true
      res.send('set')
    }
  })
  await request(app).get('/set').set('Cookie', `${NAME}=${cookie}`).expect(200)
  const { differs } = await inGo('redistore')('differ', { seed, unknown: true, cookie })
  expect(differs).toEqual(['string seen is new'])
  client.disconnect()
})

describe('Any change to a record', () => {
  it.each(['filesystem', 'redistore', 'redistore-json'] as const)(
    'of %s is refused or read, and never an exception',
    async (format) => {
      const backing = backings.get(format)!
      const { cookie, id } = await inGo(format)('random', { seed: 6, unknown: format !== 'redistore-json' })
      const key = `session_${id}`
      const good = (await backing.raw(key))!
      const store = storeFor(format, { name: NAME }) as any
      const powers: Powers = store[POWERS]
      const change = fc.record({
        at: fc.nat(good.length - 1),
        byte: fc.nat(255),
        kind: fc.constantFrom('set', 'cut', 'add')
      })
      await fc.assert(
        fc.asyncProperty(change, async ({ at, byte, kind }) => {
          const rest = good.subarray(kind === 'add' ? at : at + 1)
          await backing.put(
            key,
            Buffer.concat([good.subarray(0, at), kind === 'cut' ? Buffer.alloc(0) : Buffer.of(byte), rest]),
            {}
          )
          const found = (await powers.read(id!))!
          if (found.text === '')
            return expect(store.reasonOf!('ERR_SESSION_CORRUPT', id).cause).toMatchObject({ kind: 'decode' })
          expect(decodeRecord(found.text)).toBeDefined()
        }),
        { numRuns: 400 }
      )
      expect(cookie).toBeDefined()
    }
  )
})

const redisOf = () => backings.get('redisstore')!.client

it.each<[string, () => unknown]>([
  ['an unknown format', () => gorillaSessions('/tmp', { format: 'sql' as any, keyPairs })],
  ['no keys', () => gorillaSessions('/tmp', { format: 'filesystem' })],
  ['a folder that is none', () => gorillaSessions({}, { format: 'filesystem', keyPairs })],
  ['a client that is none', () => gorillaSessions({}, { format: 'redistore', keyPairs })],
  ['a pool that is none', () => gorillaSessions({}, { format: 'pgstore', keyPairs })],
  ['a table that is none', () => gorillaSessions({ query() {} }, { format: 'pgstore', keyPairs, table: 'a; b' })],
  ['servers that are none', () => gorillaSessions({}, { format: 'memcache', keyPairs })],
  ['a collection that is none', () => gorillaSessions({}, { format: 'mongostore', keyPairs })],
  ['a type that is none', () => gorillaSessions('/tmp', { format: 'filesystem', keyPairs, types: { a: 'b c' } })],
  ['a lifetime below 0', () => gorillaSessions(redisOf(), { format: 'redisstore', maxAge: -1 })],
  ['a length that is none', () => gorillaSessions('/tmp', { format: 'filesystem', keyPairs, maxLength: 'x' as any })],
  ['a length of 0', () => gorillaSessions('/tmp', { format: 'filesystem', keyPairs, maxLength: 0 })],
  ['a prefix that is none', () => gorillaSessions('h:1', { format: 'memcache', keyPairs, keyPrefix: null as any })],
  ['a length that is none, of cookies', () => gorillaSessions(null, { format: 'cookie', keyPairs, maxLength: NaN })],
  ['a name that is none', () => gorillaSessions('/tmp', { format: 'filesystem', keyPairs, name: 5 as any })]
])('refuses %s at set-up', (_title, make) => {
  expect(make).toThrow(expect.objectContaining({ name: 'TypeError', code: 'ERR_SESSION_OPTION' }))
})
