import fc from 'fast-check'
import { cookieValues } from '../../../lib/engine/identify'

/** What stands under the name `sid`, in the order sent (RFC 6265 5.4). */
const HEADERS: [string, header: string, values: string[]][] = [
  ['nothing', '', []],
  ['one cookie', 'sid=a', ['a']],
  ['one of several', 'x=1; sid=a; y=2', ['a']],
  ['several of the name', 'sid=a; x=1; sid=b', ['a', 'b']],
  ['the same twice', 'sid=a; sid=a', ['a', 'a']],
  ['an empty value', 'sid=', ['']],
  ['an empty value before the next', 'sid=; sid=a', ['', 'a']],
  ['no equals sign', 'sid', []],
  ['another case', 'SID=a', []],
  ['a longer name', 'sids=a', []],
  ['a name that ends with it', 'xsid=a', []],
  ['an empty name', '=sid=a', []],
  ['no blank between', 'x=1;sid=a;y=2', ['a']],
  ['blanks and tabs around all', ' \tsid \t= \ta \t; x=1', ['a']],
  ['empty pairs', ';; ;sid=a;;', ['a']],
  ['an equals sign in the value', 'sid=a=b', ['a=b']],
  ['a blank in the value', 'sid=a b', ['a b']],
  ['quotes', 'sid="a"', ['a']],
  ['quotes without anything', 'sid=""', ['']],
  ['one quote', 'sid="', ['"']],
  ['a quote at one end', 'sid="a', ['"a']],
  ['a semicolon in quotes, which ends it', 'sid="a;b"', ['"a']],
  ['its name within the value of another', 'x=sid=a', []],
  ['its name within the quotes of another', 'x="y; sid=a; z"', ['a']],
  ['a percent encoding', 'sid=s%3Aa%20b', ['s:a b']],
  ['a broken percent encoding, left as it is', 'sid=%E0%A4%A', ['%E0%A4%A']],
  ['a lone percent sign, left as it is', 'sid=100%', ['100%']],
  ['an attribute of RFC 2965', '$Version=1; sid=a; $Path=/', ['a']],
  ['a blank that is none (U+00A0)', '\u00a0sid=a', []]
]

it.each(HEADERS)('reads %s', (_what, header, values) => {
  expect(cookieValues(header, 'sid')).toEqual(values)
})

it('reads 16 cookies of one name and no more', () => {
  const header = Array.from({ length: 20 }, (_, i) => `sid=${i}`).join('; ')
  expect(cookieValues(header, 'sid')).toEqual(Array.from({ length: 16 }, (_, i) => String(i)))
})

it('takes a value longer than any browser keeps for an empty one', () => {
  expect(cookieValues(`sid=${'a'.repeat(3 * 4096)}`, 'sid')[0]).toHaveLength(3 * 4096)
  expect(cookieValues(`sid=${'a'.repeat(3 * 4096 + 1)}; sid=b`, 'sid')).toEqual(['', 'b'])
})

it('reads what a plain parser reads, whatever the header', () => {
  const trimmed = (text: string) => text.replace(/^[ \t]+|[ \t]+$/g, '')
  const plain = (header: string) =>
    header.split(';').flatMap((pair) => {
      const at = pair.indexOf('=')
      if (at === -1 || trimmed(pair.slice(0, at)) !== 'sid') return []
      const value = trimmed(pair.slice(at + 1)).replace(/^"([^]*)"$/, '$1')
      try {
        return [decodeURIComponent(value)]
      } catch {
        return [value]
      }
    })
  const piece = fc.constantFrom('sid', 'sid=', '=', ';', '; ', ' ', '\t', '"', 'x', '%3A', '%', 'y=1')
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
      const header = pieces.join('')
      expect(cookieValues(header, 'sid')).toEqual(plain(header))
    }),
    { numRuns: 2000 }
  )
})
