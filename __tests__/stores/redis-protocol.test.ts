import type { Response } from 'supertest'
import type { RedisClient } from '../../lib/stores/redis/client'
import { BrokenRedis, type Disturb } from '../helpers/broken-redis'
import { redisApp, type FaultApp } from '../helpers/fault-app'
import { CLIENTS } from '../helpers/redis-clients'
import { until } from '../helpers/redis-server'

const closing: (() => unknown)[] = []
const unhandled: unknown[] = []
const noteUnhandled = (err: unknown) => void unhandled.push(err)

beforeAll(() => void process.on('unhandledRejection', noteUnhandled))
afterAll(() => void process.off('unhandledRejection', noteUnhandled))

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

/** What a server that talks nonsense sends instead of the reply to a read. */
const NONSENSE: Record<string, () => Disturb> = {
  garbage: () => () => Buffer.from('\x00\xffNOT REDIS AT ALL\r\n{"user":"root"}\r\n', 'latin1'),
  'an HTTP page': () => () => Buffer.from('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n'),
  'half a reply, then silence': () => (reply) => reply.subarray(0, reply.length >> 1),
  'half a reply once, then all others': () => {
    let first = true
    return (reply) => {
      const half = first
      first = false
      return half ? reply.subarray(0, reply.length >> 1) : reply
    }
  },
  $99999999999: () => () => Buffer.from('$99999999999\r\n{"cookie":{'),
  'a length that is none': () => () => Buffer.from('$-7\r\n$x\r\n'),
  'a number': () => () => Buffer.from(':42\r\n'),
  'a list': () => () => Buffer.from('*2\r\n$1\r\na\r\n$1\r\nb\r\n'),
  'an endless list': () => () => Buffer.from('*99999999\r\n'),
  'an error that quotes the session': () => (reply) =>
    Buffer.from(`-ERR cannot do that: ${String(reply).replace(/[\r\n]/g, ' ')}\r\n`),
  'every reply twice': () => (reply) => Buffer.concat([reply, reply]),
  'replies in the wrong order': () => {
    const waiting: Buffer[] = []
    return (reply) => {
      waiting.push(reply)
      return waiting.length < 2 ? undefined : Buffer.concat(waiting.splice(0).reverse())
    }
  },
  'nothing, and it hangs up': () => (_reply, socket) => {
    socket.destroy()
    return undefined
  }
}

const USERS = ['ann-7', 'bob-8', 'cid-9', 'eve-0']

async function clientOf(name: string, server: BrokenRedis): Promise<RedisClient> {
  const { client, close } = await CLIENTS[name]!(server.url)
  closing.push(close)
  return client
}

/** A fault, or a fresh session, or one's own: never somebody else's, and nothing of anybody's data in an error. */
function expectOwnOrNone(res: Response, user: string): void {
  if (res.status === 200) {
    expect([user, null]).toContain(res.body.user)
  } else {
    expect(res.status).toBe(503)
    expect(res.body.code).toMatch(/^ERR_SESSION_STORE(_TIMEOUT)?$/)
    for (const other of USERS) expect(res.text).not.toContain(other)
  }
}

async function readAll(app: FaultApp, cookies: string[]): Promise<void> {
  const answers = await Promise.all(cookies.map((cookie) => app.get('/read', cookie)))
  answers.forEach((res, i) => expectOwnOrNone(res, USERS[i]!))
}

describe.each(['node-redis 6', 'ioredis'])('an application on %s answers every request by the deadline', (name) => {
  it.each(Object.keys(NONSENSE))('when it is sent %s, and to each its own', async (what) => {
    const server = await BrokenRedis.start()
    closing.push(() => server.stop())
    const client = await clientOf(name, server)
    const app = redisApp(client, { storeTimeout: 100 })
    const anonymous = redisApp(client, { storeTimeout: 100, onStoreError: 'anonymous' })
    const cookies: string[] = []
    const patient = redisApp(client)
    for (const user of USERS) cookies.push(await patient.login(user))
    server.disturb = NONSENSE[what]!()
    await readAll(app, cookies)
    await readAll(anonymous, cookies)
    expect(server.disturbed).toBeGreaterThan(0)
    server.disturb = undefined
    server.drop()
    const healthy = async () => (await app.get('/read', cookies[0])).body.user === USERS[0]
    await until(healthy, 'the client has begun anew')
    const after = await Promise.all(cookies.map((cookie) => patient.get('/read', cookie)))
    expect(after.map((res) => res.body.user)).toEqual(USERS)
    expect(unhandled).toEqual([])
  })
})
