import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto'
import request from 'supertest'
import { OptionError } from '../lib/base/errors'
import { GorillaStore } from '../lib/gorilla'
import { infoOf, sessions } from '../lib/index'
import { appWith, cookieOf, secret } from './helpers/app'
import { goKeys, GoPeer, type Tagged } from './helpers/go'

const NAME = 'session-name'
const hash = Buffer.alloc(32, 'h')
const block = Buffer.alloc(32, 'b')
const older = Buffer.alloc(32, 'o')
const keys = goKeys([hash, block])
const DAY = 24 * 60 * 60 * 1000
const str = (v: string): Tagged => ({ t: 'string', v })

let go: GoPeer
beforeAll(() => {
  go = new GoPeer()
})
afterAll(() => go?.stop())
afterEach(() => jest.restoreAllMocks())

function appFor(store = new GorillaStore({ keyPairs: [[hash, block]] }), options = {}) {
  return appWith(sessions({ secret, name: NAME, store, ...options }), {
    '/read': (req, res) => {
      const { cookie: _cookie, ...data } = req.session
      res.json({ data, id: req.sessionID, isNew: req.session.isNew, code: infoOf(req.session).error?.code })
    },
    '/set': (req, res) => {
      Object.assign(req.session, JSON.parse(req.query.data))
      res.send('set')
    },
    '/flashes': (req, res) => void res.json(req.session.flashes()),
    '/remember': (req, res) => {
      req.session.cookie.maxAge = 7 * DAY
      req.session.user = 'ann'
      res.send('remembered')
    },
    '/rotate': async (req, res) => {
      await req.session.regenerate({ keep: true, grace: 60_000 })
      res.send(req.session.user)
    },
    '/logout': async (req, res) => {
      await req.session.destroy()
      res.send('out')
    }
  })
}

const setPath = (data: object) => `/set?data=${encodeURIComponent(JSON.stringify(data))}`
// Exactly what a browser would send back: nothing is decoded.
const rawValue = (cookie: string) => cookie.slice(NAME.length + 1)
const mint = async (values: [string, Tagged][], more = {}) => {
  const pairs = values.map(([key, value]) => [str(key), value])
  const { cookie, error } = await go.ask({ op: 'mint', name: NAME, keys, values: pairs, ...more })
  expect(error).toBeUndefined()
  return cookie!
}
const goValues = async (cookie: string, with_ = keys) => {
  const { values, error } = await go.ask({ op: 'read', name: NAME, keys: with_, cookie })
  expect(error).toBeUndefined()
  return Object.fromEntries(values!.map(([key, value]) => [key!.v, value]))
}

it('is read by Go as it stands in Set-Cookie, whatever its length', async () => {
  for (let length = 0; length < 12; length++) {
    const res = await request(appFor()).get(setPath({ user: 'x'.repeat(length) }))
    const value = rawValue(cookieOf(res, NAME)!)
    expect(value).not.toContain('%')
    expect(await goValues(value)).toMatchObject({ user: str('x'.repeat(length)) })
  }
})

it.each<[string, [Buffer, Buffer?][], [Buffer, Buffer?]]>([
  ['before encryption came', [[hash, block], [hash]], [hash]],
  ['before encryption went', [[hash], [hash, block]], [hash, block]],
  [
    'with another block key',
    [
      [hash, block],
      [hash, older]
    ],
    [hash, older]
  ]
])('reads, as Go does, what was written %s, under one hash key', async (_when, keyPairs, made) => {
  const cookie = await mint([['user', str('ann')]], { keys: goKeys(made) })
  expect(await goValues(cookie, goKeys(...keyPairs))).toEqual({ user: str('ann') })
  const res = await request(appFor(new GorillaStore({ keyPairs })))
    .get('/read')
    .set('Cookie', `${NAME}=${cookie}`)
  expect(res.body).toMatchObject({ data: { user: 'ann' }, isNew: false })
})

it('reads, as Go does, what another pair could take for some other value', async () => {
  const [date, sealed] = Buffer.from(await mint([['user', str('ann')]]), 'base64url')
    .toString('latin1')
    .split('|')
  const bytes = Buffer.from(sealed!, 'base64url')
  const plain = createDecipheriv('aes-256-ctr', block, bytes.subarray(0, 16)).update(bytes.subarray(16))
  // An initialization vector that begins as the gob of a bool.
  const iv = Buffer.from([3, 2, 0, 1, ...Buffer.alloc(12)])
  const padded = (text: Buffer) => text.toString('base64').replaceAll('+', '-').replaceAll('/', '_')
  const encrypted = padded(Buffer.concat([iv, createCipheriv('aes-256-ctr', block, iv).update(plain)]))
  const mac = createHmac('sha256', hash).update(`${NAME}|${date}|${encrypted}`).digest()
  const cookie = padded(Buffer.concat([Buffer.from(`${date}|${encrypted}|`), mac]))
  const keyPairs: [Buffer, Buffer?][] = [[hash], [hash, block]]
  expect(await goValues(cookie, goKeys(...keyPairs))).toEqual({ user: str('ann') })
  const res = await request(appFor(new GorillaStore({ keyPairs })))
    .get('/read')
    .set('Cookie', `${NAME}=${cookie}`)
  expect(res.body).toMatchObject({ data: { user: 'ann' }, isNew: false })
})

