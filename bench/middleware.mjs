// Cost of the middleware over the same request without sessions. Interleaved round-robin, so that whatever else the
// machine does hits everybody alike; a second bare contender shows the error of the measurement.
import { bare } from './contenders.mjs'
import { Exercise } from './exercise.mjs'
import { PAYLOADS, SCENARIOS } from './scenarios.mjs'
import { median } from './statistics.mjs'

const WARM_UP = 3

/** Processor time in us, of all threads: what other programs take does not count. */
export function processorTime() {
  const { user, system } = process.cpuUsage()
  return user + system
}

/** Time in us as a visitor sees it, waiting for a server included. */
export function wallTime() {
  return performance.now() * 1000
}

/**
 * us per request of every contender over the bare one, medians over rounds.
 *
 * A cost below the error of the measurement counts as that error.
 */
export async function measure(contenders, scenario, payload, { rounds, batch, time }) {
  const exercises = []
  for (const contender of [bare(), bare('bare again'), ...contenders]) {
    const exercise = await Exercise.of(contender, SCENARIOS[scenario], PAYLOADS[payload])
    if (exercise !== undefined) exercises.push(exercise)
  }
  const times = new Map(exercises.map(({ name }) => [name, []]))
  for (let round = -WARM_UP; round < rounds; round++) {
    for (const exercise of exercises) {
      const start = time()
      for (let i = 0; i < batch; i++) await exercise.request()
      if (round >= 0) times.get(exercise.name).push((time() - start) / batch)
    }
  }
  const [one, other, ...others] = [...times].map(([name, values]) => ({
    name,
    us: median(values)
  }))
  const error = Math.abs(one.us - other.us)
  const base = (one.us + other.us) / 2
  return {
    error,
    costs: new Map(others.map(({ name, us }) => [name, Math.max(us - base, error)]))
  }
}
