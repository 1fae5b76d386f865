import type { Milliseconds } from '../../base/time'
import type { Dialect, Scanner } from './dialect'

export interface NodeRedisShape {
  isOpen?: boolean
  /** Pools, and clusters of version 5, do not tell. */
  isReady?: boolean
  /** Clients of one connection alone have it. */
  socketEpoch?: number
  _keyPrefix?: string
  clientSideCache?: unknown
  options?: { keyPrefix?: string }
  masters?: object[]
  nodeClient?(node: object): Promise<NodeRedisShape> | NodeRedisShape
  get(key: string): Promise<unknown>
  mGet(keys: string[]): Promise<unknown[]>
  set(key: string, value: string, options?: object): Promise<unknown>
  del(key: string): Promise<unknown>
  expire(key: string, seconds: number): Promise<unknown>
  evalSha(sha: string, options: object): Promise<unknown>
  eval(source: string, options: object): Promise<unknown>
  scan(cursor: string, options: object): Promise<{ cursor: unknown; keys: unknown[] }>
  multi(): NodeRedisBatch
}

interface NodeRedisBatch {
  eval(source: string, options: object): NodeRedisBatch
  wait(replicas: number, timeout: Milliseconds): NodeRedisBatch
  execAsPipeline(): Promise<unknown[]>
}

export function nodeRedis(client: NodeRedisShape): Dialect {
  return {
    gathers: typeof client.nodeClient !== 'function' && client.clientSideCache === undefined,
    // A pool spreads them over its connections, and a sentinel's client sends one behind the answer to another.
    pipelines: client.socketEpoch !== undefined,
    keyPrefix: () => String(client._keyPrefix ?? client.options?.keyPrefix ?? ''),
    health: () => (client.isOpen === false ? 'closed' : client.isReady === false ? 'down' : 'ready'),
    get: (key) => client.get(key),
    mget: (keys) => client.mGet(keys),
    set: (key, value, life, expected) =>
      client.set(key, value, {
        expiration: life === null ? undefined : { type: 'PX', value: life },
        condition: expected === undefined ? undefined : expected === null ? 'NX' : 'IFEQ',
        matchValue: expected ?? undefined
      }),
    del: (key) => client.del(key),
    expire: (key, seconds) => client.expire(key, seconds),
    script: (command, script, keys, args) =>
      client[command === 'eval' ? 'eval' : 'evalSha'](script, { keys, arguments: args }),
    evalAndWait({ source, key, args, replicas, timeout }) {
      const batch = client.multi().eval(source, { keys: [key], arguments: args })
      return batch.wait(replicas, timeout).execAsPipeline()
    },
    async scanners() {
      const { masters } = client
      const nodes = masters ? await Promise.all(masters.map(async (master) => client.nodeClient!(master))) : [client]
      return nodes.map((node) => async (cursor, pattern, count) => {
        const reply = await node.scan(cursor, { MATCH: pattern, COUNT: count })
        return [reply.cursor, reply.keys]
      })
    }
  }
}

export interface IoRedisShape {
  status?: string
  options?: { keyPrefix?: string }
  nodes?(role: 'master'): IoRedisShape[]
  get(key: string): Promise<unknown>
  mget(keys: string[]): Promise<unknown[]>
  set(...args: (string | number)[]): Promise<unknown>
  del(key: string): Promise<unknown>
  expire(key: string, seconds: number): Promise<unknown>
  evalsha: Evaluate
  eval: Evaluate
  /** The same with replies as bytes. */
  evalshaBuffer: Evaluate
  evalBuffer: Evaluate
  scan(cursor: string, ...options: (string | number)[]): ReturnType<Scanner>
  pipeline(): IoRedisBatch
}

type Evaluate = (script: string, keys: number, ...args: string[]) => Promise<unknown>

interface IoRedisBatch {
  eval(source: string, keys: number, ...args: string[]): IoRedisBatch
  wait(replicas: number, timeout: Milliseconds): IoRedisBatch
  exec(): Promise<[err: Error | null, reply: unknown][]>
}

export function ioRedis(client: IoRedisShape, as: 'Buffer' | '' = ''): Dialect {
  return {
    gathers: typeof client.nodes !== 'function',
    keyPrefix: () => String(client.options?.keyPrefix ?? ''),
    health() {
      const { status } = client
      if (status === 'end' || status === 'disconnecting') return 'closed'
      // `wait` (the option lazyConnect): the first command connects.
      return status === undefined || status === 'ready' || status === 'wait' ? 'ready' : 'down'
    },
    get: (key) => client.get(key),
    mget: (keys) => client.mget(keys),
    set(key, value, life, expected) {
      const condition = expected === undefined ? [] : expected === null ? ['NX'] : ['IFEQ', expected]
      return client.set(key, value, ...(life === null ? [] : ['PX', life]), ...condition)
    },
    del: (key) => client.del(key),
    expire: (key, seconds) => client.expire(key, seconds),
    script: (command, script, keys, args) => client[`${command}${as}`](script, keys.length, ...keys, ...args),
    async evalAndWait({ source, key, args, replicas, timeout }) {
      const batch = client.pipeline().eval(source, 1, key, ...args)
      const replies = await batch.wait(replicas, timeout).exec()
      const failed = replies.find(([err]) => err !== null)
      if (failed !== undefined) throw failed[0]
      return replies.map(([, reply]) => reply)
    },
    async scanners() {
      const masters = client.nodes?.('master') ?? [client]
      return masters.map((node) => (cursor, pattern, count) => node.scan(cursor, 'MATCH', pattern, 'COUNT', count))
    }
  }
}
