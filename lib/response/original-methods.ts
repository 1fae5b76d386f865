import { ServerResponse } from 'node:http'
import type { CommitHook, HeldResponse } from './commit-hook'
import { VaryApart } from './vary-apart'
import { headersAt, setGivenHeaders, withoutHeaders } from './write-head'

/** A call on a response. `action`: what was asked of its socket. */
export interface Call {
  verb: 'writeHead' | 'write' | 'flushHeaders' | 'end' | 'flush' | 'cork' | 'uncork' | 'action'
  args: unknown[]
}

type Method = (...args: unknown[]) => unknown

/** The methods that a response had before ours; its head gets the headers of the hook. */
export class OriginalMethods {
  readonly res: HeldResponse
  protected hook: CommitHook
  /** Whether a part of the response has been let through. */
  protected committed = false
  /** Whether end() was called. */
  protected ended = false
  /** Whether the hook's headers have been added. */
  protected applied = false
  protected performing = false
  protected announcing = false
  /** The arguments of writeHead() after the middleware in front of ours, for a head that was not asked for by name. */
  protected implicit: unknown[] | undefined
  private headPassed = false
  private readonly originalWriteHead: Method | undefined
  private readonly originalWrite: Method | undefined
  private readonly originalEnd: Method | undefined
  private readonly originalFlushHeaders: Method | undefined

  constructor(res: HeldResponse, hook: CommitHook) {
    this.res = res
    this.hook = hook
    this.originalWriteHead = res.writeHead
    this.originalWrite = res.write
    this.originalEnd = res.end
    this.originalFlushHeaders = res.flushHeaders
  }

  /**
   * Calls the listeners of on-headers, and other replacements of writeHead() in front of ours, before the session is
   * saved: they may still change it. When Node calls writeHead() itself, they are passed over.
   */
  protected announceHead(call: Call): void {
    const { res } = this
    if (typeof res.writeHead !== 'function' || res.headersSent === true || this.announcing) return
    this.announcing = true
    try {
      res.writeHead(res.statusCode)
    } catch (err) {
      if (call.verb === 'end') this.ended = false
      this.implicit = undefined
      throw err
    } finally {
      this.announcing = false
    }
  }

  /** @param writeHead stands in for the replacements that announceHead() has called already */
  protected perform(call: Call, writeHead: Method): unknown {
    const { res } = this
    const outer = this.performing
    const before = this.implicit && res.writeHead
    if (before) res.writeHead = writeHead
    this.performing = true
    try {
      return this.pass(call)
    } catch (err) {
      // Refused by Node (a chunk of a wrong type): an error page may follow.
      if (call.verb === 'end') this.ended = false
      if (res.headersSent !== true) this.committed = false
      throw err
    } finally {
      this.performing = outer
      if (before) {
        res.writeHead = before
        this.implicit = undefined
      }
    }
  }

  /** Makes a call on the response as it was before us. */
  protected pass({ verb, args }: Call): unknown {
    const { res } = this
    if (verb === 'writeHead') return this.passHead(args)
    // Doubles of tests (node-mocks-http) send a head without calling writeHead().
    if (!this.headPassed && !isHttp1(res) && res.stream === undefined && typeof res.getHeader === 'function') {
      this.headPassed = true
      if (this.hook.hasHead) {
        this.applied = true
        this.hook.head(res)
      }
    }
    if (verb === 'write') return this.originalWrite!.apply(res, args)
    if (verb === 'flushHeaders') return this.originalFlushHeaders!.call(res)
    if (verb === 'action') return (args[0] as () => void)()
    if (verb !== 'end') return res[verb]!(...args)
    const result = this.originalEnd!.apply(res, args)
    this.hook.done()
    return result
  }

  /**
   * Makes the head with our headers added to it. Those given to writeHead are set one by one first, as on-headers does:
   * Node takes a list for something else as soon as other headers are set.
   */
  protected passHead(args: unknown[]): unknown {
    const { res } = this
    const headers = args.length > 1 ? (args[headersAt(args)] as object | undefined) : undefined
    const ours = !this.applied && this.hook.hasHead
    if (headers && (ours || Array.isArray(headers))) {
      setGivenHeaders(res, headers)
      args = withoutHeaders(args)
    }
    const target = ours && this.#isUntold ? new VaryApart(res) : res
    if (ours) {
      this.applied = true
      this.hook.head(target)
    }
    const vary = target instanceof VaryApart ? target.vary : undefined
    try {
      const result = this.originalWriteHead!.apply(
        res,
        vary === undefined ? args : [...withoutHeaders(args), { Vary: vary }]
      )
      this.headPassed = true
      return result
    } catch (err) {
      // Refused by Node: the response that follows has to vary as well.
      if (vary !== undefined) this.applied = false
      throw err
    }
  }

  // A response of node:http itself that has no header yet, and that nobody watches. One without a connection was made by
  // hand (adapters of serverless platforms), and is asked for its headers in the end.
  get #isUntold(): boolean {
    const { res } = this
    const { prototype } = ServerResponse
    if (this.originalWriteHead !== prototype.writeHead || res.setHeader !== prototype.setHeader || !res.socket)
      return false
    return (res.constructor as unknown) === ServerResponse && res.getHeaderNames!().length === 0
  }
}

/** Whether a response is one of node:http, or of its kind: HTTP/2's answers a boolean. */
export function isHttp1(res: HeldResponse): boolean {
  return res._header === null || typeof res._header === 'string'
}

/** Has the callback of a call that is not carried out called when the response has been sent. */
export function dropCall(res: HeldResponse, args: unknown[]): void {
  const callback = args[args.length - 1]
  if (typeof callback === 'function') res.once?.('finish', () => void (callback as () => unknown)())
}

/**
 * Answers a write that comes after the end as Node does, but for an `error` that nobody listens for: it would end the
 * process, which express-session spares those who wait for their store.
 *
 * @param behind does something later, once the answer that is held has been sent: whoever destroys the response for the
 * error must not take it along
 */
export function refuseWrite(res: HeldResponse, args: unknown[], behind: (action: () => void) => void): false {
  const err = Object.assign(new Error('write after end'), { code: 'ERR_STREAM_WRITE_AFTER_END' })
  const callback = args[args.length - 1]
  if (typeof callback === 'function') process.nextTick(callback, err)
  const tell = () => {
    if (isHttp1(res) && !res.destroyed && res.listenerCount?.('error')) res.emit!('error', err)
  }
  behind(tell)
  return false
}

/** Answers a second end(): `false`, as express-session does; its callback and a part of the body as Node does. */
export function refuseEnd(res: HeldResponse, args: unknown[], behind: (action: () => void) => void): false {
  const [chunk] = args
  if (chunk != null && typeof chunk !== 'function') return refuseWrite(res, args, behind)
  const callback = args[args.length - 1]
  const err = Object.assign(new Error('end after end'), { code: 'ERR_STREAM_ALREADY_FINISHED' })
  if (res.writableFinished !== true) dropCall(res, args)
  else if (typeof callback === 'function') process.nextTick(callback, err)
  return false
}
