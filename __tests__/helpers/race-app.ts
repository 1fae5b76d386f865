import { infoOf, update, lock } from '../../lib/index'
import diagnostics from 'node:diagnostics_channel'
import { EventEmitter, once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import express from 'express'
import session, { sessions } from '../../lib/index'

/** How the sessions of such an application are set up: plain JSON, so that it can travel to another process. */
export interface RaceOptions {
  /** The drop-in door instead of `sessions()`. */
  classic?: boolean
  /** The store has no index of users: `/revoke` destroys the session by its ID instead. */
  indexless?: boolean
  /** Options of the door. */
  given?: object
}

const reasons: unknown[] = []
diagnostics.subscribe('silverback:dropped', (message) => void reasons.push((message as { reason: unknown }).reason))

const shown = (req: any) => {
  const { cookie: _cookie, __lastAccess: _theirs, ...data } = req.session
  const { isNew, error } = infoOf(req.session)
  return { id: req.sessionID, data, isNew, code: error?.code ?? null }
}

const rotate = (req: any) => req.session.regenerate({ keep: true, grace: Number(req.query.grace ?? 0) })

/** An application whose requests can be held with the session they have read, while others change or end it. */
export function raceApp(store: any, secret: string, { classic, indexless, given }: RaceOptions = {}): express.Express {
  // None of these is about a store that is late, and a loaded machine may well be.
  const patient = { secret, store, storeTimeout: 60_000 }
  const options = { ...patient, ...(indexless ? {} : { userId: (data: any) => data.user }), ...given }
  const auth: any = classic
    ? session({ name: 'sid', resave: false, saveUninitialized: false, ...options })
    : sessions(options)
  const app = express().use(auth).use('/twice', auth)
  const held: (() => void)[] = []
  const arrivals = new EventEmitter()
  const routes: Record<string, (req: any, res: any) => unknown> = {
    '/set': (req) => Object.assign(req.session, req.query),
    '/twice/set': (req) => Object.assign(req.session, req.query),
    '/nested/:key': (req) => (((req.session.a ??= {}).b ??= {})[req.params.key] = true),
    '/count': (req) => update(req.session, (data: any) => void (data.n = (data.n ?? 0) + 1)),
    '/save': (req) => Object.assign(req.session, req.query).save(),
    '/login': async (req) => {
      await req.session.regenerate()
      req.session.user = req.query.user
    },
    '/logout': (req) => req.session.destroy(),
    '/rotate': (req) => rotate(req),
    '/revoke': (req) => (indexless ? auth.destroy(req.query.id) : auth.revoke(req.query.user)),
    '/late/:how': async (req, res) => {
      void req.session.user
      if (req.params.how === 'respond') await rotate(req)
      await new Promise<void>((resolve) => {
        held.push(resolve)
        arrivals.emit('one')
      })
      if (req.params.how === 'rotate') {
        req.session[req.query.key] = true
        await rotate(req)
      }
      if (req.params.how === 'reload') {
        await req.session.reload()
        const again = shown(req)
        req.session.late = true
        res.json(again)
      }
      if (req.params.how === 'write') req.session.late = true
      if (req.params.how === 'update') await update(req.session, (data: any) => void (data.late = true))
    },
    '/locked': async (req, res) => {
      const limits = Object.fromEntries(Object.entries(req.query).map(([key, value]) => [key, Number(value)]))
      const lost = await lock(
        req.session,
        async (signal: AbortSignal) => {
          await new Promise<void>((resolve) => {
            held.push(resolve)
            arrivals.emit('one')
          })
          return signal.aborted
        },
        limits
      )
      // Whoever has this answer finds the lock free.
      res.json({ lost })
    },
    // Loses nothing only if nobody else is between reading and writing.
    '/careful': (req) =>
      lock(
        req.session,
        async () => {
          await req.session.reload()
          const n = req.session.n ?? 0
          await new Promise(setImmediate)
          req.session.n = n + 1
          await req.session.save()
        },
        { wait: 60_000 }
      ),
    '/held/:count': async (req) => {
      while (held.length < Number(req.params.count)) await once(arrivals, 'one')
    },
    '/go': () => held.splice(0).forEach((goOn) => goOn()),
    '/dropped': (_req, res) => res.json(reasons.splice(0)),
    '/listed': async (req, res) => res.json(await auth.list(req.query.user)),
    '/read': (req, res) => res.json(shown(req))
  }
  for (const [path, handler] of Object.entries(routes)) {
    app.get(path, async (req, res, next) => {
      try {
        await handler(req, res)
        if (!res.headersSent) res.json('done')
      } catch (err) {
        next(err)
      }
    })
  }
  app.use((err: any, _req: any, res: any, _next: any) => res.status(err.status ?? 500).json({ code: err.code }))
  return app
}

/** Serves an application on a free port. */
export async function serve(app: http.RequestListener): Promise<{ port: number; close(): Promise<void> }> {
  const server = http.createServer(app)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', 4096, resolve))
  const close = async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  return { port: (server.address() as AddressInfo).port, close }
}
