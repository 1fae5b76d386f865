import { infoOf } from '../lib/index'
import crypto = require('node:crypto')
import diagnostics from 'node:diagnostics_channel'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import http2 from 'node:http2'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import request from 'supertest'
import { cookieValues } from '../lib/engine/identify'
import { KeyRing } from '../lib/cookie/keys'
import { seal, signText } from '../lib/cookie/seal'
import session, { CookieStore, FileStore, MemoryStore, sessions } from '../lib/index'
import { encodeRecord } from '../lib/record/record'
import { appWith, cookieOf, secret } from './helpers/app'
import { basics, login, read } from './helpers/basics'
import { Clock } from './helpers/clock'
import { enter, pass } from './helpers/direct'
import { exchange, serving } from './helpers/raw'

describe('a cookie', () => {
  const cases: [string, (cookie: string) => string][] = [
    ['another spelling of the MAC', (cookie) => `${cookie}=`],
    ['a broken percent encoding', () => 'sid=%E0%A4%A'],
    ['an empty ID', () => 'sid=.x'],
    ['a forged MAC', (cookie) => cookie.slice(0, -2) + (cookie.endsWith('AA') ? 'BB' : 'AA')],
    ['a JSON value', () => 'sid=j:{"a":1}']
  ]

  it.each(cases)('%s gives a new session with the reason, without asking the store', async (_name, forge) => {
    const auth = sessions({ secret })
    const app = appWith(auth, basics)
    const res = await read(app, forge(await login(app)))
    expect(res.status).toBe(200)
    expect(res.body).toEqual({ data: {}, isNew: true, code: 'ERR_SESSION_SIGNATURE' })
    expect(auth.stats()).toMatchObject({ rejected: 1, loaded: 0 })
  })

  it('accepts the same value in another encoding', async () => {
    const app = appWith(session({ secret, resave: false, saveUninitialized: false }), basics)
    const cookie = cookieOf(await request(app).get('/write?user=u'), 'connect.sid')!
    const value = decodeURIComponent(cookie.slice('connect.sid='.length))
    for (const text of [`"${value}"`, value.replace('s:', 's%3a'), value.replace('s:', '%73%3A'), value]) {
      expect((await read(app, `connect.sid=${text}`)).body.data).toEqual({ user: 'u' })
    }
  })

  it('refuses a value made for another name', async () => {
    const other = appWith(sessions({ secret, name: 'theme' }), basics)
    const app = appWith(sessions({ secret }), basics)
    const cookie = cookieOf(await request(other).get('/write?user=u'), 'theme')!
    expect((await read(app, cookie.replace('theme=', 'sid='))).body.code).toBe('ERR_SESSION_SIGNATURE')
  })

  it('keeps its session beside cookies named like properties of Object', async () => {
    const app = appWith(sessions({ secret }), basics)
    const cookie = await login(app)
    const res = await read(app, `__proto__=x; constructor=y; hasOwnProperty=z; ${cookie}`)
    expect(res.body.data).toEqual({ user: 'u' })
    expect(({} as any).x).toBeUndefined()
  })

  it("of several authentic ones is the first whose session lives behind express-session's door, asking for no more", async () => {
    const store = new MemoryStore()
    const asked = jest.spyOn(store, 'get')
    const app = appWith(session({ secret, name: 'sid', resave: false, saveUninitialized: false, store }), basics)
    const begun = await Promise.all(['a', 'b', 'c'].map((user) => request(app).get(`/write?user=${user}`)))
    const [a, b, c] = begun.map((res) => cookieOf(res)!)
    const seen = async (...cookies: string[]) => {
      asked.mockClear()
      const { body } = await read(app, cookies.join('; '))
      return [body.data.user, body.code, asked.mock.calls.length]
    }
    expect(await seen(a!, b!)).toEqual(['a', undefined, 1])
    await request(app).get('/logout').set('Cookie', a!)
    expect(await seen(a!)).toEqual([undefined, 'ERR_SESSION_MISSING', 1])
    expect(await seen(a!, b!, c!)).toEqual(['b', undefined, 2])
    await request(app).get('/logout').set('Cookie', `${a}; ${b}`)
    expect(await seen(b!, a!, b!, a!, c!)).toEqual(['c', undefined, 3])
    await request(app).get('/logout').set('Cookie', c!)
    expect(await seen(a!, 'sid=planted', b!, c!)).toEqual([undefined, 'ERR_SESSION_MISSING', 3])
  })

  it("of several that hold a session each is the first that is not over behind express-session's door", async () => {
    const clock = new Clock()
    const app = appWith(session({ secret, name: 'sid', saveUninitialized: false, store: new CookieStore() }), {
      ...basics,
      '/short': (req, res) => {
        Object.assign(req.session, { user: 'a' })
        req.session.cookie.maxAge = 1000
        res.send('in')
      }
    })
    const short = cookieOf(await request(app).get('/short'))
    const long = cookieOf(await request(app).get('/write?user=b'))
    expect((await read(app, `${short}; ${long}`)).body.data.user).toBe('a')
    clock.forward(2000)
    expect((await read(app, `${short}; ${long}`)).body.data.user).toBe('b')
    clock.restore()
  })

  it('takes the authentic one of several cookies, and expires the planted ones', async () => {
    const app = appWith(sessions({ secret }), basics)
    const cookie = await login(app)
    const res = await read(app, `sid=planted; ${cookie}`).set('Host', 'app.example.com')
    expect(res.body.data).toEqual({ user: 'u' })
    const texts = res.headers['set-cookie'] as unknown as string[]
    expect(texts).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^sid=; Max-Age=0; Domain=app\.example\.com;/),
        expect.stringMatching(/Domain=example\.com/)
      ])
    )
  })

  it.each(['example.com.', 'a..b.com', '-x.example.com', 'x-.example.com', `${'a'.repeat(64)}.com`, '[::1]:80', ''])(
    'keeps its visitor although a cookie was planted, whatever the client calls the host: %j',
    async (host) => {
      const app = appWith(sessions({ secret }), basics)
      const res = await read(app, `sid=planted; ${await login(app)}`).set('Host', host)
      expect([res.status, res.body.data]).toEqual([200, { user: 'u' }])
      for (const text of res.headers['set-cookie'] ?? []) expect(text).not.toContain('..')
    }
  )

  it('expires planted cookies with what browsers ask for in a frame of another site', async () => {
    const cookie = { sameSite: 'none', secure: true, partitioned: true } as const
    const app = appWith(sessions({ secret, proxy: true, cookie }), basics)
    const https = { Host: 'app.example.com', 'X-Forwarded-Proto': 'https' }
    const own = cookieOf(await request(app).get('/write?user=u').set(https))!
    const res = await read(app, `sid=planted; ${own}`).set(https)
    // A cookie without Partitioned is another one: a page that is no frame has it, and may have had it planted.
    expect(res.headers['set-cookie']).toEqual(
      ['app.example.com', 'example.com'].flatMap((domain) =>
        ['; Partitioned', ''].map((kind) =>
          expect.stringMatching(`^sid=; Max-Age=0; Domain=${domain}; .*; Secure${kind}; SameSite=None$`)
        )
      )
    )
  })

  it('keeps a cookie without a path where planted ones are expired', async () => {
    const app = appWith(sessions({ secret }), {
      ...basics,
      '/here': (req: any, res: any) => {
        req.session.cookie.path = null
        req.session.user = 'u'
        res.end()
      }
    })
    const own = cookieOf(await request(app).get('/here'))!
    const res = await read(app, `sid=planted; ${own}`).set('Host', 'app.example.com')
    expect(res.body.data).toEqual({ user: 'u' })
    for (const text of res.headers['set-cookie']!) expect(text).toContain('; Domain=')
  })

  it('expires planted cookies of parent domains over HTTP/2 as well', async () => {
    const middleware = sessions({ secret })
    const server = http2.createServer((req: any, res: any) =>
      middleware(req, res, () => {
        req.session.user = 'u'
        res.end()
      })
    )
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const client = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    try {
      const own = { ':authority': 'app.example.com:8443', cookie: 'sid=planted' }
      const [headers] = (await once(client.request(own).resume(), 'response')) as [http2.IncomingHttpHeaders]
      const domains = headers['set-cookie']!.map((text) => /Domain=([^;]*)/.exec(text)?.[1])
      expect(domains).toEqual(['app.example.com', 'example.com', undefined])
    } finally {
      client.close()
      server.close()
    }
  })

  it('sends its own cookie last: who knows cookies by name alone goes by that', async () => {
    const app = appWith(sessions({ secret }), basics)
    const res = await request(app).get('/write?user=u').set({ Cookie: 'sid=outdated', Host: 'app.example.com' })
    expect(res.headers['set-cookie']).toHaveLength(3)
    expect((await read(app, cookieOf(res)!)).body.data).toEqual({ user: 'u' })
  })

  it('believes neither of two authentic cookies of two sessions, and expires both', async () => {
    const app = appWith(sessions({ secret }), basics)
    const [a, b] = [await login(app), await login(app)]
    const res = await read(app, `${a}; ${b}`)
    expect(res.body).toEqual({ data: {}, isNew: true, code: 'ERR_SESSION_AMBIGUOUS' })
    expect(cookieOf(res)).toBe('sid=')
  })
})

