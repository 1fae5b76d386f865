import type { Express } from 'express'
import Redis from 'ioredis'
import request from 'supertest'
import { sessions } from '../../lib'
import { RedisStore } from '../../lib/redis'
import { appWith, cookieOf, secret } from '../helpers/app'
import { Clock } from '../helpers/clock'
import { CLIENTS, type Connected } from '../helpers/redis-clients'
import { countsIn, RedisServer } from '../helpers/redis-server'

// What the server itself counted (INFO commandstats), all of it. It counts what a script calls as well, so a script
// stands here as the one command that was sent and the calls that it makes on the server.
type Counts = Record<string, number>

const SECOND = 1000
const TOUCH_AFTER = 60 * SECOND

const nothing: Counts = {}
const get: Counts = { get: 1 }
const set: Counts = { set: 1 }
const touchScript: Counts = { evalsha: 1, get: 1, set: 1 }
const removeScript: Counts = { evalsha: 1, get: 1, del: 1 }
const enterScript: Counts = { evalsha: 1, zremrangebyscore: 1, zadd: 1, zrange: 1, pexpire: 1 }
const leaveScript: Counts = { evalsha: 1, zrem: 1 }

/** A write over what was read; the first one finds out whether the server's SET compares. */
let write: Counts
let firstWrite: Counts
let server: RedisServer
let watcher: Redis
let clock: Clock

beforeAll(async () => {
  server = await RedisServer.start()
  const compares = await server.compares()
  write = compares ? { set: 1 } : { evalsha: 1, get: 1, set: 1 }
  firstWrite = compares ? { evalsha: 1, set: 1 } : { evalsha: 1, get: 1, set: 2 }
  watcher = new Redis(server.url)
  await new Promise((resolve) => watcher.once('ready', resolve))
})

beforeEach(() => {
  clock = new Clock()
})

afterEach(async () => {
  clock.restore()
  await watcher.flushall()
})

afterAll(async () => {
  watcher.disconnect()
  await server.stop()
})

async function trafficOf(work: () => Promise<unknown>): Promise<Counts> {
  await watcher.config('RESETSTAT')
  await work()
  const { info: _info, 'config|resetstat': _reset, ...counts } = countsIn(await watcher.info('commandstats'))
  return counts
}

function sum(...parts: Counts[]): Counts {
  const total: Counts = {}
  for (const part of parts) for (const [name, n] of Object.entries(part)) total[name] = (total[name] ?? 0) + n
  return total
}

function appOn(connected: Connected, options: object = {}): Express {
  const store = new RedisStore({ client: connected.client })
  return appWith(sessions({ secret, store, touchAfter: TOUCH_AFTER, ...options }), {
    '/untouched': (_req, res) => res.send('untouched'),
    '/read': (req, res) => res.send(String(req.session.user)),
    '/write': (req, res) => res.send(String((req.session.n = (req.session.n ?? 0) + 1))),
    '/same': (req, res) => res.send(Object.assign(req.session, { user: 'ann' }).user),
    '/login': (req, res) => res.send(Object.assign(req.session, { user: 'ann' }).user),
    '/rotate': async (req, res) => {
      await req.session.regenerate()
      req.session.user = 'ann'
      res.send('new')
    },
    '/unset': (req, res) => {
      req.session = null
      res.send('out')
    },
    '/save': async (req, res) => {
      req.session.n = 'saved'
      await req.session.save()
      res.send('saved')
    },
    '/logout': async (req, res) => {
      await req.session.destroy()
      res.send('out')
    }
  })
}

/** One step: what is asked, what Redis is to see of it, and how much later than the step before. */
type Step = [title: string, path: string, expected: Counts, later?: number]

const ANONYMOUS: Step[] = [
  ['a request without a cookie that uses no session', '/untouched', nothing],
  ['a request without a cookie that reads its session', '/read', nothing],
  ['a logout without a cookie', '/logout', nothing],
  ['another way to log out', '/unset', nothing],
  ['a login that a new ID begins', '/rotate', set]
]

