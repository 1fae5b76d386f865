import { inspect } from 'node:util'
import Redis from 'ioredis'
import { createClient } from 'redis'
import { POWERS, type Found, type Life, type Powers } from '../../lib/store/contract'
import { encodeRecord } from '../../lib/record/record'
import { RedisStore } from '../../lib/stores/redis/redis'
import { CLIENTS, type Connected } from '../helpers/redis-clients'
import { ACL, RedisServer, until } from '../helpers/redis-server'

const HOUR = 3_600_000
const ID = 'very-secret-id'

const running: RedisServer[] = []
const open: Connected[] = []

async function start(...flags: string[]): Promise<RedisServer> {
  const server = await RedisServer.start(flags)
  running.push(server)
  return server
}

async function connect(name: string, server: RedisServer): Promise<Powers> {
  const connected = await CLIENTS[name]!(server.url)
  open.push(connected)
  return new RedisStore({ client: connected.client })[POWERS]
}

function powersOf(client: Redis): Powers {
  open.push({ client, close: () => client.disconnect() })
  return new RedisStore({ client })[POWERS]
}

afterEach(async () => {
  open.splice(0).forEach((connected) => connected.close())
  await Promise.all(running.splice(0).map((server) => server.stop()))
})

function textOf(n: number, usedAt = Date.now()): string {
  return encodeRecord('{}', { u: usedAt, c: usedAt }, JSON.stringify({ n, password: 'hunter2' }))
}

function life(): Life {
  return { usedAt: Date.now(), expiresAt: Date.now() + HOUR }
}

async function failureOf(work: unknown): Promise<Error & { cause?: Error }> {
  const err = await Promise.resolve(work).then(
    () => expect(work).toBe('rejected'),
    (err) => err
  )
  expect(err).toMatchObject({ name: 'SessionError', code: 'ERR_SESSION_STORE', kind: 'store', status: 503 })
  expect(inspect(err, { depth: 10 })).not.toMatch(/very-secret-id|hunter2/)
  return err
}

/** Until the client has noticed that its server is gone, calls may wait; from then on they are refused at once. */
function lost(client: { isReady?: boolean; status?: string }): Promise<void> {
  return until(() => (client.isReady ?? client.status === 'ready') === false, 'the client noticed')
}

