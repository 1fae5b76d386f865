import fc from 'fast-check'
import {
  decodeObject,
  decodeRecord,
  encodeRecord,
  META,
  withCookie,
  withUsedAt,
  type Meta
} from '../../../lib/record/record'
import { hasSafeKeys } from '../../helpers/json-keys'
import { processorTime } from '../../helpers/processor'

const COOKIE = '{"originalMaxAge":60000,"expires":"2030-01-01T00:00:00.000Z","httpOnly":true,"path":"/"}'

const time = fc.nat({ max: 4_000_000_000_000 })
const word = fc.string({ unit: 'binary', maxLength: 20 })
const meta: fc.Arbitrary<Meta> = fc.record(
  { u: time, c: time, h: word, b: word, i: word, d: word },
  { requiredKeys: ['u', 'c'] }
)
const cookie = fc.record(
  { originalMaxAge: fc.option(time), expires: fc.option(word), path: word, domain: word, httpOnly: fc.boolean() },
  { requiredKeys: ['originalMaxAge', 'path'] }
)
/** Data as JSON gives it: what a session has after it was loaded. */
const data = fc
  .dictionary(
    word.filter((key) => key !== 'cookie' && key !== META && key !== '__proto__'),
    fc.jsonValue({ maxDepth: 3 })
  )
  .filter((value) => hasSafeKeys(JSON.stringify(value)))
  .map((value) => JSON.parse(JSON.stringify(value).replaceAll('__proto__', 'proto')) as Record<string, unknown>)

const without = (value: object) => JSON.parse(JSON.stringify(value))

describe('a record', () => {
  it('comes back as it was written', () => {
    fc.assert(
      fc.property(cookie, fc.option(meta, { nil: undefined }), data, (attributes, about, values) => {
        const dataText = JSON.stringify(values)
        const text = encodeRecord(JSON.stringify(attributes), about, dataText)
        const decoded = decodeRecord(text)!
        expect(decoded.cookie).toEqual(without(attributes))
        expect(decoded.meta).toEqual(about === undefined ? undefined : without(about))
        expect(decoded.data).toEqual(values)
        expect(decoded.dataText).toBe(dataText)
        expect(decoded.dataText).toBe(JSON.stringify(decoded.data))
      }),
      { numRuns: 2000 }
    )
  })

  it("is express-session's JSON, the reserved property aside", () => {
    const values = { a: 1, list: [1, { b: null }], text: '\u20ac "quoted"' }
    const text = encodeRecord(COOKIE, undefined, JSON.stringify(values))
    expect(text).toBe(JSON.stringify({ cookie: JSON.parse(COOKIE), ...values }))
    const { [META]: reserved, ...rest } = JSON.parse(encodeRecord(COOKIE, { u: 2, c: 1 }, JSON.stringify(values)))
    expect(reserved).toEqual({ u: 2, c: 1 })
    expect(JSON.stringify(rest)).toBe(text)
  })

  it('comes back the same when the reserved property is not in second place', () => {
    const decoded = decodeRecord(`{"cookie":${COOKIE},"a":1,"${META}":{"u":2,"c":1},"b":2}`)!
    expect(decoded.meta).toEqual({ u: 2, c: 1 })
    expect(decoded.dataText).toBe('{"a":1,"b":2}')
  })

  it.each([
    ['a user', encodeRecord(COOKIE, { u: 1, c: 1, i: 'x},y}' }, '{"a":1}')],
    ['a path', encodeRecord('{"originalMaxAge":null,"path":"/},x"}', undefined, '{"a":1}')],
    ['an escaped quote', encodeRecord('{"originalMaxAge":null,"path":"\\"},\\""}', undefined, '{"a":1}')],
    ['a nested object', `{"cookie":{"originalMaxAge":null,"x":{},"path":"/"},"a":1}`]
  ])('is not cut at a brace inside %s', (_where, text) => {
    expect(decodeRecord(text)!.dataText).toBe('{"a":1}')
    expect(JSON.parse(withCookie(text, '{"path":"/b"}'))).toMatchObject({ cookie: { path: '/b' }, a: 1 })
  })

  it('never takes its metadata from the data', () => {
    const planted = JSON.stringify({ a: 1, [META]: { u: 9e15, c: 9e15, d: 'victim', i: 'admin' }, b: 2 })
    expect(decodeRecord(encodeRecord(COOKIE, { u: 2, c: 1 }, planted))).toMatchObject({
      meta: { u: 2, c: 1 },
      dataText: '{"a":1,"b":2}'
    })
    expect(decodeRecord(encodeRecord(COOKIE, undefined, planted))!.meta).toBeUndefined()
    const nested = JSON.stringify({ a: { [META]: 1 } })
    expect(decodeRecord(encodeRecord(COOKIE, undefined, nested))!.dataText).toBe(nested)
  })

  it('can be decoded from an object', () => {
    fc.assert(
      fc.property(meta, data, (about, values) => {
        const record = { cookie: JSON.parse(COOKIE), [META]: about, ...values }
        const decoded = decodeObject(record)!
        expect(decoded.data).toEqual(values)
        expect(decoded.meta).toEqual(about)
        expect(decoded.dataText).toBe(JSON.stringify(values))
      })
    )
  })
})

