import type { IncomingHttpHeaders } from 'node:http'

/** A connection, as far as sessions look at it. */
export interface Connection {
  encrypted?: boolean
  destroyed?: boolean
  once?: (event: string, listener: () => void) => unknown
  removeListener?: (event: string, listener: () => void) => unknown
}

/** A response, as far as its end is waited for. HTTP/2's has no `destroyed`, its stream has. */
export interface Answer extends Pick<Connection, 'destroyed' | 'once' | 'removeListener'> {
  writableFinished?: boolean
  stream?: unknown
}

/**
 * What sessions look at of a request: Node's `IncomingMessage`, Express's `Request`, or a part of either. Everything
 * may be missing (`{ headers, url }` of an upgrade).
 */
export interface HttpRequest {
  headers?: IncomingHttpHeaders
  url?: string
  /** Express: the URL before routers cut it. */
  originalUrl?: string
  /** Express: whether the connection is encrypted, as `trust proxy` has it. */
  secure?: boolean
  socket?: Connection | null
  connection?: Connection | null
  /** Express's; its absence tells a plain `node:http` application. */
  next?: unknown
  /** Express's; its routers, used by themselves, have none. */
  app?: unknown
  /** Left by cookie-parser. */
  secret?: string
  cookies?: Record<string, unknown>
  signedCookies?: Record<string, unknown>
  session?: unknown
  sessionID?: unknown
  sessionStore?: unknown
}

/** The host that a request was sent to, with its port: HTTP/2 has another field for it. */
export function hostOf({ headers }: HttpRequest): string {
  return String(headers?.host ?? headers?.[':authority'] ?? '')
}

/** Express's `next`; callers may give the error any type. */
export type Next = (err?: any) => void

/** A request handler, of whatever framework. */
export interface Handler {
  (req: any, res: any, next: Next): void
}

/** What sessions write to of a response. */
export interface HttpResponse {
  getHeader(name: string): number | string | string[] | undefined
  setHeader(name: string, value: number | string | readonly string[]): unknown
}

/**
 * What options that are functions of the request get where there is none (`auth.create()`): a request without headers
 * and without a connection. Anything else they ask for is `undefined`.
 */
export class EmptyRequest implements HttpRequest {
  readonly headers = {}
  readonly socket = {}
  session?: unknown
  sessionID?: unknown

  get(): undefined {
    return undefined
  }

  header(): undefined {
    return undefined
  }
}
