import { randomBytes } from 'node:crypto'
import type { TokenCodec, TokenContext } from '../../store/contract'
import { isSessionId } from '../../base/ids'
import { BoundedMap } from '../../base/bounded-map'
import { decodeGob } from '../codec/decode'
import { encodeGob } from '../codec/encode'
import { STRING } from '../codec/types'
import { openBytes, sealBytes, withoutPadding, type Pair } from '../securecookie'

const IDS_MAX = 10_000
const NAMES_MAX = 64
const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

type Named = Pick<TokenContext, 'name'>

/** How IDs travel in the cookies of a store of Go's, and which cookie names have been seen. */
export interface GoTokens extends Required<TokenCodec> {
  /** The cookie's name of a session; `undefined` where nothing tells. */
  nameOf(id: string): string | undefined
  /** The names that a record may have been sealed under, the likeliest first. */
  namesFor(id: string): string[]
}

/** Remembers for which cookies a store is used: Go seals records under that name. */
class Names {
  readonly #own: string | undefined
  readonly #all = new Set<string>()
  readonly #byId = new BoundedMap<string, string>(IDS_MAX)

  constructor(own: string | undefined) {
    this.#own = own
  }

  note(id: string, name: string): string {
    if (this.#all.size < NAMES_MAX) this.#all.add(name)
    this.#byId.set(id, name)
    return id
  }

  of(id: string): string | undefined {
    return this.#own ?? this.#byId.get(id) ?? (this.#all.size === 1 ? [...this.#all][0] : undefined)
  }

  for(id: string): string[] {
    const first = this.of(id)
    return [...new Set([...(first === undefined ? [] : [first]), ...this.#all])]
  }
}

/** The ID as it is: whoever knows it has the session. */
export class BareTokens implements GoTokens {
  readonly #names: Names
  readonly #bytes: number

  /** @param bytes random ones in an ID */
  constructor(bytes: number, name: string | undefined) {
    this.#names = new Names(name)
    this.#bytes = bytes
  }

  encode(id: string, { name }: Named): string {
    return this.#names.note(id, name)
  }

  decode(value: string, { name }: Named): string | null {
    return isSessionId(value) ? this.#names.note(value, name) : null
  }

  newId({ name }: Named): string {
    return this.#names.note(base32(randomBytes(this.#bytes)), name)
  }

  nameOf(id: string): string | undefined {
    return this.#names.of(id)
  }

  namesFor(id: string): string[] {
    return this.#names.for(id)
  }
}

/** The ID as gob inside of securecookie. */
export class SealedTokens implements GoTokens {
  readonly #names: Names
  readonly #pairs: readonly Pair[]
  readonly #generate: () => string
  readonly #isId: (text: string) => boolean

  constructor(
    pairs: readonly Pair[],
    name: string | undefined,
    generate = () => base32(randomBytes(32)),
    isId: (text: string) => boolean = isSessionId
  ) {
    this.#pairs = pairs
    this.#names = new Names(name)
    this.#generate = generate
    this.#isId = isId
  }

  encode(id: string, { name }: Named): string {
    const pair = this.#pairs[0]!
    const bytes = encodeGob({ type: STRING, value: this.#names.note(id, name) })
    return sealBytes(pair, name, withoutPadding(bytes, pair))
  }

  decode(value: string, { name }: Named): string | null {
    const opened = openBytes(this.#pairs, name, value)
    if (typeof opened === 'string') return opened
    try {
      const id = decodeGob(opened.bytes, STRING).node.value as string
      return this.#isId(id) ? this.#names.note(id, name) : 'ERR_SESSION_CORRUPT'
    } catch {
      return 'ERR_SESSION_CORRUPT'
    }
  }

  newId({ name }: Named): string {
    return this.#names.note(this.#generate(), name)
  }

  nameOf(id: string): string | undefined {
    return this.#names.of(id)
  }

  namesFor(id: string): string[] {
    return this.#names.for(id)
  }
}

/** Go's base32.StdEncoding without padding. */
export function base32(bytes: Buffer): string {
  let text = ''
  let bits = 0
  let value = 0
  for (const byte of bytes) {
    value = (value << 8) | byte
    bits += 8
    while (bits >= 5) {
      bits -= 5
      text += BASE32[(value >> bits) & 31]
    }
    value &= (1 << bits) - 1
  }
  return bits > 0 ? text + BASE32[(value << (5 - bits)) & 31] : text
}
