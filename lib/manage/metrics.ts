import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { OptionError } from '../base/errors'
import { EVENTS, portOf, type ReasonCount, type SessionStats, type StoreCall } from '../base/diagnostics'
import type { Engine } from '../engine/engine'
import type { SessionManager } from './manager'
import { engineOf } from './sessions'

/** Upper bounds of the histogram, in seconds. */
const BOUNDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]
const ANSWERS = ['tracing:silverback:store:end', 'tracing:silverback:store:asyncEnd']

/** The calls of one operation of a store. */
export interface StoreCallCounts {
  /** Class of the store. */
  store: string
  operation: string
  calls: number
  failures: number
  /** What they took together. */
  seconds: number
  /** How many took no longer than so many seconds, the shorter ones included. */
  buckets: { le: number; calls: number }[]
}

/** Numbers for a dashboard. */
export interface MetricValues extends SessionStats {
  /** Cookie name of the main session. */
  name: string
  /** Since set-up. */
  reasons: ReasonCount[]
  /** Since `metricsOf()` was first called. */
  storeCalls: StoreCallCounts[]
}

const known = new WeakMap<Engine, Metrics>()

/** What one middleware's sessions and its store do, in numbers. */
export class Metrics {
  readonly #auth: Pick<SessionManager, 'stats'>
  readonly #engine: Engine
  readonly #ports: ReadonlySet<object>
  readonly #calls = new Map<string, StoreCallCounts>()

  /** Use `metricsOf()`. */
  constructor(auth: Pick<SessionManager, 'stats'>, engine: Engine) {
    this.#auth = auth
    this.#engine = engine
    this.#ports = new Set(engine.ports())
    for (const channel of ANSWERS) subscribe(channel, this.#count)
  }

  values(): MetricValues {
    const { settings, monitor } = this.#engine
    const storeCalls = [...this.#calls.values()].map((counts) => ({
      ...counts,
      buckets: counts.buckets.map((bucket) => ({ ...bucket }))
    }))
    return { ...this.#auth.stats(), name: settings.name, reasons: monitor.reasons, storeCalls }
  }

  /** Prometheus' text format 0.0.4. */
  text(): string {
    const values = this.values()
    const { name, reasons, storeCalls, active, keys, lastCleanup } = values
    const counts = { ...values, conflict: values.conflicts, error: values.errors }
    const lastUses = keys.flatMap(({ lastUsedAt }, position): Sample[] =>
      lastUsedAt === null ? [] : [[{ position }, lastUsedAt / 1000]]
    )
    const failed = storeCalls.map(({ store, operation, failures }): Sample => [{ store, operation }, failures])
    const families: Family[] = [
      ['session_events_total', 'counter', EVENTS.map((event) => [{ event }, counts[event]])],
      ['session_reasons_total', 'counter', reasons.map(({ event, reason, count }) => [{ event, reason }, count])],
      ['sessions_active', 'gauge', [[{}, active]]],
      ['secret_last_used_timestamp_seconds', 'gauge', lastUses],
      ['store_last_cleanup_timestamp_seconds', 'gauge', lastCleanup === null ? [] : [[{}, lastCleanup / 1000]]],
      ['store_call_failures_total', 'counter', failed],
      ['store_call_duration_seconds', 'histogram', storeCalls.flatMap(histogram)]
    ]
    return families.map((family) => textOf(family, name)).join('')
  }

  toString(): string {
    return this.text()
  }

  /** Stops counting the calls of the store. */
  close(): void {
    for (const channel of ANSWERS) unsubscribe(channel, this.#count)
    known.delete(this.#engine)
  }

  readonly #count = (message: unknown): void => {
    const { operation, store, duration, error } = message as StoreCall
    // One that is answered later is told of twice.
    if (duration === undefined || !this.#ports.has(portOf(message)!)) return
    const key = `${store} ${operation}`
    let counts = this.#calls.get(key)
    if (counts === undefined) {
      const buckets = BOUNDS.map((le) => ({ le, calls: 0 }))
      this.#calls.set(key, (counts = { store, operation, calls: 0, failures: 0, seconds: 0, buckets }))
    }
    const seconds = duration / 1000
    counts.calls++
    counts.seconds += seconds
    if (error !== undefined) counts.failures++
    for (const bucket of counts.buckets) if (seconds <= bucket.le) bucket.calls++
  }
}

type Sample = [labels: Record<string, string | number>, value: number, suffix?: string]
type Family = [name: string, type: 'counter' | 'gauge' | 'histogram', samples: Sample[]]

function histogram({ store, operation, calls, seconds, buckets }: StoreCallCounts): Sample[] {
  const labels = { store, operation }
  return [
    ...buckets.map(({ le, calls }): Sample => [{ ...labels, le }, calls, '_bucket']),
    [{ ...labels, le: '+Inf' }, calls, '_bucket'],
    [labels, seconds, '_sum'],
    [labels, calls, '_count']
  ]
}

function textOf([family, type, samples]: Family, name: string): string {
  if (samples.length === 0) return ''
  const lines = samples.map(([labels, value, suffix = '']) => {
    const texts = Object.entries({ name, ...labels }).map(([key, label]) => `${key}=${JSON.stringify(String(label))}`)
    return `silverback_${family}${suffix}{${texts.join(',')}} ${value}\n`
  })
  return `# TYPE silverback_${family} ${type}\n${lines.join('')}`
}

/**
 * The numbers of a middleware that `session()` or `sessions()` returned: `text()` for Prometheus, `values()` for all else.
 *
 * The first call begins to listen to the calls of the store; everything else is counted anyway. Labels are few: events,
 * reasons (codes), operations, the class of the store.
 * @throws {TypeError} for what is no such middleware
 * @example app.get('/metrics', (req, res) => res.type('text/plain').send(metricsOf(auth).text()))
 */
export function metricsOf(auth: Pick<SessionManager, 'stats'>): Metrics {
  const engine = engineOf(auth)
  if (engine === undefined)
    throw new OptionError('metricsOf() needs the middleware that session() or sessions() returned')
  let metrics = known.get(engine)
  if (metrics === undefined) known.set(engine, (metrics = new Metrics(auth, engine)))
  return metrics
}
