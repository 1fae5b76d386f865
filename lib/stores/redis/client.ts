import { OptionError, quote } from '../../base/errors'
import type { Milliseconds } from '../../base/time'

/** A connected client of `redis` (5 or later: client, pool, sentinel, cluster) or of `ioredis` (Redis or Cluster). */
export type RedisClient = Record<'get' | 'set' | 'del' | 'expire', Method> & ({ evalSha: Method } | { evalsha: Method })

type Method = (...args: any[]) => any

/** `down`: not connected now; `closed`: nobody is trying to connect. */
export type Health = 'ready' | 'down' | 'closed'

/** The few commands the store needs, alike for every client. Replies come as the client gives them. */
export interface Dialect {
  health(): Health
  /** What the client itself puts in front of every key. */
  readonly keyPrefix: string
  get(key: string): Promise<unknown>
  /** Where `expected` is given, only over that: `null` is nothing, and texts only Redis 8.4 compares. `null` if refused. */
  set(key: string, value: string, life: Milliseconds | null, expected?: string | null): Promise<unknown>
  del(key: string): Promise<unknown>
  /** Deletes, then waits for replicas, on one connection: what was deleted, and how many replicas have confirmed it. */
  delAndWait(key: string, replicas: number, timeout: Milliseconds): Promise<unknown[]>
  expire(key: string, seconds: number): Promise<unknown>
  evalsha(sha: string, key: string, args: string[]): Promise<unknown>
  eval(source: string, key: string, args: string[]): Promise<unknown>
  /** Everything that answers SCAN: the masters of a cluster, else the client itself. */
  scanners(): Promise<Scanner[]>
}

/** One step of SCAN: the next cursor and some keys. */
export type Scanner = (cursor: string, pattern: string, count: number) => Promise<[cursor: unknown, keys: unknown[]]>

/**
 * Recognises a client by its shape.
 *
 * @throws {OptionError} when it is neither node-redis 5 or later nor ioredis.
 */
export function dialectOf(client: unknown): Dialect {
  const shape = (client ?? {}) as Record<string, unknown>
  const has = (...names: string[]) => names.every((name) => typeof shape[name] === 'function')
  if (has('get', 'set', 'del', 'expire')) {
    if (has('evalSha', 'eval')) return new NodeRedis(shape as unknown as NodeRedisShape)
    if (has('evalsha', 'eval')) return new IoRedis(shape as unknown as IoRedisShape)
  }
  throw new OptionError(
    'RedisStore: `client` must be a client of redis (node-redis 5 or later) or of ioredis, ' +
      `for example createClient({ url }); got ${quote(client)}`
  )
}

interface NodeRedisShape {
  isOpen?: boolean
  /** Pools, and clusters of version 5, do not tell. */
  isReady?: boolean
  _keyPrefix?: unknown
  options?: { keyPrefix?: unknown }
  masters?: object[]
  nodeClient?(master: object): Promise<NodeRedisShape> | NodeRedisShape
  get(key: string): Promise<unknown>
  set(key: string, value: string, options?: object): Promise<unknown>
  del(key: string): Promise<unknown>
  expire(key: string, seconds: number): Promise<unknown>
  evalSha(sha: string, options: object): Promise<unknown>
  eval(source: string, options: object): Promise<unknown>
  scan(cursor: string, options: object): Promise<any>
  multi(): NodeRedisBatch
}

interface NodeRedisBatch {
  del(key: string): NodeRedisBatch
  wait(replicas: number, timeout: Milliseconds): NodeRedisBatch
  execAsPipeline(): Promise<unknown[]>
}

class NodeRedis implements Dialect {
  readonly #client: NodeRedisShape

  constructor(client: NodeRedisShape) {
    this.#client = client
  }

  health(): Health {
    const { isReady, isOpen } = this.#client
    if (isOpen === false) return 'closed'
    return isReady === false ? 'down' : 'ready'
  }

