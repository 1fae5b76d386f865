import { randomBytes } from 'node:crypto'
import type { TokenCodec, TokenContext } from '../../store/contract'
import { isSessionId } from '../../base/ids'
import { BoundedMap } from '../../base/maps'
import { decodeGob } from '../codec/decode'
import { encodeGob } from '../codec/encode'
import { STRING } from '../codec/types'
import { openBytes, sealBytes, withoutPadding, type Pair } from '../securecookie'

const IDS_MAX = 10_000
const NAMES_MAX = 64
const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

type Named = Pick<TokenContext, 'name'>

/**
 * How IDs travel in the cookies of a store of Go's. Remembers for which cookies the store is used: Go seals records
 * under that name.
 */
export abstract class GoTokens implements Required<TokenCodec> {
  readonly #all = new Set<string>()
  readonly #byId = new BoundedMap<string, string>(IDS_MAX)

  /** @param own the cookie's name, where it is known */
  constructor(
    private readonly own: string | undefined,
    private readonly generate: () => string
  ) {}

  abstract encode(id: string, named: Named): string
  abstract decode(value: string, named: Named): string | null

  newId({ name }: Named): string {
    return this.note(this.generate(), name)
  }

  nameOf(id: string): string | undefined {
    return this.own ?? this.#byId.get(id) ?? (this.#all.size === 1 ? [...this.#all][0] : undefined)
  }

  /** The names that a record may have been sealed under, the likeliest first. */
  namesFor(id: string): string[] {
    const first = this.nameOf(id)
    return [...new Set([...(first === undefined ? [] : [first]), ...this.#all])]
  }

  protected note(id: string, name: string): string {
    if (this.#all.size < NAMES_MAX) this.#all.add(name)
    this.#byId.set(id, name)
    return id
  }
}

/** The ID as it is: whoever knows it has the session. */
export class BareTokens extends GoTokens {
  constructor(name: string | undefined) {
    super(name, () => base32(randomBytes(64)))
  }

  encode(id: string, { name }: Named): string {
    return this.note(id, name)
  }

  decode(value: string, { name }: Named): string | null {
    return isSessionId(value) ? this.note(value, name) : null
  }
}

/** The ID as gob inside of securecookie. */
export class SealedTokens extends GoTokens {
  readonly #pairs: readonly Pair[]
  readonly #isId: (text: string) => boolean

  constructor(
    pairs: readonly Pair[],
    name: string | undefined,
    generate = () => base32(randomBytes(32)),
    isId: (text: string) => boolean = isSessionId
  ) {
    super(name, generate)
    this.#pairs = pairs
    this.#isId = isId
  }

  encode(id: string, { name }: Named): string {
    const pair = this.#pairs[0]!
    const bytes = encodeGob({ type: STRING, value: this.note(id, name) })
    return sealBytes(pair, name, withoutPadding(bytes, pair))
  }

  decode(value: string, { name }: Named): string | null {
    const opened = openBytes(this.#pairs, name, value)
    if (typeof opened === 'string') return opened
    try {
      const id = decodeGob(opened.bytes, STRING).node.value as string
      return this.#isId(id) ? this.note(id, name) : 'ERR_SESSION_CORRUPT'
    } catch {
      return 'ERR_SESSION_CORRUPT'
    }
  }
}

/** Go's base32.StdEncoding without padding. */
function base32(bytes: Buffer): string {
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
