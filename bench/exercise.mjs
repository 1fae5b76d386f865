// A contender under one scenario: logged in, proven to do the work, then asked again and again.
import { cookiesOf, exchange } from './exchange.mjs'
import { payload } from './scenarios.mjs'

// Cookie-only contenders cannot hold the larger payloads.
const MAX_COOKIE = 4200

export class Exercise {
  #contender
  #scenario
  #headers
  #counts = { seen: 0, written: 0 }
  #handler

  /** `undefined` when the contender cannot hold so many bytes. */
  static async of(contender, scenario, bytes) {
    const headers = {}
    if (contender.cookie !== undefined && scenario.cookie !== 'none') {
      const login = contender.run((req) => void Object.assign(req.session, payload(bytes)), true)
      const cookie = cookiesOf(await exchange(login, {}))
      if (cookie === '' || cookie.length > MAX_COOKIE) return undefined
      headers.cookie = scenario.cookie === 'forged' ? forge(cookie) : cookie
    }
    const exercise = new Exercise(contender, scenario, headers)
    if (contender.cookie !== undefined) await exercise.#prove()
    return exercise
  }

  constructor(contender, scenario, headers) {
    this.#contender = contender
    this.#scenario = scenario
    this.#headers = headers
    const { work, writes } = scenario
    this.#handler = contender.run(contender.cookie === undefined ? () => {} : (req) => work(req, this.#counts), writes)
  }

  get name() {
    return this.#contender.name
  }

  /** One request; a client carries on with the cookie it was given. */
  async request() {
    const res = await exchange(this.#handler, this.#headers)
    if (this.#scenario.cookie === 'valid' && this.#scenario.writes) {
      this.#headers.cookie = cookiesOf(res) || this.#headers.cookie
    }
    return res
  }

  async #prove() {
    const res = await this.request()
    const cookie = cookiesOf(res) || this.#headers.cookie
    const found = {}
    const look = this.#contender.run((req) => Object.assign(found, { user: req.session.user, n: req.session.n }))
    await exchange(look, cookie === undefined ? {} : { cookie })
    const { seen, written } = this.#counts
    const done = {
      untouched: (found.user !== undefined) === (this.#scenario.cookie === 'valid'),
      read: seen === 1,
      written: written === 1 && found.n === 1,
      anonymous: seen === 0 && found.user === undefined
    }[this.#scenario.proof]
    if (!done) throw new Error(`${this.name} did not do "${this.#scenario.proof}"`)
  }
}

function forge(cookie) {
  return cookie.replace(/.{6}$/, (end) => (end === 'AAAAAA' ? 'BBBBBB' : 'AAAAAA'))
}
