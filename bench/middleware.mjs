// Cost of the middleware over the same request without sessions. Interleaved round-robin, so that whatever else the
// machine does hits everybody alike; a second bare contender shows the error of the measurement.
import { bare, contenders } from './contenders.mjs'
import { cookiesOf, exchange } from './exchange.mjs'

let counter = 0
let seen = 0

/** The scenarios: what the handler does, and whether the request brings a cookie. */
export const SCENARIOS = {
  'a anonymous, untouched': { work: () => {}, cookie: 'none' },
  'b valid cookie, untouched': { work: () => {}, cookie: 'valid' },
  'c one value read': { work: (req) => void (req.session.user && seen++), cookie: 'valid', proof: 'read' },
  'd one value written': {
    work: (req) => void (req.session.n = ++counter),
    cookie: 'valid',
    writes: true,
    proof: 'written'
  },
  'e new session': { work: (req) => void (req.session.n = ++counter), cookie: 'none', writes: true, proof: 'cookie' },
  'f forged cookie': { work: (req) => void (req.session.user && seen++), cookie: 'forged', proof: 'anonymous' }
}

export const PAYLOADS = { '300 B': 300, '3 KB': 3000, '50 KB': 50_000 }

function fill(session, bytes) {
  session.user = 'u'.repeat(20)
  for (let i = 0; bytes > 60 * i; i++) session[`key${i}`] = { text: 'x'.repeat(30), n: i }
}

async function login(contender, bytes) {
  const handler = contender.run((req) => fill(req.session, bytes), true)
  return cookiesOf(await exchange(handler, {}))
}

/** Proves that the work was really done before anything is timed. */
async function prove(contender, scenario, headers) {
  if (!scenario.proof) return
  const before = seen
  const res = await exchange(contender.run(scenario.work, scenario.writes), headers)
  const kept = cookiesOf(res) || headers.cookie
  let n
  await exchange(
    contender.run((req) => void (n = req.session.n)),
    kept ? { cookie: kept } : {}
  )
  const done = {
    read: () => seen === before + 1,
    written: () => n === counter,
    cookie: () => n === counter && kept !== undefined,
    anonymous: () => seen === before
  }[scenario.proof]()
  if (!done) throw new Error(`${contender.name} did not do "${scenario.proof}"`)
}

function forge(cookie) {
  return cookie.replace(/.{6}$/, (end) => (end === 'AAAAAA' ? 'BBBBBB' : 'AAAAAA'))
}

/** us per request of every contender, medians over rounds. */
export async function measure(scenarioName, bytes, { rounds, batch, redis }) {
  const scenario = SCENARIOS[scenarioName]
  const runners = []
  for (const contender of [bare(), bare('bare again'), ...contenders({ redis })]) {
    const headers = {}
    if (contender.cookie && scenario.cookie !== 'none') {
      const cookie = await login(contender, bytes)
      // Cookie-only contenders cannot hold the larger payloads.
      if (cookie === '' || cookie.length > 4200) continue
      headers.cookie = scenario.cookie === 'forged' ? forge(cookie) : cookie
    }
    if (contender.cookie) await prove(contender, scenario, headers)
    const work = contender.cookie ? scenario.work : () => {}
    runners.push({ name: contender.name, handler: contender.run(work, scenario.writes), headers, times: [] })
  }
  for (let round = -2; round < rounds; round++) {
    for (const runner of runners) {
      const start = process.hrtime.bigint()
      for (let i = 0; i < batch; i++) {
        const res = await exchange(runner.handler, runner.headers)
        // A client carries on with the cookie it was given.
        if (scenario.cookie === 'valid' && scenario.writes)
          runner.headers.cookie = cookiesOf(res) || runner.headers.cookie
      }
      if (round >= 0) runner.times.push(Number(process.hrtime.bigint() - start) / 1000 / batch)
    }
  }
  const result = Object.fromEntries(runners.map(({ name, times }) => [name, median(times)]))
  const base = (result.bare + result['bare again']) / 2
  const noise = Math.abs(result.bare - result['bare again'])
  const cost = Object.fromEntries(
    Object.entries(result)
      .filter(([name]) => !name.startsWith('bare'))
      .map(([name, us]) => [name, Math.max(us - base, 0.01)])
  )
  return { cost, base, noise }
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)]
}
