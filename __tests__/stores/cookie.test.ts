import crypto = require('node:crypto')
import fc from 'fast-check'
import request from 'supertest'
import { CARRIER, POWERS, type Callback } from '../../lib/store/contract'
import { OptionError, SessionError } from '../../lib/base/errors'
import { infoOf, CookieStore, MemoryStore, sessions } from '../../lib/index'
import { KeyRing } from '../../lib/cookie/keys'
import { encodeRecord } from '../../lib/record/record'
import { Store } from '../../lib/store/store'
import { RecentWrites } from '../../lib/stores/cookie/recent'
import { appWith, cookieOf, deferred, secret } from '../helpers/app'
import { Clock } from '../helpers/clock'

const { MemoryStore: TheirMemoryStore } = require('express-session')

const SECOND = 1000
const MINUTE = 60 * SECOND
const DAY = 24 * 60 * MINUTE
const COOKIE = '{"originalMaxAge":null,"expires":null,"path":"/"}'
const keys = new KeyRing(secret)
const olderKeys = new KeyRing('the secret from before the last rotation')

let clock: Clock

beforeEach(() => {
  clock = new Clock()
})

afterEach(() => jest.restoreAllMocks())

const recordOf = (data: object, id = 'id') =>
  encodeRecord(COOKIE, { u: clock.now, c: clock.now, d: id }, JSON.stringify(data))
const life = (expiresAt: number | null = null) => ({ usedAt: clock.now, expiresAt })

/** Catches what `seal` throws. */
function sealError(store: CookieStore, text: string, name = 'sid'): SessionError {
  try {
    store.seal(text, name, keys)
  } catch (err) {
    return err as SessionError
  }
  throw new Error('sealed')
}

