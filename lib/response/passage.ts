import type { Gatekeeper, HeldResponse } from './gatekeeper'
import { isHttp1 } from './response-lock'
import { headersAt, setGivenHeaders, withoutHeaders } from './write-head'

/** A call on a response. `action`: what was asked of its socket. */
export interface Call {
  verb: 'writeHead' | 'write' | 'flushHeaders' | 'end' | 'flush' | 'cork' | 'uncork' | 'action'
  args: unknown[]
}

type Method = (...args: unknown[]) => unknown

/** Lets calls through to a response as it was before ours, and adds the keeper's headers to its head. */
export class Passage {
  protected readonly res: HeldResponse
  protected keeper: Gatekeeper
  /** Whether a part of the response has been let through. */
  protected committed = false
  /** Whether end() was called. */
  protected ended = false
  /** Whether the keeper's headers have been added. */
  protected applied = false
  protected performing = false
  protected announcing = false
  /** What those who stand before our writeHead have made of a head that nobody asked for by name. */
  protected implicit: unknown[] | undefined
  #headPassed = false
  readonly #writeHead: Method | undefined
  readonly #write: Method | undefined
  readonly #end: Method | undefined
  readonly #flushHeaders: Method | undefined

  constructor(res: HeldResponse, keeper: Gatekeeper) {
    this.res = res
    this.keeper = keeper
    this.#writeHead = res.writeHead
    this.#write = res.write
    this.#end = res.end
    this.#flushHeaders = res.flushHeaders
  }

  /**
   * Calls the listeners of on-headers, and others who have put themselves before our writeHead, before the session is
   * saved: they may still change it. When Node asks for the head of its own accord, they have had their turn.
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

  /** @param writeHead stands in for those before our writeHead, who have had their turn */
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
    if (!this.#headPassed && !isHttp1(res) && res.stream === undefined && typeof res.getHeader === 'function') {
      this.#headPassed = true
      if (this.keeper.hasHead) this.#addHeaders()
    }
    if (verb === 'write') return this.#write!.apply(res, args)
    if (verb === 'flushHeaders') return this.#flushHeaders!.call(res)
    if (verb === 'action') return (args[0] as () => void)()
    if (verb !== 'end') return res[verb]!(...args)
    const result = this.#end!.apply(res, args)
    this.keeper.done()
    return result
  }

  /**
   * Makes the head with our headers added to it. Those given to writeHead are set one by one first, as on-headers does:
   * Node takes a list for something else as soon as other headers are set.
   */
  protected passHead(args: unknown[]): unknown {
    const { res } = this
    const headers = args.length > 1 ? (args[headersAt(args)] as object | undefined) : undefined
    const ours = !this.applied && this.keeper.hasHead
    if (headers && (ours || Array.isArray(headers))) {
      setGivenHeaders(res, headers)
      args = withoutHeaders(args)
    }
    if (ours) this.#addHeaders()
    const result = this.#writeHead!.apply(res, args)
    this.#headPassed = true
    return result
  }

  #addHeaders(): void {
    this.applied = true
    this.keeper.head(this.res)
  }
}

/** Who waits for a call that is not carried out is told when the response has been sent. */
export function dropCall(res: HeldResponse, args: unknown[]): void {
  const callback = args[args.length - 1]
  if (typeof callback === 'function') res.once?.('finish', () => callback())
}

/** Answers a write that comes after the end, as Node does. */
export function refuseWrite(args: unknown[]): boolean {
  const err = Object.assign(new Error('write after end'), { code: 'ERR_STREAM_WRITE_AFTER_END' })
  const callback = args[args.length - 1]
  if (typeof callback === 'function') process.nextTick(callback, err)
  return false
}