const keys = new KeyRing(secret)

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.+/=%:;, "\t'

// A small generator with a seed: the same mutations in every run.
function random(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

/** Flips, inserts, deletes or truncates in one to three places. */
function mutate(value: string, next: (below: number) => number): string {
  let result = value
  for (let places = 1 + next(3); places > 0; places--) {
    const at = next(result.length + 1)
    const letter = ALPHABET[next(ALPHABET.length)]!
    const kind = next(10)
    if (kind < 4) result = result.slice(0, at) + letter + result.slice(at + 1)
    else if (kind < 7) result = result.slice(0, at) + letter + result.slice(at)
    else if (kind < 9) result = result.slice(0, at) + result.slice(at + 1)
    else result = result.slice(0, at)
  }
  return result
}

/** What a middleware makes of a Cookie header: the user of the session it found, or none. */
async function userOf(auth: any, cookie: string): Promise<unknown> {
  const { req, err } = await enter(auth, cookie).done
  expect(err).toBeUndefined()
  return req.session.user
}

let clock: Clock | undefined

afterEach(() => {
  clock?.restore()
  clock = undefined
  jest.restoreAllMocks()
})

describe('takes no other value for authentic, of 100,000 mutations of a cookie:', () => {
  const id = 'AbCdEfGhIjKlMnOpQrStUvWxYz012345'
  const text = encodeRecord('{"originalMaxAge":null,"path":"/"}', { u: 1, c: 1, d: id }, '{"user":"ann"}')
  const store = new CookieStore()
  const readable = new CookieStore({ encrypt: false })
  const isOpened = (opened: unknown) => typeof opened === 'object'

  it.each<[string, string, (value: string) => boolean]>([
    ['a signed value', keys.signBound('sid', id), (value) => keys.verifyBound('sid', value) !== undefined],
    [
      "express-session's value",
      encodeURIComponent(keys.signPlain(id)),
      (value) => keys.verifyPlain(value) !== undefined
    ],
    [
      'a sealed value',
      seal(keys.derived('sealed cookie')[0]!, 'sid', text, Date.now()),
      (value) => isOpened(store.open(value, 'sid', keys))
    ],
    [
      'a readable value',
      signText(keys.derived('signed session')[0]!, 'sid', text, Date.now()),
      (value) => isOpened(readable.open(value, 'sid', keys))
    ]
  ])('%s', (_name, value, accepts) => {
    const next = random(1)
    const [decoded] = cookieValues(`sid=${value}`, 'sid')
    expect(accepts(decoded!)).toBe(true)
    const wrong: string[] = []
    let accepted = 0
    for (let i = 0; i < 100_000; i++) {
      const mutant = mutate(value, next)
      for (const candidate of cookieValues(`sid=${mutant}`, 'sid')) {
        if (!accepts(candidate)) continue
        accepted++
        if (candidate !== decoded) wrong.push(mutant)
      }
    }
    expect(wrong).toEqual([])
    // Quotes, blanks and what follows a semicolon are no part of the value; neither is the case of an encoding.
    expect(accepted).toBeGreaterThan(0)
    expect(accepted).toBeLessThan(10_000)
  })

  it.each([
    ['a stored session', new MemoryStore()],
    ['a session in its cookie', store]
  ])('%s, through the middleware', async (_name, used) => {
    const auth = sessions({ secret, store: used, load: 'eager' })
    const app = appWith(auth, basics)
    const cookie = await login(app)
    expect(await userOf(auth, cookie)).toBe('u')
    const next = random(2)
    const [decoded] = cookieValues(cookie, 'sid')
    for (let i = 0; i < 2000; i++) {
      const header = `sid=${mutate(cookie.slice(4), next)}`
      const intact = cookieValues(header, 'sid')[0] === decoded
      expect([header, await userOf(auth, header)]).toEqual([header, intact ? 'u' : undefined])
    }
  })
})

describe('an authentic ID that could reach elsewhere', () => {
  it.each<[string, string]>([
    ['a parent folder', '../victim'],
    ['a folder', 'a/b'],
    ['a backslash', 'a\\b'],
    ['a drive', 'C:x'],
    ['a NUL', 'a\0b'],
    ['a pattern', '*'],
    ['4 KB', 'x'.repeat(4096)],
    ['a blank', ' '],
    ['a letter beyond ASCII', '\u00e4']
  ])('%s is refused before any store is asked', async (_name, id) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'silverback-bad-'))
    const file = new FileStore({ path: folder })
    for (const store of [new MemoryStore(), file]) {
      const auth = sessions({ secret, store })
      const get = jest.spyOn(store, 'get')
      const app = appWith(auth, basics)
      const cookie = `sid=${encodeURIComponent(keys.signBound('sid', id))}`
      expect((await read(app, cookie)).body).toEqual({ data: {}, isNew: true, code: 'ERR_SESSION_SIGNATURE' })
      expect(get).not.toHaveBeenCalled()
      expect(auth.stats()).toMatchObject({ loaded: 0, rejected: 1, saved: 0 })
    }
    expect(readdirSync(folder, { recursive: true }).filter((name) => String(name).includes('victim'))).toEqual([])
    await file.close()
    rmSync(folder, { recursive: true, force: true })
  })
})

