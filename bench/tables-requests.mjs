// Tables of what requests cost.
import { localContenders } from './contenders.mjs'
import { APPS, endToEnd, LOADS, timesAsFast } from './end-to-end.mjs'
import { limits } from './limits.mjs'
import { measure, processorTime, wallTime } from './middleware.mjs'
import { redisContenders } from './redis-contenders.mjs'
import { traffic } from './redis-traffic.mjs'
import { PAYLOADS, SCENARIOS } from './scenarios.mjs'
import { table } from './tables.mjs'

const ROUNDS = 31
const LETTERS = Object.keys(SCENARIOS)

export async function limitsTable(client) {
  return table('Limits', ['operation', 'us'], [...(await limits(client, { rounds: ROUNDS }))])
}

/** One table a payload, each as soon as it is there. */
export function middlewareTables() {
  return tables('Middleware', localContenders, 'express-session, MemoryStore', 300)
}

export function redisTables(client) {
  return tables('Redis', () => redisContenders(client), 'express-session, connect-redis', 30)
}

async function* tables(what, contenders, reference, effort) {
  for (const payload of Object.keys(PAYLOADS)) {
    const cells = new Map()
    const errors = []
    for (const scenario of LETTERS) {
      const { costs, error } = await measure(contenders(), scenario, payload, {
        rounds: ROUNDS,
        batch
      })
      errors.push(error)
      for (const [name, us] of costs) {
        const row = cells.get(name) ?? cells.set(name, { [what]: name }).get(name)
        row[scenario] = `${us.toFixed(us < 10 ? 2 : 0)} (${(costs.get(reference) / us).toFixed(1)})`
      }
    }
    const title = `${what}, ${payload}: us over bare (times less than ${reference})`
    const rows = [...cells.values()].map((row) => [
      row[what],
      ...LETTERS.map((scenario) => row[scenario] ?? 'too large')
    ])
    rows.push(['error of the measurement', ...errors.map((error) => error.toFixed(2))])
    yield table(title, ['contender', ...LETTERS], rows)
  }
}

export async function trafficTable(port) {
  const cells = new Map()
  for (const { contender, scenario, names, sent, executed, trips } of await traffic(port)) {
    const row = cells.get(contender) ?? cells.set(contender, new Map()).get(contender)
    row.set(scenario, sent === 0 ? '0' : `${sent}, ${executed}, ${trips} (${names.join(' ')})`)
  }
  const rows = [...cells].map(([contender, row]) => [contender, ...LETTERS.map((scenario) => row.get(scenario))])
  const title = 'Redis, per request: commands sent, executed on the server, round trips waited for'
  return table(title, ['contender', ...LETTERS], rows)
}

export async function endToEndTable() {
  const results = await endToEnd({ rounds: ROUNDS })
  const rows = LOADS.flatMap((load) =>
    APPS.map((app) => {
      const { p50, p99 } = results.get(app)[load]
      const bare = timesAsFast(results, app, 'bare Express', load)
      return [
        `${load}, ${app}`,
        `${(bare * 100).toFixed(0)} %`,
        timesAsFast(results, app, 'express-session', load),
        p50,
        p99
      ]
    })
  )
  const head = ['load', 'req/s, of bare Express', 'req/s, times express-session', 'p50, ms', 'p99, ms']
  return table('End to end, sessions in memory', head, rows)
}
