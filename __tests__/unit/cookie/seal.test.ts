import crypto = require('node:crypto')
import fc from 'fast-check'
import { KeyRing, type Opening } from '../../../lib/cookie/keys'
import { readSigned, seal, signText, unseal } from '../../../lib/cookie/seal'

const SECRET = 'a secret of at least thirty-two bytes'
const OLDER = 'the secret from before the last rotation'
const NOW = Date.UTC(2024, 0, 1)
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const TEXT = '{"cookie":{"originalMaxAge":null,"path":"/"},"__silverback":{"u":1,"c":1,"d":"id"},"user":"ann"}'

const newest = new KeyRing([SECRET, OLDER])
const only = new KeyRing(SECRET)
const older = new KeyRing(OLDER)
const removed = new KeyRing('a secret that nobody lists any longer!')

interface Format {
  make(keys: KeyRing, name: string, text: string): string
  open(keys: KeyRing, name: string, value: string): Opening | undefined
}

const sealed: Format = {
  make: (keys, name, text) => seal(keys.derived('sealed cookie')[0]!, name, text, NOW),
  open: (keys, name, value) => unseal(keys.derived('sealed cookie'), name, value)
}
const signed: Format = {
  make: (keys, name, text) => signText(keys.derived('signed session')[0]!, name, text, NOW),
  open: (keys, name, value) => readSigned(keys.derived('signed session'), name, value)
}

const bytesOf = (value: string) => Buffer.from(value.slice(1), 'base64url')
const text = fc.string({ unit: 'binary', maxLength: 400 })
const name = fc.stringMatching(/^[A-Za-z0-9_.-]{1,12}$/)

afterEach(() => jest.restoreAllMocks())

describe.each([
  ['a sealed text', sealed],
  ['a signed text', signed]
])('%s', (_format, { make, open }) => {
  const value = make(only, 'sid', TEXT)

  it('comes back as it was, with its issue time', () => {
    fc.assert(
      fc.property(text, name, (plain, cookie) => {
        const made = make(newest, cookie, plain)
        expect(made).toMatch(/^[\w-]+$/)
        expect(open(newest, cookie, made)).toEqual({ text: plain, issuedAt: NOW, key: 0 })
      }),
      { numRuns: 1000 }
    )
  })

  it('is opened by an older listed key as stale, and by no removed one', () => {
    expect(open(newest, 'sid', make(older, 'sid', TEXT))).toEqual({ text: TEXT, issuedAt: NOW, key: 1 })
    expect(open(newest, 'sid', make(removed, 'sid', TEXT))).toBeUndefined()
    expect(open(only, 'sid', make(older, 'sid', TEXT))).toBeUndefined()
  })

  it('is worth nothing under another name or secret', () => {
    fc.assert(
      fc.property(name, name, (cookie, other) => {
        fc.pre(cookie !== other)
        expect(open(only, other, make(only, cookie, TEXT))).toBeUndefined()
      }),
      { numRuns: 200 }
    )
    expect(open(removed, 'sid', value)).toBeUndefined()
  })

  it('is refused when cut at any length', () => {
    for (let length = 0; length < value.length; length++) {
      expect(open(only, 'sid', value.slice(0, length))).toBeUndefined()
    }
    const bytes = bytesOf(value)
    for (let length = 0; length < bytes.length; length++) {
      expect(open(only, 'sid', value[0] + bytes.toString('base64url', 0, length))).toBeUndefined()
      expect(open(only, 'sid', value[0] + bytes.toString('base64url', bytes.length - length))).toBeUndefined()
    }
  })

  it('is refused with any bit flipped', () => {
    const bytes = bytesOf(value)
    const accepted: number[] = []
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes)
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      if (open(only, 'sid', value[0] + flipped.toString('base64url')) !== undefined) accepted.push(bit)
    }
    expect(accepted).toEqual([])
  })

  it('has one spelling only', () => {
    // One of the three lengths leaves no spare bits; the others do.
    for (const plain of ['a', 'ab', 'abc']) {
      const short = make(only, 'sid', plain)
      const variants = [...ALPHABET, '', '+', '/', '=', '!', '\n'].map((letter) => short.slice(0, -1) + letter)
      for (const suffix of ['=', '==', '!', '\n', ' ', '.', 'A']) variants.push(short + suffix)
      variants.push(short[0] + ' ' + short.slice(1), short.slice(1), short.toLowerCase(), ` ${short}`)
      for (const variant of variants.filter((spelling) => spelling !== short)) {
        expect(open(only, 'sid', variant)).toBeUndefined()
      }
    }
  })

  it('is not compressed: its length tells the length of the text and nothing else', () => {
    const random = crypto.randomBytes(1500).toString('hex')
    expect(make(only, 'sid', 'a'.repeat(3000))).toHaveLength(make(only, 'sid', random).length)
  })

  it('is never made up from anything else, and nothing makes the opener throw', () => {
    const noise = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.string({ unit: fc.constantFrom(...ALPHABET), maxLength: 600 }).map((letters) => value[0] + letters),
      fc.uint8Array({ maxLength: 400 }).map((bytes) => value[0] + Buffer.from(bytes).toString('base64url')),
      fc
        .tuple(fc.nat(value.length), fc.nat(8), fc.string({ unit: fc.constantFrom(...ALPHABET), maxLength: 8 }))
        .map(([at, cut, put]) => value.slice(0, at) + put + value.slice(at + cut))
    )
    fc.assert(
      fc.property(noise, (input) => (open(newest, 'sid', input) === undefined) === (input !== value)),
      { numRuns: 20_000 }
    )
  })
})

