// Tables of what requests cost.
import { LOCAL_CONTENDERS } from './contenders.mjs'
import { APPS, endToEnd, LOADS, timesAsFast } from './end-to-end.mjs'
import { limits } from './limits.mjs'
import { Field } from './middleware.mjs'
import { REDIS_CONTENDERS } from './redis-contenders.mjs'
import { traffic } from './redis-traffic.mjs'
import { PAYLOADS, SCENARIOS } from './scenarios.mjs'
import { table } from './tables.mjs'

const ROUNDS = 21
const BATCH = 30
// Larger payloads take longer: smaller batches.
const SMALL = 300
const LETTERS = Object.keys(SCENARIOS)

export async function limitsTable(client) {
  return table('Limits', ['operation', 'us'], [...(await limits(client, { rounds: ROUNDS }))])
}

/** One table a payload, each as soon as it is there. */
export function middlewareTables() {
  return tables('Middleware', LOCAL_CONTENDERS, 'express-session, MemoryStore')
}

export function redisTables(port) {
  return tables('Redis, 30 requests at a time', REDIS_CONTENDERS, 'express-session, connect-redis', {
    port,
    visitors: 30
  })
}

async function* tables(what, contenders, reference, options) {
  const field = await Field.start(Object.keys(contenders), options)
  for (const [payload, bytes] of Object.entries(PAYLOADS)) {
    const effort = { rounds: ROUNDS, batch: BATCH * Math.ceil(10 / Math.sqrt(bytes / SMALL)) }
    const cells = new Map(Object.keys(contenders).map((name) => [name, {}]))
    const errors = []
    for (const scenario of LETTERS) {
      const { costs, error } = await field.measure(scenario, payload, effort)
      errors.push(error)
      for (const [name, us] of costs) {
        cells.get(name)[scenario] = `${us.toFixed(us < 10 ? 2 : 0)} (${(costs.get(reference) / us).toFixed(1)})`
      }
    }
    const rows = [...cells].map(([name, row]) => [name, ...LETTERS.map((scenario) => row[scenario] ?? 'too large')])
    rows.push(['error of the measurement', ...errors.map((error) => error.toFixed(2))])
    yield table(`${what}, ${payload}: us over bare (times less than ${reference})`, ['contender', ...LETTERS], rows)
  }
  field.stop()
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
