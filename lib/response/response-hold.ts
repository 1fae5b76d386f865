import { EventEmitter } from 'node:events'
import { ServerResponse } from 'node:http'
import { isPromise, type MaybePromise } from '../base/time'
import { joined, type CommitHook, type HeldResponse } from './commit-hook'
import { HeldCalls, type Call } from './held-calls'
import { dropCall, refuseEnd, refuseWrite } from './refused-calls'
import { VaryApart } from './vary-apart'
import { headersAt, headersSentError, setGivenHeaders, withoutHeaders } from './write-head'

const HOLD = Symbol('silverback.hold')

interface PatchedResponse extends HeldResponse {
  [HOLD]?: ResponseHold
}

type Method = (...args: unknown[]) => unknown

// Shared functions, found by symbol: no closure is made for a request.
function writeHead(this: PatchedResponse, ...args: unknown[]): unknown {
  return this[HOLD]!.writeHead(args)
}

function write(this: PatchedResponse, ...args: unknown[]): unknown {
  return this[HOLD]!.write(args)
}

function end(this: PatchedResponse, ...args: unknown[]): unknown {
  return this[HOLD]!.end(args)
}

function flushHeaders(this: PatchedResponse): void {
  this[HOLD]!.flushHeaders()
}

/**
 * Keeps the bytes of one response, never its state, until the session is saved: what has to wait for that is in
 * `HeldCalls`, the rest passes through here.
 */
export class ResponseHold {
  readonly res: HeldResponse
  hook: CommitHook
  /** Whether a part of the response has been let through. */
  committed = false
  /** Whether end() was called. */
  ended = false
  /** Whether the hook's headers have been added. */
  applied = false
  /** The arguments of writeHead() after the middleware in front of ours, for a head that was not asked for by name. */
  implicit: unknown[] | undefined
  /** Made when a commit has to be waited for. */
  private held: HeldCalls | undefined
  private performing = false
  private announcing = false
  private headPassed = false
  private readonly originalWriteHead: Method | undefined
  private readonly originalWrite: Method | undefined
  private readonly originalEnd: Method | undefined
  private readonly originalFlushHeaders: Method | undefined

  /** A response has one hold: where it has one already, that is returned, and `hook` joins those that it asks. */
  constructor(response: object, hook: CommitHook) {
    const res = response as PatchedResponse
    this.res = res
    this.hook = hook
    this.originalWriteHead = res.writeHead
    this.originalWrite = res.write
    this.originalEnd = res.end
    this.originalFlushHeaders = res.flushHeaders
    const present = res[HOLD]
    if (present !== undefined) {
      present.hook = joined(present.hook, hook)
      return present
    }
    res[HOLD] = this
    // What is not a function stays as it is: `res` may be `{}` (the ws upgrade idiom) or half a response (engine.io).
    if (typeof res.writeHead === 'function') res.writeHead = writeHead
    if (typeof res.write === 'function') res.write = write
    if (typeof res.end === 'function') res.end = end
    if (typeof res.flushHeaders === 'function') res.flushHeaders = flushHeaders
    if (res.on !== EventEmitter.prototype.on && typeof res.on === 'function') {
      this.held = new HeldCalls(this)
      this.held.keepDrainListeners()
    }
  }

  /** Whether the header block is gone, so that no cookie can follow. */
  get headCommitted(): boolean {
    // What the response itself says: a middleware before us may keep what it was passed. @fastify/express lets
    // `headersSent` say no for ever.
    const { res } = this
    return this.committed && this.held?.reveal === undefined && (res.headersSent !== false || Boolean(res._header))
  }

  /** Whether somebody behind us wraps the body's methods (compression, say). */
  get isWrapped(): boolean {
    return typeof this.res.write === 'function' && (this.res.write !== write || this.res.end !== end)
  }

  writeHead(args: unknown[]): unknown {
    const { held } = this
    held?.touch?.()
    if (this.performing || this.committed) {
      // Held for its end: what middleware before us has kept of it goes out by itself, and now the head is sent.
      held?.lookUnsent()
      return this.#passHead(this.implicit ?? args)
    }
    if (this.announcing) {
      this.implicit = args
      return this.res
    }
    if (held?.isHolding === true) throw headersSentError('write')
    return this.run({ verb: 'writeHead', args })
  }

