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
  slots?: { master?: { address?: string } }[]
  masters?: object[]
  nodeByAddress?: Map<string, object>
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
  addCommand(args: string[]): NodeRedisBatch
  eval(source: string, options: object): NodeRedisBatch
  wait(replicas: number, timeout: Milliseconds): NodeRedisBatch
  execAsPipeline(): Promise<unknown[]>
}

export function nodeRedis(client: NodeRedisShape): Dialect {
  const keyPrefix = () => String(client._keyPrefix ?? client.options?.keyPrefix ?? '')
  return {
    gathers: typeof client.nodeClient !== 'function' && client.clientSideCache === undefined,
    // A pool spreads them over its connections, and a sentinel's client sends one behind the answer to another.
    pipelines: client.socketEpoch !== undefined,
    keyPrefix,
    health: () => (client.isOpen === false ? 'closed' : client.isReady === false ? 'down' : 'ready'),
    nodeOf: (key) => client.slots?.[slotOf(keyPrefix() + key)]?.master?.address,
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
    async evalAndWait({ source, key, args, replicas, timeout }, asked) {
      if (asked === undefined) {
        const batch = client.multi().eval(source, { keys: [key], arguments: args })
        return batch.wait(replicas, timeout).execAsPipeline()
      }
      const node = client.nodeByAddress?.get(asked)
      if (node === undefined) throw unknownNode()
      const batch = (await client.nodeClient!(node)).multi().addCommand(['ASKING'])
      const replies = batch.addCommand(['EVAL', source, '1', keyPrefix() + key, ...args]).wait(replicas, timeout)
      return (await replies.execAsPipeline()).slice(1)
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
  options?: { keyPrefix?: string; host?: string; port?: number }
  slots?: (string[] | undefined)[]
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
  asking(): IoRedisBatch
  eval(source: string, keys: number, ...args: string[]): IoRedisBatch
  wait(replicas: number, timeout: Milliseconds): IoRedisBatch
  exec(): Promise<[err: Error | null, reply: unknown][]>
}

export function ioRedis(client: IoRedisShape, as: 'Buffer' | '' = ''): Dialect {
  const keyPrefix = () => String(client.options?.keyPrefix ?? '')
  const nodeAt = (address: string): IoRedisShape => {
    const nodes = client.nodes?.('master') ?? []
    const found = nodes.find(({ options }) => `${options?.host}:${options?.port}` === address)
    if (found === undefined) throw unknownNode()
    return found
  }
  return {
    gathers: typeof client.nodes !== 'function',
    keyPrefix,
    health() {
      const { status } = client
      if (status === 'end' || status === 'disconnecting') return 'closed'
      // `wait` (the option lazyConnect): the first command connects.
      return status === undefined || status === 'ready' || status === 'wait' ? 'ready' : 'down'
    },
    nodeOf: (key) => client.slots?.[slotOf(keyPrefix() + key)]?.[0],
    get: (key) => client.get(key),
    mget: (keys) => client.mget(keys),
    set(key, value, life, expected) {
      const condition = expected === undefined ? [] : expected === null ? ['NX'] : ['IFEQ', expected]
      return client.set(key, value, ...(life === null ? [] : ['PX', life]), ...condition)
    },
    del: (key) => client.del(key),
    expire: (key, seconds) => client.expire(key, seconds),
    script: (command, script, keys, args) => client[`${command}${as}`](script, keys.length, ...keys, ...args),
    async evalAndWait({ source, key, args, replicas, timeout }, asked) {
      const node = asked === undefined ? client : nodeAt(asked)
      const batch = asked === undefined ? node.pipeline() : node.pipeline().asking()
      // The nodes of a cluster put no prefix in front of keys, unless they were given one of their own.
      const full = asked === undefined || node.options?.keyPrefix ? key : keyPrefix() + key
      const replies = await batch
        .eval(source, 1, full, ...args)
        .wait(replicas, timeout)
        .exec()
      const failed = replies.find(([err]) => err !== null)
      if (failed !== undefined) throw failed[0]
      return replies.slice(-2).map(([, reply]) => reply)
    },
    async scanners() {
      const masters = client.nodes?.('master') ?? [client]
      return masters.map((node) => (cursor, pattern, count) => node.scan(cursor, 'MATCH', pattern, 'COUNT', count))
    }
  }
}

function unknownNode(): Error {
  return new Error('A cluster is moving the key to a node that the client does not know')
}

/**
 * The slot of a Redis Cluster that a key lies in: CRC-16 (XMODEM) of what its first braces hold, else of all of it.
 * @see https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
 */
function slotOf(key: string): number {
  const open = key.indexOf('{')
  const close = open === -1 ? -1 : key.indexOf('}', open)
  let crc = 0
  for (const byte of Buffer.from(close > open + 1 ? key.slice(open + 1, close) : key)) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1
  }
  return crc & 0x3fff
}
