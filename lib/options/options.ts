import type { Settings } from './settings'
import type { Carrier, StoreContract } from '../store/contract'
import { StorePort } from '../store/port'
import { oneOf, OptionError } from '../base/errors'
import { KeyRing, SECRET_BYTES_MIN, tooShortToSeal } from '../cookie/keys'
import type { Door, Limits } from '../doors/door'
import { expressSession } from '../doors/express-session'
import { modern } from '../doors/sessions'
import { MemoryStore } from '../stores/memory/memory'
import { DAY, HOUR, MINUTE, SECOND, type Milliseconds } from '../base/time'
import type { NamedOptions, SessionsOptions } from './sessions-options'
import {
  adoptOf,
  askedAtOnce,
  checkCookie,
  checkFlag,
  checkFunctions,
  checkMaxAge,
  checkMaxPerUser,
  checkName,
  checkNamed,
  checkObject,
  checkSchema,
  checkSpan,
  checkTimeout,
  checkStore,
  extendOf,
  overStore,
  policyOf,
  transportOf,
  userAsText,
  warnOfTexts
} from './option-checks'
import { checkSecret, checkSecretTypes, missingSecret } from '../cookie/secret-checks'
import { SealedRecords } from '../tokens/sealed-records'
import { SignedIds } from '../tokens/signed-ids'
import { StoreTokens } from '../tokens/store-tokens'
import type { Tokens } from '../tokens/tokens'
import { warnOfOptions } from './misspelt'
import { deprecate, isProduction, warnOnce } from '../base/warnings'

