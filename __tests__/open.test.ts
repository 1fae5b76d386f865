import { EventEmitter, once } from 'node:events'
import { Agent, createServer, get, type RequestListener } from 'node:http'
import { connect, createServer as createHttp2Server } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { createClient } from 'redis'
import { CookieStore, infoOf, FileStore, MemoryStore, sessions } from '../lib/index'
import { RedisStore } from '../lib/redis'
import { sessionCookie } from '../lib/testing'
import { secret } from './helpers/app'
import { Child } from './helpers/child'
import { plainStore } from './helpers/classic'
import { Clock } from './helpers/clock'
import { TestFolder } from './helpers/folder'
import { RedisServer } from './helpers/redis-server'
import { HOUR, MINUTE } from './helpers/times'

const upgrade = (cookie: string) => ({
  headers: { cookie, upgrade: 'websocket' },
  url: '/',
  socket: new EventEmitter()
})

const aborted = (signal: AbortSignal) => new Promise((resolve) => signal.addEventListener('abort', resolve))

afterEach(() => jest.restoreAllMocks())

describe('auth.open()', () => {
  it('gives the session of an upgrade request, to be saved by hand', async () => {
    const auth = sessions({ secret })
    const cookie = await sessionCookie(auth, { user: 'ann' })
    const session: any = await auth.open(upgrade(cookie))
    expect([session.user, session.isNew]).toEqual(['ann', false])
    session.seen = true
    await session.save()
    expect((await auth.get(session.id))!.data).toEqual({ user: 'ann', seen: true })
  })

  it('gives a new session with the reason to whoever has none', async () => {
    const session = await sessions({ secret }).open(upgrade('sid=forged'))
    expect([session.isNew, infoOf(session).error!.code]).toEqual([true, 'ERR_SESSION_SIGNATURE'])
  })

  it('watches only when somebody asks, and not beyond the end of the connection', async () => {
    const begun = jest.spyOn(global, 'setInterval')
    const ended = jest.spyOn(global, 'clearInterval')
    const auth = sessions({ secret, store: new MemoryStore() })
    const cookie = await sessionCookie(auth, { user: 'ann' })
    const polls = () => begun.mock.results.filter((_, i) => begun.mock.calls[i]![1] === 500).map(({ value }) => value)
    const req = upgrade(cookie)
    const session = await auth.open(req)
    expect(polls()).toEqual([])
    const signal = infoOf(session).signal!
    expect(infoOf(session).signal).toBe(signal)
    expect(polls()).toHaveLength(1)
    req.socket.emit('close')
    expect(ended).toHaveBeenCalledWith(polls()[0])
    expect(req.socket.listenerCount('close')).toBe(0)
    await auth.destroy(session.id)
    expect(signal!.aborted).toBe(false)
  })

  it('watches until it is told to stop where the connection is another one', async () => {
    const ended = jest.spyOn(global, 'clearInterval')
    const auth = sessions({ secret })
    const cookie = await sessionCookie(auth, { user: 'ann' })
    const over = new AbortController()
    const [kept, left] = await Promise.all([
      auth.open({ headers: { cookie }, url: '/' }),
      auth.open({ headers: { cookie }, url: '/' }, { until: over.signal })
    ])
    const signals = [infoOf(kept!).signal!, infoOf(left!).signal!]
    ended.mockClear()
    over.abort()
    expect(ended).toHaveBeenCalledTimes(1)
    const gone = aborted(signals[0]!)
    await auth.destroy(kept!.id)
    await gone
    expect(signals.map((signal) => signal.aborted)).toEqual([true, false])
  })
})

describe('infoOf(session).signal fires when another process ends the session', () => {
  async function expectSignal(auth: any, place: { folder?: string; redis?: string }): Promise<void> {
    const child = await Child.start('app-child')
    const port = await child.call<number>('start', place, secret)
    const cookie = await sessionCookie(auth, { user: 'ann' })
    const session = await auth.open(upgrade(cookie))
    const signal = infoOf(session).signal!
    const gone = aborted(signal)
    const seen = await fetch(`http://127.0.0.1:${port}/read`, { headers: { cookie } }).then((res) => res.json())
    expect(seen).toMatchObject({ data: { user: 'ann' } })
    expect(signal.aborted).toBe(false)
    await fetch(`http://127.0.0.1:${port}/logout`, { headers: { cookie } })
    await gone
    expect(signal.reason).toMatchObject({ code: 'ERR_SESSION_DESTROYED' })
    await child.kill()
  }

  it('on files', async () => {
    const folder = new TestFolder()
    const store = new FileStore({ path: folder.path })
    await expectSignal(sessions({ secret, store }), { folder: folder.path })
    await store.close()
    folder.remove()
  })

  it('on Redis', async () => {
    const server = await RedisServer.start()
    const client = createClient({ url: server.url })
    try {
      await client.connect()
      await expectSignal(sessions({ secret, store: new RedisStore({ client }) }), { redis: server.url })
    } finally {
      client.destroy()
      await server.stop()
    }
  })
})

