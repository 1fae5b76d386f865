import { createHmac } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import signature from 'cookie-signature'
import fc from 'fast-check'
import request from 'supertest'
import { authenticate, claimedId, formOf, givenCookies } from '../../lib/cli/formats'
import { KeyRing } from '../../lib/cookie/keys'
import { securecookie } from '../../lib/gorilla'
import { CookieStore, sessions } from '../../lib/index'
import { SqliteStore } from '../../lib/sqlite'
import { sessionCookie } from '../../lib/testing'
import { appWith, secret as first } from '../helpers/app'
import { silverback } from '../helpers/command-line'
import { TestFolder } from '../helpers/folder'

const second = 'another secret for tests, 32 bytes or more'
const BOTH = ['--secret-env', 'NEW', '--secret-env', 'OLD']
const env = { NEW: second, OLD: first }
const folder = new TestFolder()
afterAll(() => folder.remove())

const decode = (cookie: string, ...flags: string[]) =>
  silverback(['decode', cookie, ...BOTH, '--json', ...flags], { env })
const id = 'Zk3_8dhsY2kxYmE0Zk3_8dhsY2kxYmE0'

/** A cookie of each kind, made by the first secret, which is the old one. */
const KINDS: Record<string, () => Promise<string> | string> = {
  'express-session': () => `connect.sid=${encodeURIComponent(`s:${signature.sign(id, first)}`)}`,
  bound: () => `sid=${new KeyRing(first).signBound('sid', id)}`,
  sealed: () => sessionCookie(sessions({ secret: first, store: new CookieStore() }), { note: 'private' }),
  signed: () =>
    sessionCookie(sessions({ secret: first, store: new CookieStore({ encrypt: false }) }), { note: 'private' }),
  securecookie: () => `session=${securecookie({ hashKey: first }).encode('session', new Map([['note', 'private']]))}`,
  'cookie-session': () => {
    const value = Buffer.from('{"note":"private"}').toString('base64')
    const mac = createHmac('sha1', first).update(`session=${value}`).digest('base64url')
    return `session=${value}; session.sig=${mac}`
  }
}

describe.each(Object.keys(KINDS))('a cookie of the form %s', (form) => {
  let cookie: string
  beforeAll(async () => void (cookie = await KINDS[form]!()))

  it('is authentic by its own secret, of which the position is told', async () => {
    expect(await decode(cookie)).toMatchObject({ exit: 0, json: { form, authentic: true, secret: 2 } })
    const { out } = await silverback(['decode', '-', ...BOTH], { env, input: `Cookie: ${cookie}\n` })
    expect(out).toMatch(/authentic +yes, by secret 2 of 2/)
    for (const text of [first, second, id, 'private']) expect(out).not.toContain(text)
  })

  it('is found among others in the line of a Cookie header, of which some look like it', async () => {
    const other = new KeyRing('the secret of somebody else who signs').signBound('token', id)
    const line = `Cookie: theme=dark; token=${other}; ${cookie}; _ga=GA1.2.3`
    expect(await decode(line)).toMatchObject({ exit: 0, json: { form, authentic: true, secret: 2 } })
    expect(await silverback(['decode', `theme=dark; ${cookie}`, '--json'], {})).toMatchObject({ json: { form } })
  })

  it('is not when it was changed, or with other secrets', async () => {
    const at = cookie.indexOf('=') + 12
    const changed = cookie.slice(0, at) + (cookie[at] === 'A' ? 'B' : 'A') + cookie.slice(at + 1)
    const { exit, json } = await decode(changed)
    expect([exit, json.authentic ?? null]).toEqual([1, json.form === null ? null : false])
    expect(await silverback(['decode', cookie], { env: { SESSION_SECRET: second } })).toMatchObject({ exit: 1 })
  })

  it('is told by its looks alone where no secret is given', async () => {
    const { exit, json } = await silverback(['decode', cookie, '--json'])
    expect([exit, json.form, json.authentic]).toEqual([0, form, undefined])
  })

  it('gives its ID and data only when it is told to', async () => {
    const { json } = await decode(cookie, '--show-ids', '--show-data')
    if (form === 'express-session' || form === 'bound') expect(json.id).toBe(id)
    else expect(json.data).toEqual({ note: 'private' })
    expect(JSON.stringify((await decode(cookie)).json)).not.toMatch(`${id}|private`)
  })
})

