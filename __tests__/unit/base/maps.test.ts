import fc from 'fast-check'
import { BoundedMap } from '../../../lib/base/maps'

const MAX = 4
const key = fc.integer({ min: 0, max: 9 })
const action = fc.oneof(
  { weight: 4, arbitrary: fc.record({ verb: fc.constant('set' as const), key }) },
  { weight: 1, arbitrary: fc.record({ verb: fc.constant('delete' as const), key }) }
)

describe('a map of what was set lately', () => {
  it('holds the latest entries, never an outdated one, and no more than twice as many', () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const map = new BoundedMap<number, number>(MAX)
        const all = new Map<number, number>()
        actions.forEach(({ verb, key }, time) => {
          if (verb === 'set') map.set(key, time)
          else map.delete(key)
          all.delete(key)
          if (verb === 'set') all.set(key, time)
        })
        const found = [...Array(10).keys()].filter((key) => map.get(key) !== undefined)
        for (const key of found) expect(map.get(key)).toBe(all.get(key))
        for (const key of [...all.keys()].slice(-MAX)) expect(found).toContain(key)
        expect(found.length).toBeLessThanOrEqual(2 * MAX)
      })
    )
  })
})