const typed: [string, Tagged][] = [
  ['uid', { t: 'int64', v: '7' }],
  ['rate', { t: 'float64', v: '4000000000000000' }],
  ['big', { t: 'uint64', v: '18446744073709551615' }],
  ['at', { t: 'time.Time', v: '2026-01-02T03:04:05.123456789+02:00' }],
  ['raw', { t: '[]uint8', v: 'aGk=' }],
  ['roles', { t: '[]string', v: ['admin'] }],
  ['limits', { t: 'map[string]int64', v: [['a', '1']] }],
  ['names', { t: 'map[int]string', v: [['1', 'one']] }],
  ['deep', { t: 'map[interface {}]interface {}', v: [[str('n'), { t: 'int32', v: '5' }]] }],
  ['nothing', null]
]

it('shows Go values as encoding/json does, and gives them back with their types when others change', async () => {
  const app = appFor()
  const cookie = await mint(typed)
  const seen = await request(app).get('/read').set('Cookie', `${NAME}=${cookie}`)
  expect(seen.body).toMatchObject({
    isNew: false,
    data: {
      ...{ uid: 7, rate: 2, big: '18446744073709551615', at: '2026-01-02T03:04:05.123456789+02:00', raw: 'aGk=' },
      ...{ roles: ['admin'], limits: { a: 1 }, names: { 1: 'one' }, deep: { n: 5 }, nothing: null }
    }
  })
  const res = await request(app)
    .get(setPath({ theme: 'dark' }))
    .set('Cookie', `${NAME}=${cookie}`)
  const after = await goValues(rawValue(cookieOf(res, NAME)!))
  expect(after).toMatchObject({ ...Object.fromEntries(typed), theme: str('dark') })
})

it('keeps the type of a value that changes, as long as it fits', async () => {
  const cookie = await mint(typed)
  const res = await request(appFor())
    .get(setPath({ uid: 8, roles: ['admin', 'staff'], rate: 3, deep: { n: 'text' } }))
    .set('Cookie', `${NAME}=${cookie}`)
  expect(await goValues(rawValue(cookieOf(res, NAME)!))).toMatchObject({
    uid: { t: 'int64', v: '8' },
    roles: { t: '[]string', v: ['admin', 'staff'] },
    rate: { t: 'float64', v: '4008000000000000' },
    deep: { t: 'map[interface {}]interface {}', v: [[str('n'), str('text')]] }
  })
})

it('gives new values the Go types that were declared, and refuses what does not fit them', async () => {
  const store = new GorillaStore({ keyPairs: [[hash, block]], types: { uid: 'int64', roles: '[]string' } })
  const res = await request(appFor(store)).get(setPath({ uid: 8, roles: ['a'], n: 1, x: 1.5 }))
  expect(await goValues(rawValue(cookieOf(res, NAME)!))).toMatchObject({
    ...{ uid: { t: 'int64', v: '8' }, roles: { t: '[]string', v: ['a'] }, n: { t: 'int', v: '1' } },
    x: { t: 'float64', v: '3ff8000000000000' }
  })
  const bad = await request(appFor(store)).get(setPath({ uid: 'eight' }))
  expect(bad.body.code).toBe('ERR_SESSION_UNSERIALIZABLE')
  expect(bad.body.message).toContain('session.uid')
})

it('shares flashes in both directions', async () => {
  const cookie = await mint([], { flashes: ['saved'] })
  const app = appFor()
  const res = await request(app).get('/flashes').set('Cookie', `${NAME}=${cookie}`)
  expect(res.body).toEqual(['saved'])
  const left = await goValues(rawValue(cookieOf(res, NAME)!))
  expect(left).not.toHaveProperty('_flash')
  const ours = await request(app).get(setPath({ _flash: ['hello'] }))
  expect(await go.ask({ op: 'flashes', name: NAME, keys, cookie: rawValue(cookieOf(ours, NAME)!) })).toMatchObject({
    flashes: ['hello']
  })
})

it('keeps ID, data and lifetime through a turn in Go', async () => {
  const app = appFor()
  const first = await request(app).get('/remember')
  const there = cookieOf(first, NAME)!
  const { body: before } = await request(app).get('/read').set('Cookie', there)
  const values = [[str('visits'), { t: 'int', v: '1' }]]
  const turned = await go.ask({ op: 'mint', name: NAME, keys, cookie: rawValue(there), values })
  const back = `${NAME}=${turned.cookie}`
  const { body: after } = await request(app).get('/read').set('Cookie', back)
  expect(after).toMatchObject({ id: before.id, isNew: false, data: { user: 'ann', visits: 1 } })
  expect(Object.keys(after.data).sort()).toEqual(['user', 'visits'])
  const again = await request(app)
    .get(setPath({ x: 1 }))
    .set('Cookie', back)
  expect(again.headers['set-cookie']![0]).toMatch(/Max-Age=604800/)
})

