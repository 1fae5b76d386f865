import { Backend } from '../store/backend'
import type { CookieOptions } from '../cookie/cookie'
import { OptionError, quote } from '../base/errors'
import { KeyRing } from '../cookie/keys'
import { MemoryStore } from '../stores/memory/memory'
import { DAY, HOUR, MINUTE, SECOND, type MaybePromise, type Milliseconds } from '../base/time'
import type { NamedOptions, SessionsOptions, StandardSchema, StoreErrorPolicy } from './sessions-options'
import {
  checkCookie,
  checkFlag,
  checkFunctions,
  checkMaxPerUser,
  checkName,
  checkNamed,
  checkSchema,
  checkSpan,
  extendOf,
  oneOf,
  transportOf,
  userAsText
} from './option-checks'
import { checkSealing, checkSecret, missingSecret } from '../cookie/secret-checks'
import { deprecate, isProduction, warnOnce } from '../base/warnings'

/** Every option resolved: defaults applied, values checked. Nothing later looks at a raw option. */
export interface Settings {
  /** express-session's door: its defaults, its habits. */
  readonly classic: boolean
  readonly name: string
  /** `undefined`: express-session's `req.secret`, left there by cookie-parser. */
  readonly keys: KeyRing | undefined
  /** Values are bound to their cookie name. */
  readonly bound: boolean
  readonly adopt: boolean
  readonly backend: Backend
  readonly cookie: CookieOptions | ((req: any) => CookieOptions)
  readonly idle: Milliseconds | null
  /** A lifetime that the application gives a cookie cannot exceed an `idle` that was set on purpose. */
  readonly idleIsPolicy: boolean
  readonly absolute: Milliseconds | null
  readonly touchAfter: Milliseconds
  readonly extend: (req: any) => boolean
  readonly rolling: boolean
  readonly resave: boolean
  readonly saveUninitialized: boolean
  readonly unsetDestroys: boolean
  readonly genid: ((req: any) => MaybePromise<string>) | undefined
  readonly proxy: boolean | undefined
  readonly acceptsCookie: boolean
  /** Lower-case name of the header transport. */
  readonly header: string | undefined
  /** The main session's: who sends it gets no cookie. */
  readonly mainHeader: string | undefined
  readonly load: 'auto' | 'eager' | 'lazy'
  readonly storeTimeout: Milliseconds
  readonly onStoreError: (err: unknown, req: any) => StoreErrorPolicy
  /** Faults of the store reach the application as the store made them, as in express-session. */
  readonly rawFaults: boolean
  readonly bind: ((req: any) => string | undefined) | undefined
  readonly userId: ((session: any) => string | undefined) | undefined
  readonly schema: StandardSchema<any> | undefined
  readonly cacheGuard: boolean
  readonly maxPerUser: number | undefined
  readonly named: ReadonlyMap<string, Settings>
  /** `NODE_ENV` at set-up: asking the environment for every request would cost more than most of the request. */
  readonly production: boolean
  /** Whether records carry our metadata. */
  readonly writesMeta: boolean
}

/** Resolves the options of `sessions()`. @throws {OptionError} naming option, value and remedy */
export function resolveSessionsOptions(given: SessionsOptions = {}): Settings {
  const { secret } = given
  const name = given.name ?? 'sid'
  checkName(name)
  const keys = new KeyRing(secret === undefined || secret === null ? missingSecret() : checkSecret(secret))
  const cookie = checkCookie(name, given.cookie ?? {})
  const idle = checkSpan('idle', given.idle, DAY)
  const settings = {
    classic: false,
    name,
    keys,
    bound: true,
    adopt: Boolean(given.adopt && oneOf('adopt', given.adopt, ['express-session'])),
    cookie,
    idle,
    idleIsPolicy: given.idle !== undefined,
    absolute: checkSpan('absolute', given.absolute, 30 * DAY),
    touchAfter: touchAfterOf(given.touchAfter, spanOf(idle, cookie)),
    rolling: given.rolling ?? false,
    resave: given.resave ?? false,
    saveUninitialized: given.saveUninitialized ?? false,
    unsetDestroys: oneOf('unset', given.unset ?? 'destroy', ['destroy', 'keep']) === 'destroy',
    cacheGuard: checkFlag('cacheGuard', given.cacheGuard, true),
    rawFaults: false,
    ...common(given),
    writesMeta: true,
    named: new Map<string, Settings>()
  } satisfies Settings
  return withNamed(settings, given.named)
}

// What needs our metadata in the record; without it the drop-in door's records are express-session's.
const METADATA_OPTIONS = ['idle', 'absolute', 'bind', 'userId'] as const