it('the signal of a session in its cookie fires when another process revokes it', async () => {
  const revocations = new MemoryStore()
  const [here, there] = [0, 1].map(() => sessions({ secret, store: new CookieStore({ revocations }) }))
  const cookie = await sessionCookie(here!, { user: 'ann' })
  const session = await here!.open(upgrade(cookie))
  const gone = aborted(infoOf(session).signal!)
  await there!.destroy(session.id)
  await gone
})

it.each([
  ['MemoryStore', () => new MemoryStore()],
  ['a store from npm', () => plainStore()]
])('a signal fires when another process gives the session a new ID (%s)', async (_name, open) => {
  for (const grace of [0, 60_000]) {
    const store = open()
    const [here, there] = [0, 1].map(() => sessions({ secret, store }))
    const cookie = await sessionCookie(here!, { user: 'ann' })
    const gone = aborted(infoOf(await here!.open(upgrade(cookie))).signal!)
    await (await there!.open(upgrade(cookie))).regenerate({ keep: true, grace })
    await gone
  }
})

it('a signal fires at the idle end of its middleware, also where the store would keep the session longer', async () => {
  const clock = new Clock()
  const store = new MemoryStore()
  const [long, short] = [HOUR, MINUTE].map((idle) => sessions({ secret, store, idle }))
  const session = await short!.open(upgrade(await sessionCookie(long!, { user: 'ann' })))
  const gone = aborted(infoOf(session).signal!)
  clock.forward(MINUTE)
  await gone
  expect(await long!.get(session.id)).not.toBeNull()
})

it('auth.open() watches a session from a request without a response', async () => {
  const auth = sessions({ secret })
  const cookie = await sessionCookie(auth, { user: 'u' })
  const opened = await auth.open({ headers: { cookie }, url: '/' })
  expect((opened as any).user).toBe('u')
  const ended = new Promise((resolve) => infoOf(opened).signal!.addEventListener('abort', resolve))
  await auth.destroy(opened.id)
  await ended
  expect(infoOf(opened).signal!.aborted).toBe(true)
})

describe('a signal of an ordinary request', () => {
  const servers = {
    'HTTP/1.1, kept alive': async (app: RequestListener) => {
      const server = createServer(app).listen(0)
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      const port = (server.address() as AddressInfo).port
      const ask = async (cookie: string) => {
        const [res] = await once(get({ port, agent, headers: { cookie } }), 'response')
        await once(res.resume(), 'end')
      }
      return { ask, close: () => (agent.destroy(), server.close()) }
    },
    'HTTP/2': async (app: RequestListener) => {
      const server = createHttp2Server(app as never).listen(0)
      const client = connect(`http://localhost:${(server.address() as AddressInfo).port}`)
      const ask = async (cookie: string) => once(client.request({ ':path': '/', cookie }).resume(), 'end')
      return { ask, close: () => (client.destroy(), server.close()) }
    }
  }

  it.each(Object.entries(servers))('is watched until the response is over: %s', async (_, serve) => {
    const begun = jest.spyOn(global, 'setInterval')
    const ended = jest.spyOn(global, 'clearInterval')
    const auth = sessions({ secret, store: new MemoryStore() })
    const listeners: number[] = []
    const closed: Promise<unknown>[] = []
    const late: boolean[] = []
    const { ask, close } = await serve((req: any, res: any) =>
      auth(req, res, () => {
        const { session } = req
        if (session.late === undefined) void infoOf(session).signal
        listeners.push(req.socket.listenerCount('close'))
        closed.push(once(res, 'close').then(() => late.push(infoOf(session).signal!.aborted)))
        res.end()
      })
    )
    const cookie = await sessionCookie(auth, { user: 'ann' })
    for (let i = 0; i < 3; i++) await ask(cookie)
    await ask(await sessionCookie(auth, { late: true }))
    await Promise.all(closed)
    close()
    const polls = begun.mock.results.filter((_, i) => begun.mock.calls[i]![1] === 500).map(({ value }) => value)
    expect(polls).toHaveLength(3)
    for (const poll of polls) expect(ended).toHaveBeenCalledWith(poll)
    expect(new Set(listeners).size).toBe(1)
    expect(late).toEqual([false, false, false, false])
  })

  it.each([undefined, {}])('is watched until the connection is over where the response is %p', async (standIn) => {
    const begun = jest.spyOn(global, 'setInterval')
    const ended = jest.spyOn(global, 'clearInterval')
    const auth = sessions({ secret, store: new MemoryStore() })
    const socket = new EventEmitter()
    const req: any = { headers: { cookie: await sessionCookie(auth, { user: 'ann' }) }, url: '/', socket }
    auth(req, standIn as never, () => void infoOf(req.session).signal)
    const poll = begun.mock.results.at(-1)!.value
    expect(ended).not.toHaveBeenCalledWith(poll)
    socket.emit('close')
    expect(ended).toHaveBeenCalledWith(poll)
  })

  it('fires when the session ends elsewhere, while the response goes on', async () => {
    const auth = sessions({ secret, store: new MemoryStore() })
    const { ask, close } = await servers['HTTP/1.1, kept alive']((req: any, res: any) =>
      auth(req, res, () => {
        infoOf(req.session).signal!.addEventListener('abort', () => res.end())
        res.write('hello')
        void auth.destroy(req.session.id)
      })
    )
    await ask(await sessionCookie(auth, { user: 'ann' }))
    close()
  })
})