it('takes what Go changed within the same second for newer, and an older cookie of ours for older', async () => {
  const app = appFor()
  const first = cookieOf(await request(app).get(setPath({ n: 1 })), NAME)!
  const values = [[str('n'), { t: 'int', v: '2' }]]
  const turned = await go.ask({ op: 'mint', name: NAME, keys, cookie: rawValue(first), values })
  const third = await request(app)
    .get(setPath({ m: 1 }))
    .set('Cookie', `${NAME}=${turned.cookie}`)
  expect(await goValues(rawValue(cookieOf(third, NAME)!))).toMatchObject({ n: { t: 'int', v: '2' }, m: { v: '1' } })
  // The response with `m` was overtaken: the client still sends the first cookie.
  const fourth = await request(app)
    .get(setPath({ k: 1 }))
    .set('Cookie', first)
  expect(await goValues(rawValue(cookieOf(fourth, NAME)!))).toMatchObject({
    n: { v: '2' },
    m: { v: '1' },
    k: { v: '1' }
  })
})

it('moves to the newest of rotated keys', async () => {
  const store = new GorillaStore({ keyPairs: [[hash, block], [older]] })
  const { cookie } = await go.ask({
    op: 'mint',
    name: NAME,
    keys: goKeys([older]),
    values: [[str('user'), str('ann')]]
  })
  const res = await request(appFor(store))
    .get(setPath({ x: 1 }))
    .set('Cookie', `${NAME}=${cookie}`)
  expect(await goValues(rawValue(cookieOf(res, NAME)!))).toMatchObject({ user: str('ann') })
})

it.each([
  ['forged', 'ERR_SESSION_SIGNATURE', (cookie: string) => `A${cookie.slice(1)}`],
  ['truncated', 'ERR_SESSION_SIGNATURE', (cookie: string) => cookie.slice(0, -8)]
])('gives a new session with the reason for a %s cookie', async (_title, code, change) => {
  const cookie = change(await mint([['user', str('ann')]]))
  const res = await request(appFor()).get('/read').set('Cookie', `${NAME}=${cookie}`)
  expect(res.body).toMatchObject({ isNew: true, data: {}, code })
})

it('gives a new session for one that Go would call expired', async () => {
  const cookie = await mint([['user', str('ann')]])
  const now = Date.now()
  jest.spyOn(Date, 'now').mockReturnValue(now + 31 * DAY)
  const res = await request(appFor(undefined, { idle: null, absolute: null }))
    .get('/read')
    .set('Cookie', `${NAME}=${cookie}`)
  expect(res.body).toMatchObject({ isNew: true, code: 'ERR_SESSION_EXPIRED' })
})

it('leads an old cookie on to the rotated session, read-only, for the time of the grace', async () => {
  const app = appFor()
  const old = `${NAME}=${await mint([['user', str('ann')]])}`
  const next = cookieOf(await request(app).get('/rotate').set('Cookie', old), NAME)!
  const { id } = (await request(app).get('/read').set('Cookie', next)).body
  const late = await request(app).get('/read').set('Cookie', old)
  expect([late.body, late.headers['set-cookie']]).toEqual([{ data: { user: 'ann' }, id, isNew: false }, undefined])
  const now = Date.now()
  jest.spyOn(Date, 'now').mockReturnValue(now + 60_000)
  expect((await request(app).get('/read').set('Cookie', old)).body.code).toBe('ERR_SESSION_MISSING')
  expect((await request(app).get('/read').set('Cookie', next)).body.data).toEqual({ user: 'ann' })
})

it('keeps a destroyed session out within the process', async () => {
  const app = appFor()
  const cookie = `${NAME}=${await mint([['user', str('ann')]])}`
  await request(app).get('/logout').set('Cookie', cookie).expect(200)
  const res = await request(app).get('/read').set('Cookie', cookie)
  expect(res.body).toMatchObject({ isNew: true, code: 'ERR_SESSION_MISSING' })
})

it('says which keys are too large for a cookie', async () => {
  const res = await request(appFor()).get(setPath({ small: 1, large: 'x'.repeat(3000) }))
  expect(res.body.code).toBe('ERR_SESSION_COOKIE_TOO_LARGE')
  expect(res.body.message).toContain('"large"')
})

it.each([
  ['no options', undefined],
  ['no pair', { keyPairs: [] }],
  ['an empty hash key', { keyPairs: [['']] }],
  ['a block key of another length', { keyPairs: [[hash, 'short']] }],
  ['a type without counterpart', { keyPairs: [[hash]], types: { user: 'main User' } }]
])('refuses %s at set-up', (_title, options) => {
  expect(() => new GorillaStore(options as any)).toThrow(OptionError)
})
