import { decodeRecord } from '../../../lib/record/record'
import { changesOf } from '../../../lib/session/data'
import { processorTime } from '../../helpers/processor'

describe('changes of data', () => {
  const recordOf = (data: object, comesAgain = true) =>
    Object.assign(decodeRecord(JSON.stringify({ cookie: { path: '/' }, ...data }))!, { comesAgain })

  it.each<[string, object]>([
    ['nothing', { a: 1, b: { c: [2] }, d: 'x' }],
    ['a value', { a: 1, b: { c: [3] }, d: 'x' }],
    ['a property less', { b: { c: [2] }, d: 'x' }],
    ['a property more', { a: 1, b: { c: [2] }, d: 'x', 1: true }],
    ['their order', { d: 'x', b: { c: [2] }, a: 1 }]
  ])('are what all of it would be written as (%s)', (_what, data) => {
    const before = { a: 1, b: { c: [2] }, d: 'x' }
    const changes = changesOf(data, recordOf(before))
    const text = JSON.stringify(data)
    expect(changes).toEqual(
      text === JSON.stringify(before)
        ? 'none'
        : {
            text,
            keys: Object.keys(data),
            values: Object.values(data),
            parts: Object.entries(data).map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`)
          }
    )
  })

  it('are not taken apart for a session that nobody has asked for lately', () => {
    expect(changesOf({ a: 1 }, recordOf({ a: 1 }, false))).toBe('none')
    expect(changesOf({ a: 2 }, recordOf({ a: 1 }, false))).toBeUndefined()
  })

  it('are found in time that grows with the properties alone, wherever one was removed', () => {
    const data = Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`k${i}`, i]))
    const record = recordOf(data)
    delete data.k0
    const before = processorTime()
    expect(changesOf(data, record)).toHaveProperty('text', JSON.stringify(data))
    expect(processorTime() - before).toBeLessThan(2000)
  })
})
