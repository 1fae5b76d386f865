import './helpers/quiet'
import { channel } from 'node:diagnostics_channel'
import request from 'supertest'
import { OptionError } from '../lib/base/errors'
import session, { MemoryStore, sessions } from '../lib/index'
import { metricsOf } from '../lib/metrics'
import { appWith, secret } from './helpers/app'
import { basics, login, visit } from './helpers/basics'
import { plainStore } from './helpers/classic'
import { withStillTime } from './helpers/still-time'

/** Prometheus' text as it defines it: samples by name and labels. */
function parse(text: string): Record<string, number> {
  const samples: Record<string, number> = {}
  for (const line of text.split('\n').filter((each) => each !== '' && !each.startsWith('#'))) {
    const [, key, value] = /^([a-z_]+\{(?:[a-z]+="[^"\\]*",?)*\}) (\d[\d.e+-]*)$/.exec(line)!
    expect(samples).not.toHaveProperty([key!])
    samples[key!] = Number(value)
  }
  return samples
}

const doors: [string, string, (options: object) => any][] = [
  ['sessions()', 'sid', (options) => sessions({ secret, ...options })],
  [
    'the drop-in door',
    'connect.sid',
    (options) => session({ secret, resave: false, saveUninitialized: false, ...options } as never)
  ]
]

describe.each(doors)('metricsOf() of %s', (_door, name, open) => {
  it('counts what happens to sessions, and why, in text and in numbers', async () => {
    const auth = open({ store: new MemoryStore() })
    const metrics = metricsOf(auth)
    const app = appWith(auth, { ...basics, '/write': (req, res) => res.json((req.session.user = 'ann')) })
    const cookie = (await request(app).get('/write')).headers['set-cookie']![0]!.split(';')[0]!
    await visit(app, '/read', cookie).expect(200)
    await visit(app, '/read', `${name}=forged`).expect(200)
    await visit(app, '/logout', cookie).expect(200)
    const values = metrics.values()
    expect(values).toMatchObject({ ...auth.stats(), name })
    expect(values.reasons).toContainEqual({ event: 'rejected', reason: 'ERR_SESSION_SIGNATURE', count: 1 })
    const samples = parse(metrics.text())
    expect(samples).toMatchObject({
      [`silverback_session_events_total{name="${name}",event="created"}`]: 1,
      [`silverback_session_events_total{name="${name}",event="destroyed"}`]: 1,
      [`silverback_session_events_total{name="${name}",event="error"}`]: 0,
      [`silverback_session_reasons_total{name="${name}",event="rejected",reason="ERR_SESSION_SIGNATURE"}`]: 1,
      [`silverback_sessions_active{name="${name}"}`]: 0,
      [`silverback_store_call_duration_seconds_count{name="${name}",store="MemoryStore",operation="set"}`]: 1
    })
    expect(String(metrics)).toBe(metrics.text())
    metrics.close()
  })
})

describe('metricsOf()', () => {
  withStillTime()

  it('puts each call of the store into its buckets, and failures apart', async () => {
    const store = plainStore()
    const auth = sessions({ secret, store })
    const app = appWith(auth, basics)
    const cookie = await login(app)
    const metrics = metricsOf(auth)
    const later = (done: () => void) =>
      setImmediate(() => {
        jest.advanceTimersByTime(30)
        done()
      })
    const { get } = store
    store.get = (id: string, done: any) => later(() => get.call(store, id, done))
    await visit(app, '/read', cookie).expect(200)
    store.get = (_id: string, done: any) => setImmediate(done, new Error('down'))
    await visit(app, '/read', cookie).expect(503)
    const [counts] = metrics.values().storeCalls
    expect(counts).toMatchObject({ store: 'Store', operation: 'get', calls: 2, failures: 1 })
    expect(counts!.seconds).toBeCloseTo(0.03)
    const within = (le: number) => counts!.buckets.find((bucket) => bucket.le === le)!.calls
    expect([within(0.025), within(5)]).toEqual([1, 2])
    const samples = parse(metrics.text())
    const labels = 'name="sid",store="Store",operation="get"'
    expect(samples[`silverback_store_call_failures_total{${labels}}`]).toBe(1)
    expect(samples[`silverback_store_call_duration_seconds_bucket{${labels},le="+Inf"}`]).toBe(2)
    expect(metrics.values().reasons).toEqual([{ event: 'error', reason: 'ERR_SESSION_STORE', count: 1 }])
    metrics.close()
  })

  it('counts one middleware, listens once, and stops when it is closed', async () => {
    const [auth, other] = [sessions({ secret }), sessions({ secret })]
    const [one, two] = [metricsOf(auth), metricsOf(other)]
    expect(metricsOf(auth)).toBe(one)
    await login(appWith(auth, basics))
    expect([one.values().storeCalls.length, two.values().storeCalls.length]).toEqual([1, 0])
    two.close()
    expect(channel('tracing:silverback:store:end').hasSubscribers).toBe(true)
    one.close()
    expect(channel('tracing:silverback:store:end').hasSubscribers).toBe(false)
  })

  it('refuses what is no middleware of ours', () => {
    for (const none of [{ stats: () => ({}) }, undefined, null])
      expect(() => metricsOf(none as never)).toThrow(OptionError)
  })
})
