import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { decodeGob } from '../lib/gorilla/codec/decode'
import { encodeGob } from '../lib/gorilla/codec/encode'
import type { GoNode } from '../lib/gorilla/codec/nodes'
import { INTERFACE, mapOf, parseGoType, STRING, VALUES, type GoType } from '../lib/gorilla/codec/types'
import { checkPair, openBytes, sealBytes } from '../lib/gorilla/securecookie'
import { securecookie } from '../lib/gorilla'
import { goKeys, GoPeer, ordered, tagged } from './helpers/go'

const NAME = 'session-name'
const hash = randomBytes(32)
const block = randomBytes(32)
const older = randomBytes(64)
const DAY = 24 * 60 * 60 * 1000

let go: GoPeer

beforeAll(() => {
  go = new GoPeer()
})

afterAll(() => go?.stop())
afterEach(() => jest.restoreAllMocks())

const typeOf = (name: string): GoType => parseGoType(name)!
const text = fc.string({ unit: 'binary', maxLength: 12 })
const integer = (name: string, min: bigint, max: bigint) => scalar(name, fc.bigInt({ min, max }))

function scalar(name: string, values: fc.Arbitrary<GoNode['value']>): fc.Arbitrary<GoNode> {
  const type = typeOf(name)
  return values.map((value) => ({ type, value }))
}

const two = (part: number) => String(part).padStart(2, '0')
// To the nanosecond, in whole-hour zones; Go drops trailing zeros, so none are generated.
const time = scalar(
  'time.Time',
  fc
    .tuple(
      fc.date({ min: new Date('1900-01-02'), max: new Date('2200-01-01'), noInvalidDate: true }),
      fc.integer({ min: 0, max: 999_999_999 }),
      fc.integer({ min: -11, max: 13 })
    )
    .map(([date, fraction, zone]) => {
      const digits = String(fraction).padStart(9, '0').replace(/0+$/, '')
      const offset = zone === 0 ? 'Z' : `${zone < 0 ? '-' : '+'}${two(Math.abs(zone))}:30`
      return `${date.toISOString().slice(0, 19)}${digits && `.${digits}`}${offset}`
    })
)
const bool = scalar('bool', fc.boolean())
const string = scalar('string', text)
const float64 = scalar('float64', fc.double({ noNaN: true }))
const int64 = integer('int64', -(2n ** 63n), 2n ** 63n - 1n)
const bytes = scalar(
  '[]uint8',
  fc.uint8Array({ maxLength: 12 }).map((value) => Buffer.from(value))
)

function sliceOf(name: string, items: fc.Arbitrary<GoNode>): fc.Arbitrary<GoNode> {
  return scalar(name, fc.array(items, { maxLength: 3 }))
}

function mapOfKeys(name: string, keys: fc.Arbitrary<GoNode>, items: fc.Arbitrary<GoNode>): fc.Arbitrary<GoNode> {
  return scalar(name, fc.uniqueArray(fc.tuple(keys, items), { maxLength: 3, selector: ([key]) => key.value }))
}

const { value } = fc.letrec<{ value: GoNode }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, depthSize: 'small' },
    ...[string, bool, float64, int64, time, bytes, fc.constant<GoNode>({ type: INTERFACE, value: null })],
    ...[8n, 16n, 32n].map((bits) => integer(`int${bits}`, -(2n ** (bits - 1n)), 2n ** (bits - 1n) - 1n)),
    ...[8n, 16n, 32n, 64n].map((bits) => integer(`uint${bits}`, 0n, 2n ** bits - 1n)),
    integer('int', -(2n ** 63n), 2n ** 63n - 1n),
    scalar('float32', fc.float({ noNaN: true })),
    sliceOf('[]string', string),
    sliceOf('[]int64', int64),
    sliceOf('[]bool', bool),
    sliceOf('[]time.Time', time),
    mapOfKeys('map[string]string', string, string),
    mapOfKeys('map[int]string', integer('int', -9n, 9n), string),
    mapOfKeys('map[string][]string', string, sliceOf('[]string', string)),
    sliceOf('[]interface {}', tie('value')),
    mapOfKeys('map[string]interface {}', string, tie('value')),
    mapOfKeys('map[interface {}]interface {}', string, tie('value')),
    sliceOf('[]map[string]interface {}', mapOfKeys('map[string]interface {}', string, tie('value')))
  )
}))
const session = mapOfKeys(VALUES.name, string, value)
const sessions = fc.array(session, { minLength: 50, maxLength: 50 })