describe.each([
  ['sealed', () => new CookieStore()],
  ['signed', () => new CookieStore({ encrypt: false })]
])('CookieStore, %s', (_mode, create) => {
  it('opens what it sealed', () => {
    const store = create()
    const text = recordOf({ user: 'ann', text: '\u20ac' })
    const value = store[CARRIER].seal(text, 'sid', keys)
    expect(value).toMatch(/^[\w-]+$/)
    expect(create()[CARRIER].open(value, 'sid', keys)).toEqual({ id: 'id', text, stale: false })
  })

  it('opens what an older listed key sealed, as stale', () => {
    const value = create().seal(recordOf({}), 'sid', olderKeys)
    const both = new KeyRing([secret, 'the secret from before the last rotation'])
    expect(create().open(value, 'sid', both)).toMatchObject({ id: 'id', stale: true })
    expect(create().open(value, 'sid', keys)).toBe('ERR_SESSION_SIGNATURE')
  })

  it('refuses what it opened before, once the key is gone', () => {
    const secrets = ['a newer secret of thirty-two bytes or more', secret]
    const ring = new KeyRing(secrets)
    const store = create()
    const value = store[CARRIER].seal(recordOf({ user: 'ann' }), 'sid', keys)
    expect(store.open(value, 'sid', ring)).toMatchObject({ stale: true })
    expect(store.open(value, 'sid', ring)).toMatchObject({ stale: true })
    expect(store.open(value, 'other', ring)).toBe('ERR_SESSION_SIGNATURE')
    secrets.pop()
    expect(store.open(value, 'sid', ring)).toBe('ERR_SESSION_SIGNATURE')
  })

  it('refuses a value of another name, secret or mode, and distinguishes what is authentic', () => {
    const store = create()
    const value = store.seal(recordOf({}), 'sid', keys)
    expect(store.open(value, 'cart', keys)).toBe('ERR_SESSION_SIGNATURE')
    expect(store.open(value, 'sid', olderKeys)).toBe('ERR_SESSION_SIGNATURE')
    const [sealing, signing] = [new CookieStore(), new CookieStore({ encrypt: false })]
    expect(signing.open(sealing.seal(recordOf({}), 'sid', keys), 'sid', keys)).toBe('ERR_SESSION_SIGNATURE')
    expect(sealing.open(signing.seal(recordOf({}), 'sid', keys), 'sid', keys)).toBe('ERR_SESSION_SIGNATURE')
    for (const text of [
      'no record',
      '{}',
      encodeRecord(COOKIE, undefined, '{}'),
      encodeRecord(COOKIE, { u: 1, c: 1 }, '{}')
    ]) {
      expect(store.open(store.seal(text, 'sid', keys), 'sid', keys)).toBe('ERR_SESSION_CORRUPT')
    }
  })

  it('refuses a value dated more than five minutes ahead', () => {
    const store = create()
    clock.forward(10 * MINUTE)
    const ahead = store.seal(recordOf({}), 'sid', keys)
    clock.forward(-5 * MINUTE - 1)
    expect(store.open(ahead, 'sid', keys)).toBe('ERR_SESSION_EXPIRED')
    clock.forward(1)
    expect(store.open(ahead, 'sid', keys)).toMatchObject({ id: 'id' })
  })

  it('refuses a value longer than any of its own before any cryptography', () => {
    const store = create()
    const long = store.seal(recordOf({}), 'sid', keys)[0] + 'A'.repeat(1_000_000)
    const [cipher, hmac] = [jest.spyOn(crypto, 'createDecipheriv'), jest.spyOn(crypto, 'createHmac')]
    expect(store.open(long, 'sid', keys)).toBe('ERR_SESSION_SIGNATURE')
    expect(cipher).not.toHaveBeenCalled()
    expect(hmac).not.toHaveBeenCalled()
  })

  it('gives one kind of answer to whatever comes', () => {
    const store = create()
    const value = store.seal(recordOf({}), 'sid', keys)
    const input = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.uint8Array({ maxLength: 300 }).map((bytes) => value[0] + Buffer.from(bytes).toString('base64url')),
      fc.nat(value.length - 1).map((at) => value.slice(0, at) + (value[at] === 'x' ? 'y' : 'x') + value.slice(at + 1))
    )
    fc.assert(
      fc.property(input, (other) => store.open(other, 'sid', keys) === 'ERR_SESSION_SIGNATURE'),
      { numRuns: 5000 }
    )
  })

  it('seals up to 4096 bytes of name and value, and not one more', () => {
    const store = create()
    const record = recordOf({ filler: '' })
    const sized = (filler: number) => recordOf({ filler: 'x'.repeat(filler) })
    let filler = 4096 - record.length
    while (filler > 0) {
      try {
        store.seal(sized(filler), 'n', keys)
        break
      } catch {
        filler--
      }
    }
    const value = store.seal(sized(filler), 'n', keys)
    const name = 'n'.repeat(4096 - value.length)
    expect(store.seal(sized(filler), name, keys)).toHaveLength(value.length)
    expect(store.open(store.seal(sized(filler), name, keys), name, keys)).toMatchObject({ id: 'id' })
    expect(sealError(store, sized(filler), `${name}n`).code).toBe('ERR_SESSION_COOKIE_TOO_LARGE')
  })

  it('names the size, the limit and the largest keys, and none of their content', () => {
    const data = {
      tiny: 1,
      cart: 'CONTENT'.repeat(400),
      user: 'CONTENT'.repeat(200),
      list: ['CONTENT'],
      [`${'k'.repeat(99)}`]: 'CONTENT'.repeat(300)
    }
    const error = sealError(create(), recordOf(data))
    expect(error).toBeInstanceOf(SessionError)
    expect(error).toMatchObject({ code: 'ERR_SESSION_COOKIE_TOO_LARGE', kind: 'usage' })
    expect(error.message).toMatch(/takes \d{4,} bytes of cookie; browsers keep 4096\. /)
    const bytes = (key: keyof typeof data) => JSON.stringify({ [key]: data[key] }).length - 2
    expect(error.message).toContain(`"cart" (${bytes('cart')} bytes), "${'k'.repeat(40)}..." (`)
    expect(error.message).toContain(`"user" (${bytes('user')} bytes).`)
    expect(error.message).not.toMatch(/CONTENT|tiny|list|id"/)
  })
})

