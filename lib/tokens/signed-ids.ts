import type { SessionErrorCode } from '../base/errors'
import { isSessionId } from '../base/ids'
import type { KeyRing } from '../cookie/keys'
import type { Tokens, VerifiedToken } from './tokens'

/** `bound`: signed under the cookie's name. `plain`: express-session's form. */
export type SignedForm = 'bound' | 'plain'

interface SignedIdOptions {
  readonly name: string
  readonly issues: SignedForm
  /** The other form is accepted as well ... */
  readonly acceptsOther: boolean
  /** ... and issued anew in the first. */
  readonly reissues: boolean
  /** express-session's door takes IDs of any characters. */
  readonly anyId: boolean
}

/** A token, and which key has signed it. */
interface SignedToken extends VerifiedToken {
  readonly key: number
}

// What is signed for an ID that a store has assigned begins with it; no session ID does.
const ASSIGNED = '~'

/** Tokens that are a signed session ID. */
export class SignedIds implements Tokens {
  readonly selfContained = false
  readonly assigned: boolean
  readonly #options: SignedIdOptions
  /** What the keys remember values under: for another cookie, or another store, they may be something else. */
  readonly #scope: string

  constructor(options: SignedIdOptions, assigned = false) {
    this.#options = options
    this.assigned = assigned
    this.#scope = JSON.stringify([options, assigned])
  }

  /** The same for IDs that a store has assigned, of any characters. */
  forAssigned(): SignedIds {
    return new SignedIds(this.#options, true)
  }

  verify(value: string, keys: KeyRing): VerifiedToken | SessionErrorCode {
    return keys.remembered(this.#scope, value, () => this.#check(value, keys)) ?? 'ERR_SESSION_SIGNATURE'
  }

  issue(id: string, keys: KeyRing): string {
    const { name, issues } = this.#options
    if (issues === 'plain') return keys.signPlain(id)
    return keys.signBound(name, this.assigned && !isSessionId(id) ? `${ASSIGNED}${id as string}` : id)
  }

  #check(value: string, keys: KeyRing): SignedToken | undefined {
    const { issues, acceptsOther } = this.#options
    const own = this.#open(issues, value, keys)
    if (own !== undefined || !acceptsOther) return own
    return this.#open(issues === 'bound' ? 'plain' : 'bound', value, keys)
  }

  #open(form: SignedForm, value: string, keys: KeyRing): SignedToken | undefined {
    const { name, issues, reissues, anyId } = this.#options
    const verified = form === 'plain' ? keys.verifyPlain(value) : keys.verifyBound(name, value)
    if (verified === undefined || verified.value === '') return undefined
    const { value: signed, key } = verified
    const stale = key > 0 || (form !== issues && reissues)
    if (this.assigned && form === 'bound' && signed.startsWith(ASSIGNED)) {
      return { id: signed.slice(ASSIGNED.length), stale, key }
    }
    return anyId || isSessionId(signed) ? { id: signed, stale, key } : undefined
  }
}
