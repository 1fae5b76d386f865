import request from 'supertest'
import { sessions } from '../../lib/index'
import { RedisStore } from '../../lib/stores/redis'
import { sessionCookie } from '../../lib/testing'
import { appWith, secret } from '../helpers/app'
import { enter, pass } from '../helpers/direct'
import { CLIENTS } from '../helpers/redis-clients'
import { RedisServer } from '../helpers/redis-server'

const LOADS_MAX = 4096

/** A store that keeps what it is given, and answers a read when the test says so. */
class HeldStore {
  readonly records = new Map<string, string>()
  readonly held: (() => void)[] = []
  asked = 0
  holding = true

  get(id: string, callback: (err: unknown, session?: unknown) => void): void {
    this.asked++
    const reply = () => callback(null, JSON.parse(this.records.get(id) ?? 'null'))
    if (this.holding) this.held.push(reply)
    else setImmediate(reply)
  }

  async set(id: string, session: object): Promise<void> {
    this.records.set(id, JSON.stringify(session))
  }

  async destroy(id: string): Promise<void> {
    this.records.delete(id)
  }

  goOn(): void {
    this.holding = false
    this.held.splice(0).forEach((reply) => reply())
  }
}

async function cookiesOf(auth: any, count: number): Promise<string[]> {
  return Promise.all(Array.from({ length: count }, (_, i) => sessionCookie(auth, { user: `u${i}` })))
}

describe('J4 when the store is slow', () => {
  it('so many loads wait, and the session of one more is refused at once, without asking the store', async () => {
    const store = new HeldStore()
    const auth = sessions({ secret, store: store as never, storeTimeout: 60_000 })
    const cookies = await cookiesOf(auth, LOADS_MAX + 1)
    const extra = cookies.pop()!
    const waiting = cookies.map((cookie) => enter(auth, cookie))
    expect(store.asked).toBe(LOADS_MAX)
    const refused = Array.from({ length: 10_000 }, () => enter(auth, extra).outcome!)
    for (const { err } of refused) expect([err.code, err.status, err.kind]).toEqual(['ERR_SESSION_STORE', 503, 'store'])
    expect(store.asked).toBe(LOADS_MAX)
    store.goOn()
    const outcomes = await Promise.all(waiting.map(({ done }) => done))
    outcomes.forEach(({ req }, i) => expect(req.session.user).toBe(`u${i}`))
    expect((await enter(auth, extra).done).req.session.user).toBe(`u${LOADS_MAX}`)
  })

  it.each([
    ['fail', 503, 'ERR_SESSION_STORE'],
    ['anonymous', 200, 'ERR_SESSION_STORE']
  ] as const)('the refused request follows the policy %s', async (onStoreError, status, code) => {
    const store = new HeldStore()
    const auth = sessions({ secret, store: store as never, storeTimeout: 60_000, onStoreError })
    const cookies = await cookiesOf(auth, LOADS_MAX + 1)
    const waiting = cookies.slice(1).map((cookie) => enter(auth, cookie))
    const app = appWith(auth, {
      '/': (req, res) => {
        req.session.seen = true
        res.json({ code: req.session.error?.code, user: req.session.user })
      }
    })
    const res = await request(app).get('/').set('Cookie', cookies[0]!)
    expect([res.status, res.body.code, res.body.user]).toEqual([status, code, undefined])
    expect(res.headers['set-cookie']).toBeUndefined()
    expect(store.records.size).toBe(LOADS_MAX + 1)
    store.goOn()
    await Promise.all(waiting.map(({ done }) => done))
  })

  it('visitors without a session, and further requests of a session that waits, are let in', async () => {
    const store = new HeldStore()
    const auth = sessions({ secret, store: store as never, storeTimeout: 60_000 })
    const cookies = await cookiesOf(auth, LOADS_MAX)
    const waiting = cookies.map((cookie) => enter(auth, cookie))
    expect(enter(auth, 'other=1').outcome!.err).toBeUndefined()
    expect(enter(auth, 'sid=forged').outcome!.err).toBeUndefined()
    const further = Array.from({ length: 10_000 }, () => enter(auth, cookies[0]!))
    store.goOn()
    for (const { done } of [...waiting, ...further]) expect((await done).err).toBeUndefined()
  })

  it('what a hanging store was asked stays bounded: one load at a time finds out whether it goes on', async () => {
    const store = new HeldStore()
    const auth = sessions({ secret, store: store as never, storeTimeout: 20 })
    const cookies = await cookiesOf(auth, LOADS_MAX + 10)
    const first = await Promise.all(cookies.slice(0, LOADS_MAX).map((cookie) => enter(auth, cookie).done))
    for (const { err } of first) expect(err.code).toBe('ERR_SESSION_STORE_TIMEOUT')
    for (let round = 1; round <= 3; round++) {
      const probe = enter(auth, cookies[LOADS_MAX]!)
      const refused = Array.from({ length: 1000 }, () => enter(auth, cookies[LOADS_MAX + 1]!).outcome!)
      for (const { err } of refused) expect(err.code).toBe('ERR_SESSION_STORE')
      expect((await probe.done).err.code).toBe('ERR_SESSION_STORE_TIMEOUT')
      expect(store.asked).toBe(LOADS_MAX + round)
    }
    store.goOn()
    expect((await enter(auth, cookies[0]!).done).err).toBeUndefined()
    const last = await Promise.all(cookies.slice(-10).map((cookie) => enter(auth, cookie).done))
    expect(last.map(({ err }) => err)).toEqual(Array(10).fill(undefined))
  })
})

describe('H5 10,000 requests at once that write to one session', () => {
  const ENOUGH = 120_000

  async function writeAll(auth: any): Promise<void> {
    const cookie = await sessionCookie(auth, { n: 0 })
    const outcomes = await Promise.all(
      Array.from({ length: 10_000 }, (_, i) =>
        pass(auth, cookie, (req, res) => {
          req.session.n = i
          req.session[`key${i % 20}`] = true
          res.end('done')
        })
      )
    )
    expect(outcomes.filter(({ err }) => err !== undefined).map(({ err }) => err.code)).toEqual([])
    const { req } = await pass(auth, cookie, (_req, res) => res.end())
    expect(Object.keys(req.session).filter((key) => key.startsWith('key'))).toHaveLength(20)
  }

  it(
    'are all saved by Redis',
    async () => {
      const server = await RedisServer.start()
      const { client, close } = await CLIENTS['node-redis 6']!(server.url)
      try {
        await writeAll(sessions({ secret, store: new RedisStore({ client }), storeTimeout: 60_000 }))
      } finally {
        close()
        await server.stop()
      }
    },
    ENOUGH
  )

  it(
    'are all saved by a store that only knows the contract',
    async () => {
      const store = new HeldStore()
      store.goOn()
      await writeAll(sessions({ secret, store: store as never, storeTimeout: 60_000 }))
    },
    ENOUGH
  )
})
