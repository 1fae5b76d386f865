import { types } from 'node:util'
import { isCookieName, serializeAttributes, StrictCookie, type CookieOptions } from '../cookie/cookie'
import { hasMethods, isAboveZero, isTimerSpan, must, oneOf, OptionError, quote, SessionError } from '../base/errors'
import type { StoreContract } from '../store/contract'
import type { StorePort } from '../store/port'
import type { SessionsOptions, StandardSchema, Transport } from './sessions-options'
import type { Settings } from './settings'
import { isRecord } from '../record/record'
import type { HttpRequest } from '../base/http'
import { isPromise, TIMER_MAX, type Milliseconds } from '../base/time'
import { isProduction, warnOnce } from '../base/warnings'
import { warnOfAttributes } from './misspelt'

const RESERVED_NAMES = new Set(['__proto__', 'constructor', 'prototype'])

/** @throws {OptionError} for a cookie name that is no token, or that would be mistaken for a property */
export function checkName(name: string): void {
  const isName = typeof name === 'string' && isCookieName(name) && !RESERVED_NAMES.has(name)
  const wanted = "a cookie name (letters, digits and !#$%&'*+-.^_`|~) other than __proto__, constructor and prototype"
  must(isName, 'name', wanted, name, 'ERR_SESSION_NAME')
}

/** A span of time, `null` for no limit. @throws {OptionError} for anything but a finite number above 0 or `null` */
export function checkSpan<T extends Milliseconds | null>(
  option: string,
  value: Milliseconds | null | undefined,
  fallback: T
): Milliseconds | T | null {
  if (value === undefined) return fallback
  if (value === null) return null
  must(isAboveZero(value), option, 'a number of milliseconds above 0, or null for no limit', value)
  return value
}

/** How long a call of the store may take. @throws {OptionError} for what no timer waits for */
export function checkTimeout(storeTimeout: Milliseconds): Milliseconds {
  must(isTimerSpan(storeTimeout), 'storeTimeout', `milliseconds from 1 to ${TIMER_MAX}`, storeTimeout)
  return storeTimeout
}

const DEFAULTS: CookieOptions = { path: '/', httpOnly: true, sameSite: 'lax', secure: 'auto', maxAge: null }

/**
 * Completes cookie attributes with today's defaults and checks what browsers would silently drop.
 *
 * A function of the request is checked as it answers. @see RFC 6265bis 4.1.3 (prefixes), 5.7
 * @throws {OptionError}
 */
export function checkCookie(name: string, given: Settings['cookie']): Settings['cookie'] {
  if (typeof given === 'function') {
    return (req) => {
      const answer = atOnce('cookie', given(req)) ?? {}
      warnOfAttributes(answer)
      return completed(name, answer)
    }
  }
  must(typeof given === 'object' && given !== null, 'cookie', 'an object', given)
  return completed(name, given)
}

/** Cookie attributes over those that a store has for the cookies of its sessions. */
export function overStore(store: StoreContract | undefined, given: Settings['cookie']): Settings['cookie'] {
  const own = store?.sessionDefaults?.cookie
  if (own === undefined || (typeof given !== 'function' && typeof given !== 'object')) return given
  return typeof given === 'function' ? (req) => ({ ...own, ...atOnce('cookie', given(req)) }) : { ...own, ...given }
}

function completed(name: string, given: CookieOptions): CookieOptions {
  const cookie = { ...DEFAULTS }
  for (const [key, value] of Object.entries(given)) {
    // `false` for no end, as applications of express-session write it.
    const isEndless = value === false && (key === 'maxAge' || key === 'expires')
    if (value !== undefined) (cookie as Record<string, unknown>)[key] = isEndless ? null : value
  }
  const prefix = /^__(host-http|host|http|secure)-/i.exec(name)?.[1]?.toLowerCase()
  const sameSite = typeof cookie.sameSite === 'string' ? cookie.sameSite.toLowerCase() : cookie.sameSite
  const unnamed = sameSite === 'none' ? 'sameSite none' : cookie.partitioned && 'partitioned'
  const needsSecure = prefix ? `name ${quote(name)}` : unnamed
  if (needsSecure) {
    if (cookie.secure !== true && cookie.secure !== 'auto') {
      throw new OptionError(`cookie.secure must be true for ${needsSecure}: browsers drop the cookie otherwise`)
    }
    cookie.secure = true
  }
  if (prefix?.startsWith('host') && (cookie.domain || cookie.path !== '/')) {
    throw new OptionError(`cookie must have path '/' and no domain for name ${quote(name)}`)
  }
  if (prefix?.endsWith('http') && !cookie.httpOnly) {
    throw new OptionError(`cookie.httpOnly must be true for name ${quote(name)}`)
  }
  if (cookie.path !== undefined && !String(cookie.path).startsWith('/')) {
    throw new OptionError(`cookie.path must begin with '/', got ${quote(cookie.path)}`)
  }
  checkMaxAge(cookie)
  for (const key of FLAGS) {
    const isAuto = key === 'secure' && cookie.secure === 'auto'
    if (!isAuto) checkFlag(`cookie.${key}`, cookie[key] as boolean | undefined, false)
  }
  checkAttributes(cookie)
  return cookie
}

