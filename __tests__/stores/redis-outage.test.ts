import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { createClient, createClientPool } from 'redis'
import { createClient as createClient5 } from 'redis5'
import type { Response } from 'supertest'
import type { RedisClient } from '../../lib/stores/redis/client'
import { sessions } from '../../lib/index'
import { RedisStore } from '../../lib/stores/redis/redis'
import { sessionCookie } from '../../lib/testing'
import { cookieOf, secret } from '../helpers/app'
import { BrokenRedis } from '../helpers/broken-redis'
import { enter } from '../helpers/direct'
import { blocksOf, run } from '../helpers/documented'
import { redisApp, type FaultApp } from '../helpers/fault-app'
import { CLIENTS } from '../helpers/redis-clients'
import { RedisServer, until } from '../helpers/redis-server'

// Longer than a test may take: who is answered at all has not waited for it.
const NEVER = 300_000
// Short, for those who are to wait until it is over.
const SOON = 250

const closing: (() => unknown)[] = []

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function start(...flags: string[]): Promise<RedisServer> {
  const server = await RedisServer.start(flags)
  closing.push(() => server.stop())
  return server
}

async function clientOf(name: string, server: RedisServer): Promise<RedisClient> {
  const { client, close } = await CLIENTS[name]!(server.url)
  closing.push(close)
  return client
}

/** The client has noticed that its server is gone. */
function lost(client: RedisClient): Promise<void> {
  const state = client as { isReady?: boolean; status?: string }
  return until(() => (state.isReady ?? state.status === 'ready') === false, 'the client noticed')
}

function expectFault(res: Response, code: string | RegExp = 'ERR_SESSION_STORE'): void {
  expect([res.status, res.body.code]).toEqual([503, typeof code === 'string' ? code : expect.stringMatching(code)])
  expect(res.headers['set-cookie']).toBeUndefined()
}

async function recovered(app: FaultApp): Promise<void> {
  await until(async () => (await app.get('/login?user=eve')).status === 200, 'the application works again')
}

