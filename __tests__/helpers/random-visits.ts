import fc from 'fast-check'
import type { Clock } from './clock'
import { EXPRESS, SIDES, type Answer, type Wire } from './two-sides'

const { sign } = require('cookie-signature') as { sign(value: string, secret: string): string }

/** What a handler does: a verb and what it is given. */
export type Step = readonly [verb: string, ...given: any[]]

export interface Visit {
  visitor: number
  cookie: string
  path: string
  secure: boolean
  forwarded: string | undefined
  /** What a verb of the store does during this request. */
  fault: readonly [verb: string, kind: string] | undefined
  steps: Step[]
  answer: Step
  /** What the handler does once it has answered. */
  after: Step[]
  /** Time that passes before the next one, in ms. */
  pause: number
}

export interface Run {
  express: 4 | 5
  options: Record<string, any>
  store: string
  visits: Visit[]
}

/** All that can be seen of one request. */
export interface Seen extends Answer {
  log: string[]
  errors: string[]
  calls: string[]
  stored: Record<string, string>
}

export const NOW = 1_750_000_000_000
const KEY = 'a secret that is long enough for everybody'
const OLD = 'the secret of last year, still long enough'
const time = (ms: number) => new Date(NOW + ms)
const of = fc.constantFrom<any>
const step = (...verbs: string[]) => of(...verbs.map((verb) => [verb]))
const given = (verbs: string[], ...values: fc.Arbitrary<any>[]) => fc.tuple(of(...verbs), ...values)

const value = fc.oneof(
  of(0, 1, -0, 1.5, '', 'x', true, false, null, [], {}, [1, 2], { x: 1 }, { x: { y: [1] } }),
  of(undefined, NaN, time(0), [undefined, 1], { x: undefined }, { x: () => 1 }, new Map([[1, 2]])),
  fc.jsonValue({ maxDepth: 2 })
)
const key = of('a', 'b', 'user', 'list', '1', 'cart')
const oddKey = of('constructor', 'id', 'req', '', 'toString', 'a.b', 'name', 'isNew')
const span = of(null, undefined, 0, -1, -5000, 1, 999, 5000, 60_000, 1500.5, 3_600_000, 31_536_000_000)
const date = of(time(-1000), time(0), time(5000), time(86_400_000), null, false, undefined)
const sites = of('lax', 'Strict', 'none', true, false, undefined)
const priorities = of('low', 'high', undefined)

const dataStep = fc.oneof(
  given(['set'], fc.oneof(key, key, oddKey), value),
  given(['nest', 'push', 'undo', 'define'], key, value),
  given(['delete', 'same', 'copy', 'last'], key),
  step('empty', 'read')
)
const cookieStep = fc.oneof(
  given(['maxAge'], span),
  given(['expires'], date),
  given(['attribute'], of('path'), of('/', '/app', '/deep', '/ap')),
  given(
    ['attribute'],
    of('httpOnly', 'partitioned', 'signed', 'overwrite', 'domain'),
    of(true, false, undefined)
  ).filter(([, name, to]) => name !== 'domain' || to === undefined),
  given(['attribute'], of('sameSite'), sites),
  given(['attribute'], of('priority'), priorities),
  step('touch', 'resetMaxAge', 'replace cookie')
)
const verbStep = fc.oneof(
  step('save', 'save', 'reload', 'regenerate', 'destroy', 'null', 'undefined', 'delete session', 'again', 'turn'),
  step('store.get', 'store.load', 'store.set', 'store.destroy', 'store.touch', 'read cookie'),
  step('store.generate', 'store.regenerate', 'store.createSession'),
  given(['time'], of(1, 1000, 5000)),
  given(['attribute'], of('secure'), fc.boolean())
)
const anyStep = fc.oneof(dataStep, dataStep, cookieStep, verbStep)
const lateStep = fc.oneof(dataStep, cookieStep, step('save', 'regenerate', 'destroy', 'turn'))