it('is bound to its name where its form says so', async () => {
  const value = new KeyRing(first).signBound('sid', id)
  expect(await decode(`other=${value}`)).toMatchObject({ exit: 1, json: { authentic: false } })
  expect(await decode(value)).toMatchObject({ exit: 0, json: { name: 'sid' } })
  expect(await decode(value, '--name', 'other')).toMatchObject({ exit: 1 })
})

describe('the end', () => {
  it('of a session in its cookie is that of the defaults', async () => {
    const { json } = await decode(await KINDS.sealed!())
    const left = Date.parse(json.endsAt) - Date.now()
    expect(left).toBeGreaterThan(86_390_000)
    expect(left).toBeLessThanOrEqual(86_400_000)
  })

  it('of a signed ID is known to its store', async () => {
    const path = folder.at('sessions.db')
    const store = new SqliteStore({ path })
    const auth = sessions({ secret: first, store })
    const cookie = await sessionCookie(auth, { note: 'private' })
    expect((await silverback(['decode', cookie, ...BOTH], { env })).out).toMatch(/ends +as the store says/)
    const { json } = await decode(cookie, '--store', `sqlite:${path}`)
    expect(Date.parse(json.endsAt) - Date.now()).toBeGreaterThan(86_390_000)
    await request(appWith(auth, { '/': (req, res) => req.session.destroy(() => res.end()) }))
      .get('/')
      .set('Cookie', cookie)
    const { out } = await silverback(['decode', cookie, ...BOTH, '--store', `sqlite:${path}`], { env })
    expect(out).toMatch(/ends +there is no such session/)
    await store.close()
  })
})

it('takes secrets from files, one a line, and in other spellings', async () => {
  const file = folder.at('secrets')
  writeFileSync(file, `${second}\n${first}\n`)
  const cookie = await KINDS.bound!()
  expect(await silverback(['decode', cookie, '--secret-file', file, '--json'])).toMatchObject({ json: { secret: 2 } })
  const hex = { SESSION_SECRET: Buffer.from(first).toString('hex') }
  const inHex = await silverback(['decode', cookie, '--secret-encoding', 'hex', '--json'], { env: hex })
  expect(inHex).toMatchObject({ json: { secret: 1 } })
  for (const flags of [
    ['--secret-encoding', 'rot13'],
    ['--secret-env', 'NOTHING']
  ]) {
    expect(await silverback(['decode', cookie, ...flags])).toMatchObject({ exit: 2 })
  }
  expect(await silverback(['decode', cookie, '--secret-file', folder.at('none')])).toMatchObject({ exit: 3 })
})

it('prints what Go keeps and JSON has no word for', async () => {
  const cookie = securecookie({ hashKey: first }).encode(
    'session',
    new Map<string, unknown>([
      ['big', 2n ** 60n],
      ['map', new Map([['a', 1]])]
    ])
  )
  const { json } = await decode(`session=${cookie}`, '--show-data')
  expect(json.data).toEqual({ big: '1152921504606846976', map: { a: 1 } })
})

it('says so of what is no session cookie', async () => {
  for (const value of ['theme=dark', 'x', '', 'a.b.c', `E${'*'.repeat(60)}`]) {
    expect(await decode(value)).toMatchObject({ exit: 1, json: { form: null } })
  }
})

it('never throws, whatever the cookie', () => {
  const texts = fc.oneof(fc.string(), fc.base64String(), fc.stringMatching(/^(s:|E|S|MT|ey)[\w.|=-]*$/))
  fc.assert(
    fc.property(texts, (text) => {
      const [given] = givenCookies(text, undefined)
      const form = formOf(given.value)
      claimedId(given.value)
      if (form !== undefined) expect(authenticate(form, given, [first])).toBeUndefined()
    })
  )
})

it('makes secrets that are long enough', async () => {
  const { out } = await silverback(['secret'])
  expect(out).toMatch(/^[\w-]{43}\n$/)
  expect((await silverback(['secret'])).out).not.toBe(out)
})
