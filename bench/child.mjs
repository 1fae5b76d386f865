// One contender in a process of its own, as in an application: no other's code decides how its own is compiled, and
// what one leaves to the garbage collector is collected on its own account.
import { createRequire } from 'node:module'
import { bare, LOCAL_CONTENDERS } from './contenders.mjs'
import { Exercise } from './exercise.mjs'
import { PAYLOADS, SCENARIOS } from './scenarios.mjs'

const [name, url] = process.argv.slice(2)
let exercise

const VERBS = {
  /** Answers whether the contender can hold so much; `visitors`: how many ask at a time, each with its own session. */
  async prepare(scenario, payload, visitors) {
    exercise = await Exercise.of(contender, SCENARIOS[scenario], PAYLOADS[payload], visitors)
    return exercise !== undefined
  },

  /** Processor time in us per request, of all threads: what other programs take does not count. */
  async batch(requests, visitors) {
    const start = process.cpuUsage()
    for (let i = 0; i < requests; i += visitors) {
      if (visitors === 1) await exercise.request()
      else await Promise.all(Array.from({ length: visitors }, (_, visitor) => exercise.request(visitor)))
    }
    const { user, system } = process.cpuUsage(start)
    return (user + system) / requests
  }
}

async function make() {
  if (name.startsWith('bare')) return bare(name)
  if (url === undefined) return LOCAL_CONTENDERS[name](name)
  const database = url.split(':', 1)[0]
  if (database !== 'redis') {
    const { SQL_CONTENDERS } = await import('./sql-contenders.mjs')
    return SQL_CONTENDERS[database][name](name, url)
  }
  const { createClient } = createRequire(import.meta.url)('redis')
  const { REDIS_CONTENDERS } = await import('./redis-contenders.mjs')
  return REDIS_CONTENDERS[name](name, await createClient({ url }).connect())
}

const contender = await make()
process.on('message', async ([verb, ...args]) => process.send(await VERBS[verb](...args)))
process.once('disconnect', () => process.exit())
process.send('ready')