const answers: fc.Arbitrary<Step> = of(
  ...[
    ['send', 'ok'],
    ['send', 'ok'],
    ['json', { a: 1 }],
    ['end'],
    ['end', 'text'],
    ['redirect', '/to'],
    ['status', 204]
  ],
  ...[
    ['writeHead', 201, { 'X-One': '1' }],
    ['writeHead', 200, ['X-One', '1', 'X-Two', '2']],
    ['writeHead', 204]
  ],
  ...[
    ['writeHead', 200, { 'Set-Cookie': ['one=1', 'two=2'] }],
    ['stream', 'abc'],
    ['stream', 'a'],
    ['length', 'bytes']
  ],
  ...[['cookies', 'first=1'], ['cookies', ['first=1', 'second=2']], ['status', 304], ['twice'], ['error', 'handler']]
)
const faults = [
  ['get', 'error'],
  ['get', 'ENOENT'],
  ['get', 'nothing'],
  ['touch', 'error'],
  ['destroy', 'error']
]
// The end of an answer that is sent in parts is saved as well: what comes after it could be part of that.
const inParts = /^(writeHead|stream|error|twice)$/

const visits: fc.Arbitrary<Visit> = fc
  .record({
    visitor: of(0, 0, 0, 1),
    cookie: of(...Array(12).fill('kept'), 'none', 'forged', 'bare', 'unknown', 'kept, forged', 'forged, kept', 'old'),
    path: of('/app/page', '/app/page', '/app/page', '/other'),
    secure: of(false, false, false, true),
    forwarded: of(undefined, undefined, 'https', 'http'),
    fault: of(...Array(16).fill(undefined), ...faults),
    steps: fc.array(anyStep, { maxLength: 4 }) as fc.Arbitrary<Step[]>,
    answer: answers,
    after: fc.oneof({ arbitrary: of([]), weight: 4 }, { arbitrary: fc.array(lateStep, { maxLength: 2 }), weight: 1 }),
    pause: of(0, 0, 1, 1000, 30_000, 3_600_000)
  })
  .map((visit) => (inParts.test(visit.answer[0]) ? { ...visit, after: [] } : visit))

const attributes = {
  ...{ maxAge: span, expires: date, domain: of('example.test'), priority: priorities, path: of('/', '/app', '/ap') },
  ...{ httpOnly: fc.boolean(), partitioned: fc.boolean(), signed: fc.boolean(), overwrite: fc.boolean() }
}
const auto = { secure: of(true, false, 'auto'), sameSite: fc.oneof(sites, of('auto')) }
const loose = { requiredKeys: [] }
const cookies = fc.oneof(
  of({}, { path: '/elsewhere' }),
  fc.record({ ...attributes, ...auto }, loose),
  fc.record({ ...attributes, ...auto }, loose),
  fc.record({ asFunction: fc.record({ ...attributes, secure: fc.boolean() }, loose) })
)
const perhaps = of(true, false, undefined)

export const runs: fc.Arbitrary<Run> = fc.record({
  express: of(4, 5),
  options: fc.record(
    {
      ...{ resave: perhaps, saveUninitialized: perhaps, rolling: fc.boolean(), unset: of('destroy', 'keep') },
      ...{ cookie: cookies, name: of('connect.sid', 'sid', "__Host-s!#$'*+"), proxy: perhaps },
      secret: of(KEY, [KEY], [KEY, OLD])
    },
    { requiredKeys: ['secret'] }
  ) as fc.Arbitrary<Run['options']>,
  store: of('plain', 'plain', 'now', 'late', 'promises', 'no touch', 'objects', 'keeps what is over'),
  visits: fc.array(visits, { minLength: 1, maxLength: 4 })
})

type Done = (err?: unknown, found?: unknown) => void

/** A store of texts that writes down its calls, with one of the habits of stores in the field. */
class HabitStore extends SIDES.reference.Store {
  sessions: Record<string, string> = {}
  calls: string[] = []
  fault: Visit['fault']
  readonly habit: string

  constructor(habit: string) {
    super()
    this.habit = habit
    if (habit === 'no touch') Object.defineProperty(this, 'touch', { value: undefined })
  }

  get(id: string, done: Done) {
    return this.#do('get', id, '', done, () => this.#read(id))
  }

