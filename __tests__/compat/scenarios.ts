import { ACTIONS, type Action } from './scenarios-actions'
import { COOKIES, KNOWN_ID, OTHER_ID, type CookieState } from './scenarios-cookies'
import { OPTIONS, type OptionSet } from './scenarios-options'

const { sign } = require('cookie-signature') as { sign(value: string, secret: string): string }

export type Transport = 'http' | 'https' | 'http behind https' | 'http behind http' | 'trusted proxy'

/** One request to one application: everything that either side gets to know. */
export interface Scenario {
  title: string
  option: string
  options: OptionSet
  cookie: string
  action: string
  transport: Transport
  express: 4 | 5
  failing: string[]
}

export function actionOf({ action }: Scenario): Action {
  return ACTIONS[action]!
}

export function cookieStateOf({ cookie }: Scenario): CookieState {
  return COOKIES[cookie]!
}

/** The `Cookie` header of a scenario, made with the secrets and the name of its options. */
export function cookieHeaderOf(scenario: Scenario): string | undefined {
  const { secret, name, key } = scenario.options.given
  const secrets = ([] as string[]).concat(secret)
  const signed = (id: string, key = secrets[0]!) => `s:${sign(id, key)}`
  return cookieStateOf(scenario).header({
    name: name ?? key ?? 'connect.sid',
    signed,
    oldest: secrets[secrets.length - 1]!
  })
}

/** What lies in the store beforehand. */
export function seedOf(scenario: Scenario, now: number): Record<string, string> {
  const { record = 'plain' } = cookieStateOf(scenario)
  return {
    [KNOWN_ID]: RECORDS[record](now, 'ann'),
    [OTHER_ID]: RECORDS.plain(now, 'bob'),
    'id with spaces/\u00fc': RECORDS.plain(now, 'cid')
  }
}

/** The record that a scenario's cookie leads to. */
export function recordOf(scenario: Scenario): { cookie: object } {
  return JSON.parse(seedOf(scenario, 0)[KNOWN_ID]!) as { cookie: object }
}

const RECORDS = {
  plain: (_now: number, user: string) => text({ originalMaxAge: null, expires: null, httpOnly: true, path: '/' }, user),
  lasting: (now: number, user: string) => text({ originalMaxAge: 60_000, expires: new Date(now + 30_000) }, user),
  expired: (now: number, user: string) => text({ originalMaxAge: 60_000, expires: new Date(now - 1) }, user),
  dressed: (_now: number, user: string) =>
    text(
      { originalMaxAge: null, expires: null, secure: false, httpOnly: false, domain: 'a.test', sameSite: 'strict' },
      user
    ),
  bare: () => '{"user":"nobody"}'
}

function text(cookie: object, user: string): string {
  return JSON.stringify({ cookie: { path: '/', ...cookie }, user, nested: { list: [1, 2], deep: { x: 1 } }, n: 1 })
}

interface Block {
  options?: string[]
  cookies?: string[]
  actions?: string[]
  transports?: Transport[]
  express?: (4 | 5)[]
  failing?: string[][]
}

const PLAIN = ['none', 'valid', 'forged', 'unknown']
const VERBS = ['nothing', 'read', 'write', 'write nested', 'regenerate', 'destroy', 'unset', 'cookie.maxAge', 'save']
const CORE = ['all defaults', 'today', 'rolling', 'with maxAge', 'resave', 'unset: destroy']
const SCHEMES = ['secure', 'secure auto', 'sameSite auto', 'proxy true', 'proxy false', 'secure and proxy true']

// Not the whole product (it has a million points) but the planes of it on which two choices can meet.
const BLOCKS: Block[] = [
  { options: Object.keys(OPTIONS), cookies: PLAIN, actions: VERBS },
  { options: CORE, cookies: PLAIN.slice(0, 2), actions: Object.keys(ACTIONS) },
  {
    options: ['rotated', 'today', 'named'],
    cookies: Object.keys(COOKIES),
    actions: ['read', 'write', 'nothing', 'destroy']
  },
  { options: CORE, cookies: ['lasting', 'expired', 'dressed', 'bare'], actions: Object.keys(ACTIONS) },
  {
    options: [...SCHEMES, 'function', 'today'],
    cookies: ['none', 'valid'],
    actions: ['nothing', 'write', 'regenerate', 'cookie.secure'],
    transports: ['https', 'http behind https', 'http behind http', 'trusted proxy'],
    express: [4, 5]
  },
  { options: CORE, cookies: ['none', 'valid', 'lasting'], actions: Object.keys(ACTIONS), express: [4] },
  {
    options: ['all defaults', 'today', 'rolling'],
    cookies: ['none', 'valid'],
    actions: ['nothing', 'write', 'destroy', 'regenerate', 'save', 'reload', 'unset'],
    failing: [['get'], ['set'], ['destroy'], ['touch']]
  }
]

/** Every scenario, each once. */
export function scenarios(): Scenario[] {
  const all = new Map<string, Scenario>()
  for (const block of BLOCKS) {
    const { options = [], cookies = [], actions = [] } = block
    const { transports = ['http' as const], express = [5 as const], failing = [[]] } = block
    const points = product([options, cookies, actions, transports, express, failing])
    for (const [option, cookie, action, transport, version, fails] of points) {
      const title = [
        option,
        cookie,
        action,
        transport,
        `Express ${version}`,
        ...fails.map((f: string) => `${f} fails`)
      ].join(', ')
      const options = OPTIONS[option]!
      all.set(title, { title, option, options, cookie, action, transport, express: version, failing: fails })
    }
  }
  return [...all.values()]
}

function product(lists: any[][]): any[][] {
  return lists.reduce<any[][]>((rows, list) => rows.flatMap((row) => list.map((item) => [...row, item])), [[]])
}
