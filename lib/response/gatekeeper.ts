import type { MaybePromise } from '../base/time'

/** What the gate asks of the request it guards. */
export interface Gatekeeper {
  /** Stores what must be stored. A promise keeps every byte back until it settles. */
  commit(): MaybePromise<void>
  /** Adds our headers; called once, as the header block is made. */
  head(res: any): void
  /** Whether `head` has anything to add. */
  readonly hasHead: boolean
  /** The commit failed and nothing was sent: hands the error to the application. */
  refuse(err: unknown): void
  /** The commit failed, and the answer is an error page as it is: it goes out without our headers. */
  abandon(): void
  /** The commit failed when it was too late for another answer. */
  report(err: unknown): void
  /** Answers with the handler's own response if the application leaves the error unanswered. */
  readonly lenient: boolean
  /** The last byte is on its way. */
  done(): void
}
