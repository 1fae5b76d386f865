import { allowClose, delayClose } from './delayed-close'
import { PropertyPatch, pretendSent } from './pretend-sent'
import { dropCall } from './refused-calls'
import type { ResponseHold } from './response-hold'
import { offerTakeOver, reclaimBody } from './unhandled-failure'
import { clearHead, showHead, statusOf } from './write-head'

/** Where a double of a response does not say. */
const HIGH_WATER_MARK = 16_384

/** A call on a response. `action`: what was asked of its socket. */
export interface Call {
  verb: 'writeHead' | 'write' | 'flushHeaders' | 'end' | 'flush' | 'cork' | 'uncork' | 'action'
  args: unknown[]
}

/** What was asked of one response while its commit is waited for, and how the response looks meanwhile. */
export class HeldCalls {
  private readonly of: ResponseHold
  private queue: Call[] = []
  /** What the writes in it come to, in bytes. */
  private size = 0
  private wantsDrain = false
  /** Listeners for `drain`, where middleware before us may keep them from the response. */
  private drainListeners: ((...args: unknown[]) => void)[] | undefined
  private heldVerbs: PropertyPatch | undefined
  /** Takes back what a held writeHead() has set. */
  private hideHead: (() => void) | undefined
  private afterwards: (() => void)[] | undefined
  /** Takes back what makes the response look sent; undefined while nothing does. */
  reveal: (() => void) | undefined
  /** Whether middleware that wraps write() and end() behind us is cut off: what it passes on was refused. */
  reclaimed = false
  /** Called when the application touches a response that it is offered. */
  touch: (() => void) | undefined

  constructor(hold: ResponseHold) {
    this.of = hold
  }

  get isHolding(): boolean {
    return this.queue.length > 0
  }

  /** Keeps a call back, and all that follow, until the commit has settled. */
  hold(call: Call, wait: Promise<void>): unknown {
    this.#holdFrom(call)
    wait.then(
      () => {
        this.of.committed = true
        this.#release()
        this.#performAll(this.queue, true)
      },
      (err) => this.#fail(err)
    )
    return this.#answer(call)
  }

  /** Holds one more; gives what its caller is answered. */
  add(call: Call): unknown {
    this.queue.push(call)
    return this.#answer(call)
  }

