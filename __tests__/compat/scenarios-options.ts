/** Options as both packages get them, beside `store` and `genid`, which the harness supplies. */
export interface OptionSet {
  given: { secret: string | string[]; name?: string } & Record<string, any>
  /** The store lacks `touch`. */
  withoutTouch?: boolean
  /** The harness leaves `genid` out, and names the random IDs afterwards. */
  randomIds?: boolean
}

const KEY = 'a secret that is long enough for everybody'
const OLD = 'the secret of last year, still long enough'
const TODAY = { secret: KEY, resave: false, saveUninitialized: false }

const cookie = (attributes: unknown): OptionSet => ({ given: { ...TODAY, cookie: attributes } })
const today = (extra: object): OptionSet => ({ given: { ...TODAY, ...extra } })
const eager = (extra: object): OptionSet => ({ given: { secret: KEY, ...extra } })

export const OPTIONS: Record<string, OptionSet> = {
  'all defaults': { given: { secret: KEY } },
  today: { given: TODAY },
  resave: { given: { secret: KEY, resave: true, saveUninitialized: false } },
  uninitialized: { given: { secret: KEY, resave: false, saveUninitialized: true } },
  rolling: today({ rolling: true }),
  'rolling, uninitialized': eager({ rolling: true, resave: false }),
  'rolling, maxAge': today({ rolling: true, cookie: { maxAge: 60_000 } }),
  'with maxAge': cookie({ maxAge: 60_000 }),
  'all defaults, maxAge': eager({ cookie: { maxAge: 60_000 } }),
  'maxAge 0': cookie({ maxAge: 0 }),
  'maxAge null': cookie({ maxAge: null }),
  'maxAge undefined': cookie({ maxAge: undefined }),
  'maxAge false': cookie({ maxAge: false }),
  'maxAge false, rolling': today({ rolling: true, cookie: { maxAge: false } }),
  'maxAge negative': cookie({ maxAge: -1000 }),
  'maxAge of a fraction': cookie({ maxAge: 1500.5 }),
  'expires a date': cookie({ expires: new Date(2_000_000_000_000) }),
  'expires null': cookie({ expires: null }),
  'expires false': cookie({ expires: false }),
  'expires and maxAge': cookie({ expires: new Date(2_000_000_000_000), maxAge: 1000 }),
  'originalMaxAge given': cookie({ originalMaxAge: 5000, maxAge: 60_000 }),
  'not httpOnly': cookie({ httpOnly: false }),
  'with domain': cookie({ domain: 'example.test' }),
  'with path': cookie({ path: '/app' }),
  'path of another place': cookie({ path: '/elsewhere' }),
  'path undefined': cookie({ path: undefined }),
  'genid false': today({ genid: false }),
  'path as prefix': cookie({ path: '/ap' }),
  secure: cookie({ secure: true }),
  'secure auto': cookie({ secure: 'auto' }),
  'secure and proxy true': { given: { ...TODAY, proxy: true, cookie: { secure: true } } },
  'proxy true': { given: { ...TODAY, proxy: true, cookie: { secure: 'auto' } } },
  'proxy false': { given: { ...TODAY, proxy: false, cookie: { secure: 'auto' } } },
  'sameSite true': cookie({ sameSite: true }),
  'sameSite false': cookie({ sameSite: false }),
  'sameSite lax': cookie({ sameSite: 'lax' }),
  'sameSite Strict': cookie({ sameSite: 'Strict' }),
  'sameSite none': cookie({ sameSite: 'none' }),
  'sameSite auto': cookie({ sameSite: 'auto' }),
  'sameSite nonsense': cookie({ sameSite: 'nonsense' }),
  partitioned: cookie({ partitioned: true, secure: 'auto' }),
  'priority high': cookie({ priority: 'high' }),
  'priority nonsense': cookie({ priority: 'nonsense' }),
  'every attribute': cookie({
    ...{ path: '/', domain: 'example.test', httpOnly: false, secure: false, sameSite: 'strict' },
    ...{ priority: 'low', partitioned: true, maxAge: 1000 }
  }),
  'attribute of our own': cookie({ flavour: 'oat' }),
  function: cookie((req: any) => ({ path: '/', maxAge: req.url.length * 1000, secure: false, sameSite: 'lax' })),
  'function, auto': cookie(() => ({ secure: 'auto', sameSite: 'auto' })),
  'function, elsewhere': cookie(() => ({ path: '/elsewhere' })),
  named: today({ name: 'sid' }),
  'named, with signs': today({ name: "__Host-sid!#$'*+" }),
  'named by key': today({ key: 'legacy' }),
  rotated: today({ secret: [KEY, OLD] }),
  'rotated, rolling': today({ secret: [KEY, OLD], rolling: true }),
  'one secret in an array': today({ secret: [KEY] }),
  'short secret': today({ secret: 'x' }),
  'unset: destroy': today({ unset: 'destroy' }),
  'unset: keep': today({ unset: 'keep' }),
  'random IDs': { given: TODAY, randomIds: true },
  'random IDs, all defaults': { given: { secret: KEY }, randomIds: true },
  'no touch': { given: TODAY, withoutTouch: true },
  'no touch, all defaults': { given: { secret: KEY }, withoutTouch: true },
  'proxy undefined': today({ proxy: undefined, cookie: { secure: 'auto' } })
}