describe.each(['node-redis 6', 'ioredis'])('With %s', (name) => {
  it('answers 503 by the deadline and then at once without Redis, and uses it after its restart', async () => {
    const server = await start()
    const client = await clientOf(name, server)
    const [app, patient] = [redisApp(client, { storeTimeout: SOON }), redisApp(client, { storeTimeout: NEVER })]
    const anonymous = redisApp(client, { storeTimeout: NEVER, onStoreError: 'anonymous' })
    const cookie = await patient.login()
    await server.kill()
    expectFault(await app.get('/read', cookie), /^ERR_SESSION_STORE(_TIMEOUT)?$/)
    await lost(client)
    for (const path of ['/read', '/write', '/logout', '/rotate']) expectFault(await patient.get(path, cookie))
    expectFault(await patient.get('/login?user=bob'))
    const res = await anonymous.get('/read', cookie).expect(200)
    expect(res.body).toEqual({ user: null, n: 0, isNew: true, code: 'ERR_SESSION_STORE' })
    expect((await anonymous.get('/write', cookie).expect(200)).headers['set-cookie']).toBeUndefined()
    for (const path of ['/logout', '/unset', '/rotate', '/save', '/update']) {
      const res = await anonymous.get(path, cookie)
      expect([path, res.status, res.body.code]).toEqual([path, 503, 'ERR_SESSION_STORE'])
    }
    await server.restart()
    await recovered(patient)
    expect((await patient.get('/read', await patient.login('bob'))).body.user).toBe('bob')
    expect((await anonymous.get('/read', cookie)).body.code).toBe('ERR_SESSION_MISSING')
  })

  it.each(['fail', 'anonymous'] as const)(
    'answers 503 without a cookie when Redis dies between load and save (onStoreError %s)',
    async (onStoreError) => {
      const server = await start()
      const client = await clientOf(name, server)
      const app = redisApp(client, { storeTimeout: NEVER, onStoreError })
      for (const what of ['write', 'rotate', 'logout']) {
        const cookie = await app.login()
        const held = await app.hold(what, cookie)
        await server.kill()
        await lost(client)
        held.goOn()
        const res = await held.answer
        expect([res.status, res.body.code]).toEqual([503, 'ERR_SESSION_STORE'])
        // Who wanted to leave must not stay logged in in this browser; and nobody else is told of a session.
        expect(cookieOf(res)).toBe(what === 'logout' ? 'sid=' : undefined)
        await server.restart()
        await recovered(app)
      }
    }
  )

  it('answers as the policy says when Redis hangs at load, and goes on with it', async () => {
    const server = await start()
    const client = await clientOf(name, server)
    const [app, patient] = [redisApp(client, { storeTimeout: SOON }), redisApp(client, { storeTimeout: NEVER })]
    const anonymous = redisApp(client, { storeTimeout: SOON, onStoreError: 'anonymous' })
    const cookie = await patient.login()
    server.pause()
    const answers = await Promise.all(['/read', '/write', '/logout', '/rotate'].map((path) => app.get(path, cookie)))
    for (const res of answers) expectFault(res, 'ERR_SESSION_STORE_TIMEOUT')
    const res = await anonymous.get('/write', cookie)
    expect([res.status, res.headers['set-cookie']]).toEqual([200, undefined])
    expect((await anonymous.get('/read', cookie)).body).toMatchObject({ user: null, code: 'ERR_SESSION_STORE_TIMEOUT' })
    server.resume()
    await recovered(patient)
    expect((await patient.get('/read', cookie)).body).toEqual({ user: 'ann', n: 0, isNew: false, code: null })
  })

  it('answers 503 when Redis hangs between load and save; what it carries out later is whole', async () => {
    const server = await start()
    const client = await clientOf(name, server)
    const [app, patient] = [redisApp(client, { storeTimeout: SOON }), redisApp(client, { storeTimeout: NEVER })]
    const cookies = { write: await patient.login(), rotate: await patient.login(), logout: await patient.login() }
    for (const [what, cookie] of Object.entries(cookies)) {
      const held = await app.hold(what, cookie)
      server.pause()
      held.goOn()
      const res = await held.answer
      expect([res.status, res.body.code]).toEqual([503, 'ERR_SESSION_STORE_TIMEOUT'])
      expect(cookieOf(res)).toBe(what === 'logout' ? 'sid=' : undefined)
      server.resume()
      await recovered(patient)
    }
    expect((await patient.get('/read', cookies.write)).body).toMatchObject({ user: 'ann', isNew: false })
    for (const cookie of [cookies.rotate, cookies.logout]) {
      expect(['ann', null]).toContain((await patient.get('/read', cookie)).body.user)
    }
  })

  it('answers 503 by the deadline when Redis is slow, and leaves nothing behind', async () => {
    const server = await start()
    const client = await clientOf(name, server)
    const [app, patient] = [redisApp(client, { storeTimeout: SOON }), redisApp(client, { storeTimeout: NEVER })]
    const cookie = await patient.login()
    server.pause()
    const answers = await Promise.all(Array.from({ length: 3 }, () => app.get('/write', cookie)))
    for (const res of answers) expectFault(res, 'ERR_SESSION_STORE_TIMEOUT')
    server.resume()
    await patient.get('/write', cookie).expect(200)
    expect((await patient.get('/read', cookie)).body).toEqual({ user: 'ann', n: 1, isNew: false, code: null })
  })

  it('refuses the one load that is more than may wait for a slow Redis, and serves all others', async () => {
    const server = await start()
    const client = await clientOf(name, server)
    const auth = sessions({ secret, store: new RedisStore({ client }), storeTimeout: NEVER })
    const cookies: string[] = []
    // A few at a time: a client gives commands up that a loaded machine keeps it from sending.
    while (cookies.length < 4097) {
      const count = Math.min(256, 4097 - cookies.length)
      cookies.push(...(await Promise.all(Array.from({ length: count }, () => sessionCookie(auth, { user: 'ann' })))))
    }
    const extra = cookies.pop()!
    server.pause()
    const waiting = cookies.map((cookie) => enter(auth, cookie))
    expect(enter(auth, extra).outcome!.err).toMatchObject({ code: 'ERR_SESSION_STORE', status: 503 })
    server.resume()
    for (const { done } of waiting) expect((await done).req.session.user).toBe('ann')
    expect((await enter(auth, extra).done).req.session.user).toBe('ann')
  })

  it('reads on a replica, and fails writes and logouts aloud', async () => {
    const server = await start('--replica-serve-stale-data', 'yes')
    const app = redisApp(await clientOf(name, server), { touchAfter: 0 })
    const cookie = await app.login()
    await server.cli('replicaof', '127.0.0.1', '1')
    for (let i = 0; i < 2; i++) expect((await app.get('/read', cookie).expect(200)).body.user).toBe('ann')
    for (const path of ['/write', '/rotate', '/login?user=bob', '/logout']) {
      const res = await app.get(path, cookie)
      expect([res.status, res.body.code]).toEqual([503, 'ERR_SESSION_STORE'])
      expect(res.body.message).toMatch(/^Redis refused (SET|EVALSHA|DEL): READONLY$/)
      expect(cookieOf(res)).toBe(path === '/logout' ? 'sid=' : undefined)
    }
    await server.cli('replicaof', 'no', 'one')
    expect((await app.get('/read', cookie)).body).toMatchObject({ user: 'ann', n: 0 })
    await app.get('/logout', cookie).expect(200)
    expect((await app.get('/read', cookie)).body).toMatchObject({ user: null, code: 'ERR_SESSION_MISSING' })
  })

  it('confirms no login when Redis is out of memory, but reads and logs out', async () => {
    const server = await start()
    const app = redisApp(await clientOf(name, server))
    const cookie = await app.login()
    await server.cli('config', 'set', 'maxmemory', '1')
    const res = await app.get('/login?user=bob')
    expectFault(res)
    expect(res.body.message).toBe('Redis refused SET: OOM')
    expectFault(await app.get('/write', cookie))
    expect((await app.get('/read', cookie).expect(200)).body.user).toBe('ann')
    await app.get('/logout', cookie).expect(200)
    expect((await app.get('/read', cookie)).body.code).toBe('ERR_SESSION_MISSING')
  })

  it.each([
    ['CLUSTERDOWN', ['--cluster-enabled', 'yes'], []],
    ['NOPERM', [], ['acl', 'setuser', 'default', '-@all', '+ping']],
    ['MASTERDOWN', ['--replica-serve-stale-data', 'no'], ['replicaof', '127.0.0.1', '1']]
  ])('answers %s with a 503 that says so, or as an anonymous request', async (reason, flags, command) => {
    const server = await start()
    const cookie = await redisApp(await clientOf(name, server)).login()
    const broken = await start(...flags)
    const client = await clientOf(name, broken)
    if (command.length > 0) await broken.cli(...command)
    const res = await redisApp(client).get('/read', cookie)
    expectFault(res)
    expect(res.body.message).toMatch(reason === 'NOPERM' ? /its ACL must allow/ : new RegExp(`: ${reason}$`))
    const read = await redisApp(client, { onStoreError: 'anonymous' }).get('/read', cookie).expect(200)
    expect(read.body).toMatchObject({ user: null, isNew: true, code: 'ERR_SESSION_STORE' })
  })

  it('gives a session under a new ID and an event that tells why when Redis restarted empty', async () => {
    const server = await start()
    const client = await clientOf(name, server)
    const app = redisApp(client)
    const cookie = await app.login()
    await server.restart()
    await recovered(app)
    const seen: unknown[] = []
    const listen = (message: unknown) => void seen.push(message)
    subscribe('silverback:rejected', listen)
    const res = await app.get('/write', cookie).expect(200)
    unsubscribe('silverback:rejected', listen)
    expect(seen).toEqual([{ name: 'sid', session: expect.any(String), reason: 'ERR_SESSION_MISSING' }])
    const fresh = cookieOf(res)!
    expect(fresh.slice(0, 20)).not.toBe(cookie.slice(0, 20))
    expect((await app.get('/read', fresh)).body).toMatchObject({ n: 1, isNew: false })
  })
})

