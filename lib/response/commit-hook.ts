import type { Socket } from 'node:net'
import type { HttpResponse } from '../base/http'
import type { MaybePromise, Milliseconds } from '../base/time'

/**
 * What a hold needs of a response: of node:http's, HTTP/2's, a Lambda adapter's, a test double's, or of half a response
 * such as the `{}` that is passed for the upgrade of a WebSocket.
 */
export interface HeldResponse extends HttpResponse {
  statusCode: number
  statusMessage?: string
  readonly headersSent?: boolean
  destroyed?: boolean
  readonly writableFinished?: boolean
  readonly writableHighWaterMark?: number
  readonly req?: { readonly aborted?: boolean; readonly complete?: boolean; clearTimeout?: () => void }
  readonly socket?: Socket | null
  /** The rendered header block of node:http; null or empty until there is one. */
  _header?: string | null
  readonly stream?: unknown
  writeHead?(...args: unknown[]): unknown
  write?(...args: unknown[]): unknown
  end?(...args: unknown[]): unknown
  flushHeaders?(...args: unknown[]): unknown
  flush?(...args: unknown[]): unknown
  cork?(...args: unknown[]): unknown
  uncork?(...args: unknown[]): unknown
  on?(type: string | symbol, listener: (...args: unknown[]) => void): unknown
  once?(type: string, listener: () => void): unknown
  emit?(type: string, ...args: unknown[]): boolean
  listenerCount?(type: string): number
  hasHeader?(name: string): boolean
  getHeaderNames?(): string[]
  appendHeader?(name: string, value: string | readonly string[]): unknown
  removeHeader(name: string): unknown
}

/** Whether a response is one of node:http, or of its kind: HTTP/2's answers a boolean. */
export function isHttp1(res: HeldResponse): boolean {
  return res._header === null || typeof res._header === 'string'
}

/** What a hold asks of the request whose response it holds. */
export interface CommitHook {
  /** Stores what must be stored. A promise keeps every byte back until it settles. */
  commit(): MaybePromise<void>
  /** Adds the headers of the session; called once, as the header block is made. */
  head(res: HttpResponse): void
  /** Whether `head` has anything to add. */
  readonly hasHead: boolean
  /**
   * Nothing was sent: hands the error to the application. The commit failed, unless it is Node that refuses what the
   * handler sends; then the error page is committed, too, and has the headers.
   * @returns false where the application throws instead of answering
   */
  refuse(err: unknown, isCommitted?: boolean): boolean
  /** The commit failed, and the answer is an error page as it is: it goes out without those headers. */
  abandon(): void
  /** The commit failed when it was too late for another answer. */
  report(err: unknown): void
  /** Answers with the handler's own response if the application leaves the error unanswered. */
  readonly lenient: boolean
  /** How long an error page is waited for; undefined where somebody answers in any case. */
  readonly patience: Milliseconds | undefined
  /** The last byte is on its way. */
  done(): void
}

/**
 * Two hooks of one response, which a second middleware has seen after the first one's session had ended. The first adds
 * its headers first, so that the last word on a cookie is that of the second; whose commit failed hears of it.
 */
export function joined(first: CommitHook, second: CommitHook): CommitHook {
  let answering = second
  const commit = async (hook: CommitHook): Promise<void> => {
    try {
      await hook.commit()
    } catch (err) {
      answering = hook
      throw err
    }
  }
  return {
    commit: () => commit(first).then(() => commit(second)),
    head: (res) => [first, second].forEach((hook) => hook.hasHead && hook.head(res)),
    get hasHead() {
      return first.hasHead || second.hasHead
    },
    refuse: (err, isCommitted) => answering.refuse(err, isCommitted),
    abandon: () => answering.abandon(),
    report: (err) => answering.report(err),
    get lenient() {
      return answering.lenient
    },
    get patience() {
      return answering.patience
    },
    done: () => [first, second].forEach((hook) => hook.done())
  }
}