function checkAttributes(cookie: CookieOptions): void {
  try {
    const { secure, sameSite, ...rest } = new StrictCookie(cookie)
    serializeAttributes({
      ...rest,
      secure: secure === 'auto' ? false : secure,
      sameSite: sameSite === 'auto' ? 'lax' : sameSite
    })
  } catch (err) {
    throw new OptionError(`cookie has an attribute that cannot be sent: ${(err as Error).message}`)
  }
}

/** What the option `adopt` comes to. @throws {OptionError} */
export function adoptOf(given: SessionsOptions['adopt'] | null): { adopts: boolean; reissues: boolean } {
  if (given === undefined || given === null) return { adopts: false, reissues: true }
  const { from, reissue = true } = typeof given === 'object' ? given : { from: given }
  oneOf('adopt', from, ['express-session'])
  return { adopts: true, reissues: checkFlag('adopt.reissue', reissue, true) }
}

/** express-session finds out at the first request. @throws {OptionError} for a `maxAge` that is no span of time */
export function checkMaxAge(cookie: SessionsOptions['cookie'] | null): void {
  const maxAge: unknown = typeof cookie === 'object' && cookie !== null ? cookie.maxAge : undefined
  if (maxAge === undefined || maxAge === null || maxAge === false || types.isDate(maxAge)) return
  const isSpan = typeof maxAge === 'number' && !Number.isNaN(maxAge)
  must(isSpan, 'cookie.maxAge', 'a number of milliseconds or null', maxAge)
}

/** A function among the options, what it throws as a mistake of the application's: the store has no part in it. */
export function asked<A extends unknown[], R>(option: string, fn: (...given: A) => R): (...given: A) => R {
  const failed = (cause: unknown): never => {
    throw new SessionError('ERR_SESSION_OPTION', `The option ${option} threw an error; see the cause.`, { cause })
  }
  return (...given) => {
    try {
      const answer = fn(...given)
      return isPromise(answer) ? (answer.then(undefined, failed) as R) : answer
    } catch (err) {
      return failed(err)
    }
  }
}

/** The same for one whose answer is needed at once: a promise would count as `true`, or as nothing. */
export function askedAtOnce<A extends unknown[], R>(option: string, fn: (...given: A) => R): (...given: A) => R {
  const ask = asked(option, fn)
  return (...given) => atOnce(option, ask(...given))
}

/** @throws {SessionError} for a promise */
function atOnce<T>(option: string, answer: T): T {
  if (!isPromise(answer)) return answer
  // Nobody waits for it any more.
  answer.then(undefined, () => undefined)
  throw new SessionError(
    'ERR_SESSION_OPTION',
    `The option ${option} must answer at once, and answered a promise: let a middleware before this one wait for what it needs.`
  )
}

/** The option `userId`, its answers as texts: applications number their users as well. */
export function userAsText(userId: ((session: object) => unknown) | null | undefined) {
  if (userId === undefined || userId === null) return undefined
  const ask = askedAtOnce('userId', userId)
  return (session: object): string | undefined => {
    const user = ask(session)
    return user === undefined || user === null ? undefined : userText(user)
  }
}

/** A user as text. @throws {SessionError} for what would be one text for all users, as a promise is */
export function userText(user: unknown): string {
  const text = typeof user === 'symbol' ? '' : String(user)
  if (typeof user === 'string' || typeof user === 'bigint' || Number.isFinite(user)) return text
  // IDs of databases are objects with a text of their own.
  if (typeof user === 'object' && user !== null && text !== '' && !text.startsWith('[object ')) return text
  throw new SessionError('ERR_SESSION_OPTION', `userId must be a text or a number, got ${quote(user)}`)
}

/** What the option `transport` comes to; header names in lower case. @throws {OptionError} */
export function transportOf(given: SessionsOptions['transport']): {
  acceptsCookie: boolean
  header: string | undefined
  mainHeader: string | undefined
} {
  const list = (Array.isArray(given) ? given : [given ?? 'cookie']) as Transport[]
  if (list.length === 0) throw new OptionError("transport must name at least one of 'cookie' and 'header', got none")
  let header: string | undefined
  for (const transport of list) {
    if (transport === 'header') header = 'x-session'
    else if (typeof transport === 'object' && typeof transport?.header === 'string') {
      header = transport.header.toLowerCase()
      checkName(header)
    } else must(transport === 'cookie', 'transport', "'cookie', 'header' or { header: name }", transport)
  }
  return { acceptsCookie: list.includes('cookie'), header, mainHeader: header }
}

