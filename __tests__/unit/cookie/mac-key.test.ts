import { createHmac, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { MacKey } from '../../../lib/cookie/mac-key'

const keyBytes = fc.uint8Array({ minLength: 1, maxLength: 64 })
const texts = fc.array(fc.string({ unit: 'binary', maxLength: 300 }), { minLength: 1, maxLength: 5 })

describe('MacKey', () => {
  it('makes HMAC-SHA256 of one text after the other, longer or shorter than the last one', () => {
    fc.assert(
      fc.property(keyBytes, texts, (bytes, all) => {
        const key = new MacKey(bytes)
        for (const text of all) {
          expect(key.of(text)).toBe(createHmac('sha256', bytes).update(text).digest('base64url'))
        }
      }),
      { numRuns: 500 }
    )
  })

  it('takes half a surrogate pair as Node does, and a text that fills its room', () => {
    const bytes = Buffer.alloc(32, 7)
    const key = new MacKey(bytes)
    for (const text of ['\ud800', '\uffff'.repeat(1000), '', 'a'.repeat(3000)]) {
      expect(key.of(text)).toBe(createHmac('sha256', bytes).update(text).digest('base64url'))
    }
  })

  it('keeps its key out of the memory that small Buffers share', () => {
    const bytes = randomBytes(32)
    new MacKey(bytes).of('a text')
    const shared = Buffer.from(Buffer.from('x').buffer)
    for (const pad of [0x36, 0x5c]) expect(shared.includes(bytes.map((byte) => byte ^ pad) as Buffer)).toBe(false)
  })

  it('refuses a key that would have to be hashed first', () => {
    expect(() => new MacKey(new Uint8Array(65))).toThrow('out of bounds')
  })
})
