// Requests over the loopback, each connection a visitor of its own.
import { createRequire } from 'node:module'

const autocannon = createRequire(import.meta.url)('autocannon')

/**
 * Asks so many times, `connections` at a time; each sends one of the cookies, as long as there are any.
 *
 * @returns `{ rate, times }`: requests a second, and ms of each
 */
export function load(url, { connections, amount, cookies = [] }) {
  const left = [...cookies]
  const times = []
  let first
  return new Promise((resolve, reject) => {
    const fail = () => reject(new Error(`${url} failed`))
    const run = autocannon({
      url,
      connections,
      amount,
      expectBody: 'ok',
      setupClient: (client) => client.setHeaders({ cookie: left.pop() ?? 'theme=dark' })
    })
    run.on('reqError', fail).on('reqMismatch', fail)
    // Not at the end of the run, which comes with a whole second.
    run.on('response', (_client, status, _bytes, ms) => {
      const now = performance.now()
      first ??= now
      if (status !== 200) fail()
      if (times.push(ms) === amount) resolve({ rate: ((amount - 1) * 1000) / (now - first), times })
    })
  })
}
