import { inspect } from 'node:util'
import fc from 'fast-check'
import { gob, securecookie } from '../lib/gorilla'

const hashKey = 'a hash key of at least thirty-two bytes'

describe('gob', () => {
  it.each<[string, unknown]>([
    ['booleans', { a: true, b: false }],
    ['strings', { a: '', b: 'caf\u00e9 \ud83d\ude00' }],
    ['numbers', { a: 0, b: -1, c: 1.5, d: Number.MAX_SAFE_INTEGER, e: 1e300, f: -Infinity }],
    ['BigInts', { a: 2n ** 63n - 1n, b: 2n ** 64n - 1n, c: -(2n ** 63n) }],
    ['bytes', { a: Buffer.from([0, 255]) }],
    ['dates', { a: new Date(0), b: new Date('2026-01-02T03:04:05.678Z') }],
    ['null, lists and objects', { a: [null, [1, 'x'], { b: [] }], c: {} }],
    [
      'Maps',
      new Map<unknown, unknown>([
        ['a', 1],
        [5, new Map([['b', true]])]
      ])
    ]
  ])('gives %s back', (_title, value) => {
    expect(gob.decode(gob.encode(value))).toEqual(value)
  })

  it('gives values without counterpart as they came, and takes them back', () => {
    const bytes = Buffer.from(
      'Dv+BBAEC/4IAARABEAAAXP+CAAIGc3RyaW5nDAYABHVzZXIGc3RyaW5nDAUAA2FubgZzdHJpbmcMCAAGcGVyc29uDCptYWluLlBlcnNvbv+D' +
        'AwEBBlBlcnNvbgH/hAABAQEETmFtZQEMAAAACf+EBgEDQW5uAA==',
      'base64'
    )
    const values = gob.decode(bytes) as Map<string, unknown>
    expect([...values.keys()]).toEqual(['user', 'person'])
    expect(values.get('person')).toBeInstanceOf(gob.GoOpaque)
    expect(values.get('person')).toMatchObject({ type: '*main.Person' })
    expect(gob.decode(gob.encode(values))).toEqual(values)
    expect(gob.encode(values).includes(bytes.subarray(-8))).toBe(true)
    const alone = () => gob.encode(values.get('person'))
    expect(alone).toThrow(expect.objectContaining({ code: 'ERR_SESSION_UNSERIALIZABLE' }))
  })

  it('keeps a key called __proto__ a key', () => {
    const decoded = gob.decode(gob.encode(JSON.parse('{"__proto__":{"x":1}}'))) as object
    expect(Object.keys(decoded)).toEqual(['__proto__'])
    expect((decoded as { x?: number }).x).toBeUndefined()
  })

  it('writes the Go type that is asked for, or names the key that does not fit', () => {
    expect(gob.decode(gob.encode(gob.as('[]uint8', 'aGk=')))).toEqual(Buffer.from('hi'))
    expect(gob.decode(gob.encode(gob.as('map[string]int8', { a: 127 })), 'map[string]int8')).toEqual({ a: 127 })
    const bad = { list: [{ n: gob.as('int8', 128) }] }
    expect(() => gob.encode(bad)).toThrow(/^value\.list\.0\.n cannot be stored for Go/)
    expect(() => gob.as('chan int', 1)).toThrow(TypeError)
  })

  it('refuses cycles, functions and class instances, naming the key', () => {
    const cycle: Record<string, unknown> = {}
    cycle.self = { back: cycle }
    for (const value of [cycle, { f: () => 1 }, { u: new URL('http://a') }, { d: new Date(NaN) }]) {
      expect(() => gob.encode(value)).toThrow(expect.objectContaining({ code: 'ERR_SESSION_UNSERIALIZABLE' }))
    }
  })

  it('refuses what is nested beyond measure, cyclic types and lengths without content', () => {
    const deep = (levels: number): unknown => (levels === 0 ? 1 : [deep(levels - 1)])
    expect(gob.decode(gob.encode(deep(50)))).toEqual(deep(50))
    expect(() => gob.encode(deep(200))).toThrow(expect.objectContaining({ code: 'ERR_SESSION_UNSERIALIZABLE' }))
    // A slice of itself (type 65), and a list of 2^40 elements.
    const cyclic = Buffer.from('0cff81020102ff820001ff8200000000'.slice(0, 26), 'hex')
    const endless = Buffer.concat([gob.encode([]).subarray(0, -1), Buffer.from('fa010000000000', 'hex')])
    for (const bytes of [cyclic, endless, Buffer.alloc(0)]) {
      expect(() => gob.decode(bytes)).toThrow(expect.objectContaining({ code: 'ERR_SESSION_CORRUPT' }))
    }
  })

  it('fails with its own error only, whatever the bytes', () => {
    const start = gob.encode(new Map<string, unknown>([['a', [1, { b: new Date(0) }]]]))
    const noise = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc
        .tuple(fc.nat(start.length), fc.uint8Array({ maxLength: 40 }))
        .map(([at, rest]) => Buffer.concat([start.subarray(0, at), rest]))
    )
    fc.assert(
      fc.property(noise, (bytes) => {
        try {
          gob.decode(bytes)
        } catch (err) {
          expect(err).toMatchObject({ code: 'ERR_SESSION_CORRUPT' })
        }
      }),
      { numRuns: 5000 }
    )
  })
})