describe('CookieStore', () => {
  it('is a store that answers directly, unless it has revocations', () => {
    const store = new CookieStore()
    expect(store).toBeInstanceOf(Store)
    expect(store[POWERS]).toMatchObject({ sync: true, remote: false })
    expect(store[POWERS].list).toBeUndefined()
    expect(new CookieStore({ revocations: new MemoryStore() })[POWERS].sync).toBe(false)
  })

  it('refuses revocations that are no store', () => {
    expect(() => new CookieStore({ revocations: {} as never })).toThrow(OptionError)
  })

  it('has nothing to get without the middleware, and says so when asked to set', async () => {
    const store = new CookieStore()
    await expect(store.get('id')).resolves.toBeNull()
    await expect(store.set('id', {})).rejects.toThrow(OptionError)
    await expect(new Promise((resolve) => store.set('id', {}, resolve))).resolves.toBeInstanceOf(OptionError)
    await expect(store.destroy('id')).resolves.toBeUndefined()
    expect(store[POWERS].write({ id: 'id', text: recordOf({}), expected: null, life: life() })).toBeNull()
  })
})

describe('what a process wrote lately', () => {
  it('answers a write that missed one with what was written', () => {
    const recent = new RecentWrites()
    expect(recent.read('id')).toBeNull()
    expect(recent.write({ id: 'id', text: 'one', expected: 'zero', life: life() })).toBe(true)
    expect(recent.read('id')).toEqual({ text: 'one' })
    expect(recent.write({ id: 'id', text: 'two', expected: 'zero', life: life() })).toEqual({ text: 'one' })
    expect(recent.write({ id: 'id', text: 'two', expected: 'one', life: life() })).toBe(true)
  })

  it('keeps a destroyed session dead', () => {
    const recent = new RecentWrites()
    recent.write({ id: 'id', text: 'one', expected: null, life: life() })
    expect(recent.extend('id')).toBe(true)
    expect(recent.remove('id')).toBe(true)
    expect(recent.remove('id')).toBe(false)
    expect(recent.write({ id: 'id', text: 'two', expected: 'one', life: life() })).toBeNull()
    expect(recent.read('id')).toBeNull()
    expect(recent.extend('id')).toBe(false)
    expect(recent.latest('id', 'three', clock.now + 1)).toBeNull()
    expect(recent.isDead('id')).toBe(true)
  })

  it('goes by the issue time when a cookie carries something else', () => {
    const recent = new RecentWrites()
    recent.write({ id: 'id', text: 'ours', expected: null, life: life() })
    expect(recent.latest('id', 'older', clock.now - 1)).toBe('ours')
    expect(recent.latest('id', 'theirs', clock.now + 2)).toBe('theirs')
    expect(recent.write({ id: 'id', text: 'ours again', expected: 'theirs', life: life() })).toBe(true)
    // Their clock is ahead of ours: what we wrote on top of theirs is still the newer one.
    expect(recent.latest('id', 'theirs', clock.now + 2)).toBe('ours again')
    // Each of our own is newer than the one before, so that another one of that very moment is not ours.
    expect(recent.latest('id', 'theirs again', clock.now + 3)).toBe('theirs again')
    expect(recent.latest('unknown', 'text', clock.now)).toBe('text')
  })

  it('keeps an ID that was rotated away dead for five minutes after the grace, and the next one known until then', () => {
    const recent = new RecentWrites()
    const grace = 20 * MINUTE
    const end = clock.now + grace
    const sign = encodeRecord(COOKIE, { u: end, c: clock.now, n: 'next', g: end }, '{}')
    recent.write({ id: 'old', text: 'one', expected: null, life: life() })
    recent.write({ id: 'next', text: 'one', expected: null, life: life() })
    expect(recent.write({ id: 'old', text: sign, expected: 'one', life: life(end) })).toBe(true)
    recent.write({ id: 'next', text: 'two', expected: 'one', life: life() })
    clock.forward(grace - 1)
    // Issued where nothing is known of the rotation.
    expect(recent.latest('old', 'theirs', clock.now)).toBe(sign)
    expect([recent.read('next'), recent.extend('old')]).toEqual([{ text: 'two' }, false])
    expect(recent.write({ id: 'old', text: 'late', expected: 'one', life: life() })).toEqual({ text: sign })
    clock.forward(5 * MINUTE)
    expect([recent.read('old'), recent.read('next')]).toEqual([{ text: sign }, null])
    clock.forward(1)
    expect(recent.read('old')).toBeNull()
  })

  it('forgets after five minutes, with the session, and beyond 10,000 sessions', () => {
    const recent = new RecentWrites()
    recent.write({ id: 'long', text: 'text', expected: null, life: life() })
    recent.write({ id: 'short', text: 'text', expected: null, life: life(clock.now + SECOND) })
    recent.remove('dead')
    clock.forward(SECOND)
    expect(recent.read('short')).toBeNull()
    clock.forward(5 * MINUTE - SECOND - 1)
    expect([recent.read('long'), recent.isDead('dead')]).toEqual([{ text: 'text' }, true])
    clock.forward(1)
    expect([recent.read('long'), recent.isDead('dead')]).toEqual([null, false])
    // The latest 10,000 at least, twice as many at most.
    for (let i = 0; i <= 20_000; i++) recent.write({ id: `id-${i}`, text: 'text', expected: null, life: life() })
    expect(['id-0', 'id-10001', 'id-20000'].map((id) => recent.read(id))).toEqual([
      null,
      { text: 'text' },
      { text: 'text' }
    ])
  })
})

