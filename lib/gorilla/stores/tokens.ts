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

/** What the IDs of a store of Go's are. */
export interface Ids {
  generate(): string
  isId(text: string): boolean
}

/** So many letters of base32, five random bits each: of 32 bytes Go makes 52, of 64 bytes 103. */
export function base32Ids(length: number): Ids {
  return {
    generate: () => Array.from(randomBytes(length), (byte) => BASE32[byte & 31]).join(''),
    isId: isSessionId
  }
}

/**
 * How IDs travel in the cookies of a store of Go's. Remembers for which cookies the store is used: Go seals records
 * under that name.
 */
export class GoTokens implements Required<TokenCodec> {
  readonly #all = new Set<string>()
  readonly #byId = new BoundedMap<string, string>(IDS_MAX)

  /**
   * @param own the cookie's name, where it is known
   * @param pairs seal the ID, as gob inside of securecookie; without them whoever knows an ID has the session
   */
  constructor(
    private readonly own: string | undefined,
    private readonly ids: Ids,
    private readonly pairs?: readonly Pair[]
  ) {}

  newId({ name }: Named): string {
    return this.#note(this.ids.generate(), name)
  }

  encode(id: string, { name }: Named): string {
    this.#note(id, name)
    if (this.pairs === undefined) return id
    const pair = this.pairs[0]!
    return sealBytes(pair, name, withoutPadding(encodeGob({ type: STRING, value: id }), pair))
  }

  decode(value: string, { name }: Named): string | null {
    const { ids, pairs } = this
    if (pairs === undefined) return ids.isId(value) ? this.#note(value, name) : null
    const opened = openBytes(pairs, name, value, (bytes) => decodeGob(bytes, STRING))
    if (typeof opened === 'string') return opened
    try {
      const id = decodeGob(opened.bytes, STRING).node.value as string
      return ids.isId(id) ? this.#note(id, name) : 'ERR_SESSION_CORRUPT'
    } catch {
      return 'ERR_SESSION_CORRUPT'
    }
  }

  nameOf(id: string): string | undefined {
    return this.own ?? this.#byId.get(id) ?? (this.#all.size === 1 ? [...this.#all][0] : undefined)
  }

  /** The names that a record may have been sealed under, the likeliest first. */
  namesFor(id: string): string[] {
    const first = this.nameOf(id)
    return [...new Set([...(first === undefined ? [] : [first]), ...this.#all])]
  }

  #note(id: string, name: string): string {
    if (this.#all.size < NAMES_MAX) this.#all.add(name)
    this.#byId.set(id, name)
    return id
  }
}
