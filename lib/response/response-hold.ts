import { EventEmitter } from 'node:events'
import { isPromise, type MaybePromise } from '../base/time'
import { JoinedHooks, type CommitHook, type HeldResponse } from './commit-hook'
import { delayClose, allowClose } from './delayed-close'
import { offerTakeOver, reclaimBody } from './unhandled-failure'
import { dropCall, OriginalMethods, refuseEnd, refuseWrite, type Call } from './original-methods'
import { PropertyPatch, pretendSent } from './pretend-sent'
import { clearHead, headersSentError, showHead } from './write-head'

const HOLD = Symbol('silverback.hold')

interface PatchedResponse extends HeldResponse {
  [HOLD]?: ResponseHold
}

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

/** Keeps the bytes of one response, never its state, until the session is saved. */
export class ResponseHold extends OriginalMethods {
  private queue: Call[] = []
  private wantsDrain = false
  /** Listeners for `drain`, where middleware before us may keep them from the response. */
  private drainListeners: ((...args: unknown[]) => void)[] | undefined
  /** Takes back what makes the response look sent; undefined while nothing does. */
  private reveal: (() => void) | undefined
  private heldVerbs: PropertyPatch | undefined
  /** Takes back what a held writeHead() has set. */
  private hideHead: (() => void) | undefined
  /** Whether middleware that wraps write() and end() behind us is cut off: what it passes on was refused. */
  private reclaimed = false
  private afterwards: (() => void)[] | undefined
  /** Called when the application touches a response that it is offered. */
  private touch: (() => void) | undefined

  /** A response has one hold: where it has one already, that is returned, and `hook` joins those that it asks. */
  constructor(response: object, hook: CommitHook) {
    const res = response as PatchedResponse
    super(res, hook)
    const present = res[HOLD]
    if (present !== undefined) {
      present.hook = new JoinedHooks(present.hook, hook)
      return present
    }
    res[HOLD] = this
    // What is not a function stays as it is: `res` may be `{}` (the ws upgrade idiom) or half a response (engine.io).
    if (typeof res.writeHead === 'function') res.writeHead = writeHead
    if (typeof res.write === 'function') res.write = write
    if (typeof res.end === 'function') res.end = end
    if (typeof res.flushHeaders === 'function') res.flushHeaders = flushHeaders
    if (res.on !== EventEmitter.prototype.on && typeof res.on === 'function') this.#keepDrainListeners()
  }

  /** Whether the header block is gone, so that no cookie can follow. */
  get headCommitted(): boolean {
    // What the response itself says: a middleware before us may keep what it was passed.
    return this.committed && this.reveal === undefined && this.res.headersSent !== false
  }

  writeHead(args: unknown[]): unknown {
    this.touch?.()
    if (this.performing || this.committed) {
      // Held for its end: what middleware before us has kept of it goes out by itself, and now the head is sent.
      this.reveal?.()
      this.reveal = undefined
      return this.passHead(this.implicit ?? args)
    }
    if (this.announcing) {
      this.implicit = args
      return this.res
    }
    if (this.queue.length > 0) throw headersSentError('write')
    return this.#run({ verb: 'writeHead', args })
  }

  write(args: unknown[], direct = !this.reclaimed): unknown {
    this.touch?.()
    if (!direct) return (dropCall(this.res, args), true)
    const call: Call = { verb: 'write', args }
    if (this.performing) return this.pass(call)
    if (this.queue.length === 0) return this.committed ? this.pass(call) : this.#run(call)
    if (this.ended) return refuseWrite(this.res, args, (action) => this.#behind(action))
    this.queue.push(call)
    this.wantsDrain = true
    return false
  }

  flushHeaders(): void {
    const call: Call = { verb: 'flushHeaders', args: [] }
    if (this.queue.length > 0) this.#enqueue(call)
    else if (this.committed) this.pass(call)
    else this.#run(call)
  }

  end(args: unknown[], direct = !this.reclaimed): unknown {
    this.touch?.()
    if (!direct) return (dropCall(this.res, args), this.res)
    if (this.ended) return refuseEnd(this.res, args, (action) => this.#behind(action))
    this.ended = true
    if (this.queue.length === 0) return this.#run({ verb: 'end', args })
    this.queue.push({ verb: 'end', args })
    return this.res
  }

  #enqueue(call: Call): void {
    if (!this.ended) this.queue.push(call)
  }

  #behind(action: () => void): void {
    if (this.queue.length === 0) return process.nextTick(action)
    // One listener, however often it is written to.
    if (this.afterwards === undefined) this.res.once?.('finish', () => this.afterwards!.forEach((each) => each()))
    ;(this.afterwards ??= []).push(action)
  }