  // As Node answers what it cannot send yet: NestJS 10 ends a response without waiting for the pipe that `false` stops.
  #answer({ verb, args: [chunk, encoding] }: Call): unknown {
    const { res } = this.of
    if (verb !== 'write') return res
    const isText = typeof chunk === 'string'
    this.size += isText ? Buffer.byteLength(chunk, encoding as BufferEncoding) : ((chunk as Buffer)?.byteLength ?? 0)
    const flowing = this.size < (res.writableHighWaterMark ?? HIGH_WATER_MARK)
    this.wantsDrain ||= !flowing
    return flowing
  }

  /** The same of what is nothing any more after end(). */
  enqueue(call: Call): void {
    if (!this.of.ended) this.queue.push(call)
  }

  /** Does something once what is held has been sent. */
  behind(action: () => void): void {
    if (!this.isHolding) return process.nextTick(action)
    // One listener, however often it is written to.
    if (this.afterwards === undefined) this.of.res.once?.('finish', () => this.afterwards!.forEach((each) => each()))
    ;(this.afterwards ??= []).push(action)
  }

  /** compression keeps listeners for `drain` to itself, for its stream, which is not told of the writes that are held. */
  keepDrainListeners(): void {
    const { res } = this.of
    const on = res.on!
    this.drainListeners = []
    res.on = (type, listener) => {
      if (type === 'drain') this.drainListeners?.push(listener)
      return on.call(res, type, listener)
    }
  }

  lookUnsent(): void {
    this.reveal?.()
    this.reveal = undefined
  }

  #holdFrom(call: Call): void {
    const hold = this.of
    const { res } = hold
    const head = call.verb === 'writeHead' ? call.args : hold.implicit
    if (head !== undefined) this.hideHead = showHead(res, head)
    this.queue.unshift(call)
    this.reveal = pretendSent(res, !hold.committed)
    if (!hold.ended) {
      this.heldVerbs = new PropertyPatch(res)
      for (const verb of ['flush', 'cork', 'uncork'] as const) {
        this.heldVerbs.putMethod(verb, (...args) => this.enqueue({ verb, args }))
      }
    }
    delayClose(res, (action) => {
      if (res.req?.aborted === true) return false
      // By a destroy() of its own, whose socket is still there: nothing that is held could be written to it any more.
      if (res.destroyed === true) res.destroyed = false
      if (hold.ended) res.once?.('finish', action)
      else this.enqueue({ verb: 'action', args: [action] })
      return true
    })
    // connect-timeout counts until the head is written, and the handler has answered in time.
    if (typeof res.req?.clearTimeout === 'function') res.req.clearTimeout()
  }

  #release(): void {
    this.size = 0
    this.heldVerbs?.lift()
    this.heldVerbs = undefined
    this.lookUnsent()
    allowClose(this.of.res)
  }

  /** @param commits whether an end() behind other calls saves what changed since, and may wait again */
  #performAll(queue: Call[], commits: boolean): void {
    let flowing = true
    try {
      for (let call = queue.shift(), first = true; call; call = queue.shift(), first = false) {
        if (call.verb === 'end' && commits && !first) return void this.of.run(call)
        const result = this.of.perform(call)
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
    const { res } = this.of
    const listeners = this.drainListeners
    this.drainListeners = undefined
    if (listeners === undefined) res.emit?.('drain')
    else for (const listener of listeners) listener.call(res)
  }

  // `refused`: not by the store, but by Node, which was given the handler's arguments only now.
  #fail(err: unknown, refused = false): void {
    const hold = this.of
    const { res, hook, ended } = hold
    const queue = this.queue
    this.queue = []
    this.#release()
    if (hold.committed) {
      if (refused) return void hook.refuse(err)
      hook.report(err)
      return this.#performAll(queue, false)
    }
    if (res.statusCode >= 500 && !refused) {
      // The application's error page is on its way already: no reason to replace it by another.
      hook.abandon()
      hold.committed = true
      return this.#performAll(queue, false)
    }
    this.reclaimed = hold.isWrapped
    let taken = false
    const giveBack = this.reclaimed ? reclaimBody(res, (verb, args) => hold[verb](args, true)) : undefined
    const takeOver = () => {
      taken = true
      hold.ended = false
      this.queue = []
      this.wantsDrain = false
      this.hideHead?.()
      this.hideHead = hold.implicit = undefined
      clearHead(res, err, hold.applied)
      for (const { args } of queue) dropCall(res, args)
    }
    if (refused || !hook.lenient) {
      takeOver()
      return this.#answerAtLast(hook.refuse(err, refused))
    }
    // Held for the others, while it is offered.
    this.queue = queue
    let told = true
    const settle = offerTakeOver(res, statusOf(err), takeOver, (touch) => {
      this.touch = touch
      told = hook.refuse(err)
    })
    const goOn = () => {
      this.touch = undefined
      if (settle()) return this.#answerAtLast(told)
      giveBack?.()
      this.reclaimed = false
      hold.committed = true
      this.queue = []
      this.#performAll(queue, false)
    }
    // connect and Express's routers call who answers last on a turn of its own.
    if (taken || !told || !ended) goOn()
    else setImmediate(setImmediate, goOn)
  }

  /** Some hosts take no second call of `next`: koa-connect passes it over, and @fastify/middie throws. */
  #answerAtLast(told: boolean): void {
    const { of: hold } = this
    const answer = () => {
      if (!hold.ended && !hold.committed) hold.end([], true)
    }
    if (!told) return answer()
    if (hold.hook.patience !== undefined) setTimeout(answer, hold.hook.patience).unref()
  }
}
