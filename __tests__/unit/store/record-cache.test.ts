import { decodeFound, REMEMBERED_MAX } from '../../../lib/store/record-cache'

const data = (n: number) => ({ cookie: { path: '/' }, n })

describe.each<[string, (n: number) => { text: string; record?: object }]>([
  ['a text', (n) => ({ text: JSON.stringify(data(n)) })],
  ['an object', (n) => ({ text: '', record: data(n) })]
])('the record of %s', (kind, found) => {
  const ID = `a session of ${kind}`
  it('comes again when the same session was asked for lately, whatever it held', () => {
    expect(decodeFound(found(1), ID)).toHaveProperty('comesAgain', false)
    const again = decodeFound(found(1), ID)
    expect(again).toHaveProperty('comesAgain', true)
    expect(decodeFound(found(1), ID)).toBe(again)
    expect(decodeFound(found(2), ID)).toMatchObject({ comesAgain: true, dataText: '{"n":2}' })
  })
  it('stays while a few hundred other sessions are asked for, and makes room for more', () => {
    const ask = (name: string, count: number) => {
      for (let i = 0; i < count; i++) decodeFound(found(0), `${name} ${kind} ${i}`)
    }
    const first = decodeFound(found(3), ID)
    ask('one of the others', 500)
    expect(decodeFound(found(3), ID)).toBe(first)
    ask('one of many', 1100)
    expect(decodeFound(found(3), ID)).toHaveProperty('comesAgain', false)
  })
  it('is told by the end of an ID that is long', () => {
    const long = `${'x'.repeat(5000)} of ${kind}`
    expect(decodeFound(found(1), long)).toBe(decodeFound(found(1), long))
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