describe('what is not a record', () => {
  it.each([
    '',
    '{"cookie":{',
    '\u0000\u00ff',
    'null',
    '42',
    '"s"',
    '[]',
    '{}',
    '{"cookie":null}',
    '{"cookie":"x"}',
    '{"cookie":[]}',
    `{"cookie":{},"${META}":null}`,
    `{"cookie":{},"${META}":1}`,
    `{"cookie":{},"${META}":{"u":1}}`,
    `{"cookie":{},"${META}":{"u":"1","c":"1"}}`,
    '{"cookie":{}}x'
  ])('is refused without an exception: %j', (text) => expect(decodeRecord(text)).toBeUndefined())

  it('is refused as an object', () => {
    const cycle: Record<string, unknown> = { cookie: {} }
    cycle.self = cycle
    const throwing = {
      cookie: {},
      get a() {
        throw new Error('no')
      }
    }
    const all = [undefined, null, 1, 'x', [], {}, { cookie: 1 }, cycle, throwing, { cookie: {}, a: 1n }]
    for (const value of all) expect(decodeObject(value)).toBeUndefined()
  })

  it('never makes the decoder throw', () => {
    const text = `{"cookie":${COOKIE},"${META}":{"u":1,"c":1},"a":{"__proto__":[1,"\\u005f"]}}`
    const mutant = fc
      .array(fc.record({ at: fc.nat(text.length), cut: fc.nat(8), put: fc.string({ unit: 'binary', maxLength: 4 }) }))
      .map((edits) => edits.reduce((t, { at, cut, put }) => t.slice(0, at) + put + t.slice(at + cut), text))
    fc.assert(
      fc.property(fc.oneof(mutant, fc.json().filter(hasSafeKeys), fc.string({ unit: 'binary' })), (input) => {
        const decoded = decodeRecord(input)
        expect(decoded === undefined || typeof decoded.cookie === 'object').toBe(true)
      }),
      { numRuns: 10_000 }
    )
  })

  it('does not take long to refuse', () => {
    const before = processorTime()
    const hostile = `{"cookie":{${'"\\\\'.repeat(100_000)}`
    for (const text of [
      hostile,
      `{"cookie":{"a":"${'{'.repeat(200_000)}"},"b":1`,
      `{"cookie":${'{"a":'.repeat(5000)}`
    ]) {
      expect(decodeRecord(text)).toBeUndefined()
    }
    expect(processorTime() - before).toBeLessThan(1000)
  })
})

describe('__proto__ in a record', () => {
  const spellings = [
    '__proto__',
    '\\u005f_proto__',
    '_\\u005Fproto__',
    '__\\u0070roto__',
    '__prot\\u006F__',
    '__pr\\u006fto_\\u005f'
  ]

  it.each(spellings)('is dropped at every depth when spelled %s', (spelling) => {
    const bad = `"${spelling}":{"admin":true}`
    const text = `{"cookie":${COOKIE},${bad},"a":{${bad},"list":[{${bad},"x":1}]}}`
    const { data: values, dataText } = decodeRecord(text)!
    expect(dataText).toBe('{"a":{"list":[{"x":1}]}}')
    expect(Object.keys(values)).toEqual(['a'])
    for (const object of [values, values.a as object, Object.assign({}, values.a)]) {
      expect(Object.getPrototypeOf(object)).toBe(Object.prototype)
      expect((object as { admin?: true }).admin).toBeUndefined()
    }
    const fromObject = decodeObject(JSON.parse(text))!
    expect(fromObject.dataText).toBe(dataText)
    expect(Object.hasOwn(fromObject.data, '__proto__')).toBe(false)
  })

  it('is kept where it is only text', () => {
    const values = { a: 'mentions __proto__', b: '\u001b[0m' }
    expect(decodeRecord(encodeRecord(COOKIE, undefined, JSON.stringify(values)))!.data).toEqual(values)
  })
})

describe('withUsedAt', () => {
  it('changes the time of last use and nothing else', () => {
    fc.assert(
      fc.property(meta, data, time, (about, values, usedAt) => {
        const dataText = JSON.stringify(values)
        expect(withUsedAt(encodeRecord(COOKIE, about, dataText), usedAt)).toBe(
          encodeRecord(COOKIE, { ...about, u: usedAt }, dataText)
        )
      }),
      { numRuns: 1000 }
    )
  })

  it('leaves a text without metadata alone', () => {
    const text = encodeRecord(COOKIE, undefined, '{"a":1}')
    expect(withUsedAt(text, 5)).toBe(text)
    expect(withUsedAt('no record', 5)).toBe('no record')
  })
})

describe('withCookie', () => {
  it('changes the cookie and nothing else', () => {
    fc.assert(
      fc.property(fc.option(meta, { nil: undefined }), data, cookie, (about, values, other) => {
        const dataText = JSON.stringify(values)
        const replaced = withCookie(encodeRecord(COOKIE, about, dataText), JSON.stringify(other))
        expect(replaced).toBe(encodeRecord(JSON.stringify(other), about, dataText))
      })
    )
  })

  it('leaves alone what is not a record', () => expect(withCookie('no record', COOKIE)).toBe('no record'))
})