  write(args: unknown[], direct = this.held?.reclaimed !== true): unknown {
    const { held } = this
    held?.touch?.()
    if (!direct) return (dropCall(this.res, args), true)
    const call: Call = { verb: 'write', args }
    if (this.performing) return this.#pass(call)
    if (held?.isHolding !== true) return this.committed ? this.#pass(call) : this.run(call)
    if (this.ended) return refuseWrite(this.res, args, (action) => held.behind(action))
    return held.add(call)
  }

  flushHeaders(): void {
    const { held } = this
    const call: Call = { verb: 'flushHeaders', args: [] }
    if (held?.isHolding === true) held.enqueue(call)
    else if (this.committed) this.#pass(call)
    else this.run(call)
  }

  end(args: unknown[], direct = this.held?.reclaimed !== true): unknown {
    const { held, res } = this
    held?.touch?.()
    if (!direct) return (dropCall(res, args), res)
    if (this.ended) return refuseEnd(res, args, (action) => (held ? held.behind(action) : process.nextTick(action)))
    this.ended = true
    const call: Call = { verb: 'end', args }
    return held?.isHolding === true ? held.add(call) : this.run(call)
  }

  /** Makes a call once the hook has committed: at once, unless it answers by promise. */
  run(call: Call): unknown {
    if (call.verb !== 'writeHead' && !this.committed && this.res.writeHead !== writeHead) this.#announceHead(call)
    let wait: MaybePromise<void>
    try {
      wait = this.hook.commit()
    } catch (err) {
      // On a turn of its own: the handler that called end() has returned by then, as with any store.
      wait = Promise.reject(err)
    }
    if (isPromise(wait)) return (this.held ??= new HeldCalls(this)).hold(call, wait)
    this.committed = true
    return this.perform(call)
  }

  /**
   * Calls the listeners of on-headers, and other replacements of writeHead() in front of ours, before the session is
   * saved: they may still change it. When Node calls writeHead() itself, they are passed over.
   */
  #announceHead(call: Call): void {
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

  /** Makes a call on the response as it was before us. */
  perform(call: Call): unknown {
    const { res } = this
    const outer = this.performing
    // Ours stands in for the replacements that #announceHead() has called already.
    const before = this.implicit && res.writeHead
    if (before) res.writeHead = writeHead
    this.performing = true
    try {
      return this.#pass(call)
    } catch (err) {
      // Refused by Node (a chunk of a wrong type): an error page may follow.
      if (call.verb === 'end') this.ended = false
      if (res.headersSent !== true && !res._header) this.committed = false
      throw err
    } finally {
      this.performing = outer
      if (before) {
        res.writeHead = before
        this.implicit = undefined
      }
    }
  }

  #pass({ verb, args }: Call): unknown {
    const { res } = this
    if (verb === 'writeHead') return this.#passHead(args)
    // Doubles of tests (node-mocks-http) send a head without calling writeHead(); HTTP/2 has another `_header`.
    const isDouble = res._header === undefined && res.stream === undefined && typeof res.getHeader === 'function'
    if (isDouble && !this.headPassed) {
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
  #passHead(args: unknown[]): unknown {
    const { res } = this
    const headers = args.length > 1 ? (args[headersAt(args)] as object | undefined) : undefined
    const ours = !this.applied && this.hook.hasHead
    if (headers && (ours || Array.isArray(headers))) {
      setGivenHeaders(res, headers)
      args = withoutHeaders(args)
    }
    const { prototype: own } = ServerResponse
    // A response of node:http itself that has no header yet, and that nobody watches. One without a connection was made
    // by hand (adapters of serverless platforms), and is asked for its headers in the end.
    const isUntold =
      ours &&
      this.originalWriteHead === own.writeHead &&
      res.setHeader === own.setHeader &&
      Boolean(res.socket) &&
      res.constructor === (ServerResponse as unknown) &&
      res.getHeaderNames!().length === 0
    const target = isUntold ? new VaryApart(res) : res
    if (ours) {
      this.applied = true
      this.hook.head(target)
    }
    const vary = target instanceof VaryApart ? target.vary : undefined
    try {
      const given = vary === undefined ? args : [...withoutHeaders(args), { Vary: vary }]
      const result = this.originalWriteHead!.apply(res, given)
      this.headPassed = true
      return result
    } catch (err) {
      // Refused by Node: the response that follows has to vary as well.
      if (vary !== undefined) this.applied = false
      throw err
    }
  }
}