  #run(call: Call): unknown {
    if (call.verb !== 'writeHead' && !this.committed && this.res.writeHead !== writeHead) this.announceHead(call)
    let wait: MaybePromise<void>
    try {
      wait = this.hook.commit()
    } catch (err) {
      // On a turn of its own: the handler that called end() has returned by then, as with any store.
      wait = Promise.reject(err)
    }
    if (!isPromise(wait)) {
      this.committed = true
      return this.perform(call, writeHead)
    }
    this.#holdFrom(call)
    wait.then(
      () => {
        this.committed = true
        this.#release()
        this.#performAll(this.queue, true)
      },
      (err) => this.#fail(err)
    )
    return call.verb === 'write' ? false : this.res
  }

  #holdFrom(call: Call): void {
    const { res } = this
    const head = call.verb === 'writeHead' ? call.args : this.implicit
    if (head !== undefined) this.hideHead = showHead(res, head)
    this.queue.unshift(call)
    this.wantsDrain ||= call.verb === 'write'
    this.reveal = pretendSent(res, !this.committed)
    if (!this.ended) {
      this.heldVerbs = new PropertyPatch(res)
      for (const verb of ['flush', 'cork', 'uncork'] as const) {
        this.heldVerbs.putMethod(verb, (...args) => this.#enqueue({ verb, args }))
      }
    }
    delayClose(res, (action) => {
      if (res.req?.aborted === true) return false
      // By a destroy() of its own, whose socket is still there: nothing that is held could be written to it any more.
      if (res.destroyed === true) res.destroyed = false
      if (this.ended) res.once?.('finish', action)
      else this.#enqueue({ verb: 'action', args: [action] })
      return true
    })
    // connect-timeout counts until the head is written, and the handler has answered in time.
    if (typeof res.req?.clearTimeout === 'function') res.req.clearTimeout()
  }

  #release(): void {
    this.heldVerbs?.lift()
    this.reveal?.()
    this.heldVerbs = this.reveal = undefined
    allowClose(this.res)
  }

  /** @param commits whether an end() behind other calls saves what changed since, and may wait again */
  #performAll(queue: Call[], commits: boolean): void {
    let flowing = true
    try {
      for (let call = queue.shift(), first = true; call; call = queue.shift(), first = false) {
        if (call.verb === 'end' && commits && !first) return void this.#run(call)
        const result = this.perform(call, writeHead)
        if (call.verb === 'write') flowing = result !== false
        this.hideHead = undefined
      }
    } catch (err) {
      return this.#fail(err, true)
    }
    if (this.wantsDrain && flowing) this.#drain()
    this.wantsDrain = false
  }

  // To those who were answered false here, in place of the stream whose `drain` they listen for.
  #drain(): void {
    const listeners = this.drainListeners
    this.drainListeners = undefined
    if (listeners === undefined) this.res.emit?.('drain')
    else for (const listener of listeners) listener.call(this.res)
  }

  // compression keeps listeners for `drain` to itself, for its stream, which is not told of the writes that are held.
  #keepDrainListeners(): void {
    const { res } = this
    const on = res.on!
    this.drainListeners = []
    res.on = (type, listener) => {
      if (type === 'drain') this.drainListeners?.push(listener)
      return on.call(res, type, listener)
    }
  }

  // `refused`: not by the store, but by Node, which was given the handler's arguments only now.
  #fail(err: unknown, refused = false): void {
    const { res, hook, ended } = this
    const queue = this.queue
    this.queue = []
    this.#release()
    if (this.committed) {
      if (refused) return hook.refuse(err)
      hook.report(err)
      return this.#performAll(queue, false)
    }
    if (res.statusCode >= 500 && !refused) {
      // The application's error page is on its way already: no reason to replace it by another.
      hook.abandon()
      this.committed = true
      return this.#performAll(queue, false)
    }
    this.ended = false
    this.reclaimed = typeof res.write === 'function' && (res.write !== write || res.end !== end)
    const take = (verb: 'write' | 'end', args: unknown[]) => this[verb](args, true)
    const giveBack = this.reclaimed ? reclaimBody(res, take) : undefined
    const takeOver = () => {
      this.wantsDrain = false
      this.hideHead?.()
      this.hideHead = this.implicit = undefined
      clearHead(res, err, this.applied)
      for (const { args } of queue) dropCall(res, args)
    }
    if (refused || !hook.lenient) {
      takeOver()
      return hook.refuse(err)
    }
    const taken = offerTakeOver(res, takeOver, (touch) => {
      this.touch = touch
      hook.refuse(err)
      this.touch = undefined
    })
    if (taken) return
    giveBack?.()
    this.reclaimed = false
    this.committed = true
    this.ended = ended
    this.#performAll(queue, false)
  }
}