/** Resolves the options of express-session's door: its defaults and its words, plus all of `sessions()`'s options. */
export function resolveClassicOptions(given: SessionsOptions & { key?: string | undefined } = {}): Settings {
  const { secret, genid, resave, saveUninitialized, unset } = given
  if (genid !== undefined && genid !== null && typeof genid !== 'function') {
    throw new OptionError('genid option must be a function')
  }
  if (resave === undefined) deprecate('undefined resave option; provide resave option')
  if (saveUninitialized === undefined) {
    deprecate('undefined saveUninitialized option; provide saveUninitialized option')
  }
  if (unset && unset !== 'destroy' && unset !== 'keep') {
    throw new OptionError('unset option must be "destroy" or "keep"')
  }
  if (Array.isArray(secret) && secret.length === 0) {
    throw new OptionError('secret option array must contain one or more strings')
  }
  if (!secret) deprecate('req.secret; provide secret option')
  const name = given.name || given.key || 'connect.sid'
  checkName(name)
  const idle = checkSpan('idle', given.idle, null)
  const absolute = checkSpan('absolute', given.absolute, null)
  const shared = common(given)
  const keys = secret ? new KeyRing(secret) : undefined
  checkSealing(shared.backend.carrier, keys)
  const settings = {
    classic: true,
    name,
    keys,
    bound: false,
    adopt: false,
    cookie: given.cookie ?? {},
    idle,
    idleIsPolicy: given.idle !== undefined,
    absolute,
    touchAfter: given.touchAfter === undefined ? 0 : touchAfterOf(given.touchAfter, idle),
    rolling: Boolean(given.rolling),
    resave: resave === undefined ? true : Boolean(resave),
    saveUninitialized: saveUninitialized === undefined ? true : Boolean(saveUninitialized),
    unsetDestroys: unset === 'destroy',
    cacheGuard: checkFlag('cacheGuard', given.cacheGuard, false),
    rawFaults: given.onStoreError === undefined,
    ...shared,
    writesMeta: shared.backend.carrier !== undefined || METADATA_OPTIONS.some((option) => given[option] != null),
    named: new Map<string, Settings>()
  } satisfies Settings
  if (isProduction() && given.store === undefined) {
    // express-session warns here because its store leaks. Ours is bounded and swept, so only the scope is left to say.
    warnOnce('SILVERBACK_MEMORY', 'Sessions live in the memory of this process: they end with it and are not shared.')
  }
  return withNamed(settings, given.named)
}

function common(given: SessionsOptions) {
  const storeTimeout = checkSpan('storeTimeout', given.storeTimeout, 5 * SECOND) ?? 5 * SECOND
  const store = given.store || new MemoryStore()
  if (typeof store.get !== 'function' || typeof store.set !== 'function' || typeof store.destroy !== 'function') {
    throw new OptionError(`store must have the methods get, set and destroy, got ${quote(store)}`)
  }
  const { genid, bind, userId, onStoreError = 'fail', maxPerUser } = given
  checkFunctions({ genid, bind, userId })
  return {
    backend: new Backend(store, { storeTimeout, hashIds: checkFlag('hashIds', given.hashIds, false) }),
    storeTimeout,
    extend: extendOf(given.extend),
    genid: genid ?? undefined,
    proxy: given.proxy,
    ...transportOf(given.transport),
    load: oneOf('load', given.load ?? 'auto', ['auto', 'eager', 'lazy'] as const),
    onStoreError: typeof onStoreError === 'function' ? onStoreError : constantPolicy(onStoreError),
    bind: bind ?? undefined,
    userId: userAsText(userId),
    schema: checkSchema(given.schema),
    production: isProduction(),
    maxPerUser: checkMaxPerUser(maxPerUser, userId)
  }
}

function constantPolicy(policy: StoreErrorPolicy): () => StoreErrorPolicy {
  oneOf('onStoreError', policy, ['fail', 'anonymous'] as const)
  return () => policy
}

function touchAfterOf(given: Milliseconds | undefined, idle: Milliseconds | null): Milliseconds {
  if (given === 0) return 0
  const fallback = Math.min((idle ?? HOUR) / 20, MINUTE)
  return checkSpan('touchAfter', given, fallback) ?? fallback
}

// How long a session lives unused, as far as the options tell.
function spanOf(idle: Milliseconds | null, cookie: Settings['cookie']): Milliseconds | null {
  const own = typeof cookie === 'function' ? undefined : cookie.maxAge
  if (typeof own !== 'number' || own <= 0) return idle
  return idle === null ? own : Math.min(idle, own)
}

function withNamed(main: Settings & { named: Map<string, Settings> }, named: SessionsOptions['named']): Settings {
  checkNamed(main.name, named)
  for (const [name, options] of Object.entries(named ?? {})) main.named.set(name, namedSettings(main, name, options))
  return main
}

/** The settings of a named session: its own options over the main session's. @throws {SessionError | OptionError} */
export function namedSettings(main: Settings, name: string, given: NamedOptions = {}): Settings {
  checkName(name)
  checkFunctions({ userId: given.userId })
  const backend =
    given.store === undefined && given.hashIds === undefined
      ? main.backend
      : new Backend(given.store ?? main.backend.store, {
          storeTimeout: main.storeTimeout,
          hashIds: checkFlag('hashIds', given.hashIds, false)
        })
  const keys = given.secret === undefined ? main.keys : new KeyRing(checkSecret(given.secret))
  checkSealing(backend.carrier, keys)
  const idle = checkSpan('idle', given.idle, main.idle ?? (main.classic ? DAY : null))
  const cookie = checkCookie(name, given.cookie ?? main.cookie)
  const { touchAfter } = given
  const span = spanOf(idle, cookie)
  // A life of its own must not be over before it may be extended.
  const ownLife = given.idle !== undefined || given.cookie !== undefined
  const inherited = ownLife ? Math.min(main.touchAfter, touchAfterOf(undefined, span)) : main.touchAfter
  return {
    ...main,
    classic: false,
    rawFaults: false,
    name,
    bound: true,
    adopt: false,
    header: main.header && `${main.header}-${name.toLowerCase()}`,
    keys,
    backend,
    cookie,
    idle,
    idleIsPolicy: given.idle !== undefined || main.idleIsPolicy,
    absolute: checkSpan('absolute', given.absolute, main.absolute),
    touchAfter: touchAfter === undefined && !main.classic ? inherited : touchAfterOf(touchAfter, span),
    rolling: given.rolling ?? false,
    resave: false,
    saveUninitialized: given.saveUninitialized ?? false,
    genid: undefined,
    schema: checkSchema(given.schema),
    userId: userAsText(given.userId),
    maxPerUser: checkMaxPerUser(given.maxPerUser, given.userId),
    writesMeta: true,
    unsetDestroys: true,
    named: new Map()
  }
}