/** Resolves the options of `sessions()`. @throws {OptionError} naming option, value and remedy */
export function resolveSessionsOptions(given: SessionsOptions): Settings {
  checkObject('sessions(): `options`', given)
  const { secret } = given
  const name = given.name ?? 'sid'
  checkName(name)
  warnOfOptions(given)
  const keys = new KeyRing(secret === undefined || secret === null ? missingSecret() : checkSecret(secret), checkSecret)
  const cookie = checkCookie(name, overStore(given.store, given.cookie ?? {}))
  const shared = common(given)
  const idle = checkSpan('idle', given.idle, DAY)
  const { adopts, reissues } = adoptOf(given.adopt)
  const issues = adopts && !reissues ? 'plain' : 'bound'
  const signed = new SignedIds({ name, issues, acceptsOther: adopts, reissues, anyId: false })
  const settings = {
    door: modern,
    name,
    keys,
    tokens: tokensOf(shared.port, name, signed),
    cookie,
    limits: limitsOf(modern, given, idle, absoluteOf(given.store, 30 * DAY)),
    touchAfter: touchAfterOf(given.touchAfter, spanOf(idle, cookie)),
    rolling: checkFlag('rolling', given.rolling, false),
    resave: checkFlag('resave', given.resave, false),
    saveUninitialized: checkFlag('saveUninitialized', given.saveUninitialized, false),
    proxy: checkFlag('proxy', given.proxy, undefined),
    unsetDestroys: oneOf('unset', given.unset ?? 'destroy', ['destroy', 'keep']) === 'destroy',
    cacheGuard: checkFlag('cacheGuard', given.cacheGuard, true),
    rawFaults: false,
    ...shared,
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
  if (genid && typeof genid !== 'function') {
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
  checkSecretTypes(secret)
  if (!secret) deprecate('req.secret; provide secret option')
  const name = given.name || given.key || 'connect.sid'
  checkName(name)
  checkMaxAge(given.cookie)
  adoptOf(given.adopt)
  const { key: _key, ...known } = given
  warnOfOptions(known)
  warnOfTexts(given)
  const idle = checkSpan('idle', given.idle, null)
  const shared = common(given, genid || null)
  const keys = secret ? new KeyRing(secret) : undefined
  checkSealing(shared.port.carrier, keys)
  // A cookie that `sessions()` has bound to this name is accepted beside express-session's own form.
  const signed = new SignedIds({ name, issues: 'plain', acceptsOther: true, reissues: false, anyId: true })
  const settings = {
    door: expressSession,
    name,
    keys,
    tokens: tokensOf(shared.port, name, signed),
    cookie: overStore(given.store, given.cookie ?? {}),
    limits: limitsOf(expressSession, given, idle, null),
    touchAfter: given.touchAfter === undefined ? 0 : touchAfterOf(given.touchAfter, idle),
    rolling: Boolean(given.rolling),
    resave: resave === undefined ? true : Boolean(resave),
    saveUninitialized: saveUninitialized === undefined ? true : Boolean(saveUninitialized),
    proxy: given.proxy,
    unsetDestroys: unset === 'destroy',
    cacheGuard: checkFlag('cacheGuard', given.cacheGuard, false),
    rawFaults: given.onStoreError === undefined,
    ...shared,
    writesMeta: shared.port.carrier !== undefined || METADATA_OPTIONS.some((option) => given[option] != null),
    named: new Map<string, Settings>()
  } satisfies Settings
  if (isProduction() && given.store === undefined) {
    // express-session warns here because its store leaks. Ours is bounded and swept, so only the scope is left to say.
    warnOnce('SILVERBACK_MEMORY', 'Sessions live in the memory of this process: they end with it and are not shared.')
  }
  return withNamed(settings, given.named)
}

function common(given: SessionsOptions, genid: SessionsOptions['genid'] | null = given.genid) {
  const storeTimeout = checkTimeout(given.storeTimeout ?? 5 * SECOND)
  const store = given.store || new MemoryStore()
  checkStore('store', store)
  const hashIds = checkFlag('hashIds', given.hashIds, false)
  const { bind, userId, onStoreError = 'fail', maxPerUser } = given
  checkFunctions({ genid, bind, userId })
  const port = new StorePort(store, { storeTimeout, hashIds })
  return {
    port,
    hashIds,
    extend: extendOf(given.extend),
    genid: genid ?? undefined,
    ...transportOf(given.transport),
    load: oneOf('load', given.load ?? 'auto', ['auto', 'eager', 'lazy'] as const),
    onStoreError: policyOf(onStoreError),
    bind: bind ? askedAtOnce('bind', bind) : undefined,
    userId: userAsText(userId),
    schema: checkSchema(given.schema),
    production: isProduction(),
    maxPerUser: checkMaxPerUser(maxPerUser, userId, port)
  }
}

function limitsOf(
  { endsByDate }: Door,
  given: NamedOptions,
  idle: Limits['idle'],
  fallback: Limits['absolute']
): Limits {
  const absolute = checkSpan('absolute', given.absolute, fallback)
  return { idle, idleIsExplicit: given.idle !== undefined, absolute, endsByDate }
}

function touchAfterOf(given: Milliseconds | undefined, idle: Milliseconds | null): Milliseconds {
  if (given === 0) return 0
  const fallback = Math.min((idle ?? HOUR) / 20, MINUTE)
  return checkSpan('touchAfter', given, fallback) ?? fallback
}

// A store that is shared has a default of its own.
function absoluteOf(store: StoreContract | undefined, fallback: Milliseconds | null): Milliseconds | null {
  const own = store?.sessionDefaults?.absolute
  return own === undefined ? fallback : own
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
  checkObject(`named["${name}"]`, given)
  warnOfOptions(given, `named.${name}.`)
  checkFunctions({ userId: given.userId })
  if (given.store != null) checkStore(`named["${name}"].store`, given.store)
  const hashIds = checkFlag('hashIds', given.hashIds, main.hashIds)
  const port =
    given.store === undefined && given.hashIds === undefined
      ? main.port
      : new StorePort(given.store ?? main.port.store, { storeTimeout: main.port.timeout, hashIds })
  const keys = given.secret === undefined ? main.keys : new KeyRing(checkSecret(given.secret), checkSecret)
  checkSealing(port.carrier, keys)
  const isClassic = main.door === expressSession
  const idle = checkSpan('idle', given.idle, main.limits.idle ?? (isClassic ? DAY : null))
  const limits = limitsOf(modern, given, idle, absoluteOf(given.store, main.limits.absolute))
  const cookie = checkCookie(name, overStore(given.store, given.cookie ?? main.cookie))
  const { touchAfter } = given
  const span = spanOf(idle, cookie)
  // A life of its own must not be over before it may be extended.
  const ownLife = given.idle !== undefined || given.cookie !== undefined
  const inherited = ownLife ? Math.min(main.touchAfter, touchAfterOf(undefined, span)) : main.touchAfter
  const signed = new SignedIds({ name, issues: 'bound', acceptsOther: false, reissues: true, anyId: false })
  return {
    ...main,
    door: modern,
    rawFaults: false,
    name,
    tokens: tokensOf(port, name, signed),
    header: main.header && `${main.header}-${name.toLowerCase()}`,
    keys,
    port,
    hashIds,
    cookie,
    limits: { ...limits, idleIsExplicit: limits.idleIsExplicit || main.limits.idleIsExplicit },
    touchAfter: touchAfter === undefined && !isClassic ? inherited : touchAfterOf(touchAfter, span),
    rolling: checkFlag('rolling', given.rolling, false),
    resave: false,
    saveUninitialized: checkFlag('saveUninitialized', given.saveUninitialized, false),
    genid: undefined,
    schema: checkSchema(given.schema),
    userId: userAsText(given.userId),
    maxPerUser: checkMaxPerUser(given.maxPerUser, given.userId, port),
    writesMeta: true,
    unsetDestroys: true,
    named: new Map()
  }
}

// How its sessions travel is the store's to say, if it has a say in that.
function tokensOf({ store, carrier }: StorePort, name: string, signed: SignedIds): Tokens {
  if (carrier !== undefined) return new SealedRecords(carrier, name)
  return store.tokens === undefined ? signed : new StoreTokens(store.tokens, name, signed.forAssigned())
}

/** @throws {OptionError} unless the keys are fit for a store that keeps sessions in their cookies */
function checkSealing(carrier: Carrier | undefined, keys: KeyRing | undefined): void {
  if (carrier === undefined || carrier.ownKeys) return
  if (keys === undefined) {
    throw new OptionError(
      "secret is required where sessions live in their cookies (cookie-parser's is not used); generateKey() makes one"
    )
  }
  if (keys.shortest < SECRET_BYTES_MIN) throw new OptionError(tooShortToSeal(keys.shortest))
}
