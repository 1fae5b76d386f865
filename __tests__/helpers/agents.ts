import request from 'supertest'
import { infoOf, sessions, type SessionsOptions } from '../../lib/index'
import { appWith, cookieOf, secret } from './app'

const routes = {
  '/read': (req: any, res: any) => res.json({ user: req.session.user, code: infoOf(req.session).error?.code }),
  '/write': (req: any, res: any) => {
    req.session.user ??= 'bob'
    req.session.visits = (req.session.visits ?? 0) + 1
    res.json({ visits: req.session.visits })
  }
}

/** An application behind `sessions()`, and visits to it: by a browser that names itself, or by none. */
export function openToAgents(options: SessionsOptions) {
  const auth = sessions<any>({ secret, ...options })
  const app = appWith(auth, routes)
  const visit = async (path: string, cookie?: string, agent?: string) => {
    const asked = request(app).get(path)
    if (agent !== undefined) asked.set('User-Agent', agent)
    if (cookie !== undefined) asked.set('Cookie', cookie)
    const res = await asked
    return { status: res.status, body: res.body, cookie: cookieOf(res) ?? cookie! }
  }
  return { auth, visit }
}