describe('a huge Cookie header', () => {
  const at = (count: number, cookie: string) => `${'sid=forged; '.repeat(count)}${cookie}`

  it('of one megabyte and 50,000 cookies is answered, and hashed a bounded number of times', async () => {
    const auth = sessions({ secret, store: new MemoryStore() })
    const app = appWith(auth, basics)
    const cookie = await login(app)
    const server = createServer({ maxHeaderSize: 2 ** 21 }, app).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const ask = async (header: string) => {
      const text = `GET /read HTTP/1.1\r\nHost: x\r\nConnection: close\r\nCookie: ${header}\r\n\r\n`
      const answer = (await exchange((server.address() as AddressInfo).port, text)).toString()
      return JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4))
    }
    const hmac = jest.spyOn(crypto, 'createHmac')
    try {
      const noise = Array.from({ length: 50_000 }, (_, i) => `c${i}=abcdefghij`).join('; ')
      expect(noise.length).toBeGreaterThan(900_000)
      expect((await ask(`${noise}; ${cookie}`)).data).toEqual({ user: 'u' })
      expect(hmac.mock.calls.length).toBeLessThanOrEqual(1)
      for (const count of [100, 1000, 50_000]) {
        hmac.mockClear()
        expect((await ask(at(count, cookie))).code).toBe('ERR_SESSION_SIGNATURE')
        expect(hmac.mock.calls.length).toBeLessThanOrEqual(16)
      }
      hmac.mockClear()
      expect((await ask(`sid=${'A'.repeat(1_000_000)}`)).code).toBe('ERR_SESSION_SIGNATURE')
      expect(hmac).not.toHaveBeenCalled()
    } finally {
      server.closeAllConnections()
      server.close()
    }
  })
})

