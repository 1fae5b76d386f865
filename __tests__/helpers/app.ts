import express, { type RequestHandler } from 'express'
import request from 'supertest'
import { sessions } from '../../lib/index'

export const secret = 'a secret for tests, thirty-two bytes or more'

/** An app behind a session middleware, with routes given as handlers; errors answer with status and code. */
export function appWith(
  auth: RequestHandler | ReturnType<typeof sessions<any>>,
  routes: Record<string, (req: any, res: any, next: any) => unknown>
) {
  const app = express()
  app.use(auth as RequestHandler)
  for (const [path, handler] of Object.entries(routes)) {
    app.all(path, async (req, res, next) => {
      try {
        await handler(req, res, next)
      } catch (err) {
        next(err)
      }
    })
  }
  app.use((err: any, _req: any, res: any, _next: any) => {
    res.status(err.status ?? 500).json({ code: err.code, message: err.message })
  })
  return app
}

/** `name=value` of the last cookie that a response set under a name; `undefined` if none. */
export function cookieOf(res: request.Response, name = 'sid'): string | undefined {
  const list = (res.headers['set-cookie'] ?? []) as unknown as string[]
  return list
    .filter((text) => text.startsWith(`${name}=`))
    .at(-1)
    ?.split(';')[0]
}

/** A promise with its resolver. */
export function deferred<T = void>() {
  let resolve!: (value: T) => void
  const promise = new Promise<T>((done) => (resolve = done))
  return { promise, resolve }
}
