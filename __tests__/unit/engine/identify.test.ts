import { KeyRing } from '../../../lib/cookie/keys'
import { chooseToken, coversRequest, isSecure, presentedValues } from '../../../lib/engine/identify'
import { expressSession } from '../../../lib/doors/express-session'
import { modern } from '../../../lib/doors/sessions'
import type { Settings } from '../../../lib/options/settings'
import type { Tokens } from '../../../lib/tokens/tokens'

const keys = new KeyRing('k'.repeat(32))

/** Takes `<id>` for authentic, `<id>~` for a token of an older key, and what begins with `!` for forged. */
const verify = (value: string) =>
  value.startsWith('!')
    ? ('ERR_SESSION_SIGNATURE' as const)
    : { id: value.replace('~', ''), stale: value.endsWith('~'), value }
const tokens = { verify } as unknown as Tokens
const later = { verify: async (value: string) => verify(value) } as unknown as Tokens

describe('the token that is believed', () => {
  const AMBIGUOUS = 'ERR_SESSION_AMBIGUOUS'
  const FORGED = 'ERR_SESSION_SIGNATURE'

  it.each<[values: string[], ofSessions: string | undefined, ofExpress: string | undefined]>([
    [[], undefined, undefined],
    [['a'], 'a', 'a'],
    [['!'], FORGED, FORGED],
    [['!', '!'], FORGED, FORGED],
    [['!', 'a'], 'a', 'a'],
    [['a', '!'], 'a', 'a'],
    [['!', 'a', '!'], 'a', 'a'],
    [['a', 'a'], 'a', 'a'],
    [['a~', 'a'], 'a~', 'a~'],
    [['a', 'b'], AMBIGUOUS, 'a'],
    [['!', 'b', 'a'], AMBIGUOUS, 'b'],
    [['a', '!', 'b'], AMBIGUOUS, 'a'],
    [['a', 'b', 'a'], AMBIGUOUS, 'a']
  ])('of %j is %p, at the drop-in door %p', async (values, ofSessions, ofExpress) => {
    const presented = { values, viaHeader: false }
    for (const [door, expected] of [
      [modern, ofSessions],
      [expressSession, ofExpress]
    ] as const) {
      for (const kind of [tokens, later]) {
        const choice: any = await chooseToken(presented, { door, tokens: kind } as Settings, keys)
        expect(choice?.value ?? choice).toBe(expected)
      }
    }
  })
})

describe('the values of a request', () => {
  const cookieOnly = { name: 'sid', acceptsCookie: true, header: undefined }
  const headerOnly = { name: 'sid', acceptsCookie: false, header: 'x-session', mainHeader: 'x-session' }
  const both = { ...headerOnly, acceptsCookie: true }
  const named = { ...both, name: 'cart', header: 'x-session-cart' }

  it.each<[settings: object, headers: object | undefined, values: string[], viaHeader: boolean]>([
    [cookieOnly, undefined, [], false],
    [cookieOnly, {}, [], false],
    [cookieOnly, { cookie: 'sid=a; sid=b' }, ['a', 'b'], false],
    [cookieOnly, { cookie: ['sid=a', 'sid=b'] }, ['a', 'b'], false],
    [cookieOnly, { cookie: 'other=a' }, [], false],
    [cookieOnly, { 'x-session': 'a' }, [], false],
    [headerOnly, { 'x-session': 'a' }, ['a'], true],
    [headerOnly, { cookie: 'sid=a' }, [], true],
    [both, { cookie: 'sid=a' }, ['a'], false],
    [both, { 'x-session': 'a', cookie: 'sid=b' }, ['a'], true],
    [both, { 'x-session': '', cookie: 'sid=b' }, [], true],
    [both, { 'x-session': ['a', 'b'] }, [], true],
    [named, { 'x-session-cart': 'a' }, ['a'], true],
    [named, { 'x-session': 'a', cookie: 'cart=b' }, [], true]
  ])('with %j and the headers %j are %j (header transport: %p)', (settings, headers, values, viaHeader) => {
    expect(presentedValues({ headers } as never, settings as Settings)).toEqual({ values, viaHeader })
  })
})

// The TLS of the connection, the option proxy, Express's own answer, and X-Forwarded-Proto.
it.each<[tls: boolean, proxy: boolean | undefined, express: boolean | undefined, header: string, secure: boolean]>([
  [true, false, false, 'http', true],
  [false, undefined, undefined, 'https', false],
  [false, undefined, true, '', true],
  [false, undefined, false, 'https', false],
  [false, false, true, 'https', false],
  [false, true, false, 'https', true],
  [false, true, false, 'HTTPS , http', true],
  [false, true, false, 'http, https', false],
  [false, true, true, '', false]
])('a request (TLS %p, proxy %p, req.secure %p, header %j) is secure: %p', (tls, proxy, secure, header, expected) => {
  const req: any = { connection: { encrypted: tls }, secure, headers: { 'x-forwarded-proto': header } }
  expect(isSecure(req, proxy)).toBe(expected)
})

it.each<[url: string, path: string, ofSessions: boolean, ofExpress: boolean]>([
  ['/', '/', true, true],
  ['/any', '/', true, true],
  ['/admin', '/admin', true, true],
  ['/admin/', '/admin', true, true],
  ['/admin/x', '/admin', true, true],
  ['/admin?x=1', '/admin', true, true],
  ['/administrator', '/admin', false, true],
  ['/admin/x', '/admin/', true, true],
  ['/admin', '/admin/', false, false],
  ['/', '/admin', false, false],
  ['/x?/admin', '/admin', false, false],
  ['http://host/admin/x', '/admin', true, true]
])('a request for %s is within the path %s: %p, at the drop-in door %p', (originalUrl, path, ofSessions, ofExpress) => {
  const req = { originalUrl, headers: {} } as never
  expect(coversRequest(req, path, { door: modern } as Settings)).toBe(ofSessions)
  expect(coversRequest(req, path, { door: expressSession } as Settings)).toBe(ofExpress)
})
