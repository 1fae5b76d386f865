import { AsyncLocalStorage } from 'node:async_hooks'
import { EventEmitter } from 'node:events'
import { inherits, inspect } from 'node:util'
import v8 from 'node:v8'
import { POWERS, type Callback, type Powers } from '../../lib/store/contract'
import { OptionError, SessionError } from '../../lib/base/errors'
import { encodeRecord, META } from '../../lib/record/record'
import { Store } from '../../lib/store/store'
import { MemoryStore, type MemoryStoreOptions } from '../../lib/stores/memory/memory'
import { sessions } from '../../lib/index'
import { heapUsed } from '../helpers/heap'
import { FREED_PER_SLICE, MemoryPowers } from '../../lib/stores/memory/powers'

const { MemoryStore: TheirMemoryStore } = require('express-session')

const START = Date.UTC(2024, 0, 1)
const MINUTE = 60_000
const COOKIE = '{"originalMaxAge":null,"expires":null,"path":"/"}'

let now: number

beforeEach(() => {
  now = START
  jest.spyOn(Date, 'now').mockImplementation(() => now)
})

afterEach(() => {
  jest.useRealTimers()
  jest.restoreAllMocks()
})

const record = (data: object, expires: number | null = null) => ({
  cookie: { originalMaxAge: null, expires: expires === null ? null : new Date(expires), path: '/' },
  ...data
})
const text = (data: object, createdAt = START) =>
  encodeRecord(COOKIE, { u: createdAt, c: createdAt }, JSON.stringify(data))
const life = (expiresAt: number | null = null, usedAt = now) => ({ usedAt, expiresAt })
const powersOf = (store: MemoryStore): Powers & Required<Pick<Powers, 'list' | 'lock'>> => store[POWERS] as never

/** Powers without a sweep of their own. */
function unswept(): MemoryPowers {
  const powers = new MemoryPowers({ max: Infinity, maxBytes: Infinity, sweepEvery: MINUTE })
  powers.close()
  return powers
}

/** Until what was not used meanwhile is packed. */
function sweepTwice(powers: MemoryPowers): void {
  for (let sweeps = 0; sweeps < 2; sweeps++) {
    now += MINUTE
    for (const _ of powers.sweep());
  }
}

/** The answer that a verb gives to a Node callback. */
function called<T>(call: (callback: Callback<T>) => unknown): Promise<T> {
  return new Promise((resolve, reject) => call((err, value) => (err ? reject(err) : resolve(value as T))))
}

