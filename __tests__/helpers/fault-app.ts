import { infoOf, update } from '../../lib/index'
import request, { type Response } from 'supertest'
import { sessions, type SessionsOptions } from '../../lib/index'
import { RedisStore } from '../../lib/stores/redis/redis'
import type { RedisClient } from '../../lib/stores/redis/client'
import { appWith, cookieOf, deferred, secret } from './app'

/** A request whose handler has its session and waits for a word of the test before it goes on. */
export interface Held {
  goOn(): void
  answer: Promise<Response>
}

export interface FaultApp {
  get(path: string, cookie?: string): request.Test
  /** Logs a user in: the cookie. */
  login(user?: string): Promise<string>
  /**
   * Begins a request that will `write`, `logout`, `rotate` or `read`, and waits until its handler runs; another one where
   * a machine that stalled has made the store too late for it.
   */
  hold(what: string, cookie: string): Promise<Held>
}

const VERBS: Record<string, (req: any, res: any) => unknown> = {
  read: (req, res) => {
    const { user, n } = req.session
    const { error, isNew } = infoOf(req.session)
    res.json({ user: user ?? null, n: n ?? 0, isNew, code: error?.code ?? null })
  },
  login: async (req, res) => {
    await req.session.regenerate()
    req.session.user = req.query.user
    res.json('in')
  },
  write: (req, res) => {
    req.session.n = (req.session.n ?? 0) + 1
    res.json('written')
  },
  save: async (req, res) => {
    req.session.n = 1
    await req.session.save()
    res.json('saved')
  },
  update: async (req, res) => res.json(await update(req.session, (session: any) => (session.n = 1))),
  unset: (req, res) => {
    req.session = null
    res.json('unset')
  },
  logout: async (req, res) => {
    await req.session.destroy()
    res.json('out')
  },
  rotate: async (req, res) => {
    await req.session.regenerate({ keep: true, grace: Number(req.query.grace ?? 0) })
    res.json('rotated')
  }
}

/** A small application with everything that can go wrong while its store fails. */
export function faultApp(options: SessionsOptions<any>): FaultApp {
  let held: { entered(): void; leave: Promise<void> } | undefined
  const routes = Object.entries(VERBS).map(([name, verb]) => [`/${name}`, verb] as const)
  const app = appWith(sessions({ secret, ...options }), {
    ...Object.fromEntries(routes),
    '/hold/:what': async (req, res) => {
      void req.session
      held!.entered()
      await held!.leave
      await VERBS[req.params.what]!(req, res)
    }
  })
  const get = (path: string, cookie = '') => request(app).get(path).set('Cookie', cookie)
  return {
    get,
    login: async (user = 'ann') => cookieOf(await get(`/login?user=${user}`).expect(200))!,
    async hold(what, cookie) {
      for (;;) {
        const entered = deferred()
        const leave = deferred()
        held = { entered: () => entered.resolve(), leave: leave.promise }
        const answer = get(`/hold/${what}`, cookie).then((res) => res)
        const refused = await Promise.race([entered.promise, answer])
        if (refused === undefined) return { goOn: () => leave.resolve(), answer }
        if (refused.body.code !== 'ERR_SESSION_STORE_TIMEOUT') throw new Error(`It was answered: ${refused.text}`)
      }
    }
  }
}

/** The same on Redis. */
export function redisApp(client: RedisClient, options: SessionsOptions<any> = {}): FaultApp {
  return faultApp({ store: new RedisStore({ client }), ...options })
}
