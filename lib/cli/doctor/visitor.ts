import { MINUTE } from '../../base/time'
import { claimedId, formOf } from '../formats'
import type { Client, Question, Reply } from './client'
import { covers, isRefused, isWithin, Jar, parseSetCookie, pathOf, prefixFault, type SetCookie } from './cookies'
import type { Findings } from './findings'

/** Cookies as a careless client keeps them: by their names, whatever their attributes say. */
export type Cookies = Map<string, SetCookie>

/** What is known of the application before it is asked. */
export interface Site {
  readonly url: URL
  /** Every path with a session. */
  readonly paths: readonly string[]
  /** The name of the session's cookie, where it was told. */
  readonly cookie: string | undefined
}

const REDIRECTS_MAX = 10
const SKEW_MAX = MINUTE
/** What caches may keep although nothing says for how long (RFC 9110 15.1). */
const CACHEABLE = new Set([200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501])

/**
 * A visitor, who looks at every response. It keeps its cookies twice: as a browser does, and carelessly. The careless
 * ones are sent, so that a cookie which browsers would not send keeps no other fault from being seen.
 */
export class Visitor {
  readonly cookies: Cookies = new Map()
  readonly jar = new Jar()
  readonly #kept: { reply: Reply; says: string }[] = []

  constructor(
    readonly client: Client,
    readonly site: Site,
    readonly findings: Findings
  ) {}

  async ask(url: URL, question: Question = {}): Promise<Reply> {
    const reply = await this.client.ask(url, { ...question, cookie: headerOf(this.cookies) })
    this.#look(reply)
    return reply
  }

  /** The same, and wherever the reply leads. */
  async go(url: URL, question: Question = {}): Promise<Reply> {
    return this.follow(await this.ask(url, question))
  }

  async follow(reply: Reply): Promise<Reply> {
    for (let step = 0; step < REDIRECTS_MAX; step++) {
      const next = this.client.redirectOf(reply)
      if (next === undefined) break
      reply = await this.ask(next)
    }
    return reply
  }

  get sessionNames(): string[] {
    return [...this.cookies.values()].filter((cookie) => this.#isSession(cookie)).map(({ name }) => name)
  }

  #isSession({ name, value }: SetCookie): boolean {
    if (this.site.cookie !== undefined) return name === this.site.cookie
    if (/csrf|xsrf/i.test(name)) return false
    return formOf(value) !== undefined || /sess|^(__(host|secure)-)?(connect\.)?sid$/i.test(name)
  }

  #look(reply: Reply): void {
    const { headers, url, between } = reply
    const cookies = (headers['set-cookie'] ?? []).map((text) => parseSetCookie(text, between[1]))
    this.#lookAtClock(reply)
    for (const cookie of cookies) {
      if (cookie.removes) this.cookies.delete(cookie.name)
      else this.cookies.set(cookie.name, cookie)
      if (!isRefused(cookie, url, this.client.isSecure(url))) this.jar.take(cookie, url)
    }
    const fresh = cookies.filter((cookie) => !cookie.removes && this.#isSession(cookie))
    for (const name of new Set(fresh.map((cookie) => cookie.name))) {
      const same = fresh.filter((cookie) => cookie.name === name)
      // The last is that of the session: middleware sets its cookie when the handlers have set theirs.
      this.#lookAtCookie(same.at(-1)!, reply)
      if (same.length > 1 || this.jar.valuesOf(name, url.pathname).length > 1) {
        this.findings.add('two-cookies', `${at(reply)} leaves the browser with two cookies of the name ${name}`)
      }
    }
    this.#lookAtCaching(reply, fresh)
  }

