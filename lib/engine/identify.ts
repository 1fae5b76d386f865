import type { SessionErrorCode } from '../base/errors'
import type { HttpRequest } from '../base/http'
import { isPromise, type MaybePromise } from '../base/time'
import { deprecate } from '../base/warnings'
import { decodeValue, type CookieOptions } from '../cookie/cookie'
import { KeyRing } from '../cookie/keys'
import type { Settings } from '../options/settings'
import type { VerifiedToken } from '../tokens/tokens'
import type { Visit } from './engine'

/** What a request brought under one name. */
export interface Presented {
  /** Decoded values, in the order sent. */
  readonly values: readonly string[]
  /** They came in the header of the header transport: no cookie is ever sent then. */
  readonly viaHeader: boolean
}

/** Longest value worth looking at: browsers ignore cookies beyond 4096 bytes of name and value (RFC 6265bis 5.7). */
const VALUE_MAX = 3 * 4096
/** More cookies of one name than any browser of good will sends. */
const CANDIDATES_MAX = 16

const NONE: readonly string[] = []
const NOTHING: Presented = { values: NONE, viaHeader: false }

/** Gathers the values that a request carries for a session; empty for an anonymous one. */
export function presentedValues(req: HttpRequest, settings: Settings): Presented {
  const headers = req.headers ?? {}
  if (settings.header !== undefined && usesHeaders(headers, settings)) {
    const value = headers[settings.header]
    return { values: typeof value === 'string' && value !== '' ? [value] : NONE, viaHeader: true }
  }
  const cookie: unknown = headers.cookie
  const text: unknown = Array.isArray(cookie) ? cookie.join('; ') : cookie
  return {
    values: typeof text === 'string' && text.includes(settings.name) ? cookieValues(text, settings.name) : NONE,
    viaHeader: false
  }
}

/**
 * The decoded values of every cookie called `name`, in the order sent.
 *
 * One linear scan for this name only; pairs are cut at `;`, trimmed of space and tab only, as RFC 6265 5.4 has it.
 */
export function cookieValues(header: string, name: string): string[] {
  const values: string[] = []
  const length = header.length
  for (let start = 0; start < length && values.length < CANDIDATES_MAX;) {
    let end = header.indexOf(';', start)
    if (end === -1) end = length
    while (isBlank(header.charCodeAt(start))) start++
    const value = valueOf(header, start, end, name)
    if (value !== undefined) values.push(value)
    start = end + 1
  }
  return values
}

function valueOf(header: string, at: number, end: number, name: string): string | undefined {
  if (!header.startsWith(name, at)) return undefined
  let start = at + name.length
  while (isBlank(header.charCodeAt(start))) start++
  if (header.charCodeAt(start) !== 0x3d /* = */) return undefined
  start++
  while (isBlank(header.charCodeAt(start))) start++
  let stop = end
  while (stop > start && isBlank(header.charCodeAt(stop - 1))) stop--
  if (stop - start > VALUE_MAX) return ''
  if (stop - start >= 2 && header.charCodeAt(start) === 0x22 && header.charCodeAt(stop - 1) === 0x22) {
    start++
    stop--
  }
  const value = header.slice(start, stop)
  return value.includes('%') ? decodeValue(value) : value
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09
}

// A client that has a session in a header, or asks for one there, has no place for cookies.
function usesHeaders(
  headers: NonNullable<HttpRequest['headers']>,
  { header, mainHeader, acceptsCookie }: Settings
): boolean {
  return !acceptsCookie || headers[header!] !== undefined || headers[mainHeader!] !== undefined
}

/** The authentic token among the values, or why there is none; `undefined` for an anonymous visitor. */
export type Choice = VerifiedToken | SessionErrorCode | undefined

/**
 * Chooses among the values of one name: every one is tried. Two authentic tokens of different sessions cannot be told
 * apart, and neither is believed.
 */
export function chooseToken(
  presented: Presented,
  settings: Settings,
  keys: KeyRing,
  from = 0,
  chosen?: Choice
): MaybePromise<Choice> {
  const { values } = presented
  const { tokens, door } = settings
  for (let i = from; i < values.length; i++) {
    if (chosen === 'ERR_SESSION_AMBIGUOUS' || (door.believesFirst && typeof chosen === 'object')) return chosen
    const result = tokens.verify(values[i]!, keys)
    if (isPromise(result)) {
      return result.then((verified) => chooseToken(presented, settings, keys, i + 1, joined(chosen, verified)))
    }
    chosen = joined(chosen, result)
  }
  return chosen
}

// The first reason stands, and gives way to a token.
function joined(chosen: Choice, verified: VerifiedToken | SessionErrorCode): Choice {
  if (chosen === undefined) return verified
  if (typeof verified === 'string') return chosen
  if (typeof chosen === 'object') return chosen.id === verified.id ? chosen : 'ERR_SESSION_AMBIGUOUS'
  return verified
}

