import type { SessionErrorCode } from '../base/errors'
import type { KeyRing } from '../cookie/keys'
import type { TokenCodec, TokenContext } from '../store/contract'
import type { Tokens, VerifiedToken } from './tokens'

/** Tokens as a store makes and reads them. */
export class StoreTokens implements Tokens {
  readonly selfContained = false
  readonly assigned = true
  readonly #codec: TokenCodec
  readonly #name: string
  /** For what the store leaves to the middleware. */
  readonly #signed: Tokens

  constructor(codec: TokenCodec, name: string, signed: Tokens) {
    this.#codec = codec
    this.#name = name
    this.#signed = signed
  }

  verify(value: string, keys: KeyRing): VerifiedToken | SessionErrorCode {
    if (this.#codec.decode === undefined) return this.#signed.verify(value, keys) as VerifiedToken | SessionErrorCode
    const id = this.#codec.decode(value, this.#context(keys))
    if (id === null || id === '') return 'ERR_SESSION_SIGNATURE'
    return id.startsWith('ERR_SESSION_') ? (id as SessionErrorCode) : { id, stale: false }
  }

  issue(id: string, keys: KeyRing): string {
    if (this.#codec.encode === undefined) return this.#signed.issue(id, keys)
    return this.#codec.encode(id, this.#context(keys))
  }

  newId(): string | undefined {
    return this.#codec.newId?.({ name: this.#name })
  }

  #context(keys: KeyRing): TokenContext {
    return { name: this.#name, secrets: keys.secrets }
  }
}