  set(id: string, session: object, done?: Done) {
    const text = JSON.stringify(session)
    return this.#do('set', id, text, done, () => void (this.sessions[id] = text))
  }

  destroy(id: string, done?: Done) {
    return this.#do('destroy', id, '', done, () => void delete this.sessions[id])
  }

  touch(id: string, session: { cookie: object }, done?: Done) {
    const text = JSON.stringify(session.cookie)
    return this.#do('touch', id, text, done, () => {
      const found = this.#read(id)
      if (found) this.sessions[id] = JSON.stringify({ ...found, cookie: JSON.parse(text) })
    })
  }

  #read(id: string): any {
    const found = JSON.parse(this.sessions[id] ?? 'null') ?? undefined
    const expires = found?.cookie.expires
    if (expires && this.habit !== 'keeps what is over' && Date.parse(expires) <= Date.now()) {
      delete this.sessions[id]
      return undefined
    }
    if (this.habit === 'objects' && expires) found.cookie.expires = new Date(expires)
    return found
  }

  #do(verb: string, id: string, text: string, done: Done | undefined, work: () => unknown): unknown {
    this.calls.push(`${verb} ${id} ${text}`.trim())
    const kind = this.fault?.[0] === verb ? this.fault[1] : undefined
    const error = Object.assign(new Error(`${verb} failed`), kind === 'ENOENT' && { code: kind })
    const result: [unknown?, unknown?] = kind === undefined ? [null, work()] : kind === 'nothing' ? [] : [error]
    if (this.habit === 'now') return done?.(...result)
    const told = turns(this.habit === 'late' ? 4 : 1).then(() => done?.(...result))
    return this.habit === 'promises' ? told : undefined
  }
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}

const called = (start: (done: Done) => unknown) =>
  Promise.race([
    new Promise((resolve) =>
      start((err: any, found) => resolve(err ? `error: ${err.message}` : JSON.stringify(found)))
    ),
    turns(60).then(() => 'no answer')
  ])

interface Moment {
  req: any
  res: any
  auth: any
  clock: Clock
}

const record = (session: any) => JSON.parse(JSON.stringify(session))
const onStore =
  (verb: string, ...more: any[]) =>
  ({ req }: Moment) =>
    typeof req.sessionStore[verb] === 'function' &&
    called((done) => req.sessionStore[verb](req.sessionID, ...more, done))
const onSession =
  (verb: string) =>
  ({ req }: Moment) =>
    called((done) => req.session[verb](done))

/** What a handler does to its session. */
const STEPS: Record<string, (moment: Moment, session: any, ...given: any[]) => unknown> = {
  read: (_moment, session) => JSON.stringify(session),
  set: (_moment, session, name, to) => void (session[name] = to),
  nest: (_moment, session, name, to) => {
    if (typeof session[name] !== 'object' || session[name] === null) session[name] = {}
    session[name].deep = to
  },
  push: (_moment, session, name, to) => void (session[name] = [session[name] ?? []].flat().concat([to])),
  undo: (_moment, session, name, to) => {
    const before = Object.getOwnPropertyDescriptor(session, name)
    session[name] = to
    if (before) session[name] = before.value
    else delete session[name]
  },
  define: (_moment, session, name, to) =>
    void Object.defineProperty(session, name, { value: to, enumerable: true, configurable: true, writable: true }),
  delete: (_moment, session, name) => delete session[name],
  same: (_moment, session, name) => void (session[name] = session[name]),
  copy: (_moment, session, name) => void (session[name] = record(session[name] ?? null)),
  last: (_moment, session, name) => {
    const { [name]: moved } = session
    if (delete session[name]) session[name] = moved
  },
  empty: (_moment, session) => Object.keys(session).forEach((name) => name !== 'cookie' && delete session[name]),
  maxAge: (_moment, session, ms) => void (session.cookie.maxAge = ms),
  expires: (_moment, session, when) => void (session.cookie.expires = when),
  attribute: (_moment, session, name, to) => void (session.cookie[name] = to),
  touch: (_moment, session) => void session.touch(),
  resetMaxAge: (_moment, session) => void session.resetMaxAge(),
  'replace cookie': (_moment, session) => {
    const { cookie } = session
    session.cookie = Object.assign(Object.create(Object.getPrototypeOf(cookie)), cookie, { path: '/x' })
  },
  'read cookie': (_moment, { cookie }) => [JSON.stringify(cookie.data), cookie.serialize('n', 'v')],
  ...Object.fromEntries(['save', 'reload', 'regenerate', 'destroy'].map((verb) => [verb, onSession(verb)])),
  null: ({ req }) => void (req.session = null),
  undefined: ({ req }) => void (req.session = undefined),
  'delete session': ({ req }) => delete req.session,
  again: ({ req, res, auth }) => called((done) => auth(req, res, done)),
  turn: () => turns(1),
  time: ({ clock }, _session, ms) => clock.forward(ms),
  'store.get': onStore('get'),
  'store.load': onStore('load'),
  'store.destroy': onStore('destroy'),
  'store.set': (moment, session) => onStore('set', { ...record(session), z: 1 })(moment),
  'store.touch': (moment, session) => onStore('touch', session)(moment),
  'store.generate': ({ req }) => void req.sessionStore.generate(req),
  'store.regenerate': ({ req }) => called((done) => req.sessionStore.regenerate(req, done)),
  'store.createSession': ({ req }, session) => void req.sessionStore.createSession(req, { ...record(session), made: 1 })
}

