import { holdSocket, releaseSocket } from './held-socket'

/**
 * Makes a response look sent while its bytes are held back: `headersSent` is true, setHeader throws, and what is
 * changed meanwhile (the status) does not leak into what is sent later.
 */
export interface ResponseLock {
  /** `ended`: end() was called, so the response looks finished too. */
  lock(ended: boolean): void
  /** end() was called while the response was locked already. */
  finish(): void
  unlock(): void
  /** Whether the header block really was sent, whatever the lock pretends. */
  readonly sent: boolean
}

/** The lock that fits a response. */
export function lockFor(res: any): ResponseLock {
  return isHttp1(res) ? new Http1Lock(res) : new MemberLock(res)
}

/** The error that Node throws for headers that come too late. */
export function headersSentError(verb: string): Error {
  return Object.assign(new Error(`Cannot ${verb} headers after they are sent to the client`), {
    code: 'ERR_HTTP_HEADERS_SENT'
  })
}

/** Answers a write that comes after the end, as Node does. */
export function refuseWrite(args: any[]): boolean {
  const err = Object.assign(new Error('write after end'), { code: 'ERR_STREAM_WRITE_AFTER_END' })
  const callback = args[args.length - 1]
  if (typeof callback === 'function') process.nextTick(callback, err)
  return false
}

export const HEADER_VERBS = ['setHeader', 'setHeaders', 'appendHeader', 'removeHeader'] as const

// Truthy and never sent: Node's own members then behave as after a real end().
export const HELD = 'held'

/** Whether a response is one of node:http, whose state is within reach. */
export function isHttp1(res: any): boolean {
  return res._header === null || typeof res._header === 'string'
}

class Http1Lock implements ResponseLock {
  readonly #res: any
  #status: [number, string | undefined] | undefined

  constructor(res: any) {
    this.#res = res
  }

  get sent(): boolean {
    return typeof this.#res._header === 'string' && this.#res._header !== HELD
  }

  lock(ended: boolean): void {
    const res = this.#res
    if (res._header === null) {
      this.#status = [res.statusCode, res.statusMessage]
      res._header = HELD
    }
    if (ended) this.finish()
  }

  finish(): void {
    this.#res.finished = true
    holdSocket(this.#res)
  }

  unlock(): void {
    const res = this.#res
    res.finished = false
    releaseSocket(res)
    if (res._header !== HELD) return
    res._header = null
    ;[res.statusCode, res.statusMessage] = this.#status!
  }
}

/** Members of an object that are covered for a while; what it had of its own (another middleware's) comes back. */
export class Cover {
  readonly #target: any
  readonly #own = new Map<string, PropertyDescriptor | undefined>()

  constructor(target: any) {
    this.#target = target
  }

  put(name: string, member: PropertyDescriptor): void {
    if (!this.#own.has(name)) this.#own.set(name, Object.getOwnPropertyDescriptor(this.#target, name))
    Object.defineProperty(this.#target, name, { configurable: true, ...member })
  }

  lift(): void {
    for (const [name, own] of this.#own) {
      if (own === undefined) delete this.#target[name]
      else Object.defineProperty(this.#target, name, own)
    }
    this.#own.clear()
  }
}

// HTTP/2's compatibility response keeps its state out of reach, so its members are covered one by one.
class MemberLock implements ResponseLock {
  readonly #res: any
  readonly #cover: Cover
  #locked = false
  #statusCode = 200

  constructor(res: any) {
    this.#res = res
    this.#cover = new Cover(res)
  }

  get sent(): boolean {
    return !this.#locked && this.#res.headersSent === true
  }

  lock(ended: boolean): void {
    const res = this.#res
    if (res.headersSent === true) return
    this.#locked = true
    this.#statusCode = res.statusCode
    this.#cover.put('headersSent', { get: () => true })
    for (const name of HEADER_VERBS) {
      if (typeof res[name] !== 'function') continue
      const value = () => {
        throw headersSentError(name === 'removeHeader' ? 'remove' : 'set')
      }
      this.#cover.put(name, { value })
    }
    if (ended) this.finish()
  }

  finish(): void {
    for (const name of ['finished', 'writableEnded']) this.#cover.put(name, { get: () => true })
  }

  unlock(): void {
    this.#cover.lift()
    if (!this.#locked) return
    this.#locked = false
    this.#res.statusCode = this.#statusCode
  }
}