/** @throws {OptionError} for anything but a whole number, together with `userId` and a store that can list */
export function checkMaxPerUser(most: number | undefined, userId: unknown, port: StorePort): number | undefined {
  if (most === undefined) return undefined
  if (!(Number.isInteger(most) && most > 0 && userId)) {
    throw new OptionError('maxPerUser must be a whole number above 0, and needs the option userId')
  }
  if (!port.lists) {
    throw new OptionError(
      'maxPerUser needs a store that keeps an index of users: one of this package (memory, files, a database, Redis)'
    )
  }
  return most
}

/** @throws {OptionError} for an option that is there and no function */
export function checkFunctions(options: Record<string, unknown>): void {
  for (const [option, value] of Object.entries(options)) {
    must(value === undefined || value === null || typeof value === 'function', option, 'a function', value)
  }
}

/** @throws {OptionError} for anything but `true` and `false`, and an empty text, a variable that was left blank */
export function checkFlag<T>(option: string, value: boolean | null | undefined, fallback: T): boolean | T {
  if (value === undefined || value === null) return fallback
  if (typeof value === 'boolean') return value
  if (value === '') return false
  const remedy = typeof value === 'string' ? `: ${OF_TEXTS}` : ''
  throw new OptionError(`${option} must be true or false, got ${quote(value)}${remedy}`)
}

/** Outside production, one warning for each text (from the environment, say) that stands for `true` or `false`. */
export function warnOfTexts({ cookie, ...options }: SessionsOptions): void {
  if (isProduction()) return
  const { rolling, resave, saveUninitialized, proxy } = options
  const flags: Record<string, unknown> = { rolling, resave, saveUninitialized, proxy }
  if (typeof cookie === 'object') for (const key of FLAGS) flags[`cookie.${key}`] = cookie?.[key]
  for (const [option, value] of Object.entries(flags)) {
    if (typeof value !== 'string' || value === '' || (value === 'auto' && option === 'cookie.secure')) continue
    const words = `The option ${option} must be true or false, got ${quote(value)}`
    warnOnce('SILVERBACK_OPTION', `${words}: ${OF_TEXTS}.`, `text ${option}`)
  }
}

const FLAGS = ['secure', 'httpOnly', 'partitioned'] as const
const OF_TEXTS = "only an empty text counts as false, write process.env.NAME === 'true' for one"

/** @throws {OptionError} for what cannot be a store */
export function checkStore(option: string, store: unknown): void {
  if (hasMethods(store, 'get', 'set', 'destroy')) return
  throw new OptionError(`${option} must have the methods get, set and destroy, got ${quote(store)}`)
}

/** The option `extend` as a function of the request, whose no answer is no; none: all extend. @throws {OptionError} */
export function extendOf(extend: SessionsOptions['extend']): ((req: HttpRequest) => boolean) | undefined {
  if (typeof extend === 'function') {
    const ask = askedAtOnce('extend', extend)
    return (req) => Boolean(ask(req))
  }
  const always = extend ?? true
  must(typeof always === 'boolean', 'extend', 'true or false, or a function of the request', extend)
  return always ? undefined : () => false
}

/** The option `onStoreError` as a function; of an answer that is none it is told, outside production. */
export function policyOf(given: NonNullable<SessionsOptions['onStoreError']>): Settings['onStoreError'] {
  const policies = ['fail', 'anonymous'] as const
  if (typeof given !== 'function') {
    oneOf('onStoreError', given, policies)
    return () => given
  }
  const ask = askedAtOnce('onStoreError', given)
  return (err, req) => {
    const answer = ask(err, req)
    if (!policies.includes(answer) && !isProduction()) {
      const words = `The option onStoreError answered ${quote(answer)}, which counts as 'fail'`
      warnOnce('SILVERBACK_OPTION', `${words}: it must answer one of ${policies.join(', ')}.`, 'onStoreError answered')
    }
    return answer
  }
}

/** @throws {OptionError} for what does not validate as Standard Schema says @see https://standardschema.dev */
export function checkSchema(schema: StandardSchema | null | undefined): StandardSchema | undefined {
  if (schema === undefined || schema === null) return undefined
  const standard = schema['~standard']
  const wanted = "a Standard Schema (zod, valibot, arktype: an object with '~standard')"
  must(hasMethods(standard, 'validate'), 'schema', wanted, schema)
  return { '~standard': { ...standard, validate: asked('schema', (data) => standard.validate(data)) } }
}

/** @throws {OptionError} unless these are options by name, of other sessions than the main one */
export function checkNamed(mainName: string, named: SessionsOptions['named'] | null): void {
  if (named === undefined || named === null) return
  must(typeof named === 'object' && !Array.isArray(named), 'named', 'an object of options by name', named)
  if (!Object.keys(named).includes(mainName)) return
  throw new OptionError(
    `named must not hold the main session's own name ${quote(mainName)}: its options stand beside named`,
    'ERR_SESSION_NAME'
  )
}

/** @throws {OptionError} for what is no object of options */
export function checkObject(option: string, value: unknown): void {
  // It may be the secret.
  if (typeof value === 'string') throw new OptionError(`${option} must be an object of options, got a string`)
  must(isRecord(value), option, 'an object of options', value)
}
