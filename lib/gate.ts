import { isPromise, type MaybePromise } from './time'

/** When the session is committed: before the first byte, and again before the last. */
export type Phase = 'head' | 'end'

/** What the gate asks of the request it guards. */
export interface Gatekeeper {
  /** Stores what must be stored. A promise keeps every byte back until it settles. */
  commit(phase: Phase): MaybePromise<void>
  /** Adds our headers; called once, as the header block is made. */
  head(res: any): void
  /** Whether `head` has anything to add. */
  readonly hasHead: boolean
  /** The commit failed and nothing was sent: hands the error to the application. */
  refuse(err: unknown, status: number): void
  /** The commit failed when it was too late for another answer. */
  report(err: unknown): void
  /** Answers with the handler's own response if the application leaves the error unanswered. */
  readonly lenient: boolean
  /** The last byte is on its way. */
  done(): void
}

type Op = { kind: 'head' | 'write' | 'flush' | 'end'; args: any[] }

const GATE = Symbol('silverback.gate')

// Truthy and never sent: while the bytes are held, Node takes the header block for made, so `headersSent` is true and
// setHeader throws, exactly as after a real end().
const HELD = 'held'

/** Headers that describe the refused body; an error page brings its own. */
const BODY_HEADERS = [
  ...['Content-Length', 'Content-Type', 'Content-Encoding', 'Content-Range', 'Content-Disposition', 'Content-Language'],
  ...['Content-MD5', 'ETag', 'Last-Modified', 'Accept-Ranges', 'Transfer-Encoding', 'Trailer', 'Location'],
  ...['Cache-Control', 'Expires']
]

function sent(what: string): Error {
  const err = new Error(`Cannot ${what} headers after they are sent to the client`) as Error & { code: string }
  err.code = 'ERR_HTTP_HEADERS_SENT'
  return err
}

/** Keeps the bytes of one response, never its state, until the session is safe. */
export class Gate {
  readonly #res: any
  readonly #keeper: Gatekeeper
  readonly #writeHead: any
  readonly #write: any
  readonly #end: any
  readonly #flush: any
  #queue: Op[] = []
  #committed = false
  #ended = false
  #wantsDrain = false
  #locked = false
  #status: [number, string | undefined] = [200, undefined]
  #applied = false

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

  get holding(): boolean {
    return this.#queue.length > 0
  }

  get headCommitted(): boolean {
    return this.#committed
  }

