// A contender under one scenario: logged in, proven to do the work, then asked again and again.
import { cookiesOf, exchange } from './exchange.mjs'
import { payload } from './scenarios.mjs'

// Cookie-only contenders cannot hold the larger payloads.
const MAX_COOKIE = 4200

export class Exercise {
  #contender
  #scenario
  #visitors
  #counts = { seen: 0, written: 0 }
  #handler

  /** Each of so many `visitors` has a session of its own. `undefined` when the contender cannot hold so many bytes. */
  static async of(contender, scenario, bytes, visitors = 1) {
    const headers = []
    for (let i = 0; i < visitors; i++) {
      const cookie = contender.cookie === undefined ? undefined : await cookieFor(contender, scenario, bytes)
      if (cookie === '') return undefined
      headers.push(cookie === undefined ? {} : { cookie })
    }
    const exercise = new Exercise(contender, scenario, headers)
    if (contender.cookie !== undefined) await exercise.#prove()
    return exercise
  }

  constructor(contender, scenario, visitors) {
    this.#contender = contender
    this.#scenario = scenario
    this.#visitors = visitors
    const { work, writes } = scenario
    this.#handler = contender.run(contender.cookie === undefined ? () => {} : (req) => work(req, this.#counts), writes)
  }

  get name() {
    return this.#contender.name
  }

  /** One request of one visitor, who carries on with the cookie that was given. */
  async request(visitor = 0) {
    const headers = this.#visitors[visitor]
    const res = await exchange(this.#handler, headers)
    if (this.#scenario.cookie === 'valid' && this.#scenario.writes) headers.cookie = cookiesOf(res) || headers.cookie
    return res
  }

  async #prove() {
    const res = await this.request()
    const cookie = cookiesOf(res) || this.#visitors[0].cookie
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

// Empty when it is too large, which some contenders say and others do not; none where the visitor comes without.
async function cookieFor(contender, scenario, bytes) {
  if (scenario.cookie === 'none') return undefined
  const login = contender.run((req) => void Object.assign(req.session, payload(bytes)), true)
  const res = await exchange(login, {}).catch((err) => {
    if (!/too big|bytes of cookie/.test(err.message)) throw err
  })
  const cookie = res === undefined ? '' : cookiesOf(res)
  if (cookie.length > MAX_COOKIE) return ''
  return scenario.cookie === 'forged' ? forge(cookie) : cookie
}

function forge(cookie) {
  return cookie.replace(/.{6}$/, (end) => (end === 'AAAAAA' ? 'BBBBBB' : 'AAAAAA'))
}
