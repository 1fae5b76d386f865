// Everything side by side, as tables in Markdown; `--only=limits,middleware,redis,end-to-end,memory` chooses.
import { createRequire } from 'node:module'
import os from 'node:os'
import { startRedis } from './redis-server.mjs'
import { memoryTables } from './tables-memory.mjs'
import { endToEndTable, limitsTable, middlewareTables, redisTables, trafficTable } from './tables-requests.mjs'

const { createClient } = createRequire(import.meta.url)('redis')

const redis = await startRedis()
const client = redis && (await createClient({ url: `redis://127.0.0.1:${redis.port}` }).connect())

const SECTIONS = {
  limits: async () => console.log(await limitsTable(client)),
  async middleware() {
    for await (const table of middlewareTables()) console.log(table)
  },
  async redis() {
    if (redis === undefined) return console.log('redis-server is not installed: the tables of Redis are left out.\n')
    console.log(await trafficTable(redis.port))
    for await (const table of redisTables(redis.port)) console.log(table)
  },
  'end-to-end': async () => console.log(await endToEndTable()),
  memory: async () => console.log(await memoryTables([1e4, 1e5, 2e5, 1e6]))
}

const only = process.argv.find((arg) => arg.startsWith('--only='))?.slice('--only='.length)
console.log(`${os.cpus().length} cores, Node ${process.version}\n`)
for (const section of only?.split(',') ?? Object.keys(SECTIONS)) await SECTIONS[section]()
process.exit()