/** A store whose verbs return promises and take no callback. */
class PromiseStore {
  readonly kept = new Map<string, unknown>()
  async get(id: string) {
    return this.kept.get(id)
  }
  async set(id: string, session: unknown) {
    this.kept.set(id, session)
  }
  async destroy(id: string) {
    this.kept.delete(id)
  }
}

describe.each([
  ['our MemoryStore', () => new MemoryStore()],
  ["express-session's MemoryStore", () => new TheirMemoryStore()],
  ['a store of promises', () => new PromiseStore() as never]
])('CookieStore with revocations in %s', (_kind, createRevocations) => {
  it('refuses a destroyed session in every process, and cannot write it', async () => {
    const revocations = createRevocations()
    const [here, there] = [new CookieStore({ revocations }), new CookieStore({ revocations })]
    const text = recordOf({ user: 'ann' })
    const value = here.seal(text, 'sid', keys)
    expect(await there.open(value, 'sid', keys)).toEqual({ id: 'id', text, stale: false })
    expect(await there[POWERS].write({ id: 'id', text, expected: text, life: life() })).toBe(true)
    expect(await here[POWERS].remove('id')).toBe(true)
    for (const store of [here, there, new CookieStore({ revocations })]) {
      expect(await store.open(value, 'sid', keys)).toBe('ERR_SESSION_MISSING')
      expect(await store[POWERS].write({ id: 'id', text, expected: text, life: life() })).toBeNull()
      expect(await store[POWERS].extend('id', life())).toBe(false)
      expect(await store[POWERS].read('id')).toBeNull()
    }
    expect(await there[POWERS].remove('id')).toBe(false)
    expect(await there.open(here.seal(recordOf({}, 'other'), 'sid', keys), 'sid', keys)).toMatchObject({ id: 'other' })
  })
})

