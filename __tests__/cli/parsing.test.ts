import fc from 'fast-check'
import { table } from '../../lib/cli/command'
import { covers, parseSetCookie } from '../../lib/cli/doctor/cookies'
import { formsOf } from '../../lib/cli/doctor/form'
import { givenCookies } from '../../lib/cli/formats'
import { Cookie, serializeAttributes } from '../../lib/cookie/cookie'
import { processorTime } from '../helpers/processor'

const page = new URL('http://example.org/account/login')

it('reads back every Set-Cookie that this package writes', () => {
  const options = fc.record({
    path: fc.constantFrom('/', '/app', '/app/'),
    domain: fc.constantFrom(undefined, 'example.org', '.example.org'),
    httpOnly: fc.boolean(),
    secure: fc.boolean(),
    sameSite: fc.constantFrom(undefined, true, 'lax', 'none'),
    maxAge: fc.option(fc.integer({ min: 2000, max: 1e12 }))
  })
  fc.assert(
    fc.property(options, fc.string({ minLength: 1 }), (given, value) => {
      const now = Date.now()
      const cookie = new Cookie(given as object)
      const read = parseSetCookie(`sid=${encodeURIComponent(value)}${serializeAttributes(cookie.data)}`, now)
      const sameSite = given.sameSite === true ? 'strict' : given.sameSite
      expect(read).toMatchObject({
        name: 'sid',
        value,
        path: given.path,
        httpOnly: given.httpOnly,
        secure: given.secure
      })
      expect([read.sameSite, read.domain]).toEqual([sameSite, given.domain && 'example.org'])
      expect(read.removes).toBe(false)
      if (given.maxAge === null) expect(read.expires).toBeUndefined()
      else expect(Math.abs(read.expires! - now - given.maxAge)).toBeLessThan(2000)
    })
  )
})

it.each([
  ['sid=; Path=/', true],
  ['sid=x; Max-Age=0', true],
  ['sid=x; Expires=Thu, 01 Jan 1970 00:00:00 GMT', true],
  ['sid=x; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT', false],
  ['sid=x', false]
])('tells whether %s takes a cookie away', (text, removes) => {
  expect(parseSetCookie(text, Date.now()).removes).toBe(removes)
})

it.each([
  ['/', '/anything', true],
  ['/app', '/app', true],
  ['/app', '/app/page', true],
  ['/app', '/application', false],
  ['/app/', '/app', false]
])('knows whether a cookie of %s is sent to %s', (cookiePath, path, sent) =>
  expect(covers(cookiePath, path)).toBe(sent)
)

it('finds the fields of a form as it is written by hand', () => {
  const html = `<form action=/search><input name=q></form>
    <FORM METHOD='post' ACTION="../sign-in?next=%2F&amp;x=1"><input type="hidden" value="a&quot;b&#39;c" name="_csrf">
    <input name="user"><input name=pw type='password'><button name="go">Go</button></FORM>`
  expect(formsOf(html, page)[1]).toEqual({
    action: new URL('http://example.org/sign-in?next=%2F&x=1'),
    method: 'POST',
    hidden: { _csrf: `a"b'c` },
    password: 'pw',
    user: 'user'
  })
})

it('stands what is no HTML and no header, in linear time', () => {
  const texts = fc.oneof(fc.string(), fc.stringMatching(/^(<form |<input |type=|name=|"|'|>|&#?x?|;|=|[a-z0-9])*$/))
  fc.assert(
    fc.property(texts, (text) => {
      formsOf(text, page)
      parseSetCookie(text, Date.now())
    })
  )
  const before = processorTime()
  for (const part of ['<form ', '<input ', '<form><input a="', '&#', 'a='])
    formsOf(`<form>${part.repeat(100_000)}`, page)
  givenCookies(`sid=x${' '.repeat(100_000)}y`, undefined)
  expect(processorTime() - before).toBeLessThan(3000)
})

it('writes tables of more rows than a call takes arguments', () => {
  const text = table(Array.from({ length: 200_000 }, (_, i) => [String(i), 'x']))
  expect([text.slice(0, 10), text.slice(-10)]).toEqual(['0       x\n', '199999  x\n'])
})