const valuesOf = (node: GoNode) => ordered(tagged(node)).v
const sorted = (values: unknown) => ordered({ t: VALUES.name, v: values }).v

describe.each([
  ['signed', [hash] as const],
  ['sealed', [hash, block] as const],
  ['sealed with AES-128', [hash, block.subarray(0, 16)] as const]
])('A %s cookie', (_title, keys) => {
  const pair = checkPair({ hashKey: keys[0], blockKey: keys[1], maxLength: null })

  it('gives the values that Go put in', async () => {
    await fc.assert(
      fc.asyncProperty(sessions, async (batch) => {
        const asked = batch.map((node) =>
          go.ask({ op: 'mint', name: NAME, keys: goKeys(keys), values: (tagged(node) as any).v })
        )
        for (const [at, { cookie, error }] of (await Promise.all(asked)).entries()) {
          if (error?.includes('too long')) continue
          expect(error).toBeUndefined()
          const opened = openBytes([pair], NAME, cookie!)
          expect(opened).toBeInstanceOf(Object)
          expect(valuesOf(decodeGob((opened as { bytes: Buffer }).bytes, VALUES).node)).toEqual(valuesOf(batch[at]!))
        }
      }),
      { numRuns: 8 }
    )
  })

  it('gives Go the values that we put in', async () => {
    await fc.assert(
      fc.asyncProperty(sessions, async (batch) => {
        const cookies = batch.map((node) => sealBytes(pair, NAME, encodeGob(node)))
        const asked = cookies.map((cookie) => go.ask({ op: 'read', name: NAME, keys: goKeys(keys), cookie }))
        for (const [at, { values, error }] of (await Promise.all(asked)).entries()) {
          if (cookies[at]!.length > 4096) continue
          expect(error).toBeUndefined()
          expect(sorted(values)).toEqual(valuesOf(batch[at]!))
        }
      }),
      { numRuns: 8 }
    )
  })
})

describe('What Go refuses', () => {
  const values = {
    type: VALUES,
    value: [
      [
        { type: STRING, value: 'user' },
        { type: STRING, value: 'ann' }
      ]
    ]
  } as GoNode
  const pair = checkPair({ hashKey: hash, blockKey: block })
  const cookie = () => sealBytes(pair, NAME, encodeGob(values))

  it('is refused, and nothing else, of cookies that were changed on the way', async () => {
    const good = cookie()
    const mutation = fc.tuple(
      fc.constantFrom('replace', 'insert', 'cut', 'drop'),
      fc.nat(good.length - 1),
      fc.constantFrom('A', 'z', '0', '-', '_', '=', '|', '.', '+', '/', '%')
    )
    await fc.assert(
      fc.asyncProperty(fc.array(mutation, { minLength: 50, maxLength: 50 }), async (batch) => {
        const changed = batch.map(([kind, at, char]) => {
          if (kind === 'cut') return good.slice(0, at) || 'A'
          return good.slice(0, at) + (kind === 'drop' ? '' : char) + good.slice(kind === 'insert' ? at : at + 1)
        })
        const answers = await Promise.all(
          changed.map((text) => go.ask({ op: 'read', name: NAME, keys: goKeys([hash, block]), cookie: text }))
        )
        const ours = changed.map((text) => typeof openBytes([pair], NAME, text) === 'string')
        expect(ours).toEqual(answers.map(({ error }) => error !== undefined))
      }),
      { numRuns: 10 }
    )
  })

  it('is refused of authentic cookies with a changed gob stream, and what we accept Go reads alike', async () => {
    const change = fc.record({
      node: session,
      at: fc.nat(),
      byte: fc.nat(255),
      kind: fc.constantFrom('set', 'cut', 'add')
    })
    let accepted = 0
    await fc.assert(
      fc.asyncProperty(change, async ({ node, at, byte, kind }) => {
        const stream = encodeGob(node)
        const place = at % stream.length
        const changed = Buffer.concat([
          stream.subarray(0, place),
          kind === 'cut' ? Buffer.alloc(0) : Buffer.of(byte),
          kind === 'cut' ? Buffer.alloc(0) : stream.subarray(kind === 'add' ? place : place + 1)
        ])
        let read: GoNode
        try {
          read = decodeGob(changed, VALUES).node
        } catch (err) {
          expect(err).toMatchObject({ code: 'ERR_SESSION_CORRUPT' })
          return
        }
        // A name that Go may know or not.
        if (carries(read)) return
        accepted++
        const theirs = await go.ask({ op: 'gob', bytes: changed.toString('base64') })
        expect(theirs.error).toBeUndefined()
        // A Go map keeps one of two equal keys.
        if (unique(read)) expect(sorted(theirs.values)).toEqual(valuesOf(read))
      }),
      { numRuns: 2000 }
    )
    expect(accepted).toBeGreaterThan(50)
  })

  it('is refused under another name, with another key and after its time', async () => {
    const { cookie: theirs } = await go.ask({ op: 'mint', name: NAME, keys: goKeys([hash]) })
    const signed = checkPair({ hashKey: hash })
    expect(openBytes([signed], NAME, theirs!)).toMatchObject({ pair: 0 })
    expect(openBytes([signed], 'other', theirs!)).toBe('ERR_SESSION_SIGNATURE')
    expect(openBytes([checkPair({ hashKey: older })], NAME, theirs!)).toBe('ERR_SESSION_SIGNATURE')
    expect(openBytes([checkPair({ hashKey: hash, maxLength: 10 })], NAME, theirs!)).toBe('ERR_SESSION_SIGNATURE')
    const now = Date.now()
    const clock = jest.spyOn(Date, 'now').mockReturnValue(now + 30 * DAY + 2000)
    expect(openBytes([signed], NAME, theirs!)).toBe('ERR_SESSION_EXPIRED')
    expect(openBytes([checkPair({ hashKey: hash, maxAge: null })], NAME, theirs!)).toMatchObject({ pair: 0 })
    clock.mockReturnValue(now - 31 * DAY)
    const old = cookie()
    clock.mockRestore()
    expect((await go.ask({ op: 'read', name: NAME, keys: goKeys([hash, block]), cookie: old })).error).toMatch(
      /expired/
    )
    expect(openBytes([pair], NAME, old)).toBe('ERR_SESSION_EXPIRED')
  })
})

