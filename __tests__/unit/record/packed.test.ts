import fc from 'fast-check'
import { packRecord, unpackRecord } from '../../../lib/record/packed'
import { encodeRecord } from '../../../lib/record/record'

// As `sessions()` writes it; the digits of the metadata are the same for all.
const attributes = (secure: unknown) =>
  JSON.stringify({ originalMaxAge: null, expires: null, secure, httpOnly: true, path: '/', sameSite: 'lax' })
const meta = { u: 1795918441303, c: 1795918441303, d: 'abc' }

describe('a packed record', () => {
  it('comes back as it was, however it begins', () => {
    const cookie = fc.oneof(
      fc.constantFrom(false, true, 'auto', undefined).map(attributes),
      fc.jsonValue().map((value) => JSON.stringify({ value }))
    )
    fc.assert(
      fc.property(
        cookie,
        fc.option(fc.constant(meta), { nil: undefined }),
        fc.dictionary(fc.string(), fc.jsonValue()),
        (...of) => {
          const [cookieText, metadata, data] = of
          const text = encodeRecord(cookieText, metadata, JSON.stringify(data))
          expect(unpackRecord(packRecord(text))).toBe(text)
        }
      )
    )
  })

  // Values in browsers begin so: a letter never comes to mean anything else.
  it.each([
    ['a', false],
    ['b', true],
    ['c', 'auto']
  ])('begins with %s where the cookie is as usual and secure is %s', (letter, secure) => {
    const text = encodeRecord(attributes(secure), meta, '{"n":1}')
    expect(packRecord(text)).toBe(`${letter}1795918441303,"c":1795918441303,"d":"abc"},"n":1}`)
  })

  it('is the text itself where the cookie is another', () => {
    const text = encodeRecord('{"originalMaxAge":1000,"path":"/"}', meta, '{"n":1}')
    expect(packRecord(text)).toBe(text)
  })
})