it.each([
  ['a forged cookie beside the authentic one', (cookie: string) => `sid=bad; ${cookie}`],
  ['a forged cookie behind the authentic one', (cookie: string) => `${cookie}; sid=bad`]
])('%s is told as an event, and the authentic one wins', async (_name, header) => {
  for (const store of [new MemoryStore(), new CookieStore()]) {
    const auth = sessions({ secret, store })
    const app = appWith(auth, basics)
    const cookie = await login(app)
    const told: any[] = []
    const note = (message: unknown) => told.push(message)
    diagnostics.subscribe('silverback:rejected', note)
    expect((await read(app, header(cookie))).body.data).toEqual({ user: 'u' })
    diagnostics.unsubscribe('silverback:rejected', note)
    expect(told).toEqual([{ name: 'sid', session: expect.any(String), reason: 'DUPLICATE' }])
    expect(told[0].session).not.toContain(cookie.slice(4, 10))
  }
})

it.each(['\u00a0', '\u2000', '\u3000', '\ufeff', '\v', '\f'])(
  'takes %j before the name of a cookie for no blank (RFC 6265)',
  async (blank) => {
    const auth = sessions({ secret })
    const cookie = await login(appWith(auth, basics))
    const { req } = await enter(auth, `${blank}${cookie}`).done
    expect([req.session.user, infoOf(req.session).error]).toEqual([undefined, undefined])
    expect((await enter(auth, ` \t${cookie}`).done).req.session.user).toBe('u')
  }
)