const plain = (): Step[] => [
  ['the save of a new session', '/login', set],
  ['a request that leaves its session alone', '/untouched', get],
  ['a request that reads', '/read', get],
  ['a request that assigns what is there', '/same', get],
  ['a request that writes', '/write', sum(get, firstWrite)],
  ['a request that saves by hand', '/save', sum(get, write)],
  ['a read at the end of the window', '/read', get, TOUCH_AFTER - 1],
  ['the first read after the window', '/read', sum(get, touchScript), 1],
  ['the read after that', '/read', get],
  ['the first untouched request after the next window', '/untouched', sum(get, touchScript), TOUCH_AFTER],
  ['a write after the next window', '/write', sum(get, write), TOUCH_AFTER],
  ['a read just before the window that the write began ends', '/read', get, TOUCH_AFTER - 1],
  ['a new ID', '/rotate', sum(get, removeScript, set)],
  ['a logout', '/logout', sum(get, removeScript)]
]

const owned = (): Step[] => [
  ['the save of a new session of a user', '/login', sum(enterScript, set, enterScript)],
  ['a request that leaves its session alone', '/untouched', get],
  ['a request that reads', '/read', get],
  ['a request that writes', '/write', sum(get, firstWrite, enterScript)],
  ['the first read after the window', '/read', sum(get, touchScript, enterScript), TOUCH_AFTER],
  ['a logout', '/logout', sum(get, removeScript, leaveScript)]
]

describe.each(['node-redis 6', 'node-redis 5', 'ioredis'])('Redis traffic of the middleware with %s', (name) => {
  let connected: Connected

  beforeAll(async () => {
    connected = await CLIENTS[name]!(server.url)
  })

  afterAll(() => connected.close())

  async function play(app: Express, steps: Step[]): Promise<void> {
    const agent = request.agent(app)
    const seen: [string, Counts][] = []
    for (const [title, path, , later = 0] of steps) {
      clock.forward(later)
      seen.push([title, await trafficOf(() => agent.get(path).expect(200))])
    }
    expect(seen).toEqual(steps.map(([title, , expected]) => [title, expected]))
  }

  it('is none for anonymous requests', () => play(appOn(connected), ANONYMOUS))

  it('is none for cookies that nobody signed', async () => {
    const app = appOn(connected)
    const valid = cookieOf(await request(app).get('/login'))!
    const forged = [`${valid.slice(0, -1)}${valid.endsWith('A') ? 'B' : 'A'}`, 'sid=s%3Aguess.signature', 'sid=']
    for (const cookie of forged) {
      for (const path of ['/untouched', '/read', '/logout', '/unset']) {
        expect(await trafficOf(() => request(app).get(path).set('Cookie', cookie).expect(200))).toEqual(nothing)
      }
    }
  })

  it('is one command to read, one more to write, and nothing else', async () => {
    await warmUp()
    await play(appOn(connected), plain())
  })

  it('has beside that the index of a user, when something changes', async () => {
    await warmUp()
    await play(appOn(connected, { userId: (session: any) => session.user }), owned())
  })

  it('is one command, too, in a process that has not seen the session', async () => {
    await warmUp()
    const cookie = cookieOf(await request(appOn(connected)).get('/login'))!
    const read = (app: Express) => trafficOf(() => request(app).get('/read').set('Cookie', cookie).expect('ann'))
    const other = appOn(connected)
    expect(await read(other)).toEqual(get)
  })

  it('has each script once on a server that does not know it', async () => {
    const app = appOn(connected)
    const cookie = cookieOf(await request(app).get('/login'))!
    await watcher.script('FLUSH')
    const change = () => trafficOf(() => request(app).get('/write').set('Cookie', cookie).expect(200))
    expect(await change()).toEqual(sum(get, firstWrite, { eval: 1 }))
    expect(await change()).toEqual(sum(get, write))
  })

  // A server gets each script with its first use.
  async function warmUp(): Promise<void> {
    const agent = request.agent(appOn(connected, { touchAfter: 0, userId: (session: any) => session.user }))
    for (const path of ['/login', '/write', '/read', '/logout']) await agent.get(path).expect(200)
  }
})