/** express-session's second source: what cookie-parser left on the request. */
function fromCookieParser(req: HttpRequest, settings: Settings, keys: KeyRing): VerifiedToken | undefined {
  const signed = req.signedCookies?.[settings.name]
  if (typeof signed === 'string' && signed !== '') {
    deprecate('cookie should be available in req.headers.cookie')
    return { id: signed, stale: false }
  }
  const raw = req.cookies?.[settings.name]
  if (typeof raw !== 'string') return undefined
  const verified = settings.tokens.verify(raw, keys)
  if (typeof verified === 'string' || isPromise(verified)) return undefined
  deprecate('cookie should be available in req.headers.cookie')
  return verified
}

/** Whether the client's connection is encrypted, as far as `proxy` lets us believe it. */
export function isSecure(req: HttpRequest, proxy: boolean | undefined): boolean {
  if ((req.connection ?? req.socket)?.encrypted) return true
  if (proxy === false) return false
  if (proxy === true) {
    const header = String(req.headers?.['x-forwarded-proto'] ?? '')
    return header.split(',', 1)[0]!.trim().toLowerCase() === 'https'
  }
  try {
    return req.secure === true
  } catch {
    // Express asks the socket, and a response may have none.
    return false
  }
}

/** The cookie attributes that the options give a request. */
export function cookieOptions({ cookie }: Settings, req: HttpRequest): CookieOptions {
  return typeof cookie === 'function' ? cookie(req) : cookie
}

/** Whether the cookie's path covers the request. */
export function coversRequest(req: HttpRequest, path: string, { door }: Settings): boolean {
  const url = String(req.originalUrl ?? req.url ?? '/')
  const pathname = /^[^?#]*/.exec(url)![0].replace(/^[a-z][a-z0-9+.-]*:\/\/[^/]*/i, '') || '/'
  return pathname.startsWith(path) && door.coversPath(pathname, path)
}

/** What a request brought for one session: the values under its name, and which of them is believed. */
export class RequestTokens implements Presented {
  readonly values: readonly string[]
  readonly viaHeader: boolean
  /** The keys in force; express-session's door falls back on cookie-parser's `req.secret`. */
  readonly keys: KeyRing | undefined
  /** Whether the request brought anything that may be a session. */
  readonly bringsSession: boolean
  /** The authentic token, as far as it is known. */
  token: VerifiedToken | undefined
  /** The ID that the request has proved to have. */
  id: string | undefined
  /** Why no token is accepted; `undefined` for an anonymous visitor. */
  refusal: SessionErrorCode | undefined
  isStale = false
  /** Cookies of our name came along that are not ours, or cannot be told apart: they are expired. */
  hasDuplicates = false
  private readonly visit: Visit

  constructor(visit: Visit) {
    const { settings, req } = visit
    const isAnonymous = settings.header === undefined && req.headers?.cookie === undefined
    const { values, viaHeader } = isAnonymous ? NOTHING : presentedValues(req, settings)
    this.visit = visit
    this.values = values
    this.viaHeader = viaHeader
    this.keys = settings.keys ?? (req.secret ? new KeyRing(req.secret) : undefined)
    // A token that is the record may have to be asked for (revocations): see `open`.
    const { selfContained } = settings.tokens
    if (!selfContained && (values.length > 0 || settings.door.readsCookieParser)) void this.#choose()
    this.bringsSession = selfContained ? values.length > 0 : this.token !== undefined
  }

  /** The record that is the token, or why it is refused, whatever has to be asked for that. */
  open(): MaybePromise<Choice> {
    return this.token ?? this.refusal ?? this.#choose()
  }

  /** What may be believed instead, where the session of the first authentic token is gone: a deployment moved the cookie. */
  *others(): Iterable<VerifiedToken> {
    const { tokens, door } = this.visit.settings
    if (!door.believesFirst || this.keys === undefined) return
    // One that is the record tells another state of the same session.
    const keyOf = (token: VerifiedToken) => token.found ?? token.id
    const seen = new Set([this.token && keyOf(this.token)])
    for (const value of new Set(this.values)) {
      const token = tokens.verify(value, this.keys)
      if (typeof token !== 'object' || isPromise(token) || seen.has(keyOf(token))) continue
      seen.add(keyOf(token))
      yield token
    }
  }

  /** @param known what came of the values, where that had to be asked for */
  #choose(known?: Choice): MaybePromise<Choice> {
    const { engine, settings, req } = this.visit
    const { values, keys } = this
    if (keys === undefined) return undefined
    let choice: MaybePromise<Choice> = known
    if (values.length === 1) choice ??= settings.tokens.verify(values[0]!, keys)
    else if (values.length > 1) choice ??= chooseToken(this, settings, keys)
    if (isPromise(choice)) return choice.then((later) => this.#choose(later))
    if (known === undefined && typeof choice !== 'object' && settings.door.readsCookieParser) {
      choice = fromCookieParser(req, settings, keys) ?? choice
    }
    if (typeof choice === 'object') {
      this.token = choice
      this.id = choice.id
      this.isStale = choice.stale
      if (values.length > 1 && new Set(values).size > 1) {
        this.hasDuplicates = !settings.door.believesFirst
        engine.monitor.note('rejected', settings.name, choice.id, { reason: 'DUPLICATE' })
      }
    } else {
      this.refusal = choice
      this.hasDuplicates = choice === 'ERR_SESSION_AMBIGUOUS'
    }
    return choice
  }
}