describe('securecookie', () => {
  it('decodes what it encodes, with any of its keys, and under no other name', () => {
    const older = securecookie({ hashKey: 'an older hash key', blockKey: Buffer.alloc(16, 1) })
    const codec = securecookie([{ hashKey }, { hashKey: 'an older hash key', blockKey: Buffer.alloc(16, 1) }])
    expect(codec.decode('a', codec.encode('a', { user: 'ann' }))).toEqual({ user: 'ann' })
    expect(codec.decode('a', older.encode('a', { user: 'ann' }))).toEqual({ user: 'ann' })
    const elsewhere = () => codec.decode('b', codec.encode('a', 1))
    expect(elsewhere).toThrow(expect.objectContaining({ code: 'ERR_SESSION_SIGNATURE', kind: 'decode' }))
  })

  it('has an end after 30 days and at 4096 characters, unless told otherwise', () => {
    const codec = securecookie({ hashKey })
    const cookie = codec.encode('a', 1)
    const now = Date.now()
    jest.spyOn(Date, 'now').mockReturnValue(now + 31 * 24 * 60 * 60 * 1000)
    expect(() => codec.decode('a', cookie)).toThrow(expect.objectContaining({ code: 'ERR_SESSION_EXPIRED' }))
    expect(securecookie({ hashKey, maxAge: null }).decode('a', cookie)).toBe(1)
    jest.restoreAllMocks()
    const large = 'x'.repeat(4000)
    expect(() => codec.encode('a', large)).toThrow(expect.objectContaining({ code: 'ERR_SESSION_COOKIE_TOO_LARGE' }))
    expect(securecookie({ hashKey, maxLength: null }).encode('a', large).length).toBeGreaterThan(4096)
  })

  it.each<[string, object, unknown]>([
    ['JSON', { serializer: 'json' }, { user: 'ann', n: [1, null] }],
    ['bytes as they are', { serializer: 'nop' }, Buffer.from([0, 255])],
    ['SHA-512', { hash: 'sha512' }, { user: 'ann' }],
    ['AES-192', { blockKey: Buffer.alloc(24, 1) }, { user: 'ann' }],
    ['triple DES', { block: 'des3', blockKey: Buffer.alloc(24, 'three different keys...!') }, { user: 'ann' }]
  ])('knows %s', (_title, options, value) => {
    const codec = securecookie({ hashKey, ...options })
    expect(codec.decode('a', codec.encode('a', value))).toEqual(value)
    const other = () => securecookie({ hashKey: 'another' }).decode('a', codec.encode('a', value))
    expect(other).toThrow(expect.objectContaining({ code: 'ERR_SESSION_SIGNATURE' }))
  })

  it('quotes nothing of an authentic value that it cannot read', () => {
    const made = securecookie({ hashKey, serializer: 'nop' })
    for (const serializer of ['json', 'gob'] as const) {
      const codec = securecookie({ hashKey, serializer })
      let told = ''
      try {
        codec.decode('a', made.encode('a', Buffer.from('{"card":4111}, and more')))
      } catch (err) {
        told = inspect(err, { showHidden: true })
      }
      expect(told).toContain('ERR_SESSION_CORRUPT')
      expect(told).not.toContain('4111')
    }
  })

  it.each([
    { hash: 'md4' },
    { block: 'des' },
    { serializer: 'xml' },
    { block: 'des3', blockKey: 'short' },
    { hashKey: '' }
  ])('refuses %j at set-up', (options) => {
    expect(() => securecookie({ hashKey, ...options } as any)).toThrow(TypeError)
  })
})
