import type { RedisClient } from '../../lib/stores/redis/client'

const VERSION = 0x080400
const COMPARE = `
local text = redis.call('GET', KEYS[1])
if text ~= ARGV[2] then return false end
if ARGV[3] == '' then return redis.call('SET', KEYS[1], ARGV[1]) end
return redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
`

/**
 * Makes the server of a client look like Redis 8.4, which the tests cannot install: scripts tell that version, and a
 * SET with IFEQ, as the client was asked for it, is carried out on the real server as Redis documents it.
 */
export function asRedis84(client: RedisClient, comparing: { sets: number }, knowsIfeq = () => true): RedisClient {
  const real = client as any
  const isNode = typeof real.evalSha === 'function'
  const run = (key: string, value: string, expected: string, life: number | undefined) => {
    comparing.sets++
    const args = [value, expected, life === undefined ? '' : String(life)]
    return isNode ? real.eval(COMPARE, { keys: [key], arguments: args }) : real.eval(COMPARE, 1, key, ...args)
  }
  const newer = async (reply: Promise<unknown>) => {
    const value = await reply
    return typeof value === 'number' && value >= 0x070000 ? VERSION : value
  }
  const set = (key: string, value: string, ...rest: any[]) => {
    if (isNode) {
      const { condition, matchValue, expiration } = rest[0] ?? {}
      if (condition === 'IFEQ' && knowsIfeq()) return run(key, value, matchValue, expiration?.value)
    } else if (rest.includes('IFEQ') && knowsIfeq()) {
      const life = rest.indexOf('PX')
      return run(key, value, rest[rest.indexOf('IFEQ') + 1], life === -1 ? undefined : rest[life + 1])
    }
    return real.set(key, value, ...rest)
  }
  return new Proxy(real, {
    get: (_target, name) => {
      if (name === 'set') return set
      const member = real[name]
      if (typeof member !== 'function') return member
      if (/^eval/i.test(String(name))) return (...args: unknown[]) => newer(member.apply(real, args))
      return member.bind(real)
    }
  })
}
