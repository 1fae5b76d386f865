import type { SessionErrorCode } from '../base/errors'
import { isProduction, warnOnce } from '../base/warnings'
import type { KeyRing } from '../cookie/keys'
import type { TokenCodec, TokenContext } from '../store/contract'
import type { Tokens, VerifiedToken } from './tokens'

const DECODE_FAILED =
  "A store's tokens.decode threw, or answered what is neither an ID nor null: the cookie was refused. Let it answer null."

/** Tokens as a store makes and reads them. */
export class StoreTokens implements Tokens {
  readonly selfContained = false
  readonly assigned = true

  /** @param signed for what the store leaves to the middleware */
  constructor(
    private readonly codec: TokenCodec,
    private readonly name: string,
    private readonly signed: Tokens
  ) {}

  verify(value: string, keys: KeyRing): VerifiedToken | SessionErrorCode {
    if (this.codec.decode === undefined) return this.signed.verify(value, keys) as VerifiedToken | SessionErrorCode
    try {
      const id = this.codec.decode(value, this.#context(keys))
      if (id === null || id === '') return 'ERR_SESSION_SIGNATURE'
      return id.startsWith('ERR_SESSION_') ? (id as SessionErrorCode) : { id, stale: false }
    } catch {
      // Anybody may send anything: nobody is locked out by a cookie that was planted. The error may quote it.
      if (!isProduction()) warnOnce('SILVERBACK_DECODE', DECODE_FAILED)
      return 'ERR_SESSION_SIGNATURE'
    }
  }

  issue(id: string, keys: KeyRing): string {
    if (this.codec.encode === undefined) return this.signed.issue(id, keys)
    return this.codec.encode(id, this.#context(keys))
  }

  newId(): string | undefined {
    return this.codec.newId?.({ name: this.name })
  }

  #context(keys: KeyRing): TokenContext {
    return { name: this.name, secrets: keys.secrets }
  }
}
