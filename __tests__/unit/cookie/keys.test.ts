import crypto = require('node:crypto')
import { createSecretKey, hkdfSync } from 'node:crypto'
import fc from 'fast-check'
import { generateKey, KeyRing } from '../../../lib/cookie/keys'

const { sign, unsign } = require('cookie-signature') as {
  sign(value: string, secret: string): string
  unsign(value: string, secret: string): string | false
}

const SECRET = 'a secret of at least thirty-two bytes'

const OLDER = 'the secret from before the last rotation'

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_.:=!%\n '

const ring = (...secrets: string[]) => new KeyRing(secrets)

/** As SignedIds asks: what is known of a value is not worked out again. */
const verifyPlain = (keys: KeyRing, value: string) => keys.remembered('', value, () => keys.verifyPlain(value))
const verifyBound = (keys: KeyRing, value: string) =>
  keys.remembered('sid', value, () => keys.verifyBound('sid', value))

const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 60 })

const secret = fc.string({ unit: 'binary', minLength: 1, maxLength: 60 })

/** One to three flips, insertions, deletions or truncations of a value. */
const mutations = fc.array(fc.record({ kind: fc.nat(3), at: fc.nat(), letter: fc.constantFrom(...ALPHABET) }), {
  minLength: 1,
  maxLength: 3
})

function mutate(value: string, changes: { kind: number; at: number; letter: string }[]): string {
  let result = value
  for (const { kind, at, letter } of changes) {
    const i = at % (result.length + 1)
    if (kind === 0) result = result.slice(0, i) + letter + result.slice(i + 1)
    else if (kind === 1) result = result.slice(0, i) + letter + result.slice(i)
    else if (kind === 2) result = result.slice(0, i) + result.slice(i + 1)
    else result = result.slice(0, i)
  }
  return result
}

afterEach(() => jest.restoreAllMocks())

describe("express-session's format", () => {
  it('is signed as cookie-signature signs it', () => {
    fc.assert(
      fc.property(text, secret, (id, key) => {
        expect(new KeyRing(key).signPlain(id)).toBe(`s:${sign(id, key)}`)
      }),
      { numRuns: 500 }
    )
  })

  it('accepts what cookie-signature accepts, and the other way round', () => {
    const keys = new KeyRing(SECRET)
    fc.assert(
      fc.property(text, mutations, (id, changes) => {
        const value = sign(id, SECRET)
        expect(keys.verifyPlain(`s:${value}`)).toEqual({ value: id, key: 0 })
        const mutant = mutate(value, changes)
        const theirs = unsign(mutant, SECRET)
        expect(keys.verifyPlain(`s:${mutant}`)?.value ?? false).toBe(theirs)
      }),
      { numRuns: 2000 }
    )
  })

  it.each(['', 's', 's:', 's:.', 's:abc', 's:abc.', 's:.abc', 'abc', 'j:{"a":1}', '%E0%A4%A', 's%3Aabc.def'])(
    'refuses %j',
    (value) => expect(new KeyRing(SECRET).verifyPlain(value)).toBeUndefined()
  )

  it('refuses a signed empty ID', () => {
    expect(new KeyRing(SECRET).verifyPlain(`s:${sign('', SECRET)}`)).toBeUndefined()
  })
})

