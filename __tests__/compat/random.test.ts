import fc from 'fast-check'
import { MemoryStore, sessions } from '../../lib/index'
import { Clock } from '../helpers/clock'
import { Jar, NOW, runs, Site, withoutCookie, type Run, type Seen, type Visit } from '../helpers/random-visits'
import { SIDES, Wire } from '../helpers/two-sides'

// Random requests to two applications that must answer alike. The seeds are fixed, so that what passes today passes
// tomorrow; RANDOM_SEEDS and RANDOM_RUNS play more. A failure tells the smallest run that is like it.
const SEEDS = Array.from({ length: Number(process.env.RANDOM_SEEDS ?? 3) }, (_, at) => at + 1)
const numRuns = Number(process.env.RANDOM_RUNS ?? 50)
let wire: Wire
let clock: Clock

beforeAll(async () => {
  clock = new Clock(NOW)
  wire = await new Wire().open()
})

afterAll(async () => {
  await wire.close()
  clock.restore()
})

/** What both sides showed at one visit. */
interface Pair {
  readonly theirs: Seen
  readonly ours: Seen
  readonly visit: Visit
  readonly run: Run
  readonly cookie: string | undefined
  readonly started: number
  /** What was stored before. */
  readonly before: Record<string, string>
  /** Calls of the store that wrote. */
  readonly written: string[]
}

const endOf = (text: string) => Date.parse(/"expires":"([^"]+)"/.exec(text)?.[1] ?? '')
const isOver = (text: string) => endOf(text) <= Date.now()
const isSet = (call: string | undefined) => call?.startsWith('set ') === true
const does = (steps: Visit['steps'], verbs: RegExp) => steps.some(([verb]) => verbs.test(verb))
const both = ({ theirs, ours, ...rest }: Pair, change: (seen: Seen) => Partial<Seen>): Pair => ({
  ...rest,
  theirs: { ...theirs, ...change(theirs) },
  ours: { ...ours, ...change(ours) }
})
// Where what follows a step differs on purpose, what came before it can be compared.
const untilStep = (pair: Pair, at: number): Pair =>
  both(pair, ({ log }) => ({ log: log.slice(0, at + 2), headers: [], body: '', calls: [], stored: {} }))
const kept = (stored: Seen['stored'], change: (text: string) => string | undefined) =>
  Object.fromEntries(Object.entries(stored).flatMap(([id, text]) => [[id, change(text)]].filter(([, now]) => now)))

