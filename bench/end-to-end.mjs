// Requests over the loopback to an application in another process, interleaved rounds.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { median, quantile } from './statistics.mjs'

const autocannon = createRequire(import.meta.url)('autocannon')
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

  async start() {
    this.child = fork(APP, [this.name])
    this.child.once('exit', (code) => code && process.exit(code))
    const [port] = await once(this.child, 'message')
    this.url = `http://127.0.0.1:${port}`
    this.cookies = []
    for (let i = 0; i < CONNECTIONS; i++) {
      const res = await fetch(`${this.url}/login`)
      this.cookies.push(res.headers.getSetCookie().map((text) => text.split(';', 1)[0]))
    }
    return this
  }

  /** One round of one load; each connection is a visitor of its own. */
  async round(load) {
    const cookies = load === 'anonymous' ? [] : [...this.cookies]
    const before = await this.written()
    const times = []
    const run = autocannon({
      url: `${this.url}/${load}`,
      connections: CONNECTIONS,
      amount: REQUESTS,
      expectBody: 'ok',
      setupClient: (client) =>
        client.setHeaders({
          cookie: cookies.pop()?.join('; ') ?? 'theme=dark'
        })
    })
    let first, last
    run.on('response', (_client, _status, _bytes, ms) => {
      last = performance.now()
      first ??= last
      times.push(ms)
    })
    const { non2xx, errors, mismatches } = await run
    if (times.length !== REQUESTS || non2xx + errors + mismatches > 0) throw new Error(`${this.name} failed`)
    // Without sessions all visitors write to the same object: then each sees every write.
    const written = (await this.written()) - before
    if (load === 'write' && written < REQUESTS) throw new Error(`${this.name} lost ${REQUESTS - written} writes`)
    return { rate: ((REQUESTS - 1) * 1000) / (last - first), times }
  }

  /** How many writes the visitors' sessions have seen. */
  async written() {
    let sum = 0
    for (const cookie of this.cookies) {
      const res = await fetch(`${this.url}/written`, {
        headers: { cookie: cookie.join('; ') }
      })
      sum += Number(await res.text())
    }
    return sum
  }
}

/** By app and load: requests a second of each round, p50 and p99 in ms. */
export async function endToEnd({ rounds }) {
  const apps = await Promise.all(APPS.map((name) => new App(name).start()))
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
