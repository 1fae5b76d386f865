import { isIP } from 'node:net'
import type { Milliseconds } from '../../base/time'
import { decodeValue } from '../formats'

/** One Set-Cookie header. Times in ms since 1970. */
export interface SetCookie {
  readonly name: string
  readonly value: string
  /** The value as it was sent, and is sent back. */
  readonly raw: string
  readonly secure: boolean
  readonly httpOnly: boolean
  /** In small letters. */
  readonly sameSite: string | undefined
  readonly path: string | undefined
  readonly domain: string | undefined
  /** `undefined`: until the browser closes. */
  readonly expires: Milliseconds | undefined
  /** It takes a cookie away. */
  readonly removes: boolean
}

/** Takes a Set-Cookie header apart, as browsers do (RFC 6265bis 5.6). */
export function parseSetCookie(text: string, now: Milliseconds): SetCookie {
  const [pair = '', ...rest] = text.split(';')
  const at = pair.indexOf('=')
  const attributes = new Map<string, string>()
  for (const part of rest) {
    const [name, ...value] = part.split('=')
    attributes.set(name!.trim().toLowerCase(), value.join('=').trim())
  }
  const maxAge = attributes.get('max-age')
  const date = Date.parse(attributes.get('expires') ?? '')
  const life = maxAge !== undefined && /^-?\d+$/.test(maxAge) ? now + Number(maxAge) * 1000 : date
  const path = attributes.get('path')
  const raw = pair.slice(at + 1).trim()
  return {
    name: pair.slice(0, Math.max(0, at)).trim(),
    value: decodeValue(raw),
    raw,
    secure: attributes.has('secure'),
    httpOnly: attributes.has('httponly'),
    sameSite: attributes.get('samesite')?.toLowerCase(),
    path: path?.startsWith('/') ? path : undefined,
    domain: attributes.get('domain')?.replace(/^\./, '').toLowerCase() || undefined,
    expires: Number.isNaN(life) ? undefined : life,
    // A day: a clock that is wrong makes no logout.
    removes: raw === '' || (maxAge === undefined ? life < now - 86_400_000 : life <= now)
  }
}

/** The path that a cookie goes with: its own, or that of whoever set it (RFC 6265 5.1.4). */
export function pathOf({ path }: SetCookie, url: URL): string {
  return path ?? (url.pathname.replace(/\/[^/]*$/, '') || '/')
}

/** Whether a cookie of one path is sent to another (RFC 6265 5.1.4). */
export function covers(cookiePath: string, path: string): boolean {
  return path === cookiePath || path.startsWith(cookiePath.endsWith('/') ? cookiePath : `${cookiePath}/`)
}

export function isWithin(host: string, domain: string): boolean {
  return host === domain || (host.endsWith(`.${domain}`) && isIP(host) === 0 && domain.includes('.'))
}

/** What a rule of the name demands and the cookie lacks (RFC 6265bis 4.1.3). */
export function prefixFault(cookie: SetCookie): string | undefined {
  const { name, secure, path, domain } = cookie
  if (!/^__(host|secure)-/i.test(name)) return undefined
  if (!secure) return 'without Secure'
  if (!/^__host-/i.test(name)) return undefined
  if (domain !== undefined) return 'with Domain'
  return path === '/' ? undefined : 'without Path=/'
}

/** Whether a browser throws the cookie away. */
export function isRefused(cookie: SetCookie, url: URL, secureOrigin: boolean): boolean {
  const { secure, sameSite, domain } = cookie
  const local = /^(localhost|127\..*|\[::1\])$/.test(url.hostname) || url.hostname.endsWith('.localhost')
  return (
    (domain !== undefined && !isWithin(url.hostname, domain)) ||
    prefixFault(cookie) !== undefined ||
    (secure && !secureOrigin && !local) ||
    (sameSite === 'none' && !secure)
  )
}

/** The cookies of a browser for one host. */
export class Jar {
  readonly #cookies = new Map<string, { name: string; value: string; path: string }>()

  take(cookie: SetCookie, url: URL): void {
    const { name, value, domain, removes } = cookie
    const path = pathOf(cookie, url)
    // One name may stand for several cookies: they differ by host or path.
    const key = [name, domain ?? '', path].join('\n')
    if (removes) this.#cookies.delete(key)
    else this.#cookies.set(key, { name, value, path })
  }

  /** The values of a name that go with a request, those of the longest path first. */
  valuesOf(name: string, path: string): string[] {
    const found = [...this.#cookies.values()].filter((each) => each.name === name && covers(each.path, path))
    return found.sort((a, b) => b.path.length - a.path.length).map(({ value }) => value)
  }

  allOf(name: string): string[] {
    return [...this.#cookies.values()].filter((each) => each.name === name).map(({ value }) => value)
  }
}
