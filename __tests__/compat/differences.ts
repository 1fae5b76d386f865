import { SIDES } from '../helpers/two-sides'
import type { Observation } from '../helpers/observe'
import { KNOWN_ID } from './scenarios-cookies'
import { recordOf, seedOf, type Scenario } from './scenarios'

/** One thing that silverback does differently on purpose. */
export interface Difference {
  /** The promise of the design that makes it different. */
  reason: string
  /** What silverback does where express-session did `seen`; `seen` itself where nothing differs. */
  expected?: (seen: Observation, scenario: Scenario) => Observation
  /** The scenario in which express-session does what silverback does in this one; `scenario` itself otherwise. */
  like?: (scenario: Scenario) => Scenario
}

export const DIFFERENCES: Record<string, Difference> = {
  'believes the authentic one of several cookies': {
    reason: 'Of several cookies with our name every candidate is tried: a planted or outdated one logs nobody out.',
    like: (scenario) => (/^two: .*, then valid$/.test(scenario.cookie) ? { ...scenario, cookie: 'valid' } : scenario)
  },

  'resolves "auto" that a function answers': {
    reason: 'A cookie option that works as an attribute works as the answer of a function too.',
    like: (scenario) => (scenario.option === 'function, auto' ? withCookie(scenario, AUTO) : scenario)
  },

  'reads a kept session again before it writes': {
    reason: 'No lost update: a write to a store without conditional writes is checked against what the store holds.',
    expected: (seen, scenario) => ({ ...seen, calls: withChecks(seen.calls, readBy(seen, scenario)) })
  },

  'does not bring back a session that is gone': {
    reason: 'No resurrection: the session was destroyed in the store while the request was on its way.',
    expected: (seen, { action }) => {
      if (action !== 'destroy through the store') return seen
      const id = seen.calls.find((call) => call.startsWith('destroy '))?.slice('destroy '.length)
      if (id === undefined) return seen
      const stored = without(seen.stored, id)
      // A session that was never stored has nothing to come back from: express-session's write of it stands.
      if (!seen.calls.includes(`get ${id}`)) return seen
      return { ...seen, stored, calls: seen.calls.map((call) => (call.startsWith('set ') ? `get ${id}` : call)) }
    }
  },

  'destroys once': {
    reason: 'Nothing for nothing: express-session destroys a second time at the end, with unset: destroy.',
    expected: (seen, { options, action }) =>
      options.given.unset === 'destroy' && action.startsWith('destroy')
        ? { ...seen, calls: unrepeated(seen.calls) }
        : seen
  },

  'saves once after regenerate': {
    reason: 'Nothing for nothing: express-session forgets an explicit save of a regenerated session, and repeats it.',
    expected: (seen, { action }) =>
      action === 'regenerate and save' ? { ...seen, calls: savedOnce(seen.calls) } : seen
  },

  'leaves a record alone that it cannot read': {
    reason: 'Never an overwritten session: with unset: destroy, express-session deletes what it failed to inflate.',
    expected: (seen, scenario) => {
      if (!(scenario.cookie === 'bare' && scenario.options.given.unset === 'destroy')) return seen
      const calls = seen.calls.filter((call) => !call.startsWith('destroy'))
      return { ...seen, calls, stored: seedOf(scenario, 0) }
    }
  },

  'expires the cookie of a session that was destroyed': {
    reason: 'Logout means out: destroy() expires the cookie with the attributes it was set with.',
    expected: (seen, scenario) => {
      if (!endsInDestroy(scenario) || !seen.calls.some((call) => call.startsWith('destroy'))) return seen
      if (CARRIES_NONE.has(scenario.cookie)) return seen
      return withExpiry(seen, scenario)
    }
  },

  'answers with an error when a save failed': {
    reason: 'Saved before sent: express-session has sent its 200 and its cookie by then.',
    expected: (seen, { failing }) => {
      if (!failing.includes('set') || !seen.calls.some((call) => call.startsWith('set '))) return seen
      return seen.status === 200 ? failedAnswer(seen) : withoutCookie(seen)
    }
  },

  'tries a failed save again': {
    reason: 'Saved before sent: express-session takes a save for done as soon as it was asked for.',
    expected: (seen, scenario) => {
      if (!scenario.failing.includes('set') || scenario.action !== 'save') return seen
      const known = seen.calls.includes(`get ${KNOWN_ID}`)
      const calls = seen.calls.filter((call) => !call.startsWith('touch'))
      const again = calls.filter((call) => call.startsWith('set'))
      const retried = [...calls, ...(known ? [`get ${KNOWN_ID}`] : []), ...again]
      return { ...seen, calls: retried, stored: seedOf(scenario, 0) }
    }
  },

  'stores a streamed session at its first byte': {
    reason:
      'Saved before sent: a session that changes while it streams is saved at the first byte and again at the end.',
    expected: (seen, scenario) => (scenario.action === 'stream, then change' ? streamed(seen, scenario) : seen)
  },

  'sends a body in one piece': {
    reason: 'Saved before sent: the response is held, not split, so it is framed as without any session.',
    expected: (seen, { action }) => {
      if (action !== 'end twice' && action !== 'end in another encoding') return seen
      const framed = seen.headers.map((header) => (header[0] === 'transfer-encoding' ? lengthOf(seen.body) : header))
      return { ...seen, headers: framed }
    }
  }
}

