'use strict'

// Everything this application takes from its environment. Nothing is required to try it out.
const env = process.env

module.exports = {
  port: Number(env.PORT ?? 3000),
  secret: env.SESSION_SECRET || undefined,
  trustProxy: proxies(env.TRUST_PROXY),
  admin: administrator(env.ADMIN_USER),
  openStore
}

/** The store the environment asks for: Redis, files, or (`undefined`) the memory of this process. */
async function openStore() {
  if (env.REDIS_URL) {
    const { createClient } = require('redis')
    const { RedisStore } = require('silverback/redis')
    const client = createClient({ url: env.REDIS_URL })
    client.on('error', (err) => console.error(`Redis: ${err.message}`))
    await client.connect()
    return new RedisStore({ client, prefix: 'login-example:' })
  }
  if (env.SESSION_DIR) {
    const { FileStore } = require('silverback')
    return new FileStore({ path: env.SESSION_DIR })
  }
  return undefined
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
