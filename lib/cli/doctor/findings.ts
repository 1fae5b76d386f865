/** What can be wrong, and what to do. `trust proxy` is Express's; `cookie` and the others are options of the session. */
const REMEDIES = {
  'cookie-secure':
    "cookie: { secure: true }; behind a proxy that terminates TLS also app.set('trust proxy', 1), else 'auto' sees no HTTPS.",
  'cookie-httponly': 'cookie: { httpOnly: true }, so that a script that was smuggled in cannot read it.',
  'cookie-samesite':
    "cookie: { sameSite: 'lax' }, so that other sites cannot act for the visitor; 'none' only together with secure: true.",
  'cookie-path': "cookie: { path: '/' }, or the path that all pages with a session are below, written from the root.",
  'cookie-domain':
    'Leave cookie.domain out: every host below it gets the cookie and can plant one. It must be this host or a parent.',
  'cookie-prefix':
    "__Secure- needs secure: true; __Host- needs secure: true, path: '/' and no domain. Browsers refuse anything else.",
  'trust-proxy':
    "app.set('trust proxy', 1) (or proxy: true): a secure cookie is not sent while the application believes that it is asked by HTTP.",
  'anonymous-session': 'saveUninitialized: false, and write to the session only when there is something to keep.',
  'session-fixation':
    'await req.session.regenerate() at login, before you write to the session: whoever knew the old ID is left behind.',
  'old-id-after-login':
    'End the old session at login: req.session.regenerate() does, without a grace. Do not log in under the old ID first.',
  'cookie-after-logout':
    'At logout expire the cookie with the attributes it was set with: res.clearCookie(name, options); sessions() does so in destroy().',
  'session-after-logout':
    'End the session in the store at logout: await req.session.destroy(). To take the cookie away is not enough.',
  cacheable:
    'Cache-Control: private (or no-store) with every session cookie, and with pages of one user; sessions() sees to it.',
  'two-cookies':
    'Set each name once, with one path and domain: mount one session middleware, and expire leftovers of an earlier path or domain.',
  clock: 'Set the clocks by NTP: sessions and cookies end by them.',
  'store-forgets':
    'One store for all processes (Redis, a database, files), one secret, and no store that drops what is in use: a MemoryStore belongs to one process.'
} as const satisfies Record<string, string>

export type FindingCode = keyof typeof REMEDIES

export interface Finding {
  readonly code: FindingCode
  readonly says: string
  readonly remedy: string
}

/** What was found, each fault once. */
export class Findings {
  readonly list: Finding[] = []

  add(code: FindingCode, says: string): void {
    if (!this.has(code)) this.list.push({ code, says, remedy: REMEDIES[code] })
  }

  has(code: FindingCode): boolean {
    return this.list.some((found) => found.code === code)
  }
}
