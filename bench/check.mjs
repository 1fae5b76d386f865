// The targets as assertions, on a quick run, for use before a release: exit code 1 when one is missed.
import { endToEnd, timesAsFast } from './end-to-end.mjs'
import { memory } from './memory.mjs'
import { Field } from './middleware.mjs'
import { startRedis } from './redis-server.mjs'
import { traffic } from './redis-traffic.mjs'
import { visitorsOf } from './scenarios.mjs'
import { databases } from './sql-servers.mjs'
import { sqlTraffic } from './sql-traffic.mjs'
import { table } from './tables.mjs'
import {
  END_TO_END_TARGETS,
  LOCAL_TARGETS,
  MEMORY_TARGETS,
  REDIS_TARGETS,
  SQL_TARGETS,
  SQL_TRAFFIC_TARGETS,
  TRAFFIC_TARGETS
} from './targets.mjs'

const EFFORT = { rounds: 25, batch: 300 }
const rows = []

function least(what, target, measured) {
  rows.push([what, `>= ${target}`, measured, measured >= target ? 'pass' : 'MISS'])
}

function most(what, target, measured) {
  rows.push([what, `<= ${target}`, measured, measured <= target ? 'pass' : 'MISS'])
}

async function checkCosts(targets, options) {
  const field = await Field.start([...new Set(targets.flatMap(({ ours, theirs }) => [ours, theirs]))], options)
  for (const pair of new Set(targets.map(({ scenario, payload }) => `${scenario}|${payload}`))) {
    const [scenario, payload] = pair.split('|')
    const here = targets.filter((target) => target.scenario === scenario && target.payload === payload)
    const wanted = (name) => here.some(({ ours, theirs }) => name === ours || name === theirs)
    const { costs } = await field.measure(scenario, payload, EFFORT, wanted)
    for (const { ours, theirs, least: target } of here) {
      least(`${scenario}, ${payload}: ${ours} / ${theirs}`, target, costs.get(theirs) / costs.get(ours))
    }
  }
  field.stop()
}

async function checkRedis() {
  const redis = await startRedis()
  if (redis === undefined) return console.log('redis-server is not installed: its targets are not checked.\n')
  const { port } = redis
  await checkCosts(REDIS_TARGETS, { url: `redis://127.0.0.1:${port}`, visitors: visitorsOf('redis') })
  const found = await traffic(port)
  for (const { scenario, ours, sent, trips } of TRAFFIC_TARGETS) {
    const row = found.find((row) => row.contender === ours && row.scenario === scenario)
    most(`${scenario}: ${ours}, commands`, sent, row.sent)
    most(`${scenario}: ${ours}, round trips waited for`, trips, row.trips)
  }
}

async function checkSql() {
  for await (const { name, url } of databases()) {
    if (url === undefined) console.log(`${name} is not installed: its targets are not checked.\n`)
    else {
      const database = url.split(':', 1)[0]
      await checkCosts(SQL_TARGETS[database], { url, visitors: visitorsOf(database) })
      for (const { contender, scenario, sent } of await sqlTraffic(url)) {
        const target = SQL_TRAFFIC_TARGETS[scenario]
        if (contender.startsWith('silverback') && target !== undefined)
          most(`${scenario}: ${contender}, statements`, target, sent)
      }
    }
  }
}

async function checkEndToEnd() {
  const results = await endToEnd({ rounds: 15 })
  for (const { load, ours, theirs, least: target } of END_TO_END_TARGETS) {
    least(`end to end, ${load}: req/s of ${ours} / ${theirs}`, target, timesAsFast(results, ours, theirs, load))
  }
}

async function checkMemory() {
  const { sizes, names, bytes, pause, bytesLeft } = MEMORY_TARGETS
  for (const result of await memory(sizes, names)) {
    const what = `${result.size.toLocaleString('en')} sessions, ${result.name}`
    most(`${what}: bytes each`, bytes, Math.round(result.bytes))
    for (const phase of ['inserting', 'reading', 'expiring']) {
      const { ms, gc } = result[phase]
      most(`${what}: longest turn ${phase}, ms (${gc.toFixed(1)} of it GC)`, pause, ms)
    }
    most(`${what}: bytes each left after expiry`, bytesLeft, result.bytesLeft)
  }
}

await checkCosts(LOCAL_TARGETS)
await checkRedis()
await checkSql()
await checkEndToEnd()
await checkMemory()
console.log(table('Targets', ['what', 'target', 'measured', ''], rows))
process.exit(rows.some(([, , , verdict]) => verdict === 'MISS') ? 1 : 0)