it.each([
  ['node-redis 6', (url: string) => createClient({ url })],
  ['node-redis 5', (url: string) => createClient5({ url })],
  // One that may have more connections makes another one at first.
  ['a pool of one connection', (url: string) => createClientPool({ url }, { minimum: 1, maximum: 1 })]
])(
  'the watch of docs/stores.md has %s leave a connection that fell silent, however many requests go on asking',
  async (_name, make) => {
    const server = await BrokenRedis.start()
    closing.push(() => server.stop())
    const client: any = make(server.url)
    client.on('error', () => undefined)
    await client.connect()
    closing.push(() => client.destroy())
    const app = redisApp(client, { storeTimeout: SOON })
    const cookie = await app.login()
    const silent = new Set<Socket>()
    server.disturb = (reply, socket) => (silent.add(socket), reply)
    expect((await redisApp(client).get('/read', cookie)).status).toBe(200)
    server.disturb = (reply, socket) => (silent.has(socket) ? undefined : reply)
    expectFault(await app.get('/read', cookie), 'ERR_SESSION_STORE_TIMEOUT')

    const block = blocksOf('docs/stores.md').find(({ code }) => code.includes('async function watch'))!
    const { watch } = await run(block, {}, { 2000: '20', 5000: '500' })
    void (watch as (client: RedisClient) => Promise<void>)(client)
    await until(async () => (await app.get('/read', cookie)).status === 200, 'the new connection is used')
  }
)
