import type { Response } from 'supertest'
import { MemoryStore, type SessionsOptions } from '../../lib/index'
import { secret } from './app'
import type { Handler } from './basics'

/** Options by which a session is read before the handlers run, as of an asynchronous store, though none asks for it. */
export const eager = (): SessionsOptions => ({ secret, store: new MemoryStore(), load: 'eager' })

/** Handlers that begin a session with the cookie attributes of the query, end it, or leave it alone. */
export const eagerRoutes: Record<string, Handler> = {
  '/login': (req, res) => {
    req.session.user = 1
    Object.assign(req.session.cookie, req.query)
    res.end()
  },
  '/logout': (req, res) => {
    req.session = null
    res.end()
  },
  '/delete': (req, res) => {
    delete req.session
    res.end()
  },
  '/none': (_req, res) => res.end(),
  '/me': (req, res) => res.json({ user: req.session.user ?? null })
}

/** The attributes of every deletion of the cookie in a response. */
export function deletions(res: Response): string[] {
  return ((res.headers['set-cookie'] ?? []) as unknown as string[])
    .filter((text) => text.startsWith('sid=;'))
    .map((text) => text.replace(/^sid=; Max-Age=0; |; Expires=[^;]*/g, ''))
}