describe.each(['node-redis 6', 'node-redis 5', 'ioredis'])('With %s', (name) => {
  it('a killed server is refused at once; restarted empty it is used again', async () => {
    const server = await start()
    const powers = await connect(name, server)
    const text = textOf(1)
    await powers.write({ id: ID, text, expected: null, life: life() })
    await server.kill()
    await lost(open[0]!.client as object)
    const err = await failureOf(powers.read(ID))
    await failureOf(powers.write({ id: ID, text: textOf(2), expected: text, life: life() }))
    await failureOf(powers.remove(ID, 'ann'))
    expect(err.message).toBe('The connection to Redis is lost; the client is reconnecting')
    await server.restart()
    await until(
      () =>
        Promise.resolve(powers.read(ID)).then(
          () => true,
          () => false
        ),
      'the client reconnected'
    )
    expect(await powers.read(ID)).toBeNull()
    expect(await powers.write({ id: ID, text: textOf(2), expected: text, life: life() })).toBeNull()
    expect(await powers.write({ id: ID, text, expected: null, life: life() })).toBe(true)
    expect(await powers.extend(ID, life())).toBe(true)
  })

  it('a server that hangs answers everybody rightly once it goes on', async () => {
    const server = await start()
    const powers = await connect(name, server)
    const [one, two] = [textOf(1), textOf(2)]
    await powers.write({ id: 'a', text: one, expected: null, life: life() })
    await powers.write({ id: 'b', text: two, expected: null, life: life() })
    server.pause()
    const pending = [
      powers.read('a'),
      powers.read('b'),
      powers.write({ id: 'a', text: two, expected: one, life: life() })
    ]
    // Turns enough for the commands to be on their way.
    for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve))
    server.resume()
    expect(await Promise.all(pending)).toEqual([{ text: one }, { text: two }, true])
    expect(await powers.read('a')).toEqual({ text: two })
  })

  it('a replica serves reads, and refuses the rest aloud', async () => {
    const server = await start()
    const powers = await connect(name, server)
    const text = textOf(1)
    await powers.write({ id: ID, text, expected: null, life: life() })
    await server.cli('config', 'set', 'replica-serve-stale-data', 'yes')
    await server.cli('replicaof', '127.0.0.1', '1')
    expect(await powers.read(ID)).toEqual({ text })
    const refusals = [
      powers.write({ id: ID, text: textOf(2), expected: text, life: life() }),
      powers.write({ id: 'b', text, expected: null, life: life() }),
      powers.remove(ID)
    ]
    for (const refusal of [...refusals, powers.extend(ID, life())]) {
      expect((await failureOf(refusal)).message).toMatch(/^Redis refused (SET|EVALSHA|DEL): READONLY$/)
    }
    await server.cli('replicaof', 'no', 'one')
    expect(await powers.remove(ID)).toBe(true)
  })

  it('a server out of memory serves reads and confirms no write', async () => {
    const server = await start()
    const powers = await connect(name, server)
    const text = textOf(1)
    await powers.write({ id: ID, text, expected: null, life: life() })
    await powers.lock!.acquire(ID, 'ann', 1000)
    await server.cli('config', 'set', 'maxmemory', '1')
    expect(await powers.read(ID)).toEqual({ text })
    expect(await powers.lock!.renew(ID, 'bob', HOUR)).toBe(false)
    expect(await powers.lock!.renew(ID, 'ann', HOUR)).toBe(true)
    expect(Number(await server.cli('pttl', `silverback:lock:sess:${ID}`))).toBeGreaterThan(60_000)
    await powers.lock!.release(ID, 'ann')
    const err = await failureOf(powers.write({ id: 'b', text, expected: null, life: life() }))
    expect(err.message).toBe('Redis refused SET: OOM')
    expect(err.cause).toBeInstanceOf(Error)
    await failureOf(powers.write({ id: ID, text: textOf(2), expected: text, life: life() }))
    expect(await powers.remove(ID)).toBe(true)
  })

  it.each([
    ['+@all -evalsha -eval', 'extend', /refuses EVALSHA to this user: its ACL must allow \+evalsha \+eval \+get \+set/],
    ['+@all -set', 'write', /refuses EVALSHA .*\+set/],
    ['+@all -set', 'create', /refuses SET .*\+set/],
    ['+@all -get', 'get', /refuses GET .*\+get/]
  ] as const)('names the command that the ACL %s refuses', async (rules, what, message) => {
    const server = await start()
    const powers = await connect(name, server)
    const text = textOf(1)
    await powers.write({ id: ID, text, expected: null, life: life() })
    await server.cli('acl', 'setuser', 'default', ...rules.split(' '))
    const asked = {
      extend: () => powers.extend(ID, life()),
      write: () => powers.write({ id: ID, text: textOf(2), expected: text, life: life() }),
      create: () => powers.write({ id: 'b', text, expected: null, life: life() }),
      get: () => powers.read(ID)
    }
    expect((await failureOf(asked[what]())).message).toMatch(message)
  })

  it('does everything with the rights that the documents ask for', async () => {
    const server = await start()
    const rules = [...ACL.keys, ...ACL.sessions, ...ACL.users, ...ACL.listing, ...ACL.wait, ...ACL.connecting]
    await server.cli('acl', 'setuser', 'app', 'on', '>secret', 'resetkeys', '-@all', ...rules)
    const connected = await CLIENTS[name]!(server.url.replace('//', '//app:secret@'))
    open.push(connected)
    const store = new RedisStore({ client: connected.client })
    const powers = store[POWERS]
    const ids = Array.from({ length: 5 }, (_, i) => `id${i}`)
    const user = { from: undefined, to: 'ann' }
    const text = textOf(1)
    await Promise.all(ids.map((id) => powers.write({ id, text, expected: null, life: life(), user })))
    expect(await Promise.all(ids.map((id) => powers.read(id)))).toEqual(ids.map(() => ({ text })))
    const changed = ids.map((id) => powers.write({ id, text: textOf(2), expected: text, life: life(), user }))
    expect(await Promise.all(changed)).toEqual(ids.map(() => true))
    expect(await powers.extend('id0', life())).toBe(true)
    expect(await powers.list!('ann')).toEqual([])
    expect(await powers.lock!.acquire('id0', 'token', HOUR)).toBe(true)
    expect(await powers.lock!.renew('id0', 'token', HOUR)).toBe(true)
    await powers.lock!.release('id0', 'token')
    await store.touch('id0', { cookie: {} })
    expect(await powers.remove('id0', 'ann')).toBe(true)
    const waiting = new RedisStore({ client: connected.client, wait: { replicas: 1, timeout: 1 } })
    expect((await failureOf(waiting.destroy('id1'))).message).toContain('0 of 1 replicas')
    await store.clear()
    expect(await store.length()).toBe(0)
  })

  it('names a command that the server has disabled', async () => {
    const powers = await connect(name, await start('--rename-command', 'EVALSHA', ''))
    const text = textOf(1)
    await powers.write({ id: ID, text, expected: null, life: life() })
    const err = await failureOf(powers.write({ id: ID, text: textOf(2), expected: text, life: life() }))
    expect(err.message).toBe('Redis has EVALSHA disabled: the store needs +evalsha +eval +get +set')
  })

  it('a plain client of a cluster node gets the reason', async () => {
    const powers = await connect(name, await start('--cluster-enabled', 'yes'))
    expect((await failureOf(powers.read(ID))).message).toBe('Redis refused GET: CLUSTERDOWN')
  })
})

