// What one request costs Redis: the commands sent, those that the server executes (more, where a script runs), and the
// round trips that the client waits for, seen from how much later its answer comes when all of Redis's come late.
import { createRequire } from 'node:module'
import { Exercise } from './exercise.mjs'
import { REDIS_CONTENDERS } from './redis-contenders.mjs'
import { PAYLOADS, SCENARIOS } from './scenarios.mjs'
import { SlowLink } from './slow-link.mjs'
import { median } from './statistics.mjs'

const { createClient } = createRequire(import.meta.url)('redis')
const LATE = 25
const REQUESTS = 15

/** Rows of `{ contender, scenario, sent, executed, trips }`; the last contender has a client-side cache. */
export async function traffic(port) {
  const link = new SlowLink(port)
  const url = `redis://127.0.0.1:${await link.open()}`
  const plain = await createClient({ url }).connect()
  const cached = await createClient({
    url,
    RESP: 3,
    clientSideCache: { ttl: 0, maxEntries: 1000 }
  }).connect()
  const admin = await createClient({
    url: `redis://127.0.0.1:${port}`
  }).connect()
  const contenders = Object.entries(REDIS_CONTENDERS).map(([name, make]) => make(name, plain))
  const [[hot, makeHot]] = Object.entries(REDIS_CONTENDERS)
  contenders.push(makeHot(`${hot}, client-side cache`, cached))
  const rows = []
  for (const contender of contenders) {
    for (const scenario of Object.keys(SCENARIOS)) {
      rows.push({
        contender: contender.name,
        scenario,
        ...(await trafficOf(contender, scenario, admin, link))
      })
    }
  }
  for (const client of [plain, cached, admin]) client.destroy()
  link.close()
  return rows
}

async function trafficOf(contender, scenario, admin, link) {
  const exercise = await Exercise.of(contender, SCENARIOS[scenario], PAYLOADS['300 B'])
  // What was read once is in the cache, where there is one.
  await exercise.request()
  await admin.configResetStat()
  link.sent = []
  for (let i = 0; i < REQUESTS; i++) await exercise.request()
  const sent = [...link.sent]
  const executed = await executedCommands(admin)
  link.late = LATE
  const times = []
  for (let i = 0; i < REQUESTS; i++) {
    const start = performance.now()
    await exercise.request()
    times.push(performance.now() - start)
  }
  link.late = 0
  return {
    sent: sent.length / REQUESTS,
    names: [...new Set(sent)],
    executed: executed / REQUESTS,
    trips: Math.floor(median(times) / LATE)
  }
}

async function executedCommands(admin) {
  const stats = await admin.info('commandstats')
  const lines = stats.split('\r\n').filter((line) => /^cmdstat_(?!info|config)/.test(line))
  return lines.reduce((sum, line) => sum + Number(/calls=(\d+)/.exec(line)[1]), 0)
}