describe('the two formats', () => {
  it('are never taken for each other (rack-session CVE-2026-39324)', () => {
    const [encrypted, readable] = [sealed.make(only, 'sid', TEXT), signed.make(only, 'sid', TEXT)]
    expect(encrypted[0]).not.toBe(readable[0])
    expect(sealed.open(only, 'sid', readable)).toBeUndefined()
    expect(signed.open(only, 'sid', encrypted)).toBeUndefined()
    expect(sealed.open(only, 'sid', encrypted[0] + readable.slice(1))).toBeUndefined()
    expect(signed.open(only, 'sid', readable[0] + encrypted.slice(1))).toBeUndefined()
  })

  it('are not taken for each other under one key either', () => {
    const keys = only.derived('sealed cookie')
    const readable = signText(keys[0]!, 'sid', TEXT, NOW)
    expect(unseal(keys, 'sid', `E${readable.slice(1)}`)).toBeUndefined()
    const encrypted = seal(keys[0]!, 'sid', TEXT, NOW)
    expect(readSigned(keys, 'sid', `S${encrypted.slice(1)}`)).toBeUndefined()
  })
})

describe('a sealed text', () => {
  it('cannot be read', () => {
    const bytes = bytesOf(sealed.make(only, 'sid', TEXT))
    for (let from = 0; from + 6 <= TEXT.length; from++) {
      expect(bytes.includes(TEXT.slice(from, from + 6))).toBe(false)
    }
  })

  it('never reuses a nonce', () => {
    const key = only.derived('sealed cookie')[0]!
    const nonces = new Set<string>()
    for (let i = 0; i < 100_000; i++) nonces.add(seal(key, 'sid', 'x', NOW).slice(9, 25))
    expect(nonces.size).toBe(100_000)
  })
})

describe('a signed text', () => {
  it('can be read, by whoever has the cookie', () => {
    expect(bytesOf(signed.make(only, 'sid', TEXT)).includes(TEXT)).toBe(true)
  })

  it('is compared in constant time, over equal lengths, wherever it differs', () => {
    const bytes = bytesOf(signed.make(only, 'sid', TEXT))
    const compare = jest.spyOn(crypto, 'timingSafeEqual')
    for (const at of [bytes.length - 32, bytes.length - 1]) {
      const wrong = Buffer.from(bytes)
      wrong[at]! ^= 1
      compare.mockClear()
      expect(signed.open(only, 'sid', `S${wrong.toString('base64url')}`)).toBeUndefined()
      expect(compare).toHaveBeenCalledTimes(1)
      expect(compare.mock.calls[0]!.map((side) => side.byteLength)).toEqual([32, 32])
    }
  })
})
