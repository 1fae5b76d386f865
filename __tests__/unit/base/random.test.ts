import { randomId, withRandom } from '../../../lib/base/ids'
import { Clock } from '../../helpers/clock'

const take = (length: number) => withRandom(length, (bytes, start, end) => Buffer.from(bytes.subarray(start, end)))

it('never gives the same bytes twice', () => {
  const ids = new Set(Array.from({ length: 20_000 }, () => randomId()))
  expect(ids.size).toBe(20_000)
})

it('wipes what it gave', () => {
  let place: Buffer | undefined
  const copy = withRandom(24, (bytes, start, end) => {
    place = bytes.subarray(start, end)
    return Buffer.from(place)
  })
  expect(copy.equals(Buffer.alloc(24))).toBe(false)
  expect(place!.equals(Buffer.alloc(24))).toBe(true)
})

it('wipes what it gave to somebody who failed', () => {
  let place: Buffer | undefined
  const failing = () =>
    withRandom(24, (bytes, start, end) => {
      place = bytes.subarray(start, end)
      throw new Error('failed')
    })
  expect(failing).toThrow('failed')
  expect(place!.equals(Buffer.alloc(24))).toBe(true)
})

it.each([
  ['a second later', 1000],
  ['after the clock was set back', -1]
])('gives up what it had ready %s: a copy of the process may hand that out', (_, ms) => {
  const clock = new Clock()
  try {
    take(8)
    const ready = withRandom(8, (bytes, _start, end) => Buffer.from(bytes.subarray(end, end + 64)))
    clock.forward(ms)
    withRandom(64, (bytes, start, end) => expect(bytes.subarray(start, end).equals(ready)).toBe(false))
  } finally {
    clock.restore()
  }
})

it('goes on with what it has ready within a second', () => {
  const clock = new Clock()
  try {
    take(8)
    const ready = withRandom(8, (bytes, _start, end) => Buffer.from(bytes.subarray(end, end + 8)))
    clock.forward(900)
    withRandom(8, (bytes, start, end) => expect(bytes.subarray(start, end).equals(ready)).toBe(true))
  } finally {
    clock.restore()
  }
})
