// Everything side by side, as tables in Markdown; `--only=limits,middleware,tricks,redis,sql,end-to-end,processes,
// memory` chooses.
// A whole run leaves its ratios in results.json, and the picture of them in the documents.
import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import os from 'node:os'
import { picture } from './picture.mjs'
import { processesTable } from './processes.mjs'
import { startRedis } from './redis-server.mjs'
import { databases } from './sql-servers.mjs'
import { memoryTables } from './tables-memory.mjs'
import { tricksTable } from './tricks.mjs'
import {
  endToEndTable,
  limitsTable,
  middlewareTables,
  redisTables,
  sqlTables,
  trafficTable
} from './tables-requests.mjs'

const { createClient } = createRequire(import.meta.url)('redis')

const redis = await startRedis()
const client = redis && (await createClient({ url: `redis://127.0.0.1:${redis.port}` }).connect())
const results = {
  node: process.versions.node,
  server: redis?.version ?? null,
  middleware: {},
  redis: {},
  endToEnd: { memory: {}, redis: {} }
}

const SECTIONS = {
  limits: async () => console.log(await limitsTable(client)),
  async middleware() {
    for await (const table of middlewareTables(results.middleware)) console.log(table)
  },
  tricks: async () => console.log(await tricksTable()),
  async redis() {
    if (redis === undefined) return console.log('redis-server is not installed: the tables of Redis are left out.\n')
    console.log(await trafficTable(redis))
    for await (const table of redisTables(redis, results.redis)) console.log(table)
  },
  async sql() {
    for await (const { name, url } of databases()) {
      if (url === undefined) console.log(`${name} is not installed: its tables are left out.\n`)
      else for await (const table of sqlTables(url)) console.log(table)
    }
  },
  async 'end-to-end'() {
    console.log(await endToEndTable('memory', results.endToEnd.memory))
    if (redis) console.log(await endToEndTable(redis.version, results.endToEnd.redis, redis.port))
  },
  processes: async () => console.log(await processesTable(redis)),
  memory: async () => console.log(await memoryTables([1e4, 1e5, 1e6]))
}

const only = process.argv.find((arg) => arg.startsWith('--only='))?.slice('--only='.length)
console.log(`${os.cpus().length} cores, Node ${process.versions.node}\n`)
for (const section of only?.split(',') ?? Object.keys(SECTIONS)) await SECTIONS[section]()
if (only === undefined && redis !== undefined) {
  const text = JSON.stringify(results, rounded, 2)
  writeFileSync(new URL('results.json', import.meta.url), `${text}\n`)
  writeFileSync(new URL('../docs/performance.svg', import.meta.url), picture(JSON.parse(text)))
  console.log('Drawn: docs/performance.svg, from bench/results.json')
}
process.exit()

function rounded(_key, value) {
  return typeof value === 'number' ? Number(value.toPrecision(3)) : value
}
