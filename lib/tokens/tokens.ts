import type { SessionErrorCode } from '../base/errors'
import type { MaybePromise } from '../base/time'
import type { KeyRing } from '../cookie/keys'
import type { Found } from '../store/contract'

/** An authentic token of a request. */
export interface VerifiedToken {
  /** The session's ID. */
  readonly id: string
  /** To be issued anew: an older key made it, or it has another form than the one that is issued. */
  readonly stale: boolean
  /** The record, where it came along. */
  readonly found?: Found
}

/** How the sessions of one name travel between client and server. */
export interface Tokens {
  /** The record itself travels: no store knows the session, and writing and sending it are one. */
  readonly selfContained: boolean
  /** What `set` answers stands for the session from then on. */
  readonly assigned: boolean
  /** An authentic token, or why the value is refused. A promise only from self-contained tokens with revocations. */
  verify(value: string, keys: KeyRing): MaybePromise<VerifiedToken | SessionErrorCode>
  /**
   * The token of a record that is about to be written, where the record travels.
   * @throws {SessionError} `ERR_SESSION_COOKIE_TOO_LARGE`
   */
  seal?(record: string, keys: KeyRing): string
  /** The token of a session that is stored under an ID. */
  issue(id: string, keys: KeyRing): string
  /** A new ID, where those of the middleware do not fit. */
  newId?(): string | undefined
}
