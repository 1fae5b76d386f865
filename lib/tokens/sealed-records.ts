import type { SessionErrorCode } from '../base/errors'
import { chain, type MaybePromise } from '../base/time'
import type { KeyRing } from '../cookie/keys'
import type { Carrier } from '../store/contract'
import type { Tokens, VerifiedToken } from './tokens'

/** Tokens that are the record itself, sealed or signed by a store that has none (CookieStore, GorillaStore). */
export class SealedRecords implements Tokens {
  readonly selfContained = true
  readonly assigned = false

  constructor(
    private readonly carrier: Carrier,
    private readonly name: string
  ) {}

  verify(value: string, keys: KeyRing): MaybePromise<VerifiedToken | SessionErrorCode> {
    return chain(this.carrier.open(value, this.name, keys), (opened) =>
      typeof opened === 'string' ? opened : { id: opened.id, stale: opened.stale, found: opened }
    )
  }

  seal(record: string, keys: KeyRing): string {
    return this.carrier.seal(record, this.name, keys)
  }

  issue(): string {
    return ''
  }
}