const AUTO = { secure: 'auto', sameSite: 'auto' }

function withCookie(scenario: Scenario, cookie: object): Scenario {
  return { ...scenario, options: { ...scenario.options, given: { ...scenario.options.given, cookie } } }
}

function without(stored: Record<string, string>, id: string): Record<string, string> {
  return Object.fromEntries(Object.entries(stored).filter(([key]) => key !== id))
}

function lengthOf(body: string): [string, string] {
  return ['content-length', String(Buffer.byteLength(body))]
}

// What the middleware itself has read; a session that the application put on the request is written as it is.
function readBy(seen: Observation, scenario: Scenario): string[] {
  if (scenario.action === 'put another session on the request') return []
  return Object.keys(seedOf(scenario, 0)).filter((id) => seen.calls.includes(`get ${id}`))
}

function withChecks(calls: string[], seeded: string[]): string[] {
  const kept = new Set(seeded)
  return calls.flatMap((call) => {
    const [verb, id] = call.split(/ (.*?)(?= \{|$)/) as [string, string]
    if (verb === 'destroy') kept.delete(id)
    if (verb !== 'set') return [call]
    const checks = kept.has(id) ? [`get ${id}`] : []
    kept.add(id)
    return [...checks, call]
  })
}

function unrepeated(calls: string[]): string[] {
  return calls.filter((call, at) => call !== calls[at - 1])
}

function savedOnce(calls: string[]): string[] {
  const first = calls.findIndex((call) => call.startsWith('set '))
  return first === -1 ? calls : calls.slice(0, first + 1)
}

// Nothing to expire: none of the cookies sent has our name.
const CARRIES_NONE = new Set(['none', 'in other case', 'name inside a value', 'longer name', 'other name'])

function endsInDestroy({ action, options }: Scenario): boolean {
  if (/^unset($| by)/.test(action)) return options.given.unset === 'destroy'
  return action === 'destroy' || action === 'destroy without callback'
}

function withExpiry(seen: Observation, scenario: Scenario): Observation {
  const { cookie } = scenario.options.given
  const known = scenario.cookie !== 'expired' && seen.calls.includes(`get ${KNOWN_ID}`)
  const attributes = known ? recordOf(scenario).cookie : cookie
  const own = new SIDES.reference.Cookie(typeof attributes === 'function' ? attributes({ url: PATH }) : attributes)
  own.expires = new Date(0)
  if (own.secure === 'auto') own.secure = false
  if (own.sameSite === 'auto') own.sameSite = 'lax'
  const name = scenario.options.given.name ?? scenario.options.given.key ?? 'connect.sid'
  try {
    const text = own.serialize(name, '').replace('=; ', '=; Max-Age=0; ')
    return { ...seen, headers: [...seen.headers, ['set-cookie', text]] }
  } catch (err) {
    // An attribute that cannot be sent is reported, here as with any other cookie.
    return { ...seen, errors: [...seen.errors, (err as Error).message] }
  }
}

const PATH = '/app/page?x=1'

function failedAnswer(seen: Observation): Observation {
  const body = 'error: set failed'
  const page = seen.headers.filter(([name]) => name === 'x-powered-by')
  page.push(['content-type', 'text/html; charset=utf-8'], ['content-length', String(body.length)])
  const etag = seen.headers.find(([name]) => name === 'etag')
  if (etag !== undefined) page.push(['etag', ERROR_ETAG])
  return { ...seen, status: 500, headers: page, body }
}

function withoutCookie(seen: Observation): Observation {
  return { ...seen, headers: seen.headers.filter(([name]) => name !== 'set-cookie') }
}

const ERROR_ETAG = 'W/"11-2OzdSMCaMg9TBqxAks4x9MKi7Cc"'

// At the first byte: what `nothing` and `all defaults` save there. At the end: the change, unless nobody could learn of it.
function streamed(seen: Observation, scenario: Scenario): Observation {
  const { given } = scenario.options
  const [last] = seen.calls.slice(-1)
  if (last === undefined || !last.startsWith('set ')) return seen
  const [, id, text] = last.split(/^set (\S+) /)
  const before = JSON.stringify({ ...JSON.parse(text!), a: undefined })
  const started = seen.calls.slice(0, seen.calls.indexOf(last))
  if (started.includes(`get ${id}`)) {
    const { resave = true } = given
    const check = `get ${id}`
    if (resave) return { ...seen, calls: [check, check, `set ${id} ${before}`, check, last] }
    return { ...seen, calls: [check, `touch ${id} ${JSON.stringify(JSON.parse(text!).cookie)}`, check, last] }
  }
  if (given.saveUninitialized ?? true) {
    return { ...seen, calls: [...started, `set ${id} ${before}`, `get ${id}`, last] }
  }
  return { ...seen, calls: started, stored: without(seen.stored, id!) }
}