  get keyPrefix(): string {
    return String(this.#client._keyPrefix ?? this.#client.options?.keyPrefix ?? '')
  }

  get(key: string): Promise<unknown> {
    return this.#client.get(key)
  }

  set(key: string, value: string, life: Milliseconds | null, expected?: string | null): Promise<unknown> {
    return this.#client.set(key, value, {
      ...(life !== null && { expiration: { type: 'PX', value: life } }),
      ...(expected === null && { condition: 'NX' }),
      ...(typeof expected === 'string' && { condition: 'IFEQ', matchValue: expected })
    })
  }

  del(key: string): Promise<unknown> {
    return this.#client.del(key)
  }

  delAndWait(key: string, replicas: number, timeout: Milliseconds): Promise<unknown[]> {
    return this.#client.multi().del(key).wait(replicas, timeout).execAsPipeline()
  }

  expire(key: string, seconds: number): Promise<unknown> {
    return this.#client.expire(key, seconds)
  }

  evalsha(sha: string, key: string, args: string[]): Promise<unknown> {
    return this.#client.evalSha(sha, { keys: [key], arguments: args })
  }

  eval(source: string, key: string, args: string[]): Promise<unknown> {
    return this.#client.eval(source, { keys: [key], arguments: args })
  }

  async scanners(): Promise<Scanner[]> {
    const { masters } = this.#client
    const nodes = masters
      ? await Promise.all(masters.map((master) => this.#client.nodeClient!(master)))
      : [this.#client]
    return nodes.map((node) => async (cursor, pattern, count) => {
      const reply = await node.scan(cursor, { MATCH: pattern, COUNT: count })
      return [reply.cursor, reply.keys]
    })
  }
}

interface IoRedisShape {
  status?: string
  options?: { keyPrefix?: unknown }
  nodes?(role: 'master'): IoRedisShape[]
  get(key: string): Promise<unknown>
  set(...args: (string | number)[]): Promise<unknown>
  del(key: string): Promise<unknown>
  expire(key: string, seconds: number): Promise<unknown>
  evalsha(sha: string, keys: number, ...args: string[]): Promise<unknown>
  eval(source: string, keys: number, ...args: string[]): Promise<unknown>
  scan(cursor: string, ...options: (string | number)[]): Promise<any>
  pipeline(): IoRedisBatch
}

interface IoRedisBatch {
  del(key: string): IoRedisBatch
  wait(replicas: number, timeout: Milliseconds): IoRedisBatch
  exec(): Promise<[err: Error | null, reply: unknown][]>
}

class IoRedis implements Dialect {
  readonly #client: IoRedisShape

  constructor(client: IoRedisShape) {
    this.#client = client
  }

  health(): Health {
    const { status } = this.#client
    if (status === 'end' || status === 'disconnecting') return 'closed'
    // `wait` (the option lazyConnect): the first command connects.
    return status === undefined || status === 'ready' || status === 'wait' ? 'ready' : 'down'
  }

  get keyPrefix(): string {
    return String(this.#client.options?.keyPrefix ?? '')
  }

  get(key: string): Promise<unknown> {
    return this.#client.get(key)
  }

  set(key: string, value: string, life: Milliseconds | null, expected?: string | null): Promise<unknown> {
    const condition = expected === undefined ? [] : expected === null ? ['NX'] : ['IFEQ', expected]
    return this.#client.set(key, value, ...(life === null ? [] : ['PX', life]), ...condition)
  }

  del(key: string): Promise<unknown> {
    return this.#client.del(key)
  }

  async delAndWait(key: string, replicas: number, timeout: Milliseconds): Promise<unknown[]> {
    const replies = await this.#client.pipeline().del(key).wait(replicas, timeout).exec()
    const failed = replies.find(([err]) => err !== null)
    if (failed !== undefined) throw failed[0]
    return replies.map(([, reply]) => reply)
  }

  expire(key: string, seconds: number): Promise<unknown> {
    return this.#client.expire(key, seconds)
  }

  evalsha(sha: string, key: string, args: string[]): Promise<unknown> {
    return this.#client.evalsha(sha, 1, key, ...args)
  }

  eval(source: string, key: string, args: string[]): Promise<unknown> {
    return this.#client.eval(source, 1, key, ...args)
  }

  async scanners(): Promise<Scanner[]> {
    const { nodes } = this.#client
    const masters = typeof nodes === 'function' ? nodes.call(this.#client, 'master') : [this.#client]
    return masters.map((node) => (cursor, pattern, count) => node.scan(cursor, 'MATCH', pattern, 'COUNT', count))
  }
}
