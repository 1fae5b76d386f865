import './helpers/quiet'
import request from 'supertest'
import { OptionError } from '../lib/base/errors'
import session, { CookieStore, FileStore, MemoryStore, sessions } from '../lib/index'
import { RedisStore } from '../lib/redis'
import { SqliteStore } from '../lib/sqlite'
import { clock, faultyStore, sessionCookie, sessionOf } from '../lib/testing'
import { appWith, cookieOf, secret } from './helpers/app'
import { basics, login, visit } from './helpers/basics'
import { Clock } from './helpers/clock'
import { TestFolder } from './helpers/folder'
import { CLIENTS, type Connected } from './helpers/redis-clients'
import { RedisServer } from './helpers/redis-server'
import { DAY, HOUR, MINUTE } from './helpers/times'

const classic = (options: object) => session({ secret, resave: false, saveUninitialized: false, ...options } as never)
let folder: TestFolder
let server: RedisServer
let connected: Connected
const closing: (() => unknown)[] = []

beforeAll(async () => {
  folder = new TestFolder()
  server = await RedisServer.start()
  connected = await CLIENTS['node-redis 6']!(server.url)
})

afterAll(async () => {
  for (const close of closing) await close()
  connected.close()
  await server.stop()
  folder.remove()
})

const opened = <T extends { close(): unknown }>(store: T): T => (closing.push(() => store.close()), store)
const STORES: Record<string, () => any> = {
  MemoryStore: () => opened(new MemoryStore()),
  FileStore: () => opened(new FileStore({ path: folder.at('files') })),
  SqliteStore: () => opened(new SqliteStore({ path: folder.at('sessions.db') })),
  RedisStore: () => new RedisStore({ client: connected.client }),
  CookieStore: () => new CookieStore(),
  "express-session's MemoryStore": () => new (require('express-session').MemoryStore)(),
  memorystore: () => {
    const store = new (require('memorystore')(require('express-session')))({ checkPeriod: DAY })
    closing.push(() => store.stopInterval())
    return store
  }
}

describe.each(Object.keys(STORES))('clock() and sessionOf() with %s', (name) => {
  it('let a session go when its time is over, and not before', async () => {
    const time = clock()
    try {
      const auth = sessions<any>({ secret, store: STORES[name]!(), idle: HOUR, absolute: DAY, touchAfter: 0 })
      const app = appWith(auth, basics)
      let cookie = await sessionCookie(auth, { user: 'ann' })
      const turn = async () => {
        time.forward(50 * MINUTE)
        const res = await visit(app, '/read', cookie)
        cookie = cookieOf(res) ?? cookie
        return res.body.data.user
      }
      expect([await turn(), await turn()]).toEqual(['ann', 'ann'])
      expect(await sessionOf(auth, cookie)).toEqual({ user: 'ann' })
      time.forward(61 * MINUTE)
      expect((await visit(app, '/read', cookie)).body).toMatchObject({ data: {}, isNew: true })
      expect(await sessionOf(auth, cookie)).toBeNull()
    } finally {
      time.restore()
    }
  })
})

describe('clock()', () => {
  it('goes on by itself, and gives the true time back', () => {
    const underneath = new Clock()
    const before = Date.now
    const time = clock()
    try {
      time.forward(DAY)
      underneath.forward(5)
      expect([time.now, Date.now()]).toEqual([underneath.now + DAY, underneath.now + DAY])
    } finally {
      time.restore()
      time.restore()
    }
    expect(Date.now).toBe(before)
    for (const ms of [undefined, NaN, '5'] as any[]) expect(() => time.forward(ms)).toThrow(OptionError)
    underneath.restore()
  })
})

describe('sessionOf()', () => {
  it.each([
    ['sessions()', (options: object) => sessions<any>({ secret, ...options })],
    ['the drop-in door', classic]
  ])('reads what a response has set, or a Cookie header (%s)', async (_door, open: any) => {
    const auth = open({ bind: undefined })
    const app = appWith(auth, basics)
    const res = await request(app).get('/write?user=ann')
    const header = res.headers['set-cookie'] as unknown as string[]
    expect(await sessionOf(auth, header)).toEqual({ user: 'ann' })
    expect(await sessionOf(auth, ['other=1; Path=/', ...header])).toEqual({ user: 'ann' })
    expect(await sessionOf(auth, `a=b; ${header[0]!.split(';')[0]}`)).toEqual({ user: 'ann' })
    const out = await request(app).get('/logout').set('Cookie', header[0]!.split(';')[0]!)
    expect(await sessionOf(auth, header)).toBeNull()
    for (const none of [undefined, '', [], out.headers['set-cookie'], 'sid=forged', 'connect.sid=forged'])
      expect(await sessionOf(auth, none as never)).toBeNull()
  })

  it('asks for no binding, and extends nothing', async () => {
    const auth = sessions<any>({ secret, bind: (req) => req.headers['user-agent'], touchAfter: 0 })
    const res = await request(appWith(auth, basics)).get('/write?user=ann').set('User-Agent', 'one')
    const { touched } = auth.stats()
    expect(await sessionOf(auth, cookieOf(res))).toEqual({ user: 'ann' })
    expect(auth.stats().touched).toBe(touched)
  })

  it.each([
    ['sessions()', (options: object) => sessions<any>({ secret, ...options })],
    ['the drop-in door', classic]
  ])('reads and makes what travels in a header alone (%s)', async (_door, open: any) => {
    const auth = open({ transport: 'header' })
    const app = appWith(auth, basics)
    const carried = await sessionCookie(auth, { user: 'ann' })
    const read = (value: string) => request(app).get('/read').set('X-Session', value)
    expect((await read(carried)).body.data).toEqual({ user: 'ann' })
    expect(await sessionOf(auth, carried)).toEqual({ user: 'ann' })
    const made = (await request(app).get('/write?user=bob')).headers['x-session']
    expect(await sessionOf(auth, made)).toEqual({ user: 'bob' })
    expect(await sessionOf(auth, `${made}x`)).toBeNull()
  })

  it('refuses what is no middleware of ours', async () => {
    for (const auth of [{ get: async () => null }, undefined, null] as any[]) {
      await expect(sessionOf(auth, '')).rejects.toBeInstanceOf(OptionError)
      await expect(sessionCookie(auth)).rejects.toBeInstanceOf(OptionError)
    }
  })
})