describe.each([
  ['plain', (keys: KeyRing, id: string) => keys.signPlain(id), verifyPlain],
  ['bound', (keys: KeyRing, id: string) => keys.signBound('sid', id), verifyBound]
])('%s signatures', (_format, signId, verify) => {
  it('give the ID back', () => {
    const keys = ring(SECRET)
    fc.assert(
      fc.property(text, (id) => {
        const value = signId(keys, id)
        expect(verify(keys, value)).toEqual({ value: id, key: 0 })
        expect(verify(ring(SECRET), value)).toEqual({ value: id, key: 0 })
      }),
      { numRuns: 500 }
    )
  })

  it('refuse every mutation', () => {
    const keys = ring(SECRET)
    const value = signId(keys, 'AbCdEfGhIjKlMnOpQrStUvWxYz012345')
    verify(keys, value)
    fc.assert(
      fc.property(mutations, (changes) => {
        const mutant = mutate(value, changes)
        return (verify(keys, mutant) === undefined) === (mutant !== value)
      }),
      { numRuns: 10_000 }
    )
  })

  it('refuse other spellings of an authentic signature', () => {
    const keys = ring(SECRET)
    const value = signId(keys, 'some-id')
    const last = value.at(-1)!
    const spellings = [...ALPHABET].filter((letter) => letter !== last).map((letter) => value.slice(0, -1) + letter)
    for (const suffix of ['=', '==', '!', '\n', ' ', 'A']) spellings.push(value + suffix)
    spellings.push(value.replace('.', '.='), value.replace('.', '.\n'), value.replace('.', '. '))
    for (const spelling of spellings) expect(verify(ring(SECRET), spelling)).toBeUndefined()
  })

  it('accept an older listed key as stale, and no removed one', () => {
    const old = signId(ring(OLDER), 'id')
    const secrets = [SECRET, OLDER]
    const keys = new KeyRing(secrets)
    expect(verify(keys, old)).toEqual({ value: 'id', key: 1 })
    expect(verify(keys, old)).toEqual({ value: 'id', key: 1 })
    expect(verify(keys, signId(keys, 'id'))).toEqual({ value: 'id', key: 0 })
    secrets.pop()
    expect(verify(keys, old)).toBeUndefined()
    secrets.unshift(OLDER)
    expect(verify(keys, old)).toEqual({ value: 'id', key: 0 })
    expect(verify(keys, signId(ring(SECRET), 'id'))).toEqual({ value: 'id', key: 1 })
  })

  it('verify more values than are remembered', () => {
    const keys = ring(SECRET)
    const values = Array.from({ length: 5000 }, (_, i) => signId(keys, `id-${i}`))
    for (let round = 0; round < 2; round++) {
      values.forEach((value, i) => expect(verify(keys, value)?.value).toBe(`id-${i}`))
    }
  })

  it('are refused without another MAC when they come again, until the keys change', () => {
    const compare = jest.spyOn(crypto, 'timingSafeEqual')
    const secrets = [SECRET]
    const keys = new KeyRing(secrets)
    const old = signId(ring(OLDER), 'id')
    for (let i = 0; i < 3; i++) expect(verify(keys, old)).toBeUndefined()
    expect(compare).toHaveBeenCalledTimes(1)
    secrets.push(OLDER)
    expect(verify(keys, old)).toEqual({ value: 'id', key: 1 })
    secrets.pop()
    expect(verify(keys, old)).toBeUndefined()
  })

  it('stay remembered while forged ones come, which are remembered in small numbers and only where they are short', () => {
    const keys = ring(SECRET)
    const value = signId(keys, 'id')
    expect(verify(keys, value)?.value).toBe('id')
    const forged = Array.from({ length: 5000 }, (_, i) => signId(ring(OLDER), `id-${i}`))
    for (const each of forged) expect(verify(keys, each)).toBeUndefined()
    const compare = jest.spyOn(crypto, 'timingSafeEqual')
    expect(verify(keys, value)?.value).toBe('id')
    expect(compare).not.toHaveBeenCalled()
    expect(verify(keys, forged[0]!)).toBeUndefined()
    expect(compare).toHaveBeenCalledTimes(1)
    const long = signId(ring(OLDER), 'x'.repeat(300))
    for (let i = 0; i < 2; i++) expect(verify(keys, long)).toBeUndefined()
    expect(compare).toHaveBeenCalledTimes(3)
  })

  it('are compared in constant time, over equal lengths, wherever they differ', () => {
    const compare = jest.spyOn(crypto, 'timingSafeEqual')
    const value = signId(ring(SECRET), 'id')
    const dot = value.lastIndexOf('.')
    const other = (letter: string) => (letter === 'A' ? 'B' : 'A')
    const wrongFirst = value.slice(0, dot + 1) + other(value[dot + 1]!) + value.slice(dot + 2)
    const wrongLast = value.slice(0, -1) + other(value.at(-1)!)
    for (const wrong of [wrongFirst, wrongLast]) {
      compare.mockClear()
      expect(verify(ring(SECRET), wrong)).toBeUndefined()
      expect(compare).toHaveBeenCalledTimes(1)
      expect(compare.mock.calls[0]![0].byteLength).toBe(compare.mock.calls[0]![1].byteLength)
    }
  })
})

