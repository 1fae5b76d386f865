import type { Answer } from '../base/http'
import type { ParsedRecord } from '../record/record'
import type { Session } from '../session/session'

/**
 * What has become of a session in its request.
 *
 * - `unread`: nothing was asked of the store yet; `found`: its record is here, and no session object made of it
 * - `new`: begun by this request, and not stored; `renewed`: the same in place of another one (regenerate), and to be
 *   stored even if it is empty; `stored`: the store has it
 * - `readonly`: reached through an ID that was rotated away; `standin`: for one that the store could not read
 * - `gone`: ended by another request; `ended`: ended by this one
 */
export type Status = 'unread' | 'found' | 'new' | 'renewed' | 'stored' | 'readonly' | 'standin' | 'gone' | 'ended'

/** What the response has to tell the client about one session. */
export type Outgoing = 'none' | 'send' | 'expire'

/** The response of a request. */
export interface ResponseState {
  readonly res?: Answer
  /** The header block is gone: no cookie can be sent any more. */
  readonly headCommitted: boolean
}

/** Who puts the main session on its request. */
export interface HandleOwner {
  /** Another session object took the place of the one before. */
  replaced(session: Session): void
  /** The session was taken off the request. */
  ended?(): void
  /** express-session reads `req.sessionID`, which applications may set. */
  publicId(): unknown
  /** A session was begun, or made of a record: the store's own `generate` and `createSession` have their say. */
  began(record?: ParsedRecord): void
  /** Whether the application has replaced the store's `regenerate`; then it is called instead of ours. */
  regenerate?(): Promise<void> | undefined
}

/** Options of `auth.open()`. */
export interface OpenOptions {
  /** Ends the watch, as the end of the connection does; for what outlives the request that it began with. */
  until?: AbortSignal | undefined
}

/** A session object that a request goes on without, and what its data was then. */
export interface LeftSession {
  readonly session: Session
  data: Record<string, unknown> | undefined
}
