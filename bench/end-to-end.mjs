// Requests over the loopback to an application in another process, interleaved rounds.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { load } from './load.mjs'
import { median, quantile } from './statistics.mjs'

const APP = fileURLToPath(new URL('end-to-end-app.mjs', import.meta.url))
const CONNECTIONS = 8
// Short rounds: neighbours in time share whatever else the machine does.
const REQUESTS = 1000

export const APPS = ['bare Express', 'silverback sessions()', 'silverback session()', 'express-session']
export const LOADS = ['anonymous', 'read', 'write']

class App {
  constructor(name) {
    this.name = name
    this.results = Object.fromEntries(LOADS.map((load) => [load, { rates: [], times: [] }]))
  }

  /** `redis`: port of the server that keeps the sessions; else they are in memory. */
  async start(redis) {
    this.child = fork(APP, redis === undefined ? [this.name] : [this.name, String(redis)])
    this.child.once('exit', (code) => code && process.exit(code))
    const [port] = await once(this.child, 'message')
    this.url = `http://127.0.0.1:${port}`
    this.cookies = []
    for (let i = 0; i < CONNECTIONS; i++) {
      const res = await fetch(`${this.url}/login`)
      this.cookies.push(
        res.headers
          .getSetCookie()
          .map((text) => text.split(';', 1)[0])
          .join('; ')
      )
    }
    return this
  }

  /** One round of one load; each connection is a visitor of its own. */
  async round(path) {
    const before = await this.written()
    const measured = await load(`${this.url}/${path}`, {
      connections: CONNECTIONS,
      amount: REQUESTS,
      cookies: path === 'anonymous' ? [] : this.cookies
    })
    // Without sessions all visitors write to the same object: then each sees every write.
    const written = (await this.written()) - before
    if (path === 'write' && written < REQUESTS) throw new Error(`${this.name} lost ${REQUESTS - written} writes`)
    return measured
  }

  /** How many writes the visitors' sessions have seen. */
  async written() {
    let sum = 0
    for (const cookie of this.cookies) {
      const res = await fetch(`${this.url}/written`, { headers: { cookie } })
      sum += Number(await res.text())
    }
    return sum
  }
}

/** By app and load: requests a second of each round, p50 and p99 in ms. */
export async function endToEnd({ rounds, redis }) {
  const apps = await Promise.all(APPS.map((name) => new App(name).start(redis)))
  for (let round = -2; round < rounds; round++) {
    for (const load of LOADS) {
      for (const app of apps) {
        const { rate, times } = await app.round(load)
        if (round < 0) continue
        app.results[load].rates.push(rate)
        app.results[load].times.push(...times)
      }
    }
  }
  for (const { child } of apps) child.kill()
  return new Map(apps.map(({ name, results }) => [name, summary(results)]))
}

function summary(results) {
  const entries = Object.entries(results).map(([load, { rates, times }]) => {
    return [load, { rates, p50: quantile(times, 0.5), p99: quantile(times, 0.99) }]
  })
  return Object.fromEntries(entries)
}

/** How many times the requests a second of `other`: the median over rounds, each compared with its neighbour. */
export function timesAsFast(results, app, other, load) {
  const rates = results.get(other)[load].rates
  return median(results.get(app)[load].rates.map((rate, round) => rate / rates[round]))
}
