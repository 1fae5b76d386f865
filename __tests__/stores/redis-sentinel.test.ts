import { Redis } from 'ioredis'
import { createSentinel } from 'redis'
import { createSentinel as createSentinel5 } from 'redis5'
import { POWERS, type Found, type Life, type Powers } from '../../lib/store/contract'
import { encodeRecord } from '../../lib/record/record'
import { RedisStore } from '../../lib/stores/redis/redis'
import type { RedisClient } from '../../lib/stores/redis/client'
import { failSoon, inStep, type RedisServer, startSentinel, until } from '../helpers/redis-server'

const HOUR = 3_600_000

interface Connected {
  client: RedisClient
  close(): void
}

function rootedAt(port: number) {
  return { name: 'main', sentinelRootNodes: [{ host: '127.0.0.1', port }] }
}

async function ofNode(client: ReturnType<typeof createSentinel | typeof createSentinel5>): Promise<Connected> {
  client.on('error', () => undefined)
  await client.connect()
  return { client, close: () => void client.destroy() }
}

const SENTINELS: Record<string, (port: number) => Promise<Connected>> = {
  'node-redis 6': (port) => ofNode(createSentinel(rootedAt(port))),
  'node-redis 6, its client reserved': (port) => ofNode(createSentinel({ ...rootedAt(port), reserveClient: true })),
  'node-redis 5': (port) => ofNode(createSentinel5(rootedAt(port))),
  'node-redis 5, its client reserved': (port) => ofNode(createSentinel5({ ...rootedAt(port), reserveClient: true })),
  ioredis: async (port) => {
    const client = new Redis({ name: 'main', sentinels: [{ host: '127.0.0.1', port }] })
    client.on('error', () => undefined)
    await new Promise((resolve) => client.once('ready', resolve))
    return { client, close: () => client.disconnect() }
  }
}

function textOf(n: number): string {
  return encodeRecord('{}', { u: n, c: n }, JSON.stringify({ n }))
}

function life(): Life {
  return { usedAt: Date.now(), expiresAt: Date.now() + HOUR }
}

async function attempt(work: () => unknown): Promise<unknown> {
  try {
    return await work()
  } catch {
    return undefined
  }
}

const running: RedisServer[] = []
const open: Connected[] = []

afterEach(async () => {
  open.splice(0).forEach((connected) => connected.close())
  await Promise.all(running.splice(0).map((server) => server.stop()))
})

/** A sentinel's servers, and twenty sessions that were begun in one turn. */
async function withTwentySessions(connect: (port: number) => Promise<Connected>) {
  const { master, replica, sentinel } = await startSentinel()
  running.push(master, replica, sentinel)
  const connected = await connect(sentinel.port)
  open.push(connected)
  const powers: Powers = new RedisStore({ client: connected.client })[POWERS]
  const ids = Array.from({ length: 20 }, (_, i) => `id${i}`)
  await Promise.all(ids.map((id, i) => powers.write({ id, text: textOf(i), expected: null, life: life() })))
  return { master, replica, sentinel, powers, ids }
}

it.each(Object.entries(SENTINELS))(
  'a failover through %s keeps what was replicated, and goes on',
  async (_name, connect) => {
    const { master, replica, sentinel, powers, ids } = await withTwentySessions(connect)
    await powers.remove('id0')
    await inStep(master, replica)
    await failSoon([sentinel])
    await master.kill()
    const isMaster = async () => (await replica.cli('info', 'replication')).includes('role:master')
    // A sentinel cuts all connections of the server that it promotes, this question's too.
    await until(() => attempt(isMaster), 'the replica took over')
    await until(() => attempt(() => powers.read('id1')), 'the client found the new master')
    const found = (await Promise.all(ids.map((id) => powers.read(id)))) as (Found | null)[]
    expect(found.map((each) => each?.text)).toEqual([undefined, ...ids.slice(1).map((_, i) => textOf(i + 1))])
    // The new master has never seen the scripts.
    expect(await powers.write({ id: 'id1', text: textOf(100), expected: textOf(1), life: life() })).toBe(true)
    expect(await powers.write({ id: 'id0', text: textOf(100), expected: textOf(0), life: life() })).toBeNull()
    expect(await powers.extend('id2', life())).toBe(true)
  }
)

it.each(Object.entries(SENTINELS))('new sessions of one turn leave together through %s', async (_name, connect) => {
  const { master, ids } = await withTwentySessions(connect)
  expect(await master.counts()).toMatchObject({ evalsha: 1, set: ids.length })
})