describe('CookieStore with revocations', () => {
  it('refuses a copied cookie before its revocation lapses', async () => {
    const revocations = new MemoryStore()
    const store = new CookieStore({ revocations })
    const value = store.seal(recordOf({}), 'sid', keys)
    await store[POWERS].remove('id')
    for (const days of [1, 28, 1, 1, 30]) {
      clock.forward(days * DAY)
      expect(await new CookieStore({ revocations }).open(value, 'sid', keys)).toMatch(/MISSING|EXPIRED/)
    }
    const kept = store.seal(recordOf({}, 'kept'), 'sid', keys)
    clock.forward(30 * DAY)
    expect(await store.open(kept, 'sid', keys)).toMatchObject({ id: 'kept' })
    clock.forward(1)
    expect(await store.open(kept, 'sid', keys)).toBe('ERR_SESSION_EXPIRED')
  })

  it('asks them about authentic cookies only', async () => {
    const revocations = new MemoryStore()
    const get = jest.spyOn(revocations, 'get')
    const store = new CookieStore({ revocations })
    const value = store.seal(recordOf({}), 'sid', keys)
    await store.open(`${value}A`, 'sid', keys)
    await store.open(value, 'cart', keys)
    expect(get).not.toHaveBeenCalled()
    await store.open(value, 'sid', keys)
    expect(get).toHaveBeenCalledTimes(1)
  })

  it('refuses a cookie whose session ends here while they are asked', async () => {
    const answer = deferred()
    const get = jest.fn(() => answer.promise.then(() => null))
    const store = new CookieStore({ revocations: { get, set: async () => {}, destroy: async () => {} } })
    const opening = store.open(store.seal(recordOf({}), 'sid', keys), 'sid', keys)
    const removing = store[POWERS].remove('id')
    answer.resolve()
    expect(await opening).toBe('ERR_SESSION_MISSING')
    expect(await removing).toBe(true)
  })

  it('fails aloud when they cannot be reached, and does not trust the cookie', async () => {
    const fault = new Error('unreachable')
    const down = {
      get: (_id: string, callback: Callback) => callback(fault),
      set: (_id: string, _session: unknown, callback: Callback) => callback(fault),
      destroy: (_id: string, callback: Callback) => callback(fault)
    }
    const store = new CookieStore({ revocations: down })
    const value = store.seal(recordOf({}), 'sid', keys)
    await expect((async () => store.open(value, 'sid', keys))()).rejects.toBe(fault)
    await expect((async () => store[POWERS].remove('id'))()).rejects.toBe(fault)
    expect(await store.open(value, 'sid', keys)).toBe('ERR_SESSION_MISSING')
  })
})

