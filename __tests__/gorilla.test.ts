import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import fc from 'fast-check'
import request from 'supertest'
import { sessions } from '../lib/index'
import { decodeGob, encodeGob, GorillaStore, SecureCookie, type GoValue } from '../lib/gorilla'
import { appWith, cookieOf, secret } from './helpers/app'

interface GoJson {
  type: string
  value?: unknown
  list?: GoJson[]
  map?: Record<string, GoJson>
}

const hashKey = Buffer.alloc(32, 'h')
const blockKey = Buffer.alloc(32, 'b')
const olderKey = Buffer.alloc(32, 'o')
let folder: string
let peer: ChildProcess
const waiting: ((answer: any) => void)[] = []

/** Asks the Go program, which answers line by line in order. */
function go(message: object): Promise<any> {
  return new Promise((resolve) => {
    waiting.push(resolve)
    peer.stdin!.write(`${JSON.stringify(message)}\n`)
  })
}

const keysFor = (...keys: (Buffer | undefined)[]) =>
  keys.map((key) => (key === undefined ? null : key.toString('base64')))

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'silverback-gorilla-'))
  const binary = path.join(folder, 'peer')
  try {
    execFileSync('go', ['build', '-o', binary, '.'], {
      cwd: path.join(__dirname, 'fixtures/gorilla'),
      env: { ...process.env, GO111MODULE: 'off', GOPATH: '/usr/share/gocode', GOFLAGS: '' },
      stdio: 'pipe'
    })
  } catch (cause) {
    throw new Error(
      'These tests need Go and gorilla/sessions: apt-get install golang golang-github-gorilla-sessions-dev',
      { cause }
    )
  }
  peer = spawn(binary, { stdio: ['pipe', 'pipe', 'inherit'] })
  createInterface({ input: peer.stdout! }).on('line', (line) => waiting.shift()!(JSON.parse(line)))
}, 120_000)

afterAll(() => {
  peer?.kill()
  rmSync(folder, { recursive: true, force: true })
})

/** Our form of a Go value as the Go program spells it. */
function spelled({ type, value }: GoValue): GoJson {
  if (value instanceof Date) return { type, value: value.toISOString() }
  if (value instanceof Uint8Array) return { type, value: Buffer.from(value).toString('base64') }
  if (typeof value === 'bigint') return { type, value: value.toString() }
  if (Array.isArray(value)) return { type, value: null, list: value.map(spelled) }
  if (value instanceof Map) {
    const map = Object.fromEntries([...value].map(([key, item]) => [key, spelled(item)]))
    return { type, value: null, map }
  }
  return { type, value }
}

/** Empty lists and maps are left out of Go's JSON. */
function normal(json: GoJson): GoJson {
  const out: GoJson = { type: json.type, value: json.value ?? null }
  if (json.list?.length) out.list = json.list.map(normal)
  if (json.map && Object.keys(json.map).length > 0) {
    out.map = Object.fromEntries(
      Object.entries(json.map)
        .sort()
        .map(([key, item]) => [key, normal(item)])
    )
  }
  return out
}

const normalAll = (values: Record<string, GoJson>) =>
  Object.fromEntries(
    Object.entries(values)
      .sort()
      .map(([key, item]) => [key, normal(item)])
  )

const word = fc.string({ unit: 'grapheme', maxLength: 12 })
const integer = (type: string, min: bigint, max: bigint) =>
  fc.bigInt({ min, max }).map((value): GoValue => ({ type, value }))

const goValue = fc.letrec<{ value: GoValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    word.map((value): GoValue => ({ type: 'string', value })),
    fc.boolean().map((value): GoValue => ({ type: 'bool', value })),
    integer('int', -(2n ** 63n), 2n ** 63n - 1n),
    integer('int8', -128n, 127n),
    integer('uint64', 0n, 2n ** 64n - 1n),
    fc
      .double({ noNaN: true, noDefaultInfinity: true })
      .filter((n) => !Object.is(n, -0))
      .map((value): GoValue => ({ type: 'float64', value })),
    fc.uint8Array({ minLength: 1, maxLength: 12 }).map((value): GoValue => ({ type: '[]uint8', value })),
    fc
      .date({ min: new Date(0), max: new Date('2200-01-01'), noInvalidDate: true })
      .map((value): GoValue => ({ type: 'time.Time', value })),
    fc
      .array(word, { minLength: 1, maxLength: 3 })
      .map((list): GoValue => ({ type: '[]string', value: list.map((value) => ({ type: 'string', value })) })),
    fc.array(tie('value'), { maxLength: 3 }).map((value): GoValue => ({ type: '[]interface {}', value })),
    fc
      .dictionary(word, tie('value'), { maxKeys: 3, noNullPrototype: true })
      .map((map): GoValue => ({ type: 'map[string]interface {}', value: new Map(Object.entries(map)) }))
  )
})).value

const goSession = fc
  .dictionary(word, goValue, { maxKeys: 4, noNullPrototype: true })
  .map((map) => new Map(Object.entries(map)))