  writeHead(args: any[]): any {
    if (this.holding && this.#locked) throw sent('write')
    if (this.#committed) return this.#applyHead(args)
    this.#run({ kind: 'head', args })
    return this.#res
  }

  write(args: any[]): boolean {
    if (this.#ended && this.holding) return this.#writeAfterEnd(args)
    if (this.holding) {
      this.#queue.push({ kind: 'write', args })
      this.#wantsDrain = true
      return false
    }
    return this.#committed ? this.#write.apply(this.#res, args) : this.#run({ kind: 'write', args })
  }

  flush(): void {
    if (this.holding) this.#queue.push({ kind: 'flush', args: [] })
    else this.#run({ kind: 'flush', args: [] })
  }

  end(args: any[]): any {
    if (this.#ended) return false
    this.#ended = true
    if (this.holding) {
      this.#queue.push({ kind: 'end', args })
      if (this.#res._header !== undefined) this.#res.finished = true
      return this.#res
    }
    return this.#run({ kind: 'end', args })
  }

  #run(op: Op): any {
    let wait: MaybePromise<void>
    try {
      wait = op.kind === 'end' || !this.#committed ? this.#keeper.commit(op.kind === 'end' ? 'end' : 'head') : undefined
    } catch (err) {
      wait = Promise.reject(err as Error)
    }
    if (!isPromise(wait)) {
      this.#committed = true
      return this.#perform(op)
    }
    this.#queue.unshift(op)
    this.#lock()
    wait.then(
      () => this.#release(),
      (err) => this.#fail(err)
    )
    if (op.kind !== 'write') return this.#res
    this.#wantsDrain = true
    return false
  }

  #perform({ kind, args }: Op): any {
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
    this.#unlock()
    let flowing: unknown = true
    try {
      // The operation that waited is let through; a later `end` commits what changed since, and may wait again.
      let op = this.#queue.shift()
      if (op) flowing = this.#perform(op)
      while ((op = this.#queue.shift())) {
        if (op.kind === 'end') return this.#run(op)
        flowing = this.#perform(op)
      }
    } catch (err) {
      // writeHead refused its arguments only now; nothing has been sent.
      this.#queue = []
      return this.#fail(err)
    }
    if (this.#wantsDrain && flowing !== false) this.#res.emit?.('drain')
    this.#wantsDrain = false
  }

  #fail(err: unknown): void {
    const late = this.#committed && this.#res.headersSent && this.#res._header !== HELD
    const queue = this.#queue
    this.#queue = []
    this.#unlock()
    if (late) {
      this.#keeper.report(err)
      for (const op of queue) this.#perform(op)
      return
    }
    this.#committed = this.#ended = this.#applied = false
    const status = (err as { status?: unknown } | null)?.status
    const takeOver = () => this.#clear(queue, typeof status === 'number' ? status : 500)
    if (this.#keeper.lenient) return this.#failLeniently(err, queue, takeOver)
    takeOver()
    this.#keeper.refuse(err, this.#res.statusCode)
  }

  // A plain node:http application that ignores the error gets its own response, as with express-session; one that
  // touches the response takes it over. `_header` is what such applications look at to tell whether they still can.
  #failLeniently(err: unknown, queue: Op[], clear: () => void): void {
    const res = this.#res
    let open = true
    const takeOver = () => {
      if (!open) return
      open = false
      for (const name of VERBS_OF_HEADERS) delete res[name]
      delete res.headersSent
      if (res._header === HELD) res._header = null
      clear()
    }
    for (const name of VERBS_OF_HEADERS) {
      res[name] = (...args: unknown[]) => {
        takeOver()
        return res[name](...args)
      }
    }
    Object.defineProperty(res, 'headersSent', { configurable: true, get: () => !open && Boolean(res._header) })
    if (res._header === null) res._header = HELD
    this.#takeOver = takeOver
    const { statusCode, statusMessage } = res
    this.#keeper.refuse(err, 500)
    this.#takeOver = undefined
    if (!open) return
    open = false
    for (const name of VERBS_OF_HEADERS) delete res[name]
    delete res.headersSent
    if (res._header === HELD) res._header = null
    if (res.statusCode !== statusCode) clear()
    else {
      res.statusMessage = statusMessage
      this.#committed = this.#ended = true
      for (const op of queue) this.#perform(op)
    }
  }

  #takeOver: (() => void) | undefined

  /** The application answers a failed commit after all. */
  takeOver(): void {
    this.#takeOver?.()
  }

  #clear(queue: Op[], status: number): void {
    const res = this.#res
    for (const name of BODY_HEADERS) res.removeHeader?.(name)
    res.statusCode = status
    res.statusMessage = undefined
    for (const { args } of queue) {
      const callback = args[args.length - 1]
      if (typeof callback === 'function') res.once?.('finish', () => callback())
    }
  }

  #writeAfterEnd(args: any[]): boolean {
    const err = Object.assign(new Error('write after end'), { code: 'ERR_STREAM_WRITE_AFTER_END' })
    const callback = args[args.length - 1]
    if (typeof callback === 'function') process.nextTick(callback, err)
    return false
  }

  // As on-headers does: headers given to writeHead are set first, so that ours are added to them.
  #applyHead(args: any[]): any {
    const res = this.#res
    if (this.#applied || !this.#keeper.hasHead) return this.#writeHead.apply(res, args)
    this.#applied = true
    const at = typeof args[1] === 'string' ? 2 : 1
    const headers = args[at]
    if (headers) setHeaders(res, headers)
    this.#keeper.head(res)
    return this.#writeHead.apply(res, headers ? args.slice(0, at) : args)
  }

  #lock(): void {
    const res = this.#res
    this.#locked = true
    this.#status = [res.statusCode, res.statusMessage]
    if (res._header === null) res._header = HELD
    else if (res._header === undefined) lockForeign(res)
    if (this.#ended && res._header !== undefined) res.finished = true
  }

  #unlock(): void {
    const res = this.#res
    this.#locked = false
    if (res._header === HELD) {
      res._header = null
      ;[res.statusCode, res.statusMessage] = this.#status
    } else if (res._header === undefined) {
      unlockForeign(res)
      if (!res.headersSent) res.statusCode = this.#status[0]
    }
    if (res._header !== undefined) res.finished = false
  }
}

const VERBS_OF_HEADERS = ['setHeader', 'setHeaders', 'appendHeader', 'removeHeader']

// HTTP/2's compatibility response keeps its state out of reach, so its members are covered one by one.
function lockForeign(res: any): void {
  for (const name of ['headersSent', 'finished', 'writableEnded']) {
    Object.defineProperty(res, name, { configurable: true, get: () => true })
  }
  for (const name of VERBS_OF_HEADERS) {
    if (typeof res[name] !== 'function') continue
    res[name] = () => {
      throw sent(name === 'removeHeader' ? 'remove' : 'set')
    }
  }
}

function unlockForeign(res: any): void {
  for (const name of ['headersSent', 'finished', 'writableEnded', ...VERBS_OF_HEADERS]) delete res[name]
}

function setHeaders(res: any, headers: any): void {
  if (!Array.isArray(headers)) {
    for (const key of Object.keys(headers)) if (key) res.setHeader(key, headers[key])
    return
  }
  const pairs: [string, any][] = Array.isArray(headers[0]) ? headers : pairsOf(headers)
  for (const [key] of pairs) if (key) res.removeHeader(key)
  for (const [key, value] of pairs) {
    if (!key) continue
    if (typeof res.appendHeader === 'function') res.appendHeader(key, value)
    else res.setHeader(key, value)
  }
}

function pairsOf(flat: any[]): [string, any][] {
  if (flat.length % 2 !== 0) throw new TypeError('headers array is malformed')
  const pairs: [string, any][] = []
  for (let i = 0; i < flat.length; i += 2) pairs.push([flat[i], flat[i + 1]])
  return pairs
}

function writeHead(this: any, ...args: any[]): any {
  this[GATE].takeOver()
  return this[GATE].writeHead(args)
}

function write(this: any, ...args: any[]): any {
  this[GATE].takeOver()
  return this[GATE].write(args)
}

function end(this: any, ...args: any[]): any {
  this[GATE].takeOver()
  return this[GATE].end(args)
}

function flushHeaders(this: any): void {
  this[GATE].flush()
}
