import type { Express } from 'express'
import request from 'supertest'
import { sessions } from '../../lib/index'
import { RedisStore } from '../../lib/redis'
import type { RedisClient } from '../../lib/stores/redis/client'
import { appWith, cookieOf, deferred, secret } from './app'

const ANSWER_WITHIN = 120_000

/** A request that an application holds between loading its session and saving it. */
export interface Held {
  goOn(): void
  answer: Promise<request.Response>
}

/** An application whose sessions are in Redis, and which waits so long for an answer of it. */
export class FailoverApp {
  readonly #app: Express
  #arrived = deferred()
  #proceed = deferred()

  constructor(client: RedisClient, storeTimeout: number) {
    this.#app = appWith(sessions({ secret, store: new RedisStore({ client }), storeTimeout }), {
      '/login': (req, res) => {
        Object.assign(req.session, { user: req.query.user, n: 1 })
        res.json({ id: req.sessionID })
      },
      '/count': (req, res) => res.json({ n: ++req.session.n }),
      '/who': (req, res) => res.json({ user: req.session.user, n: req.session.n, late: req.session.late }),
      '/hold': async (req, res) => {
        const proceed = this.#proceed.promise
        this.#arrived.resolve()
        await proceed
        req.session.late = 'written'
        res.json({})
      },
      '/logout': async (req, res) => {
        await req.session.destroy()
        res.json({})
      }
    })
  }

  /** Asks for a page; rejects when no answer comes at all. */
  ask(path: string, cookie = ''): Promise<request.Response> {
    return request(this.#app)
      .get(path)
      .set('Cookie', cookie)
      .timeout(ANSWER_WITHIN)
      .then((answer) => answer)
  }

  async login(user: string): Promise<Visitor> {
    const answer = await this.ask(`/login?user=${user}`)
    return { user, id: answer.body.id, cookie: cookieOf(answer)! }
  }

  /** Sends a request, or another one if its session came too late, and waits until it has it and goes no further. */
  async hold(cookie: string): Promise<Held> {
    for (;;) {
      const proceed = (this.#proceed = deferred())
      this.#arrived = deferred()
      const answer = this.ask('/hold', cookie)
      const refused = await Promise.race([this.#arrived.promise, answer])
      if (refused === undefined) return { goOn: () => proceed.resolve(), answer }
      if (refused.body.code !== 'ERR_SESSION_STORE_TIMEOUT') throw new Error(`It was answered: ${refused.text}`)
    }
  }
}

export interface Visitor {
  user: string
  id: string
  cookie: string
}
