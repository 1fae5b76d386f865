import './quiet'
import http from 'node:http'
import https from 'node:https'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import express5 from 'express'
import subject from '../../lib/index'

const express4 = require('express4') as typeof express5
const reference = require('express-session') as typeof subject

/** One package of the comparison, as an application would have required it. */
export type Side = any

/** The two sides: what is measured against, and what is measured. */
export const SIDES: { reference: Side; subject: Side } = { reference, subject }

export const EXPRESS = { 4: express4, 5: express5 }

/** What came back over the wire. */
export interface Answer {
  status: number
  /** In the order sent, without what no application decides: date and connection. */
  headers: [string, string][]
  body: string
}

export interface Asked {
  method?: string
  path?: string
  headers?: Record<string, string>
  secure?: boolean
}

type Listener = (req: any, res: any) => void

// TLS with a shared key: an encrypted connection without any certificate to make or to keep.
const PSK = { psk: Buffer.alloc(32, 7), identity: 'test' }
const CIPHERS = { ciphers: 'PSK-AES128-GCM-SHA256', maxVersion: 'TLSv1.2' as const }
const PSK_CLIENT = { ...CIPHERS, pskCallback: () => PSK, checkServerIdentity: () => undefined }
const DROPPED = new Set(['date', 'connection', 'keep-alive'])

/** One plain and one encrypted server, whose listener is exchanged for every case. */
export class Wire {
  listener: Listener = () => undefined
  readonly #servers: [http.Server, https.Server]
  readonly #agents = [
    new http.Agent({ keepAlive: true }),
    new https.Agent({ keepAlive: true, ...PSK_CLIENT } as https.AgentOptions)
  ]

  constructor() {
    const listen: Listener = (req, res) => this.listener(req, res)
    const options = { ...CIPHERS, pskCallback: () => PSK.psk }
    this.#servers = [http.createServer(listen), https.createServer(options as https.ServerOptions, listen)]
  }

  async open(): Promise<this> {
    for (const server of this.#servers) await once(server.listen(0, '127.0.0.1'), 'listening')
    return this
  }

  async close(): Promise<void> {
    this.#agents.forEach((agent) => agent.destroy())
    for (const server of this.#servers) {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    }
  }

  async ask({ method = 'GET', path = '/', headers = {}, secure = false }: Asked): Promise<Answer> {
    const at = secure ? 1 : 0
    const { port } = this.#servers[at]!.address() as AddressInfo
    const base = { port, host: '127.0.0.1', method, path, headers, agent: this.#agents[at]! }
    const req = secure ? https.request({ ...base, ...PSK_CLIENT } as https.RequestOptions) : http.request(base)
    req.end()
    const [res] = (await once(req, 'response')) as [http.IncomingMessage]
    let body = ''
    res.setEncoding('utf8').on('data', (text: string) => (body += text))
    await once(res, 'end')
    return { status: res.statusCode!, headers: pairs(res.rawHeaders), body }
  }
}

function pairs(raw: string[]): [string, string][] {
  const list: [string, string][] = []
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!.toLowerCase()
    if (!DROPPED.has(name)) list.push([name, raw[i + 1]!])
  }
  return list
}

/** express-session's own MemoryStore that writes down every call; each side gets one, so both see one contract. */
export class RecordingStore extends (reference as Side).MemoryStore {
  readonly calls: string[] = []
  /** Verbs that answer with an error. */
  readonly failing: Set<string>
  declare sessions: Record<string, string>

  constructor(failing: string[] = [], touchable = true) {
    super()
    this.failing = new Set(failing)
    if (!touchable) Object.defineProperty(this, 'touch', { value: undefined })
  }

  get(id: string, callback: (err?: unknown, session?: unknown) => void): void {
    this.#record('get', id, callback, () => super.get(id, callback))
  }

  set(id: string, session: object, callback?: (err?: unknown) => void): void {
    this.#record('set', id, callback, () => super.set(id, session, callback), JSON.stringify(session))
  }

  destroy(id: string, callback?: (err?: unknown) => void): void {
    this.#record('destroy', id, callback, () => super.destroy(id, callback))
  }

  touch(id: string, session: { cookie: object }, callback?: (err?: unknown) => void): void {
    this.#record('touch', id, callback, () => super.touch(id, session, callback), JSON.stringify(session.cookie))
  }

  #record(verb: string, id: string, callback: any, work: () => void, detail = ''): void {
    this.calls.push(`${verb} ${id} ${detail}`.trim())
    if (this.failing.has(verb)) setImmediate(() => callback?.(new Error(`${verb} failed`)))
    else work()
  }
}
