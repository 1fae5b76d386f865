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

// What is signed for an ID that a store has assigned begins with it; no session ID does.
const ASSIGNED = '~'

/** Tokens that are a signed session ID. */
export class SignedIds implements Tokens {
  readonly selfContained = false
  readonly assigned: boolean
  readonly #options: SignedIdOptions

  constructor(options: SignedIdOptions, assigned = false) {
    this.#options = options
    this.assigned = assigned
  }

  /** The same for IDs that a store has assigned, of any characters. */
  forAssigned(): SignedIds {
    return new SignedIds(this.#options, true)
  }

  verify(value: string, keys: KeyRing): VerifiedToken | SessionErrorCode {
    const { issues, acceptsOther } = this.#options
    const own = this.#open(issues, value, keys)
    if (own !== undefined) return own
    return (acceptsOther && this.#open(issues === 'bound' ? 'plain' : 'bound', value, keys)) || 'ERR_SESSION_SIGNATURE'
  }

  seal(): undefined {
    return undefined
  }

  issue(id: string, keys: KeyRing): string {
    const { name, issues } = this.#options
    if (issues === 'plain') return keys.signPlain(id)
    return keys.signBound(name, this.assigned && !isSessionId(id) ? `${ASSIGNED}${id as string}` : id)
  }

  #open(form: SignedForm, value: string, keys: KeyRing): VerifiedToken | undefined {
    const { name, issues, reissues, anyId } = this.#options
    const verified = form === 'plain' ? keys.verifyPlain(value) : keys.verifyBound(name, value)
    if (verified === undefined || verified.value === '') return undefined
    const stale = verified.key > 0 || (form !== issues && reissues)
    if (this.assigned && form === 'bound' && verified.value.startsWith(ASSIGNED)) {
      return { id: verified.value.slice(ASSIGNED.length), stale }
    }
    return anyId || isSessionId(verified.value) ? { id: verified.value, stale } : undefined
  }
}
