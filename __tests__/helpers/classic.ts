import './quiet'
import request from 'supertest'
import session from '../../lib/index'
import { appWith, cookieOf, secret } from './app'

type Handler = (req: any, res: any, next: any) => unknown

/** An app on the default door, with the options that everybody sets. */
export function classicApp(options: Record<string, unknown>, routes: Record<string, Handler>) {
  return appWith(classic(options), routes)
}

/** The default door with the options that everybody sets. */
export function classic(options: Record<string, unknown> = {}) {
  return session({ secret, resave: false, saveUninitialized: false, ...options })
}

/** Calls a path with a cookie; the answer together with the cookie that is valid from then on. */
export async function visit(app: any, path: string, cookie = ''): Promise<request.Response & { cookie: string }> {
  const res = await request(app).get(path).set('Cookie', cookie)
  return Object.assign(res, { cookie: cookieOf(res, 'connect.sid') ?? cookie })
}

/** Every `Set-Cookie` of an answer. */
export function setCookies(res: request.Response): string[] {
  return [res.headers['set-cookie'] ?? []].flat() as string[]
}

/** A store of the plainest contract, in a map; `over` replaces verbs. */
export function plainStore(over: Record<string, unknown> = {}) {
  const texts = new Map<string, string>()
  const store = Object.assign(Reflect.construct(session.Store, []) as session.Store, {
    texts,
    get(id: string, done: any) {
      const text = texts.get(id)
      setImmediate(done, null, text === undefined ? null : JSON.parse(text))
    },
    set(id: string, record: object, done: any) {
      texts.set(id, JSON.stringify(record))
      setImmediate(done)
    },
    destroy(id: string, done: any) {
      texts.delete(id)
      setImmediate(done)
    },
    ...over
  })
  return store as any
}

/** Handlers that most tests need. */
export const ROUTES: Record<string, Handler> = {
  '/login': (req, res) => {
    req.session.user = 'ann'
    res.send('in')
  },
  '/who': (req, res) => res.json({ user: req.session?.user, id: req.sessionID }),
  '/none': (req, res) => res.json({ there: 'session' in req && req.session !== undefined }),
  '/logout': (req, res, next) => req.session.destroy((err: unknown) => (err ? next(err) : res.send('out')))
}
