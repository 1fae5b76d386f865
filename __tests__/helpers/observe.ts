import { actionOf, cookieHeaderOf, seedOf, type Scenario } from '../compat/scenarios'
import { EXPRESS, RecordingStore, type Answer, type Asked, type Side, type Wire } from './two-sides'

const { sign } = require('cookie-signature') as { sign(value: string, secret: string): string }

/** Everything that can be seen of one request: by the client, by the store, by the application. */
export interface Observation extends Answer {
  /** Store calls in order, with what was passed. */
  calls: string[]
  /** The bytes in the store afterwards, by ID. */
  stored: Record<string, string>
  /** Errors that reached the application, in order. */
  errors: string[]
  /** How often `genid` ran. */
  generated: number
}

/** Plays one scenario to one side. */
export async function observe(wire: Wire, side: Side, scenario: Scenario, now: number): Promise<Observation> {
  const { options, failing } = scenario
  const store = new RecordingStore(failing, options.withoutTouch !== true)
  Object.assign(store.sessions, seedOf(scenario, now))
  const errors: string[] = []
  let generated = 0
  let work: unknown

  const genid = options.randomIds ? {} : { genid: () => `id-${++generated}` }
  const { app, handlers } = applicationOf(scenario)
  handlers.session = side({ ...options.given, ...genid, store })
  handlers.action = (req, res, next) => {
    work = actionOf(scenario)(req, res, next)
  }
  handlers.failed = (err, _req, res, _next) => {
    errors.push(err.message)
    if (!res.headersSent) res.status(500).send(`error: ${err.message}`)
  }

  wire.listener = app
  const answer = await wire.ask(requestOf(scenario))
  await work
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
  const seen = { ...answer, calls: store.calls, stored: { ...store.sessions }, errors, generated }
  return options.randomIds ? withNamedIds(seen, String(options.given.secret)) : seen
}

interface Application {
  app: any
  handlers: Record<'session' | 'action' | 'failed', (...args: any[]) => unknown>
}

const applications = new Map<string, Application>()

// To make one takes longer than a request: those of a kind are one, whose handlers are exchanged.
function applicationOf({ express, transport }: Scenario): Application {
  const kind = `${express} ${transport === 'trusted proxy'}`
  const known = applications.get(kind)
  if (known !== undefined) return known
  const app = EXPRESS[express]()
  if (transport === 'trusted proxy') app.set('trust proxy', true)
  const handlers = {} as Application['handlers']
  app.use((req: any, res: any, next: any) => handlers.session(req, res, next))
  app.use((req: any, res: any, next: any) => handlers.action(req, res, next))
  app.use((err: any, req: any, res: any, next: any) => handlers.failed(err, req, res, next))
  applications.set(kind, { app, handlers })
  return { app, handlers }
}

function requestOf(scenario: Scenario): Asked {
  const { transport } = scenario
  const headers: Record<string, string> = {}
  const cookie = cookieHeaderOf(scenario)
  if (cookie !== undefined) headers.Cookie = cookie
  if (transport === 'http behind https' || transport === 'trusted proxy') headers['X-Forwarded-Proto'] = 'https, http'
  if (transport === 'http behind http') headers['X-Forwarded-Proto'] = 'http'
  return { path: '/app/page?x=1', headers, secure: transport === 'https' }
}

// Random IDs get names in the order in which they appear; a wrong signature keeps its bytes, and so is noticed.
function withNamedIds(seen: Observation, secret: string): Observation {
  let text = JSON.stringify({ ...seen, headers: seen.headers.filter(([name]) => name !== 'etag') })
  const ids = new Set(text.match(/(?<![\w%.-])[\w-]{32}(?![\w-])/g) ?? [])
  for (const found of text.matchAll(/s%3A([\w-]{32})\./g)) ids.add(found[1]!)
  let count = 0
  for (const id of ids) {
    const name = `#${++count}`
    text = text.replaceAll(encodeURIComponent(`s:${sign(id, secret)}`), `signed ${name}`).replaceAll(id, name)
  }
  return JSON.parse(text) as Observation
}
