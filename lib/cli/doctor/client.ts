import http from 'node:http'
import https from 'node:https'
import type { Milliseconds } from '../../base/time'
import { CommandError, EXIT } from '../command'

export interface Reply {
  readonly method: string
  readonly url: URL
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly body: string
  /** When it was asked for, and when it came, by the clock of this machine. */
  readonly between: readonly [Milliseconds, Milliseconds]
}

export interface Question {
  readonly method?: string
  readonly cookie?: string | undefined
  readonly fields?: Readonly<Record<string, string>>
  /** Fields go as JSON instead of as a form. */
  readonly json?: boolean
}

export interface ClientOptions {
  /** Says that the request came to a proxy by HTTPS, as one that terminates TLS does. */
  readonly behindProxy: boolean
  /** Takes any certificate. */
  readonly insecure: boolean
  readonly timeout: Milliseconds
}

const BODY_MAX = 1024 * 1024

/** Asks one application. Each question has a connection of its own: behind a load balancer it may go to any instance. */
export class Client {
  constructor(private readonly options: ClientOptions) {}

  /** Whether browsers would take it for HTTPS. */
  isSecure(url: URL): boolean {
    return this.options.behindProxy || url.protocol === 'https:'
  }

  /** Where a reply sends the browser on this host; `undefined`: nowhere. */
  redirectOf({ status, headers, url }: Reply): URL | undefined {
    const { location } = headers
    if (location === undefined || ![301, 302, 303, 307, 308].includes(status)) return undefined
    const next = URL.canParse(location, url.href) ? new URL(location, url) : undefined
    if (next?.host !== url.host) return undefined
    // The proxy's HTTPS is not spoken here, and what was asked by HTTPS is never sent in the clear.
    if (this.options.behindProxy || url.protocol === 'https:') next.protocol = url.protocol
    return next
  }

  /** @throws {CommandError} when nothing answers */
  ask(url: URL, { method = 'GET', cookie, fields, json = false }: Question = {}): Promise<Reply> {
    const { behindProxy, insecure, timeout } = this.options
    const body = fields && (json ? JSON.stringify(fields) : new URLSearchParams(fields).toString())
    const type = json ? 'application/json' : 'application/x-www-form-urlencoded'
    const scheme = this.isSecure(url) ? 'https:' : 'http:'
    const headers = {
      accept: 'text/html,application/json;q=0.9,*/*;q=0.8',
      'user-agent': 'silverback-doctor',
      ...(cookie && { cookie }),
      ...(behindProxy && { 'x-forwarded-proto': 'https' }),
      ...(method !== 'GET' && {
        origin: `${scheme}//${url.host}`,
        'sec-fetch-site': 'same-origin',
        referer: url.origin + url.pathname
      }),
      ...(body !== undefined && { 'content-type': type, 'content-length': Buffer.byteLength(body) })
    }
    const asked = Date.now()
    const { request } = url.protocol === 'https:' ? https : http
    return new Promise<Reply>((resolve, reject) => {
      // A URL may hold a password or a token.
      const place = url.origin + url.pathname
      const fail = (err: Error) =>
        reject(new CommandError(`${method} ${place} could not be asked: ${err.message || String(err)}`, EXIT.failed))
      const options = { method, headers, agent: false, rejectUnauthorized: !insecure }
      const req = request(url, { ...options, signal: AbortSignal.timeout(timeout) }, (res) => {
        const came = Date.now()
        let text = ''
        res.setEncoding('utf8')
        res.on('data', (chunk: string) => {
          // A stream that does not end has said enough as well.
          if ((text += chunk).length > BODY_MAX) res.destroy()
        })
        res.on('error', () => undefined)
        res.on('close', () =>
          resolve({ method, url, status: res.statusCode!, headers: res.headers, body: text, between: [asked, came] })
        )
      })
      req.on('error', fail)
      req.on('upgrade', (_res, socket) => {
        socket.destroy()
        fail(new Error('it does not answer by HTTP'))
      })
      req.end(body)
    })
  }
}
