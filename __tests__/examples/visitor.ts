import type { Server } from 'node:http'
import request from 'supertest'

/** A person with a browser of their own, as far as supertest can be one: keeps cookies, fills in forms. */
export class Visitor {
  readonly agent

  constructor(server: Server) {
    this.agent = request.agent(server)
  }

  get(path: string): request.Test {
    return this.agent.get(path)
  }

  /** Loads the page with the form, then sends it with the token that is in it. */
  async submit(path: string, fields: Record<string, string>, page = path): Promise<request.Response> {
    const _csrf = tokenIn((await this.get(page)).text)
    return this.agent
      .post(path)
      .type('form')
      .send({ _csrf, ...fields })
  }

  /** A call of the JSON API, with the session's token. */
  async call(method: 'post' | 'put' | 'delete', path: string, body?: object): Promise<request.Response> {
    const { csrfToken } = (await this.get('/api/session')).body
    return this.agent[method](path).set('X-CSRF-Token', csrfToken).send(body)
  }
}

export function tokenIn(page: string): string {
  const token = /name="_csrf" value="([^"]+)"/.exec(page)?.[1]
  if (token === undefined) throw new Error('this page has no form')
  return token
}

/** The one session cookie that a response sets, with its attributes; fails when there is none. */
export function cookieOf(response: request.Response): string {
  const cookies = [response.headers['set-cookie'] ?? []].flat().filter((cookie) => cookie.startsWith('sid='))
  if (cookies.length !== 1) throw new Error(`expected one session cookie, got ${cookies.length}`)
  return cookies[0]!
}

/** `name=value` of a Set-Cookie, as a browser sends it back. */
export function pairOf(setCookie: string): string {
  return setCookie.slice(0, setCookie.indexOf(';'))
}
