// The statements that one request sends, counted where the drivers are given them.
import { createRequire } from 'node:module'
import { Exercise } from './exercise.mjs'
import { PAYLOADS, SCENARIOS } from './scenarios.mjs'
import { SQL_CONTENDERS } from './sql-contenders.mjs'

const require = createRequire(import.meta.url)
const REQUESTS = 15
let sent = 0

const STATEMENTS = {
  postgres: () => [[require('pg').Client.prototype, ['query']]],
  mysql: () => [[Object.getPrototypeOf(require('mysql2').Connection.prototype), ['query', 'execute']]],
  sqlite: () => [
    [require('sqlite3').Database.prototype, ['run', 'get', 'all', 'exec']],
    [Object.getPrototypeOf(new (require('better-sqlite3'))(':memory:').prepare('SELECT 1')), ['run', 'get', 'all']]
  ]
}

/** Rows of `{ contender, scenario, sent }` for the database at `url`. */
export async function sqlTraffic(url) {
  const database = url.split(':', 1)[0]
  for (const [prototype, names] of STATEMENTS[database]()) for (const name of names) count(prototype, name)
  const rows = []
  for (const [name, make] of Object.entries(SQL_CONTENDERS[database])) {
    const contender = await make(name, url)
    for (const scenario of Object.keys(SCENARIOS)) {
      const exercise = await Exercise.of(contender, SCENARIOS[scenario], PAYLOADS['300 B'])
      await exercise.request()
      sent = 0
      for (let i = 0; i < REQUESTS; i++) await exercise.request()
      rows.push({ contender: name, scenario, sent: sent / REQUESTS })
    }
  }
  return rows
}

function count(prototype, name) {
  const call = prototype[name]
  prototype[name] = function (...args) {
    sent++
    return call.apply(this, args)
  }
}
