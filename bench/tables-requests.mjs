// Tables of what requests cost.
import { LOCAL_CONTENDERS } from './contenders.mjs'
import { APPS, endToEnd, LOADS, timesAsFast } from './end-to-end.mjs'
import { limits } from './limits.mjs'
import { Field } from './middleware.mjs'
import { REDIS_CONTENDERS } from './redis-contenders.mjs'
import { traffic } from './redis-traffic.mjs'
import { PAYLOADS, SCENARIOS, visitorsOf } from './scenarios.mjs'
import { SQL_CONTENDERS } from './sql-contenders.mjs'
import { sqlTraffic } from './sql-traffic.mjs'
import { table } from './tables.mjs'

const ROUNDS = 15
// Of a payload with which a request takes a millisecond: what varies is small beside it.
const ROUNDS_LARGE = 9
const LARGE = 10_000
const ROUNDS_END_TO_END = 15
// Requests in a batch, long enough that what the other contenders left in the processor's caches does not count: in an
// application nobody else takes turns. Larger payloads take longer: fewer.
const BATCH = { local: 2000, redis: 3000, sql: 300 }
const SMALL = 300
const SQL = {
  postgres: { title: 'PostgreSQL', reference: 'connect-pg-simple' },
  mysql: { title: 'MariaDB', reference: 'express-mysql-session' },
  sqlite: { title: 'SQLite', reference: 'connect-sqlite3' }
}
const LETTERS = Object.keys(SCENARIOS)

export async function limitsTable(client) {
  return table('Limits', ['operation', 'us'], [...(await limits(client, { rounds: ROUNDS }))])
}

/** One table a payload, each as soon as it is there. `results` gets what they show: us by payload, scenario, contender. */
export function middlewareTables(results) {
  return tables('Middleware', LOCAL_CONTENDERS, 'express-session, MemoryStore', results, { batch: BATCH.local })
}

/** @param redis `{ port, version }` of the server */
export function redisTables({ port, version }, results) {
  const url = `redis://127.0.0.1:${port}`
  const options = { url, visitors: visitorsOf('redis'), payloads: ['300 B', '3 KB'], batch: BATCH.redis }
  return tables(
    `${version}, 30 requests at a time`,
    REDIS_CONTENDERS,
    'express-session, connect-redis',
    results,
    options
  )
}

/** The statements that are sent, and what they cost, of one database. */
export async function* sqlTables(url) {
  const database = url.split(':', 1)[0]
  const { title, reference } = SQL[database]
  const cells = new Map()
  for (const { contender, scenario, sent } of await sqlTraffic(url)) {
    const row = cells.get(contender) ?? cells.set(contender, new Map()).get(contender)
    row.set(scenario, String(sent))
  }
  const rows = [...cells].map(([contender, row]) => [contender, ...LETTERS.map((scenario) => row.get(scenario))])
  yield table(`${title}: statements sent per request`, ['contender', ...LETTERS], rows)
  const visitors = visitorsOf(database)
  const what = `${title}, ${visitors === 1 ? 'a request' : `${visitors} requests`} at a time`
  const options = { url, visitors, payloads: ['300 B', '3 KB'], batch: BATCH.sql }
  yield* tables(what, SQL_CONTENDERS[database], `express-session, ${reference}`, {}, options)
}

async function* tables(what, contenders, reference, results, given) {
  const { payloads = Object.keys(PAYLOADS), batch, ...options } = given
  const field = await Field.start(Object.keys(contenders), options)
  for (const payload of payloads) {
    const bytes = PAYLOADS[payload]
    const effort = {
      rounds: bytes < LARGE ? ROUNDS : ROUNDS_LARGE,
      batch: Math.ceil(batch / Math.sqrt(bytes / SMALL))
    }
    // The floor is looked at where the work of the middleware is what counts.
    const wanted = (name) => payload === '300 B' || !name.startsWith('by hand')
    const cells = new Map(
      Object.keys(contenders)
        .filter(wanted)
        .map((name) => [name, {}])
    )
    const errors = []
    results[payload] = {}
    for (const scenario of LETTERS) {
      const { costs, error } = await field.measure(scenario, payload, effort, wanted)
      errors.push(error)
      results[payload][scenario] = Object.fromEntries(costs)
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

export async function trafficTable({ port, version }) {
  const cells = new Map()
  for (const { contender, scenario, names, sent, executed, trips } of await traffic(port)) {
    const row = cells.get(contender) ?? cells.set(contender, new Map()).get(contender)
    row.set(scenario, sent === 0 ? '0' : `${sent}, ${executed}, ${trips} (${names.join(' ')})`)
  }
  const rows = [...cells].map(([contender, row]) => [contender, ...LETTERS.map((scenario) => row.get(scenario))])
  const title = `${version}, per request: commands sent, executed on the server, round trips waited for`
  return table(title, ['contender', ...LETTERS], rows)
}

/** `results` gets requests a second by load and app, in times of express-session's. */
export async function endToEndTable(where, results, redis) {
  const measured = await endToEnd({ rounds: ROUNDS_END_TO_END, redis })
  const rows = LOADS.flatMap((load) => {
    results[load] = {}
    return APPS.map((app) => {
      const { p50, p99 } = measured.get(app)[load]
      const bare = timesAsFast(measured, app, 'bare Express', load)
      const times = timesAsFast(measured, app, 'express-session', load)
      results[load][app] = times
      return [`${load}, ${app}`, `${(bare * 100).toFixed(0)} %`, times, p50, p99]
    })
  })
  const head = ['load', 'req/s, of bare Express', 'req/s, times express-session', 'p50, ms', 'p99, ms']
  return table(`End to end, sessions in ${where}`, head, rows)
}