const NEEDS_NONE = /^(again|turn|time|null|undefined|delete session|store\.(get|load|destroy|generate|regenerate))$/

// Each side gets values of its own.
function copyOf(what: any): any {
  if (typeof what !== 'object' || what === null) return what
  if (Array.isArray(what)) return what.map(copyOf)
  if (what instanceof Date || what instanceof Map) return new (what.constructor as any)(what)
  return Object.fromEntries(Object.entries(what).map(([name, each]) => [name, copyOf(each)]))
}

function view({ req, res }: Moment): unknown {
  const { session } = req
  if (session === undefined || session === null) return [String(session), req.sessionID]
  return [
    req.sessionID,
    session.id,
    Object.keys(session),
    JSON.stringify(session),
    session.cookie?.maxAge,
    res.headersSent
  ]
}

async function take(moment: Moment, [verb, ...to]: Step): Promise<string> {
  const { req } = moment
  let result: unknown = 'nothing there'
  try {
    const isThere = verb.startsWith('store.') ? req.sessionStore : true
    if (isThere && (NEEDS_NONE.test(verb) || req.session))
      result = await STEPS[verb]!(moment, req.session, ...to.map(copyOf))
  } catch (err) {
    result = `thrown: ${(err as Error).message}`
  }
  return JSON.stringify([verb, result, view(moment)])
}

const ANSWERS: Record<string, (res: any, next: (err: unknown) => void, ...given: any[]) => unknown> = {
  send: (res, _next, text) => void res.send(text),
  json: (res, _next, body) => void res.json(body),
  end: (res, _next, ...text) => void res.end(...text),
  redirect: (res, _next, to) => void res.redirect(to),
  writeHead: (res, _next, ...head) => void res.writeHead(...head).end(head[0] === 204 ? undefined : 'headed'),
  stream: async (res, _next, text: string) => {
    for (const part of text) {
      res.write(part)
      await turns(2)
    }
    res.end()
  },
  // Without a session Node itself objects.
  twice: (res) => void (res.end('once'), res.req.sessionStore && res.end('twice')),
  length: (res, _next, text: string) => void res.set('Content-Length', String(text.length)).end(Buffer.from(text)),
  status: (res, _next, status) => void res.status(status).end(),
  cookies: (res, _next, list) => void res.set('Set-Cookie', list).send('cookies'),
  error: (_res, next, message) => next(new Error(message))
}

/** One application, with what it is built on. */
export class Site {
  readonly side: (options: object) => any
  readonly store: HabitStore
  readonly #app: any
  #visit!: Visit
  #log: string[] = []
  #errors: string[] = []
  #work: Promise<void> | undefined