/** What differs on purpose, with the reason: takes the difference out of what was seen. */
const DIFFERENCES: Record<string, (pair: Pair) => Pair> = {
  // No lost update: a session is read again before it is written.
  'reads once more': (pair) => both(pair, ({ calls }) => ({ calls: calls.filter((call) => !call.startsWith('get ')) })),

  // Saved before sent: a touch that failed is tried again at the end of a response that was begun before.
  'touches again': (pair) => {
    const { ours, visit } = pair
    if (visit.fault?.[0] !== 'touch' || does(visit.steps, /^store.touch$/)) return pair
    const calls = ours.calls.filter((call, at, all) => !call.startsWith('touch ') || call !== all[at - 1])
    return { ...pair, ours: { ...ours, calls } }
  },

  // Nothing for nothing: with unset: destroy, what was destroyed is destroyed there again at the end.
  'destroys once': (pair) => {
    const { theirs, run } = pair
    const last = theirs.calls.at(-1)
    const isAgain = last?.startsWith('destroy ') && theirs.calls.indexOf(last) < theirs.calls.length - 1
    if (run.options.unset !== 'destroy' || !isAgain) return pair
    return { ...pair, theirs: { ...theirs, calls: theirs.calls.slice(0, -1) } }
  },

  // Saved before sent: a body that is held goes out in one piece, with its length.
  'sends a body in one piece': (pair) => {
    const { theirs, ours } = pair
    const length = String(Buffer.byteLength(ours.body))
    const own = ours.headers.find(([name, text]) => name === 'content-length' && text === length)
    if (own === undefined) return pair
    const headers = theirs.headers.map((header) => (header[0] === 'transfer-encoding' ? own : header))
    return { ...pair, theirs: { ...theirs, headers } }
  },

  // A store that cannot be read logs nobody out: there unset: destroy takes the session that is missing for unset.
  'leaves alone what it cannot read': (pair) => {
    const { theirs, ours, visit, run } = pair
    if (run.options.unset !== 'destroy' || visit.fault?.[0] !== 'get' || visit.fault[1] !== 'error') return pair
    return { ...pair, theirs: { ...theirs, calls: ours.calls, stored: ours.stored } }
  },

  // No lost update: what was written to the store beside the session is kept, there it is overwritten.
  'keeps what others wrote': (pair) => {
    if (!does(pair.visit.steps, /^store.set$/)) return pair
    const without = (text: string) => text.replace(/,"z":1/, '')
    return both(pair, ({ calls, stored }) => ({ calls: calls.map(without), stored: kept(stored, without) }))
  },

  // Nothing for nothing: an explicit save of a session that took the place of another is repeated there.
  'saves once after regenerate': (pair) => {
    const { theirs, ours, visit } = pair
    const [first, second] = theirs.calls.slice(-2)
    // The end of the request has touched the cookie by then.
    const lasting = (call: string) => call.replace(/"(expires":(null|"[^"]+")|\w+":false),/g, '')
    const isTwice = isSet(first) && isSet(second) && lasting(first!) === lasting(second!)
    const isTouched = ours.calls.length === theirs.calls.length
    if (!does(visit.steps, /generate|createSession/)) return pair
    if (!isTwice) return pair
    if (isTouched && !ours.calls.at(-1)!.startsWith('touch ')) return pair
    const [, id, text] = /^set (\S+) (.*)$/.exec(first!)!
    const stored = isTouched ? theirs.stored : { ...theirs.stored, [id!]: text! }
    const calls = theirs.calls.slice(0, -1)
    return {
      ...pair,
      theirs: { ...theirs, calls, stored },
      ours: { ...ours, calls: ours.calls.slice(0, calls.length), errors: isTouched ? theirs.errors : ours.errors }
    }
  },

  // No resurrection: what is over by its own date is gone where the store says so: neither written again nor sent.
  'does not write what is over': (pair) => {
    if (pair.run.store === 'keeps what is over') return pair
    const isExpiry = ([name, text]: [string, string]) =>
      name === 'set-cookie' && Date.parse(/; Expires=([^;]+)/.exec(text)?.[1] ?? '') <= Date.now()
    const isSent = pair.ours.headers.some(isExpiry)
    return both(pair, ({ headers, calls, stored }) => ({
      headers: isSent ? headers : headers.filter((header) => !isExpiry(header)),
      calls: calls.filter((call) => !isSet(call) || !isOver(call)),
      stored: kept(stored, (text) => (isOver(text) ? undefined : text))
    }))
  },

  // Logout: the cookie of a session that was destroyed is expired, if the client has one.
  'expires the cookie': (pair) => {
    const { theirs, ours, cookie } = pair
    if (cookie === undefined || !theirs.calls.some((call) => call.startsWith('destroy '))) return pair
    const expiry = ours.headers.findIndex(([name, text]) => name === 'set-cookie' && /=; Max-Age=0; /.test(text))
    return { ...pair, ours: { ...ours, headers: ours.headers.filter((_header, at) => at !== expiry) } }
  },

  // Logout: also while the response is held; there the cookie of the dead session is on its way.
  'expires the cookie on its way': (pair) => {
    if (!does(pair.visit.after, /^destroy$/)) return pair
    const own = `${pair.run.options.name ?? 'connect.sid'}=`
    return both(pair, ({ headers }) => ({ headers: headers.filter(([, text]) => !text.startsWith(own)) }))
  },

  // Logout: with unset: destroy, a store that fails to destroy leads to an error page.
  'tells that it could not destroy': (pair) => {
    const { theirs, ours, visit, run } = pair
    const hasFailed = visit.fault?.[0] === 'destroy' && theirs.errors.includes('destroy failed')
    if (run.options.unset !== 'destroy' || !hasFailed) return pair
    return { ...pair, theirs: { ...ours, log: theirs.log, stored: theirs.stored } }
  },

  // Where the middleware is called again for a request whose session is off it, it does all of its work twice there;
  // with unset: destroy, the session goes on there.
  'works once': (pair) => {
    const { theirs, ours, visit, run } = pair
    const off = visit.steps.findIndex(([verb]) => /^(null|undefined|delete session|destroy)$/.test(verb))
    if (off === -1 || !does(visit.steps.slice(off), /^again$/)) return pair
    if (run.options.unset === 'destroy') return untilStep(pair, off)
    return { ...pair, theirs: { ...theirs, calls: ours.calls, headers: ours.headers, stored: ours.stored } }
  },

  // No resurrection: what is destroyed through the store, ends by its date during the request, or is written when it is
  // over, is gone from then on.
  'stays gone': (pair) => {
    const { visit, run, before, started, written } = pair
    const lapses = Object.values(before).some((text) => endOf(text) > started && isOver(text))
    const wasOver = run.store !== 'keeps what is over' && written.some(isOver)
    const ends = ['store.destroy', ...(lapses ? ['time'] : []), ...(wasOver ? ['save', 'store.set'] : [])]
    const at = visit.steps.findIndex(([verb]) => ends.includes(verb))
    return at === -1 ? pair : untilStep(pair, at)
  },

  // Saved before sent: what a handler asks of the session once it has answered waits for the save of the response.
  'takes its turn': (pair) =>
    does(pair.visit.after, /^(save|regenerate|destroy)$/) ? both(pair, () => ({ calls: [] })) : pair
}

