import fc from 'fast-check'
import { copyExact, copyExactly, copyJson, isSameJson } from '../../../lib/record/json'
import { hasSafeKeys } from '../../helpers/json-keys'

// As records come: whoever takes one apart drops `__proto__` first.
const json = fc.jsonValue({ maxDepth: 4 }).filter((value) => {
  const text = JSON.stringify(value)
  return hasSafeKeys(text) && !text.includes('__proto__')
})

const anything = fc
  .anything({ withDate: true, withMap: true, withSparseArray: true, withNullPrototype: true, maxDepth: 3 })
  .filter((value) => hasSafeKeys(stringified(value)))

function stringified(value: unknown): string | undefined {
  try {
    return JSON.stringify(value)
  } catch {
    return undefined
  }
}

function parsed(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value))
}

describe('a copy of JSON', () => {
  it('is the same JSON and shares no object with the original', () => {
    fc.assert(
      fc.property(json, (value) => {
        const kept = parsed(value)
        const copy = copyJson(kept)
        expect(stringified(copy)).toBe(stringified(kept))
        expect(isSameJson(copy, kept)).toBe(true)
        if (typeof kept === 'object' && kept !== null) expect(copy).not.toBe(kept)
      })
    )
  })

  it('counts as the same only when it serializes to the same text', () => {
    fc.assert(
      fc.property(fc.oneof(json, anything), json, (live, value) => {
        const kept = parsed(value)
        if (isSameJson(live, kept)) expect(stringified(live)).toBe(stringified(kept))
      })
    )
  })

  it.each([
    ['another order of keys', { b: 1, a: 2 }, { a: 2, b: 1 }],
    ['a further key', { a: 1, b: undefined }, { a: 1 }],
    ['toJSON', Object.assign([1], { toJSON: () => 2 }), [1]],
    [
      'a class',
      new (class Point {
        x = 1
      })(),
      { x: 1 }
    ],
    ['a Date', new Date(0), '1970-01-01T00:00:00.000Z'],
    ['a list for an object', [], {}],
    ['an object for a list', {}, []]
  ])('takes %s for a difference, or cannot tell', (_, live, kept) => {
    expect(isSameJson(live, kept)).toBe(false)
  })
})

describe('an exact copy', () => {
  it('is what JSON makes of the value, or there is none', () => {
    fc.assert(
      fc.property(fc.oneof(json, anything), (value) => {
        const copy = copyExact(value)
        if (copy !== undefined) expect(copy).toStrictEqual(parsed(value))
      })
    )
  })

  it('exists of everything that comes out of JSON.parse', () => {
    fc.assert(
      fc.property(json, (value) => {
        const kept = parsed(value)
        fc.pre(!stringified(kept)!.includes('__proto__'))
        expect(copyExact(kept)).toStrictEqual(kept)
      })
    )
  })

  it.each([[undefined], [-0], [NaN], [1n], [new Date(0)], [new Map()], [[undefined]], [{ a: [() => 1] }]])(
    'does not exist of %p',
    (value) => expect(copyExact(value)).toBeUndefined()
  )

  it('never carries a prototype over', () => {
    const data = JSON.parse('{"a":1,"__proto__":{"admin":true}}')
    expect(copyExactly(data, 'cookie')).toBeUndefined()
  })
})
