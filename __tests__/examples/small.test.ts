import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import request from 'supertest'
import { RedisServer, startCluster } from '../helpers/redis-server'
import { startMemcached } from '../helpers/servers'

const secret = process.env.SESSION_SECRET
let folder: string

beforeAll(() => {
  process.env.SESSION_SECRET = 'a secret for the examples, 32 bytes or more'
  folder = mkdtempSync(path.join(tmpdir(), 'silverback-examples-'))
  process.env.SESSION_DIR = folder
  process.env.SESSION_FILE = path.join(folder, 'sessions.db')
})

afterAll(() => {
  if (secret === undefined) delete process.env.SESSION_SECRET
  else process.env.SESSION_SECRET = secret
  delete process.env.SESSION_DIR
  delete process.env.SESSION_FILE
  rmSync(folder, { recursive: true, force: true })
})

async function counts(app: any): Promise<void> {
  const agent = request.agent(app)
  expect((await agent.get('/')).body).toEqual({ views: 1 })
  expect((await agent.get('/')).body).toEqual({ views: 2 })
}

it('cookie-store counts, and logout is final for a copied cookie', async () => {
  const { app } = require('../../examples/cookie-store')
  await counts(app)
  const first = await request(app).get('/')
  const cookie = (first.headers['set-cookie'] as unknown as string[])[0]!.split(';')[0]!
  await request(app).post('/logout').set('Cookie', cookie)
  expect((await request(app).get('/').set('Cookie', cookie)).body).toEqual({ views: 1 })
})

it.each(['sqlite', 'file-store'])('%s counts', async (name) => {
  const { app, store } = require(`../../examples/${name}`)
  await counts(app)
  await store.close()
})

it('redis counts', async () => {
  const server = await RedisServer.start()
  process.env.REDIS_URL = `redis://127.0.0.1:${server.port}`
  const { app, client } = require('../../examples/redis')
  try {
    await client.connect()
    await counts(app)
  } finally {
    delete process.env.REDIS_URL
    client.destroy()
    await server.stop()
  }
})

it('memcached counts', async () => {
  const server = await startMemcached()
  process.env.MEMCACHED_SERVERS = `127.0.0.1:${server.port}`
  const { app, client } = require('../../examples/memcached')
  try {
    await counts(app)
  } finally {
    delete process.env.MEMCACHED_SERVERS
    client.end()
    await server.stop()
  }
})

it('flash shows a message once', async () => {
  const agent = request.agent(require('../../examples/flash').app)
  await agent.post('/save')
  expect((await agent.get('/')).body).toEqual({ messages: ['Saved.'] })
  expect((await agent.get('/')).body).toEqual({ messages: [] })
})

it('named keeps cart and preferences apart', async () => {
  const agent = request.agent(require('../../examples/named').app)
  await agent.post('/cart/apple')
  expect((await agent.post('/cart/pear')).body).toEqual({ items: ['apple', 'pear'] })
  const res = await agent.post('/theme/dark')
  expect((res.headers['set-cookie'] as unknown as string[])[0]).toMatch(/^preferences=/)
})

it('oauth keeps two tabs apart, and leads nowhere else', async () => {
  process.env.PROVIDER = 'https://provider.example/authorize'
  const agent = request.agent(require('../../examples/oauth').app)
  const start = async (returnTo: string) => {
    const res = await agent.get('/oauth/start').query({ returnTo })
    return new URL(res.headers.location!).searchParams.get('state')!
  }
  const finish = async (state: string) => (await agent.get('/oauth/callback').query({ state })).headers.refresh
  const [a, b] = [await start('/a'), await start('/b')]
  expect(await finish(b)).toBe('0; url=/b')
  expect(await finish(a)).toBe('0; url=/a')
  expect(await finish(a)).toBeUndefined()
  const sites = ['https://evil.example/x', '//evil.example/x', '/\\evil.example', 'javascript:x']
  const paths = ['/.//evil.example', '/a/..//evil.example', '/.\\/evil.example', 'http://this//evil.example']
  for (const elsewhere of [...sites, ...paths]) {
    expect(await finish(await start(elsewhere))).toBe('0; url=/')
  }
  delete process.env.PROVIDER
})

it('key-rotation logs nobody out, and gives up a key that was not used for long enough', async () => {
  const now = jest.spyOn(Date, 'now')
  const { app, secret: keys, rotate, retire } = require('../../examples/key-rotation')
  const agents = Array.from({ length: 10 }, () => request.agent(app))
  const views = async () => (await Promise.all(agents.map((agent) => agent.get('/')))).map((res) => res.body.views)
  expect(await views()).toEqual(agents.map(() => 1))
  rotate()
  expect(await views()).toEqual(agents.map(() => 2))
  retire()
  expect(keys).toHaveLength(2)
  const start = Date.now()
  for (let hour = 1; hour <= 25; hour++) {
    now.mockImplementation(() => start + hour * 60 * 60 * 1000)
    expect(await views()).toEqual(agents.map(() => 2 + hour))
  }
  retire()
  expect(keys).toHaveLength(1)
  expect(await views()).toEqual(agents.map(() => 28))
  now.mockRestore()
})

it('redis-cluster counts', async () => {
  const cluster = await startCluster()
  process.env.REDIS_NODES = cluster.map((node) => `redis://127.0.0.1:${node.port}`).join(',')
  const { app, client } = require('../../examples/redis-cluster')
  try {
    await client.connect()
    await counts(app)
  } finally {
    delete process.env.REDIS_NODES
    client.destroy()
    await Promise.all(cluster.map((node) => node.stop()))
  }
})