describe('MemoryStore', () => {
  describe('as a base class', () => {
    class Extended extends MemoryStore {
      constructor() {
        super({ max: 1 })
      }
    }
    function Legacy(this: MemoryStore) {
      MemoryStore.call(this, { max: 1 })
    }
    inherits(Legacy, MemoryStore)

    it.each<[string, () => MemoryStore]>([
      ['extended as a class', () => new Extended()],
      ['inherited from with util.inherits, called without new', () => new (Legacy as any)()]
    ])('works when %s', (_, make) => {
      const [store, other] = [make(), make()]
      expect(store).toBeInstanceOf(MemoryStore)
      expect(store).toBeInstanceOf(EventEmitter)
      store.set('a', record({ n: 1 }))
      store.set('b', record({ n: 2 }))
      expect([store.ids(), other.ids()]).toEqual([['b'], []])
      const heard = jest.fn()
      store.on('connect', heard)
      store.emit('connect')
      other.emit('connect')
      expect(heard).toHaveBeenCalledTimes(1)
    })

    it('keeps its name, and is the constructor of its instances', () => {
      expect([MemoryStore.name, new MemoryStore().constructor]).toEqual(['MemoryStore', MemoryStore])
    })
  })

  it('says nothing of sessions when it is logged', () => {
    const store = new MemoryStore()
    store.set('an-id', record({ secret: 'of hers' }))
    expect(inspect(store, { depth: 9 })).not.toMatch(/an-id|of hers/)
  })

  describe('verbs without a callback', () => {
    it('answers directly', () => {
      const store = new MemoryStore()
      expect(store).toBeInstanceOf(Store)
      expect(store.get('a')).toBeNull()
      store.set('a', record({ n: 1 }))
      store.set('b', record({ n: 2 }))
      expect(store.get('a')).toEqual({ cookie: { originalMaxAge: null, expires: null, path: '/' }, n: 1 })
      expect(store.ids().sort()).toEqual(['a', 'b'])
      expect(store.length()).toBe(2)
      store.destroy('a')
      store.destroy('a')
      expect(store.get('a')).toBeNull()
      store.clear()
      expect(store.length()).toBe(0)
    })

    it('keeps a copy, not the object', () => {
      const store = new MemoryStore()
      const list = [1]
      const kept = record({ list })
      store.set('a', kept)
      list.push(2)
      store.get('a')!['list'].push(3)
      expect(store.get('a')!.list).toEqual([1])
    })
  })

  it.each([1, 2, 3, 4, 5])(
    "gives what express-session's MemoryStore gives for the same calls (series %i)",
    async (seed) => {
      const ours = new MemoryStore()
      const theirs = new TheirMemoryStore()
      let state = seed
      const pick = (below: number) => (state = (state * 48271) % 2147483647) % below
      for (let step = 0; step < 300; step++) {
        const id = `id${pick(8)}`
        const lifetime = [null, MINUTE, 5 * MINUTE, -1][pick(4)]!
        const value = record({ step, deep: { list: [step, 'x'] } }, lifetime === null ? null : now + lifetime)
        const verb = (['set', 'set', 'get', 'touch', 'destroy', 'all', 'length', 'wait'] as const)[pick(8)]!
        const run = (store: any): Promise<unknown> => {
          if (verb === 'set' || verb === 'touch') return called((cb) => store[verb](id, value, cb))
          if (verb === 'all' || verb === 'length') return called((cb) => store[verb](cb))
          return called((cb) => store[verb](id, cb))
        }
        if (verb === 'wait') now += pick(2 * MINUTE)
        else expect((await run(ours)) ?? null).toEqual((await run(theirs)) ?? null)
        expect({ ...ours.sessions }).toEqual(await liveTexts(theirs))
      }
    }
  )

  it('gives all() without a prototype', () => {
    const store = new MemoryStore()
    store.set('__proto__', record({ n: 1 }))
    const all = store.all()
    expect(Object.getPrototypeOf(all)).toBeNull()
    expect(Object.keys(all)).toEqual(['__proto__'])
  })

  it('answers null for what is not JSON, and leaves the others alone', () => {
    const store = new MemoryStore()
    store.sessions.bad = '{"cookie":'
    store.set('good', record({}))
    store.touch('bad', record({}))
    expect(store.get('bad')).toBeNull()
    expect(Object.keys(store.all())).toEqual(['good'])
  })

  it('keeps nothing for a session that is undefined', () => {
    const store = new MemoryStore()
    store.set('a', record({}))
    store.set('a', undefined as never)
    expect(store.ids()).toEqual([])
  })

  it('keeps texts and IDs beyond Latin-1 exactly', () => {
    const store = new MemoryStore()
    const value = record({ name: 'Gr\u00fc\u00dfe \u6f22\u5b57 \ud83e\udd8d \ud800' })
    store.set('\u6f22\u5b57', value)
    expect(store.sessions['\u6f22\u5b57']).toBe(JSON.stringify(value))
    powersOf(store).write({ id: 'lone', text: 'x\ud800y', expected: null, life: life() })
    expect(powersOf(store).read('lone')).toMatchObject({ text: 'x\ud800y' })
  })

  it('keeps the texts of many sessions letter for letter, whatever they begin with', () => {
    const store = new MemoryStore()
    const powers = powersOf(store)
    const usual = '{"originalMaxAge":null,"expires":null,"secure":false,"httpOnly":true,"path":"/","sameSite":"lax"}'
    const given = new Map<string, string>()
    const texts = ['abc', 'b', '', '{', text({ n: 1 }), 'a1790000000000,"c":1790000000000},"n":1}', '"a"']
    for (const name of ['Ann', '\u6f22\u5b57']) {
      for (const cookie of [usual, usual.replace('false', 'true'), usual.replace('false', '"auto"')]) {
        texts.push(encodeRecord(cookie, { u: now, c: now }, JSON.stringify({ name })))
        texts.push(encodeRecord(cookie, undefined, JSON.stringify({ name })))
      }
    }
    for (let i = 0; i < 3000; i++) given.set(`id-${i}`, texts[i % texts.length]!)
    for (const [id, kept] of given) expect(powers.write({ id, text: kept, expected: null, life: life() })).toBe(true)
    sweepTwice(store[POWERS])
    const listed = new Map<string, string>()
    store[POWERS].each((found) => void listed.set(found.id, found.text))
    expect(listed).toEqual(given)
    for (const [id, kept] of given) {
      expect(powers.read(id)).toMatchObject({ text: kept })
      expect(powers.write({ id, text: 'x', expected: `${kept}.`, life: life() })).toMatchObject({ text: kept })
      expect(powers.write({ id, text: `${kept}+`, expected: kept, life: life() })).toBe(true)
    }
    for (const [id, kept] of given) expect(powers.remove(id, undefined, `${kept}+`)).toBe(true)
    expect(store[POWERS].held).toEqual({ size: 0, bytes: 0 })
  })

  it('takes 100 bytes less for a session of sessions() once it was not used for two sweeps', async () => {
    const store = new MemoryStore()
    store.close()
    const auth = sessions({ secret: 'a secret of the tests, 32 bytes or more', store })
    const { id } = await auth.create({})
    const kept = store.sessions[id]!
    const count = 50_000
    for (let i = 0; i < count; i++) store.sessions[`${id}${i}`] = kept
    const before = heapUsed()
    sweepTwice(store[POWERS])
    expect((before - heapUsed()) / count).toBeGreaterThan(100)
    expect(store.sessions[`${id}${count - 1}`]).toBe(kept)
  })

  describe('sessions', () => {
    it('reads as a map of JSON strings', () => {
      const store = new MemoryStore()
      store.set('a', record({ n: 1 }))
      store.set('dead', record({}, now + 1))
      now += 1
      expect(Object.keys(store.sessions)).toEqual(['a'])
      expect(JSON.parse(store.sessions.a!).n).toBe(1)
      expect('a' in store.sessions).toBe(true)
      expect('toString' in store.sessions).toBe(false)
      expect(store.sessions.dead).toBeUndefined()
      expect(JSON.parse(JSON.stringify(store.sessions))).toEqual({ a: JSON.stringify(record({ n: 1 })) })
    })

    it('is writable, key by key and as a whole', () => {
      const store = new MemoryStore()
      store.sessions.a = JSON.stringify(record({ n: 1 }, now + MINUTE))
      store.sessions.b = JSON.stringify(record({ n: 2 }))
      delete store.sessions.b
      expect(store.ids()).toEqual(['a'])
      now += MINUTE
      expect(store.get('a')).toBeNull()

      store.sessions = { c: JSON.stringify(record({ n: 3 })) }
      expect(store.all()).toEqual({ c: expect.objectContaining({ n: 3 }) })
      const copy = store.sessions
      store.sessions = copy
      expect(store.ids()).toEqual(['c'])
    })
  })

  describe('powers', () => {
    it('is local and synchronous', () => {
      expect(new MemoryStore()[POWERS]).toMatchObject({ sync: true, remote: false })
    })

    it('writes only over what was expected', () => {
      const powers = powersOf(new MemoryStore())
      expect(powers.write({ id: 'a', text: text({ n: 1 }), expected: text({}), life: life() })).toBeNull()
      expect(powers.write({ id: 'a', text: text({ n: 1 }), expected: null, life: life(now + MINUTE) })).toBe(true)
      expect(powers.write({ id: 'a', text: text({ n: 2 }), expected: null, life: life() })).toMatchObject({
        text: text({ n: 1 })
      })
      expect(powers.write({ id: 'a', text: text({ n: 2 }), expected: text({ n: 0 }), life: life() })).toEqual({
        text: text({ n: 1 }),
        usedAt: now,
        expiresAt: now + MINUTE
      })
      expect(powers.write({ id: 'a', text: text({ n: 2 }), expected: text({ n: 1 }), life: life() })).toBe(true)
      expect(powers.read('a')).toEqual({ text: text({ n: 2 }), usedAt: now, expiresAt: null })
    })

    it('does not write a session that was removed or expired', () => {
      const powers = powersOf(new MemoryStore())
      powers.write({ id: 'a', text: text({}), expected: null, life: life() })
      expect(powers.remove('a')).toBe(true)
      expect(powers.remove('a')).toBe(false)
      expect(powers.write({ id: 'a', text: text({ n: 1 }), expected: text({}), life: life() })).toBeNull()
      powers.write({ id: 'b', text: text({}), expected: null, life: life(now + 1) })
      now += 1
      expect(powers.write({ id: 'b', text: text({ n: 1 }), expected: text({}), life: life() })).toBeNull()
      expect(powers.extend('b', life())).toBe(false)
      expect(powers.read('b')).toBeNull()
    })

    it('extends without rewriting the text, except for the cookie it is given', () => {
      const powers = powersOf(new MemoryStore())
      powers.write({ id: 'a', text: text({ n: 1 }), expected: null, life: life(now + 100) })
      now += 50
      expect(powers.extend('a', life(now + 100))).toBe(true)
      expect(powers.read('a')).toEqual({ text: text({ n: 1 }), usedAt: now, expiresAt: now + 100 })
      powers.extend('a', { ...life(now + 100), cookieText: '{"path":"/x"}' })
      expect(powers.read('a')).toMatchObject({
        text: encodeRecord('{"path":"/x"}', { u: START, c: START }, '{"n":1}')
      })
    })

    it('shows its sessions through the verbs, last use brought up to date', () => {
      const store = new MemoryStore()
      powersOf(store).write({ id: 'a', text: text({ n: 1 }), expected: null, life: life(now + 100) })
      now += 50
      powersOf(store).extend('a', life(now + 100))
      expect(store.get('a')).toEqual({ cookie: JSON.parse(COOKIE), [META]: { u: now, c: START }, n: 1 })
      store.touch('a', record({}))
      expect(powersOf(store).read('a')).toMatchObject({ usedAt: now, expiresAt: now + 100 })
      store.touch('a', record({}, now + 500))
      expect(powersOf(store).read('a')).toMatchObject({ expiresAt: now + 500 })
    })
  })

  describe('index of users', () => {
    const ids = (store: MemoryStore, user: string) =>
      (powersOf(store).list(user) as { id: string }[]).map(({ id }) => id).sort()
    const add = (store: MemoryStore, id: string, user: string, expiresAt: number | null = null) =>
      powersOf(store).write({
        id,
        text: text({}),
        expected: null,
        life: life(expiresAt),
        user: { from: undefined, to: user }
      })

    it('lists the sessions of one user', () => {
      const store = new MemoryStore()
      add(store, 'a', 'ann')
      add(store, 'b', 'bob')
      add(store, 'c', 'ann', now + MINUTE)
      expect(powersOf(store).list('ann')).toEqual([
        { id: 'c', text: text({}), usedAt: now, expiresAt: now + MINUTE },
        { id: 'a', text: text({}), usedAt: now, expiresAt: null }
      ])
      expect(ids(store, 'nobody')).toEqual([])
    })

    it('follows removal, expiry, eviction and clear', () => {
      const store = new MemoryStore({ max: 5 })
      for (const id of ['a', 'b', 'c', 'd']) add(store, id, 'ann')
      add(store, 'e', 'ann', now + MINUTE)
      powersOf(store).remove('b', 'ann')
      expect(ids(store, 'ann')).toEqual(['a', 'c', 'd', 'e'])
      now += MINUTE
      expect(ids(store, 'ann')).toEqual(['a', 'c', 'd'])
      for (const id of ['x', 'y', 'z']) add(store, id, 'bob')
      expect(ids(store, 'ann')).toEqual(['c', 'd'])
      store.destroy('c')
      expect(ids(store, 'ann')).toEqual(['d'])
      store.clear()
      expect(ids(store, 'ann')).toEqual([])
      add(store, 'a', 'ann')
      expect(ids(store, 'ann')).toEqual(['a'])
    })

    it('follows a session to another user, and keeps it where a write says nothing', () => {
      const store = new MemoryStore()
      add(store, 'a', 'ann')
      powersOf(store).write({ id: 'a', text: text({ n: 1 }), expected: text({}), life: life() })
      expect(ids(store, 'ann')).toEqual(['a'])
      powersOf(store).write({
        id: 'a',
        text: text({ n: 2 }),
        expected: text({ n: 1 }),
        life: life(),
        user: { from: 'ann', to: 'bob' }
      })
      expect([ids(store, 'ann'), ids(store, 'bob')]).toEqual([[], ['a']])
      powersOf(store).write({
        id: 'a',
        text: text({ n: 3 }),
        expected: text({ n: 2 }),
        life: life(),
        user: { from: 'bob', to: undefined }
      })
      expect(ids(store, 'bob')).toEqual([])
    })

    it('knows the user of a record that comes through the verbs', () => {
      const store = new MemoryStore()
      store.set('a', { ...record({}), [META]: { u: now, c: now, i: 'ann' } })
      expect(ids(store, 'ann')).toEqual(['a'])
      store.set('a', record({}))
      expect(ids(store, 'ann')).toEqual([])
    })

    it('agrees with a plain model over a long random series', () => {
      const store = new MemoryStore({ max: 40 })
      const model = new Map<string, string>()
      let state = 7
      const pick = (below: number) => (state = (state * 48271) % 2147483647) % below
      for (let step = 0; step < 5000; step++) {
        const id = `id${pick(60)}`
        const found = powersOf(store).read(id) as { text: string } | null
        expect(found !== null).toBe(model.has(id))
        if (found !== null) model.set(id, take(model, id))
        if (found !== null && pick(3) === 0) {
          powersOf(store).remove(id)
          model.delete(id)
          continue
        }
        const user = `user${pick(5)}`
        powersOf(store).write({
          id,
          text: text({ step }),
          expected: found?.text ?? null,
          life: life(),
          user: { from: undefined, to: user }
        })
        model.delete(id)
        model.set(id, user)
        if (model.size > 40) model.delete(model.keys().next().value!)
      }
      expect(store.ids()).toEqual([...model.keys()])
      for (let user = 0; user < 5; user++) {
        const expected = [...model].filter(([, owner]) => owner === `user${user}`).map(([id]) => id)
        expect(ids(store, `user${user}`)).toEqual(expected.sort())
      }
    })
  })

  describe('locks', () => {
    it('keeps a lock until its holder gives it back, whatever the clock says', () => {
      const { lock } = powersOf(new MemoryStore())
      expect(lock.acquire('a', 'one', 100)).toBe(true)
      now += 1000
      expect(lock.acquire('a', 'two', 100)).toBe(false)
      expect(lock.renew('a', 'two', 100)).toBe(false)
      expect(lock.renew('a', 'one', 100)).toBe(true)
      lock.release('a', 'two')
      expect(lock.acquire('a', 'two', 100)).toBe(false)
      lock.release('a', 'one')
      expect(lock.acquire('a', 'two', 100)).toBe(true)
      expect(lock.renew('a', 'one', 100)).toBe(false)
    })
  })

  describe('bounds', () => {
    it('gives up the least recently used beyond max', () => {
      const store = new MemoryStore({ max: 3 })
      for (const id of ['a', 'b', 'c']) store.set(id, record({}))
      store.get('a')
      powersOf(store).read('b')
      store.set('d', record({}))
      expect(store.ids()).toEqual(['a', 'b', 'd'])
      store.touch('a', record({}))
      store.set('b', record({}))
      store.set('e', record({}))
      expect(store.ids()).toEqual(['a', 'b', 'e'])
    })

    it('gives up the least recently used beyond maxBytes', () => {
      const size = text({ pad: 'x'.repeat(100) }).length
      const store = new MemoryStore({ maxBytes: 3 * size })
      const powers = powersOf(store)
      for (const id of ['a', 'b', 'c'])
        powers.write({ id, text: text({ pad: 'x'.repeat(100) }), expected: null, life: life() })
      expect(store.length()).toBe(3)
      powers.read('a')
      powers.write({
        id: 'c',
        text: text({ pad: 'x'.repeat(101) }),
        expected: text({ pad: 'x'.repeat(100) }),
        life: life()
      })
      expect(store.ids()).toEqual(['a', 'c'])
      powers.remove('a')
      powers.write({ id: 'd', text: text({ pad: '\u6f22'.repeat(100) }), expected: null, life: life() })
      expect(store.ids()).toEqual(['d'])
    })

    it('refuses a session larger than maxBytes, aloud, and keeps the one before', async () => {
      const store = new MemoryStore({ maxBytes: 200 })
      store.set('a', record({ n: 1 }))
      const large = record({ pad: 'x'.repeat(200) })
      expect(() => store.set('a', large)).toThrow(SessionError)
      await expect(called((cb) => store.set('a', large, cb))).rejects.toMatchObject({ code: 'ERR_SESSION_TOO_LARGE' })
      expect(store.get('a')).toMatchObject({ n: 1 })
    })

    it.each<MemoryStoreOptions>([
      { max: 0 },
      { max: 1.5 },
      { max: '5' as never },
      { maxBytes: -1 },
      { maxBytes: NaN },
      { sweepEvery: 0 },
      { sweepEvery: 2 ** 31 },
      { sweepEvery: Infinity }
    ])('refuses %j', (options) => {
      expect(() => new MemoryStore(options)).toThrow(OptionError)
    })

    it('has a bound of its own where the platform tells no limit of the heap', () => {
      jest.spyOn(v8, 'getHeapStatistics').mockReturnValue({ heap_size_limit: 0 } as never)
      const powers = powersOf(new MemoryStore())
      const write = (id: string, length: number) =>
        powers.write({ id, text: 'x'.repeat(length), expected: null, life: life() })
      expect(write('a', 32 * 1024 * 1024)).toBe(true)
      expect(() => write('b', 32 * 1024 * 1024 + 1)).toThrow('maxBytes (33554432)')
    })

    it('takes undefined as left out, and Infinity as no bound', () => {
      const store = new MemoryStore({ max: undefined, maxBytes: Infinity, sweepEvery: undefined })
      store.set('a', record({}))
      expect(store.length()).toBe(1)
    })
  })

  describe('sweeping', () => {
    const turns = async (count: number) => {
      for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
    }
    const fakeTimers = () => {
      jest.useFakeTimers({ doNotFake: ['Date', 'setImmediate', 'clearImmediate', 'nextTick', 'performance'] })
    }

    it('frees expired sessions that nobody asks for', async () => {
      fakeTimers()
      const store = new MemoryStore({ sweepEvery: 1000 })
      const free = jest.spyOn(MemoryPowers.prototype, 'free')
      powersOf(store).write({ id: 'a', text: text({}), expected: null, life: life(now + 500) })
      powersOf(store).write({ id: 'b', text: text({}), expected: null, life: life(now + 1500) })
      expect(store.lastCleanup).toBeUndefined()
      now += 1000
      jest.advanceTimersByTime(1000)
      expect(free).toHaveBeenCalledTimes(1)
      expect(store.lastCleanup).toBe(now)
      now += 1000
      jest.advanceTimersByTime(1000)
      expect(free).toHaveBeenCalledTimes(2)
      expect(store.lastCleanup).toBe(now)
      expect(store.ids()).toEqual([])
    })

    it('runs a timer only while something can expire', () => {
      fakeTimers()
      const store = new MemoryStore({ sweepEvery: 1000 })
      powersOf(store).write({ id: 'immortal', text: text({}), expected: null, life: life(null) })
      expect(jest.getTimerCount()).toBe(0)
      powersOf(store).write({ id: 'a', text: text({}), expected: null, life: life(now + 500) })
      powersOf(store).write({ id: 'b', text: text({}), expected: null, life: life(now + 500) })
      expect(jest.getTimerCount()).toBe(1)
      now += 1000
      jest.advanceTimersByTime(1000)
      expect(jest.getTimerCount()).toBe(0)
      powersOf(store).extend('immortal', life(now + 500))
      expect(jest.getTimerCount()).toBe(1)
    })

    it('stops with close(), and goes on answering', () => {
      fakeTimers()
      const store = new MemoryStore()
      powersOf(store).write({ id: 'a', text: text({}), expected: null, life: life(now + 500) })
      store.close()
      expect(jest.getTimerCount()).toBe(0)
      powersOf(store).write({ id: 'b', text: text({}), expected: null, life: life(now + 1500) })
      expect(jest.getTimerCount()).toBe(0)
      now += 500
      expect([store.get('a'), store.length()]).toEqual([null, 1])
    })

    it('does not free a session again when the clock goes back, nor any before its time', () => {
      fakeTimers()
      const store = new MemoryStore({ sweepEvery: 1000 })
      powersOf(store).write({ id: 'a', text: text({}), expected: null, life: life(now + 5000) })
      now -= 60 * MINUTE
      jest.advanceTimersByTime(1000)
      expect(store.ids()).toEqual(['a'])
      now = START + 5000
      jest.advanceTimersByTime(1000)
      expect([store.ids(), jest.getTimerCount()]).toEqual([[], 0])
    })

    it('frees 200,000 sessions that expire together in bounded slices', () => {
      const powers = unswept()
      for (let n = 0; n < 200_000; n++) {
        const expiresAt = n % 1000 === 0 ? null : now + MINUTE
        powers.put(`id${n}`, '{"cookie":{}}', life(expiresAt), n % 4 === 0 ? `user${n % 100}` : undefined)
      }
      now += MINUTE
      let slices = 0
      let largest = 0
      const sweep = powers.sweep()
      for (let done: boolean | undefined = false; !done; slices++) {
        const before = powers.held.size
        done = sweep.next().done
        largest = Math.max(largest, before - powers.held.size)
      }
      expect(largest).toBe(FREED_PER_SLICE)
      expect(slices).toBe(Math.ceil(199_800 / FREED_PER_SLICE))
      expect(powers.held).toEqual({ size: 200, bytes: 200 * '{"cookie":{}}'.length })
      expect(powers.list('user0')).toHaveLength(200)
    })

    it('lets others run between the slices, and sweeps on when they write', async () => {
      fakeTimers()
      const store = new MemoryStore({ sweepEvery: 1000 })
      for (let n = 0; n < 10_000; n++)
        powersOf(store).write({ id: `id${n}`, text: '{"cookie":{}}', expected: null, life: life(now + 500) })
      now += 1000
      jest.advanceTimersByTime(1000)
      expect(store.lastCleanup).toBeUndefined()
      powersOf(store).write({ id: 'during', text: text({}), expected: null, life: life(now + 500) })
      await turns(100)
      expect(store.lastCleanup).toBe(now)
      expect([store.ids(), jest.getTimerCount()]).toEqual([['during'], 1])
    })

    it('leaves a store alone that is emptied between the slices', () => {
      const powers = unswept()
      for (let n = 0; n <= FREED_PER_SLICE; n++) powers.put(`id${n}`, '{"cookie":{}}', life(now + 500), undefined)
      now += 1000
      const sweep = powers.sweep()
      expect(sweep.next().done).toBe(false)
      powers.clear()
      powers.put('new', '{}', life(null), undefined)
      expect(sweep.next().done).toBe(true)
      expect(powers.held).toEqual({ size: 1, bytes: 2 })
    })

    it('does not sweep in the context of the request that wrote first', () => {
      fakeTimers()
      const requests = new AsyncLocalStorage<string>()
      const store = new MemoryStore({ sweepEvery: 1000 })
      let seen: string | undefined = 'unset'
      const setTimer = jest.spyOn(globalThis, 'setTimeout').mockImplementation((() => {
        seen = requests.getStore()
        return { unref: () => undefined }
      }) as never)
      requests.run('request', () =>
        powersOf(store).write({ id: 'a', text: text({}), expected: null, life: life(now + 500) })
      )
      expect(setTimer).toHaveBeenCalledTimes(1)
      expect(seen).toBeUndefined()
    })
  })
})

function take(model: Map<string, string>, id: string): string {
  const user = model.get(id)!
  model.delete(id)
  return user
}

// express-session's store holds expired texts until they are asked for.
async function liveTexts(store: any): Promise<Record<string, string>> {
  const all = await called<Record<string, unknown>>((cb) => store.all(cb))
  return Object.fromEntries(Object.keys(all).map((id) => [id, store.sessions[id]]))
}
