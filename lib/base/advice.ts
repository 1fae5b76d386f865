import { warnOnce } from './warnings'

// Why "a new session on every request": causes that nothing else would tell, each with its remedy.
const ADVICE = {
  MEMORY_PER_PROCESS:
    'This is one of several processes, and each has a MemoryStore of its own: the next request may meet another one, ' +
    'which does not know the session. Use SqliteStore on one machine, RedisStore on several.',
  MOUNTED_TWICE:
    'A request that has a session already came to another session middleware, which does nothing then. Mount one, and ' +
    'use the option named for further sessions.',
  PATH: 'cookie.path must begin with "/": as it is, no request is within it, and req.session is undefined.',
  SIGNATURE:
    'A session cookie came that none of the secrets in use has made. If the secret has changed (is it a random one at ' +
    'every start?), sessions go on with secret: [newSecret, oldSecret].',
  DOMAIN:
    'The session cookie has a Domain that the host of the request is not part of, so browsers drop it. Leave ' +
    'cookie.domain out, or name a parent domain of the host.',
  SAMESITE_NONE:
    'The session cookie has SameSite=None without Secure, so browsers drop it. Use HTTPS and cookie.secure true, or ' +
    "sameSite 'lax'.",
  CREDENTIALS:
    "A session was begun for another origin's fetch, whose browser keeps no cookie of this answer. Send " +
    "Access-Control-Allow-Credentials: true with an Access-Control-Allow-Origin that is not *, and use fetch's " +
    "credentials: 'include'.",
  CROSS_SITE:
    'A session was begun for a request from another site, and browsers drop a cookie that comes there without ' +
    "SameSite=None. Use cookie: { sameSite: 'none', secure: true }, or one site for both."
}

/** What may be wrong with a set-up. */
export type Advice = keyof typeof ADVICE

/** Warns once of each cause. */
export function advise(cause: Advice, name: string): void {
  warnOnce(`SILVERBACK_${cause}`, ADVICE[cause], `${cause} ${name}`)
}
