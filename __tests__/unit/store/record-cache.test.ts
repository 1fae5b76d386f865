import { decodeFound, REMEMBERED_MAX } from '../../../lib/store/record-cache'

const data = (n: number) => ({ cookie: { path: '/' }, n })

// Their records have the same place.
const ID = 'session-a'
const OTHER = 'session-904'

describe.each<[string, (n: number) => { text: string; record?: object }]>([
  ['a text', (n) => ({ text: JSON.stringify(data(n)) })],
  ['an object', (n) => ({ text: '', record: data(n) })]
])('the record of %s', (kind, found) => {
  it('comes again when the same session was asked for last in its place, whatever it held', () => {
    decodeFound(found(0), OTHER)
    expect(decodeFound(found(1), ID)).toHaveProperty('comesAgain', false)
    const again = decodeFound(found(1), ID)
    expect(again).toHaveProperty('comesAgain', true)
    expect(decodeFound(found(1), ID)).toBe(again)
    expect(decodeFound(found(2), ID)).toMatchObject({ comesAgain: true, dataText: '{"n":2}' })
    decodeFound(found(0), OTHER)
    expect(decodeFound(found(2), ID)).toHaveProperty('comesAgain', false)
  })
  it('is not kept at hand where it is long', () => {
    const long = () => {
      const record = { ...data(1), long: 'x'.repeat(REMEMBERED_MAX) }
      return kind === 'a text' ? { text: JSON.stringify(record) } : { text: '', record }
    }
    const first = decodeFound(long(), ID)
    const again = decodeFound(long(), ID)
    expect(again).toHaveProperty('dataText', first!.dataText)
    expect(again).not.toBe(first)
  })
})
