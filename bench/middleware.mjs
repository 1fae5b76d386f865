// Cost of the middleware over the same request without sessions. Batches of all contenders take turns, so that whatever
// else the machine does hits everybody alike; a second bare contender shows the error of the measurement.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { median } from './statistics.mjs'

const CHILD = fileURLToPath(new URL('child.mjs', import.meta.url))
// Requests until the compiler has seen enough.
const WARM_UP = 15_000

class Contender {
  static async start({ name, contender: of = name, env }, url) {
    const contender = new Contender()
    contender.name = name
    contender.child = fork(CHILD, url === undefined ? [of] : [of, url], { env: { ...process.env, ...env } })
    contender.child.once('exit', (code) => code && process.exit(code))
    await once(contender.child, 'message')
    return contender
  }

  async call(...message) {
    this.child.send(message)
    const [answer] = await once(this.child, 'message')
    return answer
  }
}

/** Contenders that are measured together. */
export class Field {
  #contenders
  #visitors

  /**
   * `contenders`: names, or names with the `contender` meant and its environment, in which the bare ones run as well.
   * `url`: of the database that they keep their sessions in; `visitors`: requests at a time.
   */
  static async start(contenders, { url, visitors = 1 } = {}) {
    const field = new Field()
    const env = contenders[0].env
    const all = [{ name: 'bare', env }, { name: 'bare again', env }, ...contenders]
    field.#contenders = await Promise.all(
      all.map((each) => Contender.start(typeof each === 'string' ? { name: each } : each, url))
    )
    field.#visitors = visitors
    return field
  }

  /**
   * us per request of each contender over the bare one, medians over rounds; those left out cannot hold the payload.
   *
   * A cost below the error of the measurement counts as that error.
   */
  async measure(scenario, payload, { rounds, batch }, wanted = () => true) {
    const running = []
    for (const contender of this.#contenders) {
      const { name } = contender
      if (!name.startsWith('bare') && !wanted(name)) continue
      if (await contender.call('prepare', scenario, payload, this.#visitors)) running.push(contender)
    }
    const times = new Map(running.map(({ name }) => [name, []]))
    for (const contender of running) await contender.call('batch', Math.min(WARM_UP, batch * rounds), this.#visitors)
    for (let round = 0; round < rounds; round++) {
      for (const contender of running) {
        times.get(contender.name).push(await contender.call('batch', batch, this.#visitors))
      }
    }
    const [one, other, ...others] = [...times].map(([name, values]) => ({ name, us: median(values) }))
    const error = Math.abs(one.us - other.us)
    const base = (one.us + other.us) / 2
    return { error, costs: new Map(others.map(({ name, us }) => [name, Math.max(us - base, error)])) }
  }

  stop() {
    for (const { child } of this.#contenders) child.disconnect()
  }
}