describe('odd Cookie headers are read as RFC 6265 has it:', () => {
  it.each<[string, (cookie: string) => string, boolean]>([
    ['$Version before it', (cookie) => `$Version=1; ${cookie}; $Path=/`, true],
    ['inside the quotes of another', (cookie) => `x="a; ${cookie}; y=b"`, true],
    ['a tab before it', (cookie) => `a=b;\t${cookie}`, true],
    ['without the blank', (cookie) => `a=b;${cookie};c=d`, true],
    ['empty pairs', (cookie) => `;;; ${cookie};;`, true],
    ['blanks around the equals sign', (cookie) => cookie.replace('=', ' = '), true],
    ['a name that begins with ours', (cookie) => cookie.replace('sid', 'sid2'), false],
    ['a name that ends with ours', (cookie) => cookie.replace('sid', 'xsid'), false],
    ['an empty name', (cookie) => `=${cookie}`, false],
    ['another case', (cookie) => cookie.replace('sid', 'SID'), false],
    ['no equals sign', (cookie) => cookie.replace('=', ''), false]
  ])('%s', async (_name, header, found) => {
    const auth = sessions({ secret })
    const cookie = await login(appWith(auth, basics))
    expect(await userOf(auth, header(cookie))).toBe(found ? 'u' : undefined)
  })

  it('two Cookie headers', async () => {
    const app = appWith(sessions({ secret }), basics)
    const cookie = await login(app)
    const answer = await serving(app, (port) =>
      exchange(port, `GET /read HTTP/1.1\r\nHost: x\r\nConnection: close\r\nCookie: a=b\r\nCookie: ${cookie}\r\n\r\n`)
    )
    expect(answer.toString()).toContain('{"user":"u"}')
  })
})

describe('behind cookie-parser', () => {
  const cookieParser = require('cookie-parser')

  it.each(['sid=j:{"a":1}', 'sid=j%3A%7B%22a%22%3A1%7D', 'sid=j:[1]', 'sid=j:null', 'sid=s:j:{"a":1}.x', 'sid=j:{'])(
    '%s is no session, and no error',
    async (cookie) => {
      for (const door of [
        sessions({ secret }),
        sessions({ secret, store: new CookieStore() }),
        session({ secret, name: 'sid', resave: false, saveUninitialized: false })
      ]) {
        for (const parser of [cookieParser(), cookieParser(secret)]) {
          const app = appWith((req: any, res: any, next: any) => parser(req, res, () => door(req, res, next)), basics)
          const res = await read(app, cookie)
          expect([res.status, res.body.data, res.body.isNew]).toEqual([200, {}, true])
        }
      }
    }
  )
})

