import { clearBody, dropCall } from './clear-body'
import { end, flushHeaders, GATE, reclaim, write, writeHead } from './gate-members'
import type { Gatekeeper } from './gatekeeper'
import { offerTakeOver } from './lenient'
import { headersSentError, lockFor, refuseWrite, type ResponseLock } from './response-lock'
import { isPromise, type MaybePromise } from '../base/time'
import { headersAt, setGivenHeaders, showHead, withoutHeaders } from './write-head'

type Op = { kind: 'head' | 'write' | 'flush' | 'end'; args: any[] }

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
  /** What those who stand before our writeHead have made of a head that nobody asked for by name. */
  #implicit: any[] | undefined
  #asking = false

  constructor(res: any, keeper: Gatekeeper) {
    this.#res = res
    this.#keeper = keeper
    this.#writeHead = res.writeHead
    this.#write = res.write
    this.#end = res.end
    this.#flush = res.flushHeaders
    res[GATE] = this
    // What is not a function stays as it is: `res` may be `{}` (the ws upgrade idiom) or half a response (engine.io).
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
    if (this.#performing) return this.#applyHead(this.#implicit ?? args)
    if (this.#asking) {
      this.#implicit = args
      return this.#res
    }
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
    if (op.kind !== 'head' && !this.#committed && this.#res.writeHead !== writeHead) this.#ask(op)
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
    const head = op.kind === 'head' ? op.args : this.#implicit
    if (head !== undefined) this.#hideHead = showHead(this.#res, head)
    this.#lock ??= lockFor(this.#res)
    this.#lock.lock(this.#ended)
    wait.then(
      () => this.#release(),
      (err) => this.#fail(err)
    )
    this.#wantsDrain ||= op.kind === 'write'
    return op.kind === 'write' ? false : this.#res
  }

  // Listeners of on-headers, and others who have put themselves before our writeHead, may still change the session: they
  // are called before it is saved. When Node asks for the head of its own accord, they have had their turn.
  #ask(op: Op): void {
    const res = this.#res
    if (typeof res.writeHead !== 'function' || res.headersSent === true || this.#asking) return
    this.#asking = true
    try {
      res.writeHead(res.statusCode)
    } catch (err) {
      if (op.kind === 'end') this.#ended = false
      this.#implicit = undefined
      throw err
    } finally {
      this.#asking = false
    }
  }

  // What Node calls in turn (end calls write, write calls writeHead) passes straight through.
  #perform(op: Op): any {
    const outer = this.#performing
    const before = this.#implicit && this.#res.writeHead
    if (before) this.#res.writeHead = writeHead
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
      if (before) {
        this.#res.writeHead = before
        this.#implicit = undefined
      }
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
    this.#lock!.unlock()
    let flowing: unknown = true
    try {
      // The operation that waited is let through; an `end` behind it commits what changed since, and may wait again.
      let op = this.#queue.shift()
      if (op) flowing = this.#perform(op)
      this.#hideHead = undefined
      while ((op = this.#queue.shift())) {
        if (op.kind === 'end') return this.#run(op)
        flowing = this.#perform(op)
      }
    } catch (err) {
      return this.#fail(err, true)
    }
    this.#drain(flowing)
  }

  #drain(flowing: unknown): void {
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
    const ended = this.#ended
    this.#committed = this.#ended = this.#applied = false
    const giveBack = reclaim(res, this, (args) => dropCall(res, args))
    const takeOver = () => {
      this.#hideHead?.()
      this.#hideHead = this.#implicit = undefined
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
    giveBack()
    this.#committed = true
    this.#ended = ended
    this.#performAll(queue)
  }

  #performAll(queue: readonly Op[]): void {
    let flowing: unknown = true
    try {
      for (const op of queue) flowing = this.#perform(op)
    } catch (err) {
      return this.#fail(err, true)
    }
    this.#drain(flowing)
  }

  // As on-headers does: headers given to writeHead are set first, so that ours are added to them. Node alone takes a
  // list for something else as soon as other headers are set.
  #applyHead(args: any[]): any {
    const res = this.#res
    const headers = args[headersAt(args)]
    const { hasHead } = this.#keeper
    if (this.#applied || (!hasHead && !Array.isArray(headers))) return this.#writeHead.apply(res, args)
    if (headers) setGivenHeaders(res, headers)
    if (hasHead) {
      this.#applied = true
      this.#keeper.head(res)
    }
    return this.#writeHead.apply(res, headers ? withoutHeaders(args) : args)
  }
}