describe('sessions in cookies', () => {
  const routes = {
    '/set/:key': (req: any, res: any) => {
      req.session[req.params.key] = true
      res.end()
    },
    '/get': (req: any, res: any) => {
      const data = { ...req.session }
      delete data.cookie
      res.json({ data, error: infoOf(req.session).error?.code })
    },
    '/grow': (req: any, res: any) => {
      req.session.filler = 'x'.repeat(5000)
      res.end()
    },
    '/logout': async (req: any, res: any) => {
      await req.session.destroy()
      res.end()
    }
  }
  const appOf = (store: CookieStore, more: object = {}) => appWith(sessions({ secret, store }), { ...routes, ...more })
  const call = (app: ReturnType<typeof appOf>, path: string, cookie = '') =>
    request(app).get(path).set('Cookie', cookie)

  it.each([
    ['with one clock', 0, 1],
    ['in the same millisecond', 0, 0],
    ['the second with a clock that is four minutes behind', -4 * MINUTE, 1],
    ['the second with a clock that is four minutes ahead', 4 * MINUTE, 1]
  ])('keep what processes write one after the other, %s', async (_, ahead, pause) => {
    const apps = [appOf(new CookieStore()), appOf(new CookieStore())]
    let cookie = ''
    const ask = async (app: number, path: string) => {
      clock.forward(pause + app * ahead)
      const res = await call(apps[app]!, path, cookie)
      clock.forward(-app * ahead)
      cookie = cookieOf(res) ?? cookie
      return res
    }
    for (let i = 0; i < 6; i++) await ask(i % 2, `/set/key${i}`)
    const all = { key0: true, key1: true, key2: true, key3: true, key4: true, key5: true }
    for (const app of [0, 1]) expect((await ask(app, '/get')).body.data).toEqual(all)
  })

  it('keep what parallel requests write, whichever response comes last', async () => {
    const [entered, released] = [deferred(), deferred()]
    const app = appOf(new CookieStore(), {
      '/slow': async (req: any, res: any) => {
        req.session.slow = true
        entered.resolve()
        await released.promise
        res.end()
      }
    })
    const first = cookieOf(await call(app, '/set/first'))!
    clock.forward(1)
    const slow = call(app, '/slow', first).then((res) => res)
    await entered.promise
    const fast = cookieOf(await call(app, '/set/fast', first))!
    clock.forward(1)
    released.resolve()
    const both = cookieOf(await slow)!
    clock.forward(1)
    for (const cookie of [both, fast, first]) {
      expect((await call(app, '/get', cookie)).body.data).toEqual({ first: true, fast: true, slow: true })
    }
  })

  it('answer an overgrown session with an error, and the previous cookie stays', async () => {
    const app = appOf(new CookieStore())
    const cookie = cookieOf(await call(app, '/set/small'))!
    const grown = await call(app, '/grow', cookie)
    expect(grown.status).toBe(500)
    expect(grown.body.code).toBe('ERR_SESSION_COOKIE_TOO_LARGE')
    expect(grown.headers['set-cookie']).toBeUndefined()
    expect((await call(app, '/get', cookie)).body).toEqual({ data: { small: true } })
  })

  it('end with logout, copies of the cookie included', async () => {
    const revocations = new MemoryStore()
    const [app, elsewhere] = [appOf(new CookieStore({ revocations })), appOf(new CookieStore({ revocations }))]
    const cookie = cookieOf(await call(app, '/set/user'))!
    expect((await call(elsewhere, '/get', cookie)).body).toEqual({ data: { user: true } })
    expect(cookieOf(await call(app, '/logout', cookie))).toBe('sid=')
    for (const each of [app, elsewhere]) {
      expect((await call(each, '/get', cookie)).body).toEqual({ data: {}, error: 'ERR_SESSION_MISSING' })
    }
  })

  it('without revocations, live on as copies in other processes until they expire', async () => {
    const [app, elsewhere] = [appOf(new CookieStore()), appOf(new CookieStore())]
    const cookie = cookieOf(await call(app, '/set/user'))!
    await call(app, '/logout', cookie)
    expect((await call(app, '/get', cookie)).body).toEqual({ data: {}, error: 'ERR_SESSION_MISSING' })
    expect((await call(elsewhere, '/get', cookie)).body).toEqual({ data: { user: true } })
    clock.forward(DAY + 1)
    expect((await call(elsewhere, '/get', cookie)).body).toEqual({ data: {}, error: 'ERR_SESSION_EXPIRED' })
  })

  it('stay dead under an old ID for five minutes after its grace', async () => {
    const app = appOf(new CookieStore(), {
      '/rotate': async (req: any, res: any) => {
        await req.session.regenerate({ keep: true, grace: MINUTE })
        res.end()
      }
    })
    const cookie = cookieOf(await call(app, '/set/user'))!
    const next = cookieOf(await call(app, '/rotate', cookie))!
    clock.forward(MINUTE - 1)
    expect((await call(app, '/get', cookie)).body).toEqual({ data: { user: true } })
    for (const ms of [1, 5 * MINUTE - 1]) {
      clock.forward(ms)
      expect((await call(app, '/get', cookie)).body).toEqual({ data: {}, error: 'ERR_SESSION_MISSING' })
    }
    expect((await call(app, '/get', next)).body).toEqual({ data: { user: true } })
  })

  it('with revocations, lead on in the process that rotated them, and end there with a logout', async () => {
    const revocations = new MemoryStore()
    const more = {
      '/rotate': async (req: any, res: any) => {
        await req.session.regenerate({ keep: true, grace: MINUTE })
        res.end()
      },
      '/slow-logout': async (req: any, res: any) => {
        void req.session.user
        entered.resolve()
        await released.promise
        await req.session.destroy()
        res.end()
      }
    }
    const [entered, released] = [deferred(), deferred()]
    const [app, elsewhere] = [0, 1].map(() => appOf(new CookieStore({ revocations }), more))
    const cookie = cookieOf(await call(app!, '/set/user'))!
    const logout = call(app!, '/slow-logout', cookie).then((res) => res)
    await entered.promise
    await call(app!, '/rotate', cookie)
    const there = await call(elsewhere!, '/get', cookie)
    expect([there.body.data, there.headers['set-cookie']]).toEqual([{}, undefined])
    const here = await call(app!, '/get', cookie)
    expect([here.body, here.headers['set-cookie']]).toEqual([{ data: { user: true } }, undefined])
    released.resolve()
    await logout
    for (const each of [app, elsewhere]) {
      expect((await call(each!, '/get', cookie)).body).toEqual({ data: {}, error: 'ERR_SESSION_MISSING' })
    }
  })

  it.each([true, ['lang']] as const)('take nothing from an old cookie that comes again (keep: %j)', async (keep) => {
    const revocations = new MemoryStore()
    const [entered, released] = [deferred(), deferred()]
    const more = {
      '/begin': (req: any, res: any) => {
        Object.assign(req.session, { user: 'ann', admin: true, lang: 'en' })
        res.end()
      },
      '/demote': async (req: any, res: any) => {
        delete req.session.admin
        await req.session.regenerate({ keep, grace: MINUTE })
        res.end()
      },
      '/slow': async (req: any, res: any) => {
        req.session.slow = true
        entered.resolve()
        await released.promise
        res.end()
      }
    }
    const [app, elsewhere] = [0, 1].map(() => appOf(new CookieStore({ revocations }), more))
    const old = cookieOf(await call(app!, '/begin'))!
    const next = cookieOf(await call(app!, '/demote', old))!
    const slow = call(elsewhere!, '/slow', next).then((res) => res)
    await entered.promise
    for (const path of ['/get', '/set/other', '/logout']) await call(elsewhere!, path, old)
    released.resolve()
    const kept = keep === true ? { user: 'ann', lang: 'en' } : { lang: 'en' }
    const { body } = await call(elsewhere!, '/get', cookieOf(await slow))
    expect(body.data).toEqual({ ...kept, slow: true })
  })

  it('with revocations, are not carried on under another ID after a logout elsewhere', async () => {
    const revocations = new MemoryStore()
    const [entered, released] = [deferred(), deferred()]
    const more = {
      '/slow-rotate': async (req: any, res: any) => {
        void req.session.user
        entered.resolve()
        await released.promise
        await req.session.regenerate({ keep: true })
        res.end()
      },
      '/logout': (req: any, res: any) => req.session.destroy().then(() => res.end())
    }
    const [app, elsewhere] = [0, 1].map(() => appOf(new CookieStore({ revocations }), more))
    const cookie = cookieOf(await call(app!, '/set/user'))!
    const slow = call(app!, '/slow-rotate', cookie).then((res) => res)
    await entered.promise
    await call(elsewhere!, '/logout', cookie)
    released.resolve()
    expect((await call(app!, '/get', cookieOf(await slow))).body.data).toEqual({})
  })

  it('never take their metadata from data', async () => {
    const app = appOf(new CookieStore(), {
      '/plant': (req: any, res: any) => {
        Object.assign(req.session, { a: 1, silverback_meta: { u: 9e15, c: 9e15, d: 'victim' } })
        res.end()
      },
      '/who': (req: any, res: any) => res.json({ id: req.sessionID, createdAt: infoOf(req.session).createdAt })
    })
    const cookie = cookieOf(await call(app, '/plant'))!
    const { body } = await call(app, '/who', cookie)
    expect(body.id).not.toBe('victim')
    expect(body.createdAt).toBe(clock.now)
  })
})
