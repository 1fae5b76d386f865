import fc from 'fast-check'
import { mergeData } from '../../../lib/record/merge'

type Data = Record<string, unknown>

const NONE = Symbol('absent')
const dataOf = (value: unknown): Data => (value === NONE ? {} : { key: value })

/** One key as a request found it, as it leaves it, as another has stored it meanwhile, and what becomes of it. */
const KEYS: [string, base: unknown, ours: unknown, theirs: unknown, merged: unknown][] = [
  ['nobody changed it', 1, 1, 1, 1],
  ['we changed it', 1, 2, 1, 2],
  ['they changed it', 1, 1, 2, 2],
  ['both changed it alike', 1, 2, 2, 2],
  ['both changed it: the later save wins', 1, 2, 3, 2],
  ['we added it', NONE, 1, NONE, 1],
  ['they added it', NONE, NONE, 1, 1],
  ['both added it: the later save wins', NONE, 1, 2, 1],
  ['we removed it', 1, NONE, 1, NONE],
  ['they removed it', 1, 1, NONE, NONE],
  ['both removed it', 1, NONE, NONE, NONE],
  ['we removed what they changed', 1, NONE, 2, NONE],
  ['we changed what they removed', 1, 2, NONE, 2],
  ['we set it to null', 1, null, 2, null],
  ['they set it to null', 1, 1, null, null],
  ['each set a key of an object', { a: 0 }, { a: 0, b: 1 }, { a: 0, c: 2 }, { a: 0, b: 1, c: 2 }],
  ['each removed a key of an object', { a: 0, b: 0, c: 0 }, { b: 0, c: 0 }, { a: 0, c: 0 }, { c: 0 }],
  ['both began the object', NONE, { b: 1 }, { c: 2 }, { b: 1, c: 2 }],
  ['each set a key of an object in an object', { a: {} }, { a: { b: 1 } }, { a: { c: 2 } }, { a: { b: 1, c: 2 } }],
  ['we emptied an object that they filled', { a: 0 }, {}, { a: 0, b: 1 }, { b: 1 }],
  ['the keys of an object are in another order', { a: 0, b: 1 }, { b: 1, a: 0 }, { a: 2, b: 1 }, { a: 2, b: 1 }],
  ['an array is one value', [1], [1, 2], [1, 3], [1, 2]],
  ['an array of the same is no change', [1, { a: 2 }], [1, { a: 2 }], [3], [3]],
  ['we made an object of a scalar', 1, { a: 1 }, 2, { a: 1 }],
  ['we made a scalar of an object', { a: 1 }, 2, { a: 1, b: 2 }, 2],
  ['they made a scalar of an object that we changed', { a: 1 }, { a: 2 }, 3, { a: 2 }],
  ['we made an object of an array', [1], { a: 1 }, { b: 1 }, { a: 1, b: 1 }]
]

it.each(KEYS)('merges a key: %s', (_what, base, ours, theirs, merged) => {
  expect(mergeData(dataOf(base), dataOf(ours), dataOf(theirs))).toEqual(dataOf(merged))
})

it('takes names of the properties of any object for what they are', () => {
  expect(mergeData({}, { constructor: 1 }, { toString: 2 })).toEqual({ constructor: 1, toString: 2 })
  expect(Object.keys(mergeData({ valueOf: 1 }, {}, { valueOf: 1 }))).toEqual([])
})

it('makes no prototype of what is called __proto__', () => {
  const parsed = JSON.parse('{"prefs":{"__proto__":{"admin":true},"a":1}}') as Data
  const { prefs } = mergeData({ prefs: {} }, parsed, { prefs: { b: 2 } }) as { prefs: { admin?: true } }
  expect(prefs).toEqual({ a: 1, b: 2 })
  expect(prefs.admin).toBeUndefined()
})

describe('for any data', () => {
  const name = fc.constantFrom('a', 'b', 'c', 'constructor', '1')
  const value = fc.letrec<{ value: unknown; object: Data }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.constantFrom(null, 0, 1, '', 'x'),
      fc.array(tie('value')),
      tie('object')
    ),
    object: fc.dictionary(name, tie('value'), { maxKeys: 4 })
  }))
  const data = value.object.map((object) => JSON.parse(JSON.stringify(object)) as Data)

  it('gives theirs where we changed nothing, and ours where they did not', () => {
    fc.assert(
      fc.property(data, data, (base, other) => {
        expect(mergeData(base, structuredClone(base), other)).toEqual(other)
        expect(mergeData(base, other, base)).toEqual(other)
      })
    )
  })

  it('keeps both of what two set under different names', () => {
    fc.assert(
      fc.property(data, value.value, value.value, (base, mine, other) => {
        const merged = mergeData(base, { ...base, mine }, { ...base, other })
        expect(merged).toEqual({ ...base, mine, other })
      })
    )
  })

  it('lets the later save win where both set a scalar', () => {
    fc.assert(
      fc.property(data, data, data, name, fc.integer(), (base, ours, theirs, key, late) => {
        fc.pre(base[key] !== late)
        expect(mergeData(base, { ...ours, [key]: late }, theirs)[key]).toBe(late)
      })
    )
  })

  it('changes none of what it is given', () => {
    fc.assert(
      fc.property(data, data, data, (base, ours, theirs) => {
        const before = JSON.stringify([base, ours, theirs])
        mergeData(base, ours, theirs)
        expect(JSON.stringify([base, ours, theirs])).toBe(before)
      })
    )
  })
})
