import { clearBody } from './clear-body'
import { offerTakeOver } from './lenient'
import { headersSentError, lockFor, refuseWrite, type ResponseLock } from './response-lock'
import { isPromise, type MaybePromise } from './time'
import { headersAt, setGivenHeaders, showHead } from './write-head'

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

type Op = { kind: 'head' | 'write' | 'flush' | 'end'; args: any[] }

const GATE = Symbol('silverback.gate')

/** Keeps the bytes of one response, never its state, until the session is safe. */
export class Gate {
  readonly #res: any
  readonly #keeper: Gatekeeper
  readonly #writeHead: any
  readonly #write: any
  readonly #end: any
  readonly #flush: any
  #lock: ResponseLock | undefined
  #queue: Op[] = []
  #committed = false
  #ended = false
  #applied = false
  #wantsDrain = false
  #performing = false
  #touch: (() => void) | undefined
  /** Takes back what a held writeHead() has set. */
  #hideHead: (() => void) | undefined

  constructor(res: any, keeper: Gatekeeper) {
    this.#res = res
    this.#keeper = keeper
    this.#writeHead = res.writeHead
    this.#write = res.write
    this.#end = res.end
    this.#flush = res.flushHeaders
    res[GATE] = this
    // Shared functions, found by symbol: no closure is made for a request. What is not a function stays as it is,
    // because `res` may be `{}` (the ws upgrade idiom) or half a response (engine.io).
    if (typeof this.#writeHead === 'function') res.writeHead = writeHead
    if (typeof this.#write === 'function') res.write = write
    if (typeof this.#end === 'function') res.end = end
    if (typeof this.#flush === 'function') res.flushHeaders = flushHeaders
  }

  /** Whether the header block has been let through, so that no cookie can follow. */
  get headCommitted(): boolean {
    return this.#committed
  }

  writeHead(args: any[]): any {
    this.#touch?.()
    if (this.#performing) return this.#applyHead(args)
    if (this.#queue.length > 0) throw headersSentError('write')
    if (this.#committed) return this.#applyHead(args)
    return this.#run({ kind: 'head', args })
  }

  write(args: any[]): any {
    this.#touch?.()
    if (this.#queue.length === 0 || this.#performing) {
      return this.#committed ? this.#write.apply(this.#res, args) : this.#run({ kind: 'write', args })
    }
    if (this.#ended) return refuseWrite(args)
    this.#queue.push({ kind: 'write', args })
    this.#wantsDrain = true
    return false
  }

  flush(): void {
    if (this.#queue.length > 0) this.#queue.push({ kind: 'flush', args: [] })
    else if (this.#committed) this.#flush.call(this.#res)
    else this.#run({ kind: 'flush', args: [] })
  }

  end(args: any[]): any {
    this.#touch?.()
    if (this.#ended) return false
    this.#ended = true
    if (this.#queue.length === 0) return this.#run({ kind: 'end', args })
    this.#queue.push({ kind: 'end', args })
    this.#lock?.finish()
    return this.#res
  }

  #run(op: Op): any {
    let wait: MaybePromise<void>
    try {
      wait = this.#keeper.commit()
    } catch (err) {
      // On a turn of its own: the handler that called end() has returned by then, as with any store.
      wait = Promise.reject(err as Error)
    }
    if (!isPromise(wait)) {
      this.#committed = true
      return this.#perform(op)
    }
    this.#queue.unshift(op)
    if (op.kind === 'head') this.#hideHead = showHead(this.#res, op.args)
    this.#lock ??= lockFor(this.#res)
    this.#lock.lock(this.#ended)
    wait.then(
      () => this.#release(),
      (err) => this.#fail(err)
    )
    this.#wantsDrain ||= op.kind === 'write'
    return op.kind === 'write' ? false : this.#res
  }

  // What Node calls in turn (end calls write, write calls writeHead) passes straight through.
  #perform(op: Op): any {
    const outer = this.#performing
    this.#performing = true
    try {
      return this.#pass(op)
    } catch (err) {
      // Refused by Node (a chunk of a wrong type): an error page may follow.
      if (op.kind === 'end') this.#ended = false
      if (this.#res.headersSent !== true) this.#committed = false
      throw err
    } finally {
      this.#performing = outer
    }
  }

  #pass({ kind, args }: Op): any {
    const res = this.#res
    if (kind === 'head') return this.#applyHead(args)
    if (kind === 'write') return this.#write.apply(res, args)
    if (kind === 'flush') return this.#flush.apply(res, args)
    const result = this.#end.apply(res, args)
    this.#keeper.done()
    return result
  }

  #release(): void {
    this.#committed = true
    this.#hideHead = undefined
    this.#lock!.unlock()
    let flowing: unknown = true
    try {
      // The operation that waited is let through; an `end` behind it commits what changed since, and may wait again.
      let op = this.#queue.shift()
      if (op) flowing = this.#perform(op)
      while ((op = this.#queue.shift())) {
        if (op.kind === 'end') return this.#run(op)
        flowing = this.#perform(op)
      }
    } catch (err) {
      return this.#fail(err, true)
    }
    if (this.#wantsDrain && flowing !== false) this.#res.emit?.('drain')
    this.#wantsDrain = false
  }

  // `refused`: not by the store, but by Node, which was given the handler's arguments only now.
  #fail(err: unknown, refused = false): void {
    const res = this.#res
    const queue = this.#queue
    this.#queue = []
    this.#lock!.unlock()
    if (this.#lock!.sent) {
      if (refused) return this.#keeper.refuse(err)
      this.#keeper.report(err)
      return this.#performAll(queue)
    }
    if (res.statusCode >= 500 && !refused) {
      // The application's error page is on its way already: no reason to replace it by another.
      this.#keeper.abandon()
      this.#committed = true
      return this.#performAll(queue)
    }
    this.#committed = this.#ended = this.#applied = false
    const takeOver = () => {
      this.#hideHead?.()
      clearBody(res, queue, err)
    }
    if (refused || !this.#keeper.lenient) {
      takeOver()
      return this.#keeper.refuse(err)
    }
    const taken = offerTakeOver(res, takeOver, (touch) => {
      this.#touch = touch
      this.#keeper.refuse(err)
      this.#touch = undefined
    })
    if (taken) return
    this.#committed = this.#ended = true
    this.#performAll(queue)
  }

  #performAll(queue: readonly Op[]): void {
    try {
      for (const op of queue) this.#perform(op)
    } catch (err) {
      this.#fail(err, true)
    }
  }

  // As on-headers does: headers given to writeHead are set first, so that ours are added to them. Node alone takes a
  // list for something else as soon as other headers are set.
  #applyHead(args: any[]): any {
    const res = this.#res
    const at = headersAt(args)
    const headers = args[at]
    const { hasHead } = this.#keeper
    if (this.#applied || (!hasHead && !Array.isArray(headers))) return this.#writeHead.apply(res, args)
    if (headers) setGivenHeaders(res, headers)
    if (hasHead) {
      this.#applied = true
      this.#keeper.head(res)
    }
    return this.#writeHead.apply(res, headers ? args.slice(0, at) : args)
  }
}

function writeHead(this: any, ...args: any[]): any {
  return this[GATE].writeHead(args)
}

function write(this: any, ...args: any[]): any {
  return this[GATE].write(args)
}

function end(this: any, ...args: any[]): any {
  return this[GATE].end(args)
}

function flushHeaders(this: any): void {
  this[GATE].flush()
}
