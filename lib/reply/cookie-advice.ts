import cluster from 'node:cluster'
import { advise } from '../base/advice'
import type { CookieOptions } from '../cookie/cookie'
import type { Settings } from '../options/settings'
import { hostOf, type HttpRequest, type HttpResponse } from '../base/http'
import type { Handle } from '../lifecycle/handle'
import { stateOf, type Session } from '../session/session'
import { MemoryStore } from '../stores/memory/memory'

// What a page embeds is navigated to, and yet is no visit of the user's to that site.
const FRAMES = new Set<unknown>(['iframe', 'frame', 'embed', 'object'])

/** What can be seen of a set-up before the first request. */
export function adviseOnSetup({ name, port: { store } }: Settings): void {
  if (cluster.isWorker && store instanceof MemoryStore) advise('MEMORY_PER_PROCESS', name)
}

/** Counts a cookie that is being sent and that browsers drop; outside production it says so, and what else may be wrong. */
export function adviseOnCookie({ req, settings, engine, id }: Handle, session: Session, res: HttpResponse): void {
  const { cookie, keptCookie } = stateOf(session)!
  const { domain, secure, sameSite: given } = (cookie ?? keptCookie!.cookie) as CookieOptions
  const sameSite = String(given ?? 'lax').toLowerCase()
  const cause =
    domain && !isWithin(req, domain) ? 'DOMAIN' : sameSite === 'none' && !secure ? 'SAMESITE_NONE' : undefined
  // An address, or a name without a dot, may be what a proxy calls this server.
  if (cause !== undefined && (cause !== 'DOMAIN' || /\.[a-z][^.]*$/i.test(hostOf(req)))) {
    engine.monitor.note('withheld', settings.name, id, { reason: cause })
  }
  if (settings.production) return
  const { 'sec-fetch-site': site, 'sec-fetch-mode': mode, 'sec-fetch-dest': target } = req.headers ?? {}
  if (cause !== undefined) advise(cause, settings.name)
  else if (mode === 'cors' && (site === 'same-site' || site === 'cross-site') && !allowsCredentials(res)) {
    advise('CREDENTIALS', settings.name)
  } else if (site === 'cross-site' && (mode !== 'navigate' || FRAMES.has(target)) && sameSite !== 'none') {
    advise('CROSS_SITE', settings.name)
  }
}

// A proxy may have another name for the host; the browser knows one of them.
function isWithin(req: HttpRequest, cookieDomain: string): boolean {
  const host = hostOf(req)
  if (host === '') return true
  const domain = String(cookieDomain).replace(/^\./, '').toLowerCase()
  return [host, ...String(req.headers!['x-forwarded-host'] ?? '').split(',')].some((text) => {
    const name = String(text).trim().replace(/:\d+$/, '').toLowerCase()
    return name === domain || name.endsWith(`.${domain}`)
  })
}

function allowsCredentials(res: HttpResponse): boolean {
  return String(res.getHeader('Access-Control-Allow-Credentials')) === 'true'
}
