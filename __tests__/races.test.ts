import fc from 'fast-check'
import request from 'supertest'
import session, { CookieStore, MemoryStore, sessions } from '../lib/index'
import { recordOf } from '../lib/lifecycle/load'
import { KeyRing } from '../lib/cookie/keys'
import { POWERS, type Powers, type Write } from '../lib/store/contract'
import { StorePort } from '../lib/store/port'
import { RecentWrites } from '../lib/stores/cookie/recent'
import { sessionCookie } from '../lib/testing'
import { appWith, cookieOf, secret } from './helpers/app'
import { plainStore } from './helpers/classic'
import { promised } from './helpers/model'
import { Scheduler, scheduled } from './helpers/scheduler'
import { withStillTime } from './helpers/still-time'

const VERBS = ['get', 'set', 'destroy', 'touch']
const POWER_VERBS = ['read', 'load', 'write', 'extend', 'remove']
const NEVER = () => new Promise(() => undefined)
const SOON = 200
const ID = 'AbCdEfGhIjKlMnOpQrStUvWxYz012345'

describe('while the store hangs', () => {
  withStillTime()

  it('updates of one session at once have one deadline', async () => {
    const store: any = plainStore()
    const auth = sessions<any>({ secret, store, storeTimeout: SOON })
    const cookie = await sessionCookie(auth, { n: 0 })
    const open = await Promise.all(Array.from({ length: 20 }, () => auth.open({ headers: { cookie } })))
    let asked = 0
    store.get = () => ++asked && NEVER()
    const updating = open.map((each) => each.update((data: any) => data.n++))
    await jest.advanceTimersByTimeAsync(2 * SOON)
    const updates = await Promise.allSettled(updating)
    // Nobody who has waited for as long as the store may take waits for it once more.
    expect(asked).toBe(1)
    for (const update of updates) {
      expect((update as PromiseRejectedResult).reason).toMatchObject({ code: 'ERR_SESSION_STORE_TIMEOUT', status: 500 })
    }
  })
})

/** A MemoryStore reached over a network, whose next write arrives so many times, and is answered or not. */
function distant(): { store: any; memory: MemoryStore; next: { times: number; answers: boolean } } {
  const memory = new MemoryStore()
  const next = { times: 1, answers: true }
  const powers = memory[POWERS] as Powers
  const write = async (given: Write) => {
    const { times, answers } = next
    Object.assign(next, { times: 1, answers: true })
    let answer
    for (let i = 0; i < times; i++) answer = powers.write(given)
    return answers ? answer : NEVER()
  }
  const store = storeOn({ ...scheduled(powers, () => undefined, POWER_VERBS), write })
  return { store, memory, next }
}

/** A store that is nothing but powers. */
function storeOn(powers: object): object {
  const unused = () => undefined
  const own = { sync: false, remote: false, ...powers }
  return { get: unused, set: unused, destroy: unused, touch: unused, [POWERS]: own }
}

describe('the first save of a new session', () => {
  it.each(['save', 'update'])('that came to no answer is found again by %s()', async (verb) => {
    const { store, memory, next } = distant()
    const auth = sessions<any>({ secret, store, storeTimeout: SOON })
    const begun = await auth.open({ headers: {} })
    begun.a = 1
    next.answers = false
    await expect(begun.save()).rejects.toMatchObject({ code: 'ERR_SESSION_STORE_TIMEOUT' })
    expect(memory.ids()).toHaveLength(1)
    delete begun.a
    begun.b = 2
    if (verb === 'save') await begun.save()
    else await begun.update((data: any) => void (data.n = 1))
    const data = (await auth.get(begun.id))!.data
    expect(data).toEqual(verb === 'save' ? { b: 2 } : { b: 2, n: 1 })
  })

  it('that a client has sent twice is its own', async () => {
    const { store, next } = distant()
    const auth = sessions<any>({ secret, store })
    const begun = await auth.open({ headers: {} })
    begun.a = 1
    next.times = 2
    await begun.save()
    expect((await auth.get(begun.id))!.data).toEqual({ a: 1 })
  })

  it('still refuses an ID of genid that another session has', async () => {
    const store = new MemoryStore()
    const [auth, other] = [0, 1].map(() => sessions<any>({ secret, store, genid: () => ID })) as [any, any]
    const [first, second] = [await auth.open({ headers: {} }), await other.open({ headers: {} })]
    first.user = 'ann'
    await first.save()
    second.user = 'bob'
    for (let i = 0; i < 2; i++) await expect(second.save()).rejects.toMatchObject({ code: 'ERR_SESSION_OPTION' })
    expect((await auth.get(first.id))!.data).toEqual({ user: 'ann' })
  })
})

