import type { RedisClient } from '../../lib/stores/redis/client'

const COMPARE = `
local text = redis.call('GET', KEYS[1])
if text ~= ARGV[2] then return false end
if ARGV[3] == '' then return redis.call('SET', KEYS[1], ARGV[1]) end
return redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
`

/** What a client's SETs with a comparison met with. */
export interface Comparing {
  /** Those that were asked for. */
  sets: number
  /** Whether the server itself takes them (Valkey since 8.1, Redis since 8.4); else it is made to look so. */
  real: boolean
  /** Whether it, or one that looks so, takes them now. */
  now: boolean
}

/**
 * Makes the server of a client look like one whose SET compares, where none can be had: what IFEQ asks for is carried
 * out in a script, and the script of the store seems to have used it. Where the server does compare, nothing but
 * refusals is pretended.
 */
export function asComparing(client: RedisClient, comparing: Comparing): RedisClient {
  const real = client as any
  const isNode = typeof real.evalSha === 'function'
  const carriedOut = (key: string, value: string, expected: string, life: unknown) => {
    const args = [value, expected, life === undefined ? '' : String(life)]
    return isNode ? real.eval(COMPARE, { keys: [key], arguments: args }) : real.eval(COMPARE, 1, key, ...args)
  }
  const set = (key: string, value: string, ...rest: any[]) => {
    const { condition, matchValue, expiration } = isNode ? (rest[0] ?? {}) : optionsOf(rest)
    if (condition !== 'IFEQ') return real.set(key, value, ...rest)
    comparing.sets++
    if (!comparing.now) return Promise.reject(new Error('ERR syntax error'))
    if (comparing.real) return real.set(key, value, ...rest)
    return carriedOut(key, value, matchValue, expiration?.value)
  }
  // The script is told whether to try, and answers with `*` where it succeeded.
  const untold = (args: any[]) => {
    if (isNode) return [args[0], { ...args[1], arguments: ['', ...args[1].arguments.slice(1)] }]
    const keys = args[1]
    return [...args.slice(0, 2 + keys), '', ...args.slice(3 + keys)]
  }
  const toldOf = (args: any[]) => (isNode ? args[1].arguments[0] : args[2 + args[1]]) === '1'
  const run = async (method: (...args: any[]) => Promise<unknown>, args: any[]) => {
    const reply = await method.apply(real, comparing.now && comparing.real ? args : untold(args))
    if (!comparing.now || !toldOf(args) || !Array.isArray(reply)) return reply
    return reply.map((each) => (each === '+' ? '*' : each))
  }
  return new Proxy(real, {
    get: (_target, name) => {
      if (name === 'set') return set
      const member = real[name]
      if (typeof member !== 'function') return member
      if (/^eval/i.test(String(name))) return (...args: unknown[]) => run(member, args)
      return member.bind(real)
    }
  })
}

function optionsOf(rest: any[]) {
  const life = rest.indexOf('PX')
  const compares = rest.indexOf('IFEQ')
  return {
    condition: compares === -1 ? undefined : 'IFEQ',
    matchValue: rest[compares + 1],
    expiration: life === -1 ? undefined : { value: rest[life + 1] }
  }
}