describe('a sealed cookie that was moved', () => {
  const write = { ...basics }
  const sealedBy = (options: object) =>
    login(appWith(sessions({ secret, store: new CookieStore(), ...options }), write))
  const codeOf = async (options: object, cookie: string) =>
    (await read(appWith(sessions({ secret, store: new CookieStore(), ...options }), write), cookie)).body.code

  it('to another name, another application or another purpose is not ours', async () => {
    const cookie = await sealedBy({})
    expect(await codeOf({}, cookie)).toBeUndefined()
    expect(await codeOf({ name: 'other' }, cookie.replace('sid=', 'other='))).toBe('ERR_SESSION_SIGNATURE')
    expect(await codeOf({ secret: 'the secret of another application, long' }, cookie)).toBe('ERR_SESSION_SIGNATURE')
    expect(await codeOf({ store: new CookieStore({ encrypt: false }) }, cookie)).toBe('ERR_SESSION_SIGNATURE')
    expect(await codeOf({ store: new MemoryStore() }, cookie)).toBe('ERR_SESSION_SIGNATURE')
  })

  it('in time is expired: past its deadline, or dated ten minutes ahead', async () => {
    clock = new Clock()
    const cookie = await sealedBy({ idle: 60_000 })
    clock.forward(60_001)
    expect(await codeOf({ idle: 60_000 }, cookie)).toBe('ERR_SESSION_EXPIRED')
    const ahead = await sealedBy({})
    clock.forward(-10 * 60_000)
    expect(await codeOf({}, ahead)).toBe('ERR_SESSION_EXPIRED')
  })

  it('inside, by whoever has the key, is corrupt', async () => {
    const value = seal(keys.derived('sealed cookie')[0]!, 'sid', '{"user":"ann"}', Date.now())
    expect(await codeOf({}, `sid=${value}`)).toBe('ERR_SESSION_CORRUPT')
  })

  it('is never inflated: what would unpack to a session a thousand times its size is corrupt', async () => {
    const record = encodeRecord('{}', { u: Date.now(), c: Date.now(), d: 'id' }, `{"user":"${'x'.repeat(2_000_000)}"}`)
    for (const pack of [gzipSync, deflateSync, deflateRawSync]) {
      const packed = pack(record)
      expect(packed.length).toBeLessThan(3000)
      for (const encoding of ['latin1', 'base64'] as const) {
        const value = seal(keys.derived('sealed cookie')[0]!, 'sid', packed.toString(encoding), Date.now())
        expect(await codeOf({}, `sid=${value}`)).toBe('ERR_SESSION_CORRUPT')
      }
    }
  })
})

it('answers whatever comes as a cookie, without an error or a session that nobody made', async () => {
  const store = new MemoryStore()
  const doors = [
    sessions({ secret, store, load: 'eager' }),
    sessions({ secret, store: new CookieStore() }),
    session({ secret, store, name: 'sid', resave: false, saveUninitialized: false })
  ]
  const cookies = await Promise.all(doors.map((door) => login(appWith(door, basics))))
  const noise = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc.string({ unit: fc.constantFrom(...ALPHABET, 'sid='), maxLength: 200 }),
    fc
      .tuple(fc.constantFrom(...cookies), fc.nat(), fc.nat(20), fc.string({ maxLength: 20 }))
      .map(([cookie, from, cut, put]) => {
        const at = from % cookie.length
        return cookie.slice(0, at) + put + cookie.slice(at + cut)
      })
  )
  await fc.assert(
    fc.asyncProperty(noise, fc.constantFrom(0, 1, 2), async (header, at) => {
      const authentic = cookieValues(cookies[at]!, 'sid')[0]
      const values = cookieValues(header, 'sid')
      // The drop-in door takes what sessions() has bound to its name as well.
      const bound = cookieValues(cookies[0]!, 'sid')[0]
      const intact = values.includes(authentic!) || (at === 2 && values.includes(bound!))
      const { req, err } = await pass(doors[at], header, (_req, res) => res.end('ok'))
      return err === undefined && (req.session.user === 'u') === intact
    }),
    { numRuns: 5000 }
  )
  expect(store.ids()).toHaveLength(2)
})