describe.each([
  ['sessions()', sessions],
  ['the drop-in door', (options: any) => session({ resave: false, saveUninitialized: false, ...options })]
])('a fault of the store has a status (%s)', (_name, door: any) => {
  it.each(['open', 'get', 'create', 'extend', 'destroy'])('in auth.%s()', async (verb) => {
    const store: any = plainStore()
    const auth = door({ secret, store })
    const value = new KeyRing(secret)
    const fail = async () => Promise.reject(new Error('down'))
    Object.assign(store, { get: fail, set: fail, destroy: fail })
    const name = door === sessions ? 'sid' : 'connect.sid'
    const signed = door === sessions ? value.signBound(name, ID) : sign(ID)
    const argument = { open: { headers: { cookie: `${name}=${signed}` } }, create: { user: 'ann' } }[verb] ?? ID
    await expect(auth[verb](argument)).rejects.toMatchObject({
      code: 'ERR_SESSION_STORE',
      status: expect.any(Number),
      cause: { message: 'down' }
    })
  })
})

function sign(id: string): string {
  return encodeURIComponent(`s:${require('cookie-signature').sign(id, secret)}`)
}

describe('CookieStore', () => {
  it('knows of a logout for minutes, however much other visitors write', () => {
    const recent = new RecentWrites()
    const life = { usedAt: Date.now(), expiresAt: null }
    recent.write({ id: 'ann', text: '{"cookie":{}}', expected: null, life })
    recent.remove('ann')
    for (let i = 0; i < 50_000; i++) recent.write({ id: `visitor ${i}`, text: '{"cookie":{}}', expected: null, life })
    expect(recent.isDead('ann')).toBe(true)
    expect(recent.write({ id: 'ann', text: '{"cookie":{},"a":1}', expected: '{"cookie":{}}', life })).toBeNull()
  })

  it.each([
    ['within a process', undefined],
    ['with revocations', new MemoryStore()]
  ])('fails to reload a session that has ended meanwhile (%s)', async (_name, revocations) => {
    const store = new CookieStore({ revocations })
    const auth = sessions<any>({ secret, store })
    const other = sessions<any>({ secret, store: revocations === undefined ? store : new CookieStore({ revocations }) })
    const app = appWith(auth, { '/login': (req, res) => res.json((req.session.user = 'ann')) })
    const cookie = cookieOf(await request(app).get('/login'))!
    const open = await auth.open({ headers: { cookie } })
    await expect(open.reload()).resolves.toBeUndefined()
    await (await other.open({ headers: { cookie } })).destroy()
    await expect(open.reload()).rejects.toMatchObject({ code: 'ERR_SESSION_MISSING' })
  })
})

describe('when hashIds is switched on', () => {
  const RECORD = { cookie: { originalMaxAge: null, expires: null, path: '/' }, user: 'ann' }

  it.each([
    ['MemoryStore', () => new MemoryStore()],
    ['a store that only knows the contract', () => new (require('express-session').MemoryStore)()]
  ])('no first request brings back what was logged out, and two of them move it once (%s)', async (name, make) => {
    const order = fc.record({ ends: fc.boolean(), choices: fc.array(fc.nat(2), { maxLength: 20, size: 'max' }) })
    const property = fc.asyncProperty(order, async ({ ends, choices }) => {
      let scheduler: Scheduler | undefined
      const store: any = make()
      await new Promise((resolve) => store.set(ID, RECORD, resolve))
      const isOurs = name === 'MemoryStore'
      const verbs = isOurs ? POWER_VERBS : VERBS
      const held = scheduled(isOurs ? store[POWERS] : promised(store, verbs), () => scheduler, verbs)
      const port = new StorePort((isOurs ? storeOn({ ...held }) : held) as never, { storeTimeout: 5000, hashIds: true })
      scheduler = new Scheduler()
      let over = 0
      const end = () => port.remove(port.keyOf(ID), undefined, undefined, ID)
      const work = [port.read(ID), port.read(ID), ...(ends ? [end()] : [])]
      const all = Promise.all(work.map((each) => Promise.resolve(each).finally(() => over++)))
      await scheduler.run(choices, () => over === work.length)
      const found = (await all).slice(0, 2)
      scheduler = undefined
      // A record that leads nowhere is none.
      const kept = recordOf(await port.read(ID))
      expect([kept !== undefined, !ends && found.includes(null)]).toEqual([!ends, false])
    })
    await fc.assert(property, { numRuns: 400 })
  })
})
