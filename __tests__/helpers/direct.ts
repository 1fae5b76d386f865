import { IncomingMessage, ServerResponse } from 'node:http'
import { Duplex } from 'node:stream'

/** What came of a request: the error that reached the application, or none. */
export interface Outcome {
  req: any
  err: any
}

/** A request without a network, for tests that need thousands of them. */
export function requestOf(cookie: string): { req: any; res: ServerResponse } {
  const connection: any = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  const req: any = new IncomingMessage(connection)
  Object.assign(req, { method: 'GET', url: '/', headers: { cookie } })
  const res = new ServerResponse(req)
  res.assignSocket(connection)
  return { req, res }
}

/** Sends a request straight into the middleware, and tells when it has passed. */
export function enter(auth: any, cookie: string): { outcome: Outcome | undefined; done: Promise<Outcome> } {
  const { req, res } = requestOf(cookie)
  const entered: { outcome: Outcome | undefined; done: Promise<Outcome> } = { outcome: undefined, done: undefined! }
  entered.done = new Promise((resolve) => {
    auth(req, res, (err: unknown) => resolve((entered.outcome = { req, err })))
  })
  return entered
}

/** Sends a request through the middleware to a handler, until its response has ended or has failed. */
export function pass(auth: any, cookie: string, handler: (req: any, res: any) => unknown): Promise<Outcome> {
  const { req, res } = requestOf(cookie)
  return new Promise((resolve) => {
    res.once('finish', () => resolve({ req, err: undefined }))
    auth(req, res, (err: unknown) => {
      if (err) resolve({ req, err })
      else handler(req, res)
    })
  })
}
