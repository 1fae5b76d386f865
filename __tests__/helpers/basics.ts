import { infoOf } from '../../lib/index'
import request, { type Response } from 'supertest'
import { appWith, cookieOf } from './app'

export type Handler = (req: any, res: any, next?: any) => unknown

/** Handlers of an application whose session is read, written (with the query), destroyed, or left alone. */
export const basics: Record<string, Handler> = {
  '/read': (req, res) => {
    const { session } = req
    const { cookie: _cookie, ...data } = session
    res.json({ data, isNew: infoOf(session).isNew, code: infoOf(session).error?.code })
  },
  '/write': (req, res) => {
    Object.assign(req.session, req.query)
    res.send('written')
  },
  '/logout': async (req, res) => {
    await req.session.destroy()
    res.send('out')
  },
  '/nothing': (_req, res) => res.send('nothing')
}

/** Handlers of an application whose visitor logs in as ann, and out. */
export const membership: Record<string, Handler> = {
  '/login': (req, res) => res.json((req.session.user = 'ann')),
  '/read': (req, res) => res.json(req.session.user ?? null),
  '/logout': basics['/logout']!
}

/** Begins a session with the data of a query: the cookie. */
export async function login(app: any, query = 'user=u'): Promise<string> {
  return cookieOf(await request(app).get(`/write?${query}`))!
}

/** What the session of a cookie holds. */
export const read = (app: any, cookie: string | undefined) =>
  request(app)
    .get('/read')
    .set('Cookie', cookie ?? '')

export const bodyOf = async (app: any, cookie: string) => (await read(app, cookie)).body

/** Calls a path with a cookie. */
export const visit = (app: any, path: string, cookie = '') => request(app).get(path).set('Cookie', cookie)

/** Runs one handler behind a middleware, and gives its response. */
export const visitWith = (auth: any, handler: Handler, cookie = ''): Promise<Response> =>
  visit(appWith(auth, { '/': handler }), '/', cookie).then((res) => res)