/** Lets both sites serve the same visits at the same time, and compares what was seen. */
async function play(run: Run, [first, second]: [Site, Site], compare: (pair: Pair) => Pair): Promise<void> {
  const jars = [new Jar(), new Jar()]
  for (const [at, visit] of run.visits.entries()) {
    const jar = jars[visit.visitor]!
    const before = { ...first.store.sessions }
    const id = Object.keys(before)[0]
    const cookie = jar.header(visit, run.options, id)
    // Of several cookies the first authentic one is believed; by express-session the first, whatever it is.
    const isPlanted = first.side === SIDES.reference && visit.cookie === 'forged, kept'
    const believed = isPlanted ? jar.header({ ...visit, cookie: 'kept' }, run.options) : undefined
    const started = clock.now
    const theirs = await first.see(wire, visit, believed ?? cookie)
    const ended = clock.now
    clock.forward(started - ended)
    const ours = await second.see(wire, visit, cookie)
    const written = theirs.calls?.filter(isSet)
    const pair = compare({ theirs, ours, visit, run, cookie, before, started, written })
    expect({ at, ended: clock.now, ...pair.ours }).toEqual({ at, ended, ...pair.theirs })
    jar.receive(theirs.headers)
    clock.forward(visit.pause)
  }
}

describe.each(SEEDS)('random requests of seed %d', (seed) => {
  beforeEach(() => clock.forward(NOW - clock.now))

  it('show no difference from express-session but those that are meant', async () => {
    const property = fc.asyncProperty(runs, async (run) => {
      clock.forward(NOW - clock.now)
      const [theirs, ours] = [SIDES.reference, SIDES.subject].map((side) => new Site(side, run, clock)) as [Site, Site]
      await play(run, [theirs, ours], (pair) => {
        ours.store.sessions = { ...theirs.store.sessions }
        return Object.values(DIFFERENCES).reduce((of, difference) => difference(of), pair)
      })
    })
    await fc.assert(property, { seed, numRuns })
  })

  it('show no difference between MemoryStore and a store that knows the contract alone', async () => {
    const property = fc.asyncProperty(runs, async (run) => {
      clock.forward(NOW - clock.now)
      const sites = sitesOf(run)
      fc.pre(sites !== undefined)
      const visits = run.visits.map((visit) => ({ ...visit, fault: undefined, after: [], steps: modern(visit.steps) }))
      await play({ ...run, visits }, sites, (pair) =>
        // The record of a store from npm ends when the session does, and so does the cookie that is made of it.
        both(pair, ({ log }) => ({ log: log.map(withoutCookie), calls: [], stored: {} }))
      )
    })
    await fc.assert(property, { seed, numRuns })
  })
})

// MemoryStore hands out sessions in its own way; and of one that is over it tells so even to whom has just written it.
const modern = (steps: Visit['steps']) =>
  steps.filter(
    ([verb, to]) => !/^store\.|^read cookie$/.test(verb) && !(/^(maxAge|expires)$/.test(verb) && isShort(to))
  )
const isShort = (end: unknown) =>
  end instanceof Date ? end.valueOf() < NOW + 10_000 : typeof end === 'number' && end < 10_000

// `undefined`: options that sessions() refuses.
function sitesOf(run: Run): [Site, Site] | undefined {
  const { asFunction, ...rest } = run.options.cookie ?? {}
  const lasting = Object.entries(asFunction ?? rest).filter(([, to]) => !isShort(to))
  const given = { secure: 'auto', ...Object.fromEntries(lasting) }
  const cookie = asFunction === undefined ? given : { asFunction: given }
  const like = {
    ...run,
    options: { name: 'connect.sid', ...run.options, cookie, secret: 'a secret that is long enough for everybody' }
  }
  try {
    return [new Site(sessions, like, clock, new MemoryStore()), new Site(sessions, like, clock)]
  } catch (err) {
    expect((err as { code?: string }).code).toBe('ERR_SESSION_OPTION')
    return undefined
  }
}