it.each<[string, Parameters<typeof securecookie>[0], Buffer?]>([
  ['sha512', { hashKey: hash, hash: 'sha512' }],
  ['sha512-256', { hashKey: hash, hash: 'sha512-256' }],
  ['des3', { hashKey: hash, blockKey: Buffer.from('three different keys...!'), block: 'des3' }],
  ['json', { hashKey: hash, serializer: 'json' }],
  ['nop', { hashKey: hash, blockKey: block, serializer: 'nop' }]
])('understands Go and is understood with %s', async (after, options) => {
  const { blockKey } = options as { blockKey?: Buffer }
  const ask = (more: object) => go.ask({ op: 'codec', name: NAME, after, keys: goKeys([hash, blockKey]), ...more })
  const codec = securecookie(options)
  const text = 'Zoe, a text of more than two blocks'
  const { cookie: theirs } = await ask({ path: text })
  expect(String(codec.decode(NAME, theirs!))).toBe(text)
  const ours = codec.encode(NAME, after === 'nop' ? Buffer.from(text) : text)
  expect(await ask({ cookie: ours })).toEqual({ id: text })
})

it('rotates keys as Go does: the first writes, all read', async () => {
  const pairs = [checkPair({ hashKey: hash, blockKey: block }), checkPair({ hashKey: older })]
  const { cookie } = await go.ask({ op: 'mint', name: NAME, keys: goKeys([older]) })
  expect(openBytes(pairs, NAME, cookie!)).toMatchObject({ pair: 1 })
  const ours = sealBytes(pairs[0]!, NAME, encodeGob({ type: mapOf(INTERFACE, INTERFACE), value: [] }))
  expect(
    (await go.ask({ op: 'read', name: NAME, keys: goKeys([older], [hash, block]), cookie: ours })).error
  ).toBeUndefined()
  expect((await go.ask({ op: 'read', name: NAME, keys: goKeys([older]), cookie: ours })).error).toBeDefined()
})

function carries({ type, value: inner }: GoNode): boolean {
  return type.kind === 'opaque' || type.named === true || (Array.isArray(inner) && inner.flat().some(carries))
}

// Whether no map inside has two equal keys.
function unique({ type, value: inner }: GoNode): boolean {
  if (type.kind === 'slice') return (inner as GoNode[]).every(unique)
  if (type.kind !== 'map') return true
  const pairs = inner as [GoNode, GoNode][]
  const keys = new Set(pairs.map(([key]) => JSON.stringify(tagged(key))))
  return keys.size === pairs.length && pairs.every(([, item]) => unique(item))
}