describe('faultyStore()', () => {
  const inner: [string, () => any][] = [
    ['a MemoryStore', () => undefined],
    ['a store that only knows the contract', () => new (require('express-session').MemoryStore)()]
  ]

  it.each(inner)('fails, hangs, dies and lies as it is told, before %s', async (_name, make) => {
    const store = faultyStore(make())
    const app = appWith(sessions({ secret, store: store as never }), basics)
    const hasty = appWith(sessions({ secret, store: store as never, storeTimeout: 100 }), basics)
    const cookie = await login(app, 'user=ann')
    const status = async (path: string) => (await visit(app, path, cookie)).status
    store.fail('get')
    expect(await status('/read')).toBe(503)
    store.hang('get')
    expect((await visit(hasty, '/read', cookie)).body.code).toBe('ERR_SESSION_STORE_TIMEOUT')
    store.recover()
    store.die('set', new Error('lost'))
    expect(await status('/write?a=1')).toBeGreaterThanOrEqual(500)
    store.recover('set')
    expect((await visit(app, '/read', cookie)).body.data).toEqual({ user: 'ann', a: '1' })
    store.corrupt()
    expect((await visit(app, '/read', cookie)).body).toMatchObject({ data: {}, code: 'ERR_SESSION_CORRUPT' })
    store.lie('get')
    expect((await visit(app, '/read', cookie)).body).toMatchObject({ data: {}, code: 'ERR_SESSION_MISSING' })
    store.recover()
    store.slow('get', 20)
    expect(await status('/read')).toBe(200)
    store.recover()
    expect(store.calls.slice(0, 2)).toEqual(['set', 'get'])
    await visit(app, '/logout', cookie).expect(200)
    expect((await visit(app, '/read', cookie)).body.isNew).toBe(true)
  })

  it('keeps what our stores can do, with faults of their own', async () => {
    const store = faultyStore()
    const auth = sessions<any>({ secret, store: store as never, userId: ({ user }) => user })
    await sessionCookie(auth, { user: 'ann' })
    expect(await auth.list('ann')).toHaveLength(1)
    store.fail('list')
    await expect(auth.revoke('ann')).rejects.toMatchObject({ code: 'ERR_SESSION_STORE', status: 503 })
    store.recover()
    store.fail('lock')
    const open = await auth.open({ headers: { cookie: await sessionCookie(auth, {}) } })
    await expect(open.lock(() => 1)).rejects.toMatchObject({ code: 'ERR_SESSION_STORE' })
    store.recover()
    expect(await open.lock(() => 1)).toBe(1)
    expect(await store.length()).toBe(2)
  })

  it('has the verbs of the store behind it, and answers callbacks', async () => {
    const bare = faultyStore({ get: () => null, set: () => undefined, destroy: () => undefined })
    expect([bare.touch, bare.all, bare.clear]).toEqual([undefined, undefined, undefined])
    expect(await new Promise((resolve) => bare.get('a', (...answer: any[]) => resolve(answer)))).toEqual([null, null])
    bare.fail('get', new Error('down'))
    expect(await new Promise((resolve) => bare.get('a', resolve))).toMatchObject({ message: 'down' })
    for (const none of [new CookieStore(), {}, null, 'redis'] as any[]) {
      expect(() => faultyStore(none)).toThrow(OptionError)
    }
  })

  it('refuses a fault that would never come', () => {
    const store = faultyStore() as any
    for (const verb of ['gte', 'constructor', undefined]) {
      for (const fault of ['fail', 'hang', 'die', 'lie', 'hold']) expect(() => store[fault](verb)).toThrow(OptionError)
    }
    for (const ms of [undefined, NaN, '5', -1]) expect(() => store.slow('get', ms)).toThrow(OptionError)
    expect(() => store.slow('get', 0)).not.toThrow()
  })
})
