import { createHmac, timingSafeEqual } from 'node:crypto'
import { DAY, type Milliseconds } from '../base/time'
import { decodeValue } from '../cookie/cookie'
import { KeyRing, type Opening, type Secret, type Verified } from '../cookie/keys'
import { readSigned, unseal } from '../cookie/seal'
import { decode as decodeGob } from '../gorilla/gob'
import { checkPair, openBytes } from '../gorilla/securecookie'
import { unpackRecord } from '../record/packed'
import { decodeRecord } from '../record/record'

export { decodeValue }

/** What a cookie is, by its looks. */
export type Form = 'express-session' | 'bound' | 'sealed' | 'signed' | 'securecookie' | 'cookie-session'

export interface Given {
  readonly name: string | undefined
  readonly value: string
  /** What cookie-session keeps in a second cookie, `NAME.sig`. */
  readonly signature: string | undefined
}

export interface Authentic {
  /** Which secret: 0 is the first. */
  readonly key: number
  /** The name it was made for, where that is known. */
  readonly name?: string
  /** The session's ID; `undefined` where it has none. */
  readonly id?: string
  readonly issuedAt?: Milliseconds
  /** Of the record in it: creation, last use, and what its cookie says of its life. */
  readonly record?: { createdAt: Milliseconds; usedAt: Milliseconds; cookie: Record<string, unknown> }
  /** By the format itself. */
  readonly endsAt?: Milliseconds
  readonly data?: unknown
}

/** How each of them is signed. */
export const SIGNED_HOW: Readonly<Record<Form, string>> = {
  'express-session': 'an ID, signed as express-session does: HMAC-SHA256, the name not included',
  bound: 'an ID, signed by silverback under the name of its cookie: HMAC-SHA256',
  sealed: 'a whole session, sealed by silverback under the name of its cookie: AES-256-GCM',
  signed: 'a whole session, readable, signed by silverback under the name of its cookie: HMAC-SHA256',
  securecookie: "a value of Go's gorilla/securecookie, signed under the name of its cookie: HMAC",
  'cookie-session': 'a whole session of cookie-session, readable, signed in a second cookie: HMAC-SHA1'
}

/** Names to try where none was given: a value that is bound to its name is authentic under that alone. */
const NAMES = ['sid', 'connect.sid', 'session', '__Host-sid', '__Host-session']
/** What securecookie believes by default. */
const MAX_AGE = 30 * DAY