describe('bound signatures', () => {
  it('are worth nothing under another name', () => {
    const keys = ring(SECRET)
    const token = fc.stringMatching(/^[A-Za-z0-9_.-]{1,12}$/)
    fc.assert(
      fc.property(token, token, token, (name, other, id) => {
        fc.pre(name !== other)
        expect(keys.verifyBound(other, keys.signBound(name, id))).toBeUndefined()
      }),
      { numRuns: 500 }
    )
  })

  it('are never taken for plain ones, nor plain ones for bound', () => {
    const keys = ring(SECRET)
    expect(keys.verifyPlain(`s:${keys.signBound('sid', 'id')}`)).toBeUndefined()
    expect(keys.verifyBound('sid', keys.signPlain('id').slice(2))).toBeUndefined()
  })

  it.each(['', '.', `.${'A'.repeat(43)}`, 'A'.repeat(43), `id.${'A'.repeat(43)}`])('refuse %j', (value) => {
    expect(ring(SECRET).verifyBound('sid', value)).toBeUndefined()
  })
})

describe('keys', () => {
  it('are the same from text, bytes and key objects', () => {
    const bytes = Buffer.from(SECRET)
    const forms = [SECRET, bytes, new Uint8Array(bytes), createSecretKey(bytes)]
    const values = forms.map((form) => new KeyRing(form).signPlain('id') + new KeyRing([form]).signBound('n', 'id'))
    expect(new Set(values).size).toBe(1)
  })

  it('are derived by HKDF, one for each purpose and secret', () => {
    const keys = ring(SECRET, OLDER)
    const derived = keys.derived('sealed cookie').map((key) => key.export().toString('hex'))
    expect(derived[0]).toBe(Buffer.from(hkdfSync('sha256', SECRET, 'silverback', 'sealed cookie', 32)).toString('hex'))
    const others = keys.derived('signed cookie').map((key) => key.export().toString('hex'))
    expect(new Set([...derived, ...others]).size).toBe(4)
    expect(keys.derived('sealed cookie')).toBe(keys.derived('sealed cookie'))
  })

  it('follow the array they were given', () => {
    const secrets = [SECRET]
    const keys = new KeyRing(secrets)
    const before = keys.derived('purpose')[0]!.export()
    secrets.unshift(OLDER)
    expect(keys.derived('purpose')[1]!.export()).toEqual(before)
    expect(keys.secrets).toEqual([OLDER, SECRET])
  })

  it('tell when each last verified something, also after the list has moved on', () => {
    let now = 1000
    jest.spyOn(Date, 'now').mockImplementation(() => now)
    const secrets = [SECRET]
    const keys = new KeyRing(secrets)
    const old = keys.signBound('sid', 'id')
    expect(keys.lastUses()).toEqual([null])
    verifyBound(keys, old)
    secrets.unshift(OLDER)
    expect(keys.lastUses()).toEqual([null, 1000])
    for (now of [2000, 3000]) verifyBound(keys, old)
    verifyBound(keys, `${old.slice(0, -1)}!`)
    expect(keys.lastUses()).toEqual([null, 3000])
    now = 4000
    verifyPlain(keys, keys.signPlain('id'))
    expect(keys.lastUses()).toEqual([4000, 3000])
    secrets.pop()
    expect(keys.lastUses()).toEqual([4000])
  })

  it('are generated from 32 random bytes', () => {
    const made = Array.from({ length: 100 }, generateKey)
    expect(new Set(made).size).toBe(100)
    for (const key of made) expect(key).toMatch(/^[\w-]{43}$/)
  })
})