  #lookAtCookie(cookie: SetCookie, reply: Reply): void {
    const { url, between } = reply
    const { findings } = this
    const says = `${at(reply)} sets ${cookie.name}`
    const { name, httpOnly, sameSite, domain, expires } = cookie
    if (!httpOnly) findings.add('cookie-httponly', `${says} without HttpOnly`)
    if (sameSite === undefined) findings.add('cookie-samesite', `${says} without SameSite`)
    if (expires !== undefined && expires <= between[1]) {
      findings.add('clock', `${says} with an end that is over by the clock of this machine`)
    }
    const prefix = prefixFault(cookie)
    if (prefix !== undefined) {
      findings.add('cookie-prefix', `${says} ${prefix}, which its name demands: browsers refuse it`)
      return
    }
    if (this.client.isSecure(url) && !cookie.secure) findings.add('cookie-secure', `${says} without Secure, by HTTPS`)
    else if (sameSite === 'none' && !cookie.secure) {
      findings.add('cookie-samesite', `${says} with SameSite=None and without Secure: browsers refuse it`)
    }
    const path = pathOf(cookie, url)
    const missed = this.site.paths.find((each) => !covers(path, each))
    if (missed !== undefined) {
      findings.add('cookie-path', `${says} with Path=${path}: browsers do not send it to ${missed}`)
    }
    if (domain === undefined) return
    const effect = isWithin(url.hostname, domain)
      ? `every host below ${domain} gets it, and can plant one of the name ${name}`
      : `browsers refuse it from ${url.hostname}`
    findings.add('cookie-domain', `${says} with Domain=${domain}: ${effect}`)
  }

  #lookAtClock(reply: Reply): void {
    const theirs = Date.parse(reply.headers.date ?? '')
    const [asked, came] = reply.between
    // Their seconds have no fractions.
    const skew = theirs < asked ? Math.min(0, theirs + 1000 - asked) : Math.max(0, theirs - came)
    if (Math.abs(skew) <= SKEW_MAX || Number.isNaN(skew)) return
    const seconds = Math.round(Math.abs(skew) / 1000)
    const where = skew < 0 ? 'behind' : 'ahead of'
    this.findings.add('clock', `${at(reply)} has a clock ${seconds} s ${where} that of this machine`)
  }

  #lookAtCaching(reply: Reply, fresh: readonly SetCookie[]): void {
    if (reply.method !== 'GET') return
    const says = keptBy(reply)
    if (says === undefined) return
    if (fresh.length > 0) {
      this.findings.add('cacheable', `${at(reply)} sets ${fresh[0]!.name}, and shared caches may keep it: ${says}`)
    } else if (says.startsWith('Cache-Control')) this.#kept.push({ reply, says })
  }

  /** Looks at what a path has shown, which is for one user. */
  lookAtPagesOf(path: string): void {
    for (const { reply, says } of this.#kept) {
      if (reply.url.pathname !== path || /\bcookie\b|\*/i.test(reply.headers.vary ?? '')) continue
      this.findings.add('cacheable', `${at(reply)} is a page of one user, and shared caches may keep it: ${says}`)
    }
  }
}

/** Why shared caches may keep a reply (RFC 9111 3); `undefined`: they may not. */
function keptBy({ status, headers }: Reply): string | undefined {
  const control = (headers['cache-control'] ?? '').toLowerCase()
  if (/\b(private|no-store|no-cache)\b/.test(control) || headers.vary?.trim() === '*') return undefined
  if (/\bpublic\b|\bs-maxage=[1-9]|\bmax-age=[1-9]/.test(control)) return `Cache-Control: ${control}`
  if (/\b(s-maxage|max-age)=0/.test(control)) return undefined
  if (headers.expires !== undefined) return Date.parse(headers.expires) > Date.now() ? 'Expires' : undefined
  return CACHEABLE.has(status) ? 'there is no Cache-Control' : undefined
}

export function headerOf(cookies: Cookies): string {
  return [...cookies.values()].map(({ name, raw }) => `${name}=${raw}`).join('; ')
}

/** What a session is known by in the value of its cookie. */
export function identityOf(value: string): string {
  return claimedId(value) ?? value
}

function at({ method, url }: Reply): string {
  return `${method} ${url.pathname}`
}