/** The cookies of `name=value`, of a bare value, or of the line of a Cookie or Set-Cookie header; one at least. */
export function givenCookies(text: string, name: string | undefined): [Given, ...Given[]] {
  const pairs = text
    .replace(/^(set-)?cookie:/i, '')
    .split(';')
    .map((part) => /^([!#$%&'*+\-.^`|~\w]+)=(?!=*$)\s*(.*)$/s.exec(part.trim()))
    .flatMap((match) => (match === null ? [] : [[match[1]!, match[2]!] as const]))
  const signatureOf = (of: string) => pairs.find(([each]) => each === `${of}.sig`)?.[1]
  const [first, ...others] = pairs
    .filter(([each]) => name === undefined || each === name)
    .map(([each, value]) => ({ name: each, value: decoded(value), signature: signatureOf(each) }))
  return first === undefined ? [{ name, value: decoded(text.trim()), signature: undefined }] : [first, ...others]
}

function decoded(value: string): string {
  return decodeValue(/^"(.*)"$/.exec(value)?.[1] ?? value)
}

/** What a value looks like; `undefined`: nothing that is known here. */
export function formOf(value: string): Form | undefined {
  if (/^s:.+\.[A-Za-z0-9+/]{43}=?$/.test(value)) return 'express-session'
  if (/^[\w~.-]+\.[\w-]{43}$/.test(value)) return 'bound'
  if (goText(value) !== undefined) return 'securecookie'
  if (isJson(value)) return 'cookie-session'
  // Time, nonce and tag at least; time and MAC.
  if (/^E[\w-]{46,}$/.test(value)) return 'sealed'
  return /^S[\w-]{51,}$/.test(value) ? 'signed' : undefined
}

/** The session's ID in a value that has one, whether it is authentic or not. */
export function claimedId(value: string): string | undefined {
  const form = formOf(value)
  if (form === 'express-session') return value.slice(2, value.lastIndexOf('.'))
  return form === 'bound' ? value.slice(0, value.lastIndexOf('.')) : undefined
}

/** Verifies or opens a value; `undefined` when none of the secrets has made it. */
export function authenticate(form: Form, given: Given, secrets: readonly Secret[]): Authentic | undefined {
  const keys = new KeyRing(secrets)
  const names = given.name === undefined ? NAMES : [given.name]
  if (form === 'express-session') return identified(keys.verifyPlain(given.value))
  if (form === 'cookie-session') return grip(given, secrets)
  for (const name of names) {
    const found = underName(form, name, given.value, keys)
    if (found !== undefined) return { ...found, name }
  }
  return undefined
}

function underName(form: Form, name: string, value: string, keys: KeyRing): Authentic | undefined {
  switch (form) {
    case 'bound':
      return identified(keys.verifyBound(name, value))
    case 'sealed':
      return opened(unseal(keys.derived('sealed cookie'), name, value))
    case 'signed':
      return opened(readSigned(keys.derived('signed session'), name, value))
    default:
      return go(name, value, keys.secrets)
  }
}

function identified(verified: Verified | undefined): Authentic | undefined {
  return verified && { key: verified.key, id: verified.value }
}

function opened(opening: Opening | undefined): Authentic | undefined {
  if (opening === undefined) return undefined
  const { key, issuedAt, text } = opening
  const decodedRecord = decodeRecord(unpackRecord(text))
  if (decodedRecord?.meta === undefined) return { key, issuedAt }
  const { meta, cookie, data } = decodedRecord
  const record = { createdAt: meta.c, usedAt: meta.u, cookie }
  return { key, issuedAt, record, data, ...(meta.d !== undefined && { id: meta.d }) }
}

// The MAC covers what is encrypted, so that the second key is not needed to say whose value it is.
function go(name: string, value: string, secrets: readonly Secret[]): Authentic | undefined {
  const pairs = secrets.map((hashKey) => checkPair({ hashKey: bytesOf(hashKey), maxAge: null, maxLength: null }))
  const found = openBytes(pairs, name, value)
  if (typeof found === 'string') return undefined
  return { key: found.pair, issuedAt: found.issuedAt, endsAt: found.issuedAt + MAX_AGE, data: gobIn(found.bytes) }
}

function gobIn(bytes: Buffer): unknown {
  try {
    return JSON.parse(JSON.stringify(decodeGob(bytes), inJson)) as unknown
  } catch {
    return undefined
  }
}

function inJson(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value)
  return value instanceof Map ? Object.fromEntries(value as Map<PropertyKey, unknown>) : value
}

// "date|value|mac", of which date and value are text.
function goText(value: string): string | undefined {
  const text = Buffer.from(value, 'base64url').toString('latin1')
  return /^\d{1,12}\|[\w-]*=*\|/.test(text) ? text : undefined
}

// As the package keygrip does, that cookie-session signs with.
function grip({ name, value, signature }: Given, secrets: readonly Secret[]): Authentic | undefined {
  if (name === undefined || signature === undefined) return undefined
  const given = Buffer.from(signature)
  const key = secrets.findIndex((secret) => {
    const mac = Buffer.from(createHmac('sha1', bytesOf(secret)).update(`${name}=${value}`).digest('base64url'))
    return mac.length === given.length && timingSafeEqual(mac, given)
  })
  return key === -1 ? undefined : { key, data: JSON.parse(Buffer.from(value, 'base64').toString()) as unknown }
}

function isJson(value: string): boolean {
  if (!/^[\w+/-]+=*$/.test(value)) return false
  try {
    const parsed: unknown = JSON.parse(Buffer.from(value, 'base64').toString())
    return typeof parsed === 'object' && parsed !== null
  } catch {
    return false
  }
}

function bytesOf(secret: Secret): string | Uint8Array {
  return typeof secret === 'string' || secret instanceof Uint8Array ? secret : secret.export()
}
