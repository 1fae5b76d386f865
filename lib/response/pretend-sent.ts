import { isHttp1, type HeldResponse } from './commit-hook'
import { headersSentError } from './write-head'

// Truthy and never sent: Node's own members then behave as after a real writeHead().
export const HELD = 'held'

export const HEADER_VERBS = ['setHeader', 'setHeaders', 'appendHeader', 'removeHeader'] as const

/** Own properties that are put on an object for a while; those of the same names that it had come back. */
export class PropertyPatch {
  private own: Map<string, PropertyDescriptor | undefined> | undefined

  constructor(private readonly target: object) {}

  put(name: string, property: PropertyDescriptor): void {
    const own = (this.own ??= new Map<string, PropertyDescriptor | undefined>())
    if (!own.has(name)) own.set(name, Object.getOwnPropertyDescriptor(this.target, name))
    Object.defineProperty(this.target, name, { configurable: true, ...property })
  }

  /** Puts a method in place of one that is there; nothing happens where there is none. */
  putMethod(name: string, value: (...args: unknown[]) => unknown): void {
    const present = (this.target as Record<string, unknown>)[name]
    if (typeof present === 'function') this.put(name, { value, writable: true })
  }

  lift(): void {
    for (const [name, own] of this.own ?? []) {
      if (own === undefined) Reflect.deleteProperty(this.target, name)
      else Object.defineProperty(this.target, name, own)
    }
    this.own = undefined
  }
}

/**
 * Makes a response look as if its head had been sent: `headersSent` is true, setHeader throws, and what is changed
 * meanwhile (the status) does not leak into what is sent later. Whether the response is over (`finished`,
 * `writableEnded`) is left as it is: adapters without a socket, on-finished and Node itself act on that.
 * @param idle whether nothing that could write by itself has been given a part of the body
 * @returns what takes it back; undefined where the head really was sent
 */
export function pretendSent(res: HeldResponse, idle: boolean): (() => void) | undefined {
  if (looksSent(res)) return undefined
  const { statusCode, _header: header } = res
  const http1 = isHttp1(res)
  // HTTP/2 warns of reading or writing a status message.
  const statusMessage = http1 ? res.statusMessage : undefined
  const patch = new PropertyPatch(res)
  if (http1 && idle) res._header = HELD
  // Other runtimes keep their state elsewhere, HTTP/2 does so in Node: their members are replaced one by one.
  if (!looksSent(res)) {
    if (res._header === HELD) res._header = header!
    patch.put('headersSent', { get: () => true })
    for (const name of HEADER_VERBS) {
      patch.putMethod(name, () => {
        throw headersSentError(name === 'removeHeader' ? 'remove' : 'set')
      })
    }
  }
  return () => {
    patch.lift()
    if (res._header === HELD) res._header = header!
    res.statusCode = statusCode
    if (http1) res.statusMessage = statusMessage
  }
}

function looksSent(res: HeldResponse): boolean {
  return res.headersSent === true
}