  constructor(side: (options: object) => any, { options, express, store }: Run, clock: Clock, own?: any) {
    this.side = side
    this.store = own ?? new HabitStore(store)
    let ids = 0
    const { asFunction } = options.cookie ?? {}
    const cookie = asFunction === undefined ? {} : { cookie: () => ({ ...asFunction }) }
    const supplied = { store: this.store, storeTimeout: 60_000, genid: () => `id-${++ids}` }
    const auth = side({ ...options, ...cookie, ...supplied })
    this.#app = EXPRESS[express]()
    this.#app.set('trust proxy', true)
    this.#app.use(auth, (req: any, res: any, next: any) => {
      this.#work = this.#handle({ req, res, auth, clock }, next)
    })
    this.#app.use((err: Error, _req: unknown, res: any, _next: unknown) => {
      this.#errors.push(err.message)
      if (!res.headersSent) res.status(500).send(`error: ${err.message}`)
    })
  }

  async #handle(moment: Moment, next: (err: unknown) => void): Promise<void> {
    const { steps, answer, after } = this.#visit
    // Only the middleware's own read fails: ours may read once more before it writes.
    if (this.store.fault?.[0] === 'get') this.store.fault = undefined
    this.#log.push(JSON.stringify(view(moment)))
    for (const each of steps) this.#log.push(await take(moment, each))
    await ANSWERS[answer[0]]!(moment.res, next, ...answer.slice(1))
    for (const each of after) this.#log.push(withoutCookie(await take(moment, each)))
  }

  /** Sends it one request. */
  async see(wire: Wire, visit: Visit, cookie: string | undefined): Promise<Seen> {
    Object.assign(this.store, { calls: [], fault: visit.fault })
    this.#visit = visit
    this.#log = []
    this.#errors = []
    wire.listener = this.#app
    const { path, secure, forwarded } = visit
    const headers = { ...(cookie && { Cookie: cookie }), ...(forwarded && { 'X-Forwarded-Proto': forwarded }) }
    const answer = await wire.ask({ path, headers, secure })
    await this.#work
    await turns(25)
    const { calls, sessions } = this.store
    return { ...answer, log: this.#log, errors: this.#errors, calls, stored: { ...sessions } }
  }
}

/** What a handler has seen, without the cookie. */
export function withoutCookie(line: string): string {
  return line.replace(/\\+"cookie\\+":\{.*?\}/g, '').replace(/,[^,]+,(true|false)\](\]?)$/, '')
}

/** What a browser keeps, as far as it matters here: paths and encryption, no domains. */
export class Jar {
  readonly #kept = new Map<string, { text: string; path: string; secure: boolean; end: number }>()

  receive(headers: [string, string][]): void {
    for (const [name, text] of headers) {
      if (name !== 'set-cookie') continue
      const [, pair, path = '/'] = /^([^;]*)(?:.*; Path=([^;]*))?/.exec(text)!
      const end = Date.parse(/; Expires=([^;]*)/.exec(text)?.[1] ?? '9999-01-01')
      this.#kept.set(`${pair!.split('=')[0]} ${path}`, { text: pair!, path, secure: text.includes('; Secure'), end })
    }
  }

  /** The cookie header of a visit. */
  header({ path, secure, forwarded, cookie }: Visit, { name = 'connect.sid' }: Run['options'], id = 'id-1') {
    const isSecure = secure || forwarded === 'https'
    const kept = [...this.#kept.values()]
      .filter((each) => path.startsWith(each.path) && (isSecure || !each.secure) && each.end > Date.now())
      .map(({ text }) => text)
    const as = (text: string) => `${name}=${encodeURIComponent(text)}`
    const forged = as(`s:${sign(id, 'another secret')}`)
    const sent: Record<string, string[]> = {
      ...{ kept, none: [], forged: [forged], bare: [as(id)], unknown: [as(`s:${sign('of-nobody', KEY)}`)] },
      ...{ 'kept, forged': [...kept, forged], 'forged, kept': [forged, ...kept], old: [as(`s:${sign(id, OLD)}`)] }
    }
    return sent[cookie]!.join('; ') || undefined
  }
}