describe('A server that lets nobody in', () => {
  it('a client without the password gets the reason', async () => {
    const server = await start('--requirepass', 'x')
    const powers = powersOf(new Redis(server.url, { enableReadyCheck: false }))
    expect((await failureOf(powers.read(ID))).message).toBe('Redis refused GET: NOAUTH')
  })

  it('a server that is loading its data gives the reason', async () => {
    const server = await start('--enable-debug-command', 'yes', '--loading-process-events-interval-bytes', '1024')
    const powers = await connect('node-redis 6', server)
    await server.cli('debug', 'populate', '300', 'key', '1024')
    await server.cli('config', 'set', 'key-load-delay', '3000')
    const reloading = server.cli('debug', 'reload')
    const errors: string[] = []
    await until(async () => {
      await Promise.resolve(powers.read(ID)).catch(async (err) =>
        errors.push((await failureOf(Promise.reject(err))).message)
      )
      return errors.length > 0
    }, 'the server is loading')
    expect(errors).toEqual(['Redis refused GET: LOADING'])
    await reloading
    expect(await powers.read(ID)).toBeNull()
  })
})

it('a closed client is told apart from one that is reconnecting', async () => {
  const server = await start()
  for (const name of Object.keys(CLIENTS)) {
    const connected = await CLIENTS[name]!(server.url)
    const store = new RedisStore({ client: connected.client })
    connected.close()
    const closed = async () => (await failureOf(store.get(ID))).message === 'The Redis client has been closed'
    await until(closed, 'the client is closed')
  }
})

it('a lost connection does not end the process of an application without an error listener', async () => {
  const server = await start()
  const client = createClient({ url: server.url })
  const store = new RedisStore({ client })
  await client.connect()
  await server.kill()
  await lost(client)
  await failureOf(store.get(ID))
  client.destroy()
})

it.each(['JSON', 'another serializer'])('bytes that are no text are never written over (%s)', async (kind) => {
  const server = await start()
  const client = new Redis(server.url)
  open.push({ client, close: () => client.disconnect() })
  const serializer = {
    parse: (text: string) => JSON.parse(text),
    stringify: (record: unknown) => JSON.stringify(record)
  }
  const store = new RedisStore(kind === 'JSON' ? { client } : { client, serializer })
  const stored = Buffer.from(Buffer.from(textOf(1)).map((byte) => (byte === 'h'.charCodeAt(0) ? 0xff : byte)))
  await client.set(`sess:${ID}`, stored)
  const read = (await store[POWERS].read(ID))!
  await server.resetCounts()
  expect(await store[POWERS].write({ id: ID, text: textOf(2), expected: read.text, life: life() })).toEqual(read)
  await store[POWERS].extend(ID, life())
  expect(await client.getBuffer(`sess:${ID}`)).not.toEqual(Buffer.from(textOf(2)))
  const { evalsha = 0, get = 0 } = await server.counts()
  expect(evalsha + get).toBeLessThan(128)
})

it('1,000 concurrent reads each get their own session', async () => {
  const powers = await connect('node-redis 6', await start())
  await Promise.all(
    Array.from({ length: 1000 }, (_, i) =>
      powers.write({ id: `s${i}`, text: textOf(i, 5), expected: null, life: life() })
    )
  )
  const found = await Promise.all(Array.from({ length: 1000 }, (_, i) => powers.read(`s${i}`)))
  found.forEach((each, i) => expect((each as Found).text).toBe(textOf(i, 5)))
})