describe.each([
  ['signed', undefined],
  ['sealed', blockKey]
])('%s cookies and values agree with Go for generated sessions', (_name, block) => {
  const codec = new SecureCookie([{ hashKey, blockKey: block }], { maxLength: 0 })
  const keys = keysFor(hashKey, block)
  const small = (text: string) => text.length <= 4000

  it('reads what Go wrote', async () => {
    for (const session of fc.sample(goSession, { numRuns: 300, seed: 1 })) {
      const values = Object.fromEntries([...session].map(([key, item]) => [key, spelled(item)]))
      const minted = await go({ op: 'mint', name: 'login', keys, values })
      if (minted.error?.includes('too long')) continue
      expect(minted.error).toBeUndefined()
      const read = decodeGob(codec.decode('login', minted.cookie).value)
      expect(normalAll(Object.fromEntries([...read].map(([key, item]) => [key, spelled(item)])))).toEqual(
        normalAll(values)
      )
    }
  })

  it('writes what Go reads', async () => {
    for (const session of fc.sample(goSession, { numRuns: 300, seed: 2 })) {
      const cookie = codec.encode('login', encodeGob(session))
      if (!small(cookie)) continue
      const read = await go({ op: 'read', name: 'login', keys, cookie })
      expect(read.error).toBeUndefined()
      expect(read.isNew).toBe(false)
      const values = Object.fromEntries([...session].map(([key, item]) => [key, spelled(item)]))
      expect(normalAll(read.values ?? {})).toEqual(normalAll(values))
    }
  })
})

it('refuses what Go refuses, for mutated cookies', async () => {
  const keys = keysFor(hashKey, undefined)
  const codec = new SecureCookie([{ hashKey }])
  const { cookie } = await go({ op: 'mint', name: 'login', keys, values: { user: { type: 'string', value: 'u' } } })
  const mutations = fc.sample(
    fc
      .tuple(fc.nat(cookie.length - 1), fc.constantFrom(...'AZaz09-_=|.'))
      .map(([at, char]) => cookie.slice(0, at) + char + cookie.slice(at + 1)),
    { numRuns: 300, seed: 3 }
  )
  for (const text of [...mutations, cookie.slice(0, -1), cookie.slice(0, 20), '', '=']) {
    const theirs = await go({ op: 'read', name: 'login', keys, cookie: text })
    if (!theirs.error && text !== '') continue
    expect(() => codec.decode('login', text)).toThrow(expect.objectContaining({ kind: 'decode' }))
  }
  expect(() => codec.decode('other', cookie)).toThrow(expect.objectContaining({ code: 'ERR_SESSION_SIGNATURE' }))
})

it('never fails otherwise than by its own error, whatever the bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        decodeGob(bytes)
      } catch (err) {
        expect((err as Error).constructor.name).toBe('GobError')
      }
    }),
    { numRuns: 3000 }
  )
})

describe('GorillaStore: one login for Go and Express', () => {
  const appFor = (keyPairs: any) =>
    appWith(sessions({ secret, name: 'login', store: new GorillaStore({ keyPairs }) }), {
      '/read': (req, res) => {
        const { cookie: _cookie, ...data } = req.session
        res.json({ data, isNew: req.session.isNew, flashes: req.session.flashes(), code: req.session.error?.code })
      },
      '/write': (req, res) => {
        Object.assign(req.session, req.query)
        res.send('ok')
      },
      '/logout': async (req, res) => {
        await req.session.destroy()
        res.send('out')
      }
    })

  it('reads a login that Go made, flashes inside, and Go reads what Express changed', async () => {
    const keys = keysFor(hashKey, blockKey)
    const values = {
      user: { type: 'string', value: 'u' },
      visits: { type: 'int64', value: '3' },
      rate: { type: 'float64', value: 2 },
      at: { type: 'time.Time', value: '2026-01-02T03:04:05.000Z' }
    }
    const { cookie } = await go({ op: 'mint', name: 'login', keys, values, flash: ['hello'] })
    const app = appFor([{ hashKey, blockKey }])
    const seen = await request(app).get('/read').set('Cookie', `login=${cookie}`)
    expect(seen.body).toMatchObject({
      data: { user: 'u', visits: 3, rate: 2, at: '2026-01-02T03:04:05.000Z' },
      isNew: false,
      flashes: ['hello']
    })
    const changed = await request(app).get('/write?theme=dark').set('Cookie', cookieOf(seen, 'login')!)
    const value = decodeURIComponent(cookieOf(changed, 'login')!.slice('login='.length))
    const read = await go({ op: 'read', name: 'login', keys, cookie: value })
    expect(read.values).toMatchObject({ ...values, theme: { type: 'string', value: 'dark' } })
  })

  it('moves to the newest of rotated keys, as Go does', async () => {
    const { cookie } = await go({
      op: 'mint',
      name: 'login',
      keys: keysFor(olderKey, undefined),
      values: { user: { type: 'string', value: 'u' } }
    })
    const res = await request(appFor([{ hashKey }, { hashKey: olderKey }]))
      .get('/read')
      .set('Cookie', `login=${cookie}`)
    expect(res.body.data).toEqual({ user: 'u' })
    const value = decodeURIComponent(cookieOf(res, 'login')!.slice('login='.length))
    expect(
      (await go({ op: 'read', name: 'login', keys: keysFor(hashKey, undefined), cookie: value })).values.user.value
    ).toBe('u')
  })

  it('gives a new session with the reason for a cookie that Go refuses too', async () => {
    const res = await request(appFor([{ hashKey }]))
      .get('/read')
      .set('Cookie', 'login=AAAA')
    expect(res.body).toMatchObject({ data: {}, isNew: true, code: 'ERR_SESSION_SIGNATURE' })
  })
})
