import cluster from 'node:cluster'
import { advise } from '../base/advice'
import type { Settings } from '../options/settings'
import type { HttpRequest, HttpResponse } from '../base/http'
import type { Handle } from '../lifecycle/handle'
import type { Session } from '../session/session'
import { MemoryStore } from '../stores/memory/memory'

// What a page embeds is navigated to, and yet is no visit of the user's to that site.
const FRAMES = new Set<unknown>(['iframe', 'frame', 'embed', 'object'])

/** What can be seen of a set-up before the first request. */
export function adviseOnSetup({ name, port: { store } }: Settings): void {
  if (cluster.isWorker && store instanceof MemoryStore) advise('MEMORY_PER_PROCESS', name)
}

/** Looks, outside production, for what makes browsers drop a cookie that is being sent. */
export function adviseOnCookie({ req, settings }: Handle, { cookie }: Session, res: HttpResponse): void {
  const sameSite = String(cookie.sameSite ?? 'lax').toLowerCase()
  const { 'sec-fetch-site': site, 'sec-fetch-mode': mode, 'sec-fetch-dest': target } = req.headers ?? {}
  if (cookie.domain && !isWithin(req, cookie.domain)) advise('DOMAIN', settings.name)
  else if (sameSite === 'none' && !cookie.secure) advise('SAMESITE_NONE', settings.name)
  else if (mode === 'cors' && (site === 'same-site' || site === 'cross-site') && !allowsCredentials(res)) {
    advise('CREDENTIALS', settings.name)
  } else if (site === 'cross-site' && (mode !== 'navigate' || FRAMES.has(target)) && sameSite !== 'none') {
    advise('CROSS_SITE', settings.name)
  }
}

// A proxy may have another name for the host; the browser knows one of them.
function isWithin(req: HttpRequest, cookieDomain: string): boolean {
  const { host, 'x-forwarded-host': forwarded } = req.headers ?? {}
  if (host === undefined) return true
  const domain = cookieDomain.replace(/^\./, '').toLowerCase()
  return [host, ...String(forwarded ?? '').split(',')].some((text) => {
    const name = String(text).trim().replace(/:\d+$/, '').toLowerCase()
    return name === domain || name.endsWith(`.${domain}`)
  })
}

function allowsCredentials(res: HttpResponse): boolean {
  return String(res.getHeader('Access-Control-Allow-Credentials')) === 'true'
}
