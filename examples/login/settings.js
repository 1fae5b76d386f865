'use strict'

// Everything this application takes from its environment. Nothing is required to try it out.
const env = process.env

module.exports = {
  // This machine only, until HOST says otherwise.
  host: env.HOST || '127.0.0.1',
  port: Number(env.PORT ?? 3000),
  secret: env.SESSION_SECRET || undefined,
  trustProxy: proxies(env.TRUST_PROXY),
  admin: administrator(env.ADMIN_USER),
  storage: { redisUrl: env.REDIS_URL, databaseUrl: env.DATABASE_URL, sessionDir: env.SESSION_DIR }
}

/** `1`, `2`, ... proxies in front, or a list of their addresses, as Express's `trust proxy` takes it. */
function proxies(value) {
  if (!value) return undefined
  return /^\d+$/.test(value) ? Number(value) : value
}

/** `name:password`; the password may contain colons. */
function administrator(value) {
  if (!value) return undefined
  const colon = value.indexOf(':')
  if (colon < 1) throw new TypeError('ADMIN_USER must look like name:password')
  return { username: value.slice(0, colon), password: value.slice(colon + 1) }
}
