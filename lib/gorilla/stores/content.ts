import { META } from '../../record/record'
import { OptionError, SessionError } from '../../base/errors'
import { randomId } from '../../base/ids'
import type { Milliseconds } from '../../base/time'
import type { Kept } from '../codec/kept'
import type { Opaque } from '../codec/nodes'
import type { Hint } from '../codec/shape'
import { isMember, type Declared } from '../codec/values'
import { corrupt } from '../codec/wire'
import { decodeValues, encodeValues, isCarriedKey, type Values } from '../carried'
import { openBytes, sealBytes, type Pair } from '../securecookie'

/** The values of a session as a format has them. */
export interface Content extends Omit<Values, 'rest'> {
  /** Nobody has written since we did. */
  readonly ours: boolean
  /** Of a sealed record: when it was sealed, and under which name. */
  readonly sealedAt?: Milliseconds
  readonly name?: string
}

/** How a store of Go's spells a session. */
export interface Format {
  /** `names`: of the cookies that it may have been sealed for. @throws {SessionError} of kind `decode` */
  decode(raw: Buffer, names: readonly string[]): Content
  encode(data: Record<string, unknown>, kept: Kept | undefined, carried: string, name: string | undefined): Buffer
}

// Stands behind what we write. Neither of Go's decoders looks at it, and no encoder puts it there.
const MARK = 0x0a
const JSON_MARK = Buffer.of(0x20, MARK)

export function gobFormat(types: Declared): Format {
  return {
    decode(raw) {
      const { rest, ...values } = decodeValues(raw, types)
      return { ...values, ours: rest[0] === MARK }
    },
    encode: (data, kept, carried) => Buffer.concat([encodeValues(data, kept, types, carried), Buffer.of(MARK)])
  }
}

/** `session.Values` as encoding/json has it: Go itself reads other types back than it wrote. */
export const jsonFormat: Format = {
  decode(raw) {
    const values = parse(raw.toString())
    const json: Record<string, unknown> = {}
    const hidden: [string, Opaque][] = []
    const inner = new Map<string, Hint>()
    let carried: unknown
    for (const [key, value] of Object.entries(values)) {
      if (isCarriedKey(key)) carried = value
      else if (isMember(key) || holdsProto(value)) hidden.push([key, jsonOpaque(value)])
      else {
        json[key] = value
        if (holdsMinusZero(value)) inner.set(key, { was: { json: JSON.stringify(value), raw: jsonOpaque(value) } })
      }
    }
    const ours = raw.subarray(-JSON_MARK.length).equals(JSON_MARK)
    return { json, hint: { inner, ...(hidden.length > 0 && { hidden }) }, definitions: new Map(), carried, ours }
  },
  encode(data, kept, carried) {
    const parts = Object.entries(data).map(([key, value]) => {
      const was = kept?.hint.inner?.get(key)?.was
      const text = JSON.stringify(value)
      return `${JSON.stringify(key)}:${was?.json === text ? was.raw.bytes.toString() : text}`
    })
    for (const [key, raw] of kept?.hint.hidden ?? []) {
      if (!Object.hasOwn(data, key)) parts.push(`${JSON.stringify(key)}:${raw?.bytes.toString() ?? 'null'}`)
    }
    parts.push(`${JSON.stringify(META)}:${JSON.stringify(carried)}`)
    return Buffer.concat([Buffer.from(`{${parts.join()}}`), JSON_MARK])
  }
}

function parse(text: string): Record<string, unknown> {
  let finite = true
  let values: unknown
  try {
    values = JSON.parse(text, (_key, value: unknown) => {
      if (value === Infinity || value === -Infinity) finite = false
      return value
    })
  } catch {
    // What the parser says quotes the record.
    throw new SessionError('ERR_SESSION_CORRUPT', 'The record is no JSON.')
  }
  if (!finite) throw corrupt('a number is out of range for float64')
  // Go makes an empty session of it.
  if (values === null) return {}
  if (typeof values !== 'object' || Array.isArray(values)) throw corrupt('the record is no JSON object')
  return values as Record<string, unknown>
}

const MINUS_ZERO = randomId()

// JSON as Go writes it: its zero may be below zero.
function jsonOpaque(value: unknown): Opaque {
  const text = JSON.stringify(value, (_key, inner: unknown) => (Object.is(inner, -0) ? MINUS_ZERO : inner))
  return { name: 'json', id: 0, bytes: Buffer.from(text.replaceAll(`"${MINUS_ZERO}"`, '-0')), types: [] }
}

function holdsMinusZero(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return Object.is(value, -0)
  return Object.values(value).some(holdsMinusZero)
}

function holdsProto(value: unknown): boolean {
  return typeof value === 'object' && value !== null && JSON.stringify(value).includes('"__proto__":')
}

/** Gob inside of securecookie, sealed for the cookie's name. */
export function sealedFormat(types: Declared, pairs: readonly Pair[]): Format {
  const gob = gobFormat(types)
  return {
    decode(raw, names) {
      const text = raw.toString('latin1')
      let reason = 'ERR_SESSION_SIGNATURE'
      for (const name of names) {
        const opened = openBytes(pairs, name, text, (bytes) => gob.decode(bytes, []))
        if (typeof opened === 'object') return { ...gob.decode(opened.bytes, []), sealedAt: opened.issuedAt, name }
        if (opened !== 'ERR_SESSION_SIGNATURE') reason = opened
      }
      if (reason === 'ERR_SESSION_EXPIRED') throw new SessionError(reason, 'The record is older than maxAge.')
      throw new SessionError(
        'ERR_SESSION_CORRUPT',
        'No pair of keyPairs has sealed the record for a cookie of this name.'
      )
    },
    encode(data, kept, carried, name) {
      if (name === undefined) {
        throw new OptionError(
          'gorillaSessions needs the option name here: records are sealed for the name of the cookie'
        )
      }
      const pair = { ...pairs[0]!, maxLength: null }
      return Buffer.from(sealBytes(pair, name, gob.encode(data, kept, carried, name)), 'latin1')
    }
  }
}
