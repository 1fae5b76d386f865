import request from 'supertest'
import { infoOf, sessions } from '../lib/index'
import { sessionCookie } from '../lib/testing'
import { appWith, secret } from './helpers/app'
import { enter } from './helpers/direct'
import { heapUsed } from './helpers/heap'
import { HeldStore } from './helpers/held-store'
import { withStillTime } from './helpers/still-time'

const LOADS_MAX = 4096

async function cookiesOf(auth: any, count: number): Promise<string[]> {
  return Promise.all(Array.from({ length: count }, (_, i) => sessionCookie(auth, { user: `u${i}` })))
}

describe('when the store is slow', () => {
  withStillTime()

  it('as many loads wait as may, and one more is refused at once, without asking the store', async () => {
    const store = new HeldStore()
    const auth = sessions({ secret, store: store as never })
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
    const auth = sessions({ secret, store: store as never, onStoreError })
    const cookies = await cookiesOf(auth, LOADS_MAX + 1)
    const waiting = cookies.slice(1).map((cookie) => enter(auth, cookie))
    const app = appWith(auth, {
      '/': (req, res) => {
        req.session.seen = true
        res.json({ code: infoOf(req.session).error?.code, user: req.session.user })
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
    const auth = sessions({ secret, store: store as never })
    const cookies = await cookiesOf(auth, LOADS_MAX)
    const waiting = cookies.map((cookie) => enter(auth, cookie))
    expect(enter(auth, 'other=1').outcome!.err).toBeUndefined()
    expect(enter(auth, 'sid=forged').outcome!.err).toBeUndefined()
    const further = Array.from({ length: 10_000 }, () => enter(auth, cookies[0]!))
    store.goOn()
    for (const { done } of [...waiting, ...further]) expect((await done).err).toBeUndefined()
  })

  it('one load at a time finds out whether a hanging store goes on', async () => {
    const store = new HeldStore()
    const auth = sessions({ secret, store: store as never })
    const cookies = await cookiesOf(auth, LOADS_MAX + 10)
    const first = cookies.slice(0, LOADS_MAX).map((cookie) => enter(auth, cookie))
    jest.advanceTimersByTime(10_000)
    for (const { done } of first) expect((await done).err.code).toBe('ERR_SESSION_STORE_TIMEOUT')
    for (let round = 1; round <= 3; round++) {
      const probe = enter(auth, cookies[LOADS_MAX]!)
      const refused = Array.from({ length: 1000 }, () => enter(auth, cookies[LOADS_MAX + 1]!).outcome!)
      for (const { err } of refused) expect(err.code).toBe('ERR_SESSION_STORE')
      jest.advanceTimersByTime(10_000)
      expect((await probe.done).err.code).toBe('ERR_SESSION_STORE_TIMEOUT')
      expect(store.asked).toBe(LOADS_MAX + round)
    }
    store.goOn()
    expect((await enter(auth, cookies[0]!).done).err).toBeUndefined()
    const last = await Promise.all(cookies.slice(-10).map((cookie) => enter(auth, cookie).done))
    expect(last.map(({ err }) => err)).toEqual(Array(10).fill(undefined))
  })
})

describe('100,000 cookies that are not ours', () => {
  const kinds: ((i: number, valid: string) => string)[] = [
    (i) => `sid=${i}`,
    (i, valid) => `sid=${i}${valid.slice(4)}`,
    (i, valid) => `${valid.slice(0, -6)}${String(i).padStart(6, 'x')}`,
    (i, valid) => `${valid.slice(0, 20)}${i}`,
    (i) => `sid=s%3A${i}.${'A'.repeat(43)}`,
    (i) => `sid=${'%F0%9F%98%80'.repeat(3)}${i}`,
    (i, valid) => `sid=${i}; sid=${valid.slice(5)}`
  ]

  it('cost no call of the store, and nothing of them is remembered', async () => {
    const store = new HeldStore()
    store.goOn()
    const auth = sessions({ secret, store: store as never })
    const valid = await sessionCookie(auth, { user: 'ann' })
    let at = 0
    const send = async (count: number) => {
      for (const end = at + count; at < end; at++) {
        const { outcome } = enter(auth, kinds[at % kinds.length]!(at, valid))
        if (infoOf(outcome!.req.session).error?.code !== 'ERR_SESSION_SIGNATURE')
          throw new Error(`number ${at} was let in`)
      }
      await new Promise((resolve) => setImmediate(resolve))
    }
    await send(20_000)
    const before = heapUsed()
    await send(80_000)
    expect(heapUsed() - before).toBeLessThan(8 * 1024 * 1024)
    expect(auth.stats()).toMatchObject({ rejected: 100_000, loaded: 0, created: 1, active: 1, errors: 0 })
    expect([store.asked, store.records.size]).toEqual([0, 1])
    expect((await enter(auth, valid).done).req.session.user).toBe('ann')
  })
})
