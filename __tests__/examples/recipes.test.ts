import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import http, { type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import request from 'supertest'
import ts from 'typescript'
import { sessions } from '../../lib/index'
import { faultyStore } from '../../lib/testing'
import { noteListeners } from '../helpers/documented'
import { RedisServer } from '../helpers/redis-server'

const before = process.env.SESSION_SECRET
let stopListeners: () => void

beforeAll(() => {
  stopListeners = noteListeners()
  process.env.SESSION_SECRET = 'a secret for the examples, 32 bytes or more'
})

afterAll(() => {
  stopListeners()
  if (before === undefined) delete process.env.SESSION_SECRET
  else process.env.SESSION_SECRET = before
})

it('passport logs in, stays logged in under a new ID, and logs out', async () => {
  const agent = request.agent(require('../../examples/passport').app)
  const login = (password: string) => agent.post('/login').type('form').send({ username: 'ann', password })
  expect((await login('wrong')).headers.location).toBe('/?failed')
  const cookies = (await login('secret')).headers['set-cookie']
  expect(cookies).toHaveLength(1)
  expect((await agent.get('/')).body).toEqual({ user: 'ann' })
  await agent.post('/logout')
  expect((await agent.get('/')).body).toEqual({ user: null })
})

it('csrf-sync refuses a form without the token of this session', async () => {
  const { app } = require('../../examples/csrf-sync')
  const [mine, other] = [request.agent(app), request.agent(app)]
  const tokenOf = async (agent: typeof mine) => /value="([^"]+)"/.exec((await agent.get('/')).text)![1]
  const token = await tokenOf(mine)
  const send = (sent?: string) => mine.post('/name').type('form').send({ name: 'Ann', token: sent })
  expect((await send()).status).toBe(403)
  expect((await send(await tokenOf(other))).status).toBe(403)
  expect((await send(token)).body).toEqual({ name: 'Ann' })
})

it('sse tells a page that it was signed out elsewhere', async () => {
  const { app } = require('../../examples/sse')
  const server: Server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  try {
    expect((await request(server).get('/events')).status).toBe(401)
    const [page, phone] = [request.agent(server), request.agent(server)]
    const cookie = (await page.post('/login/ann')).headers['set-cookie']![0]!.split(';')[0]!
    await phone.post('/login/ann')
    const [events] = await once(http.get({ port, path: '/events', headers: { cookie } }), 'response')
    events.setEncoding('utf8')
    expect((await once(events, 'data'))[0]).toBe('event: hello\ndata: "ann"\n\n')
    const farewell = once(events, 'data')
    expect((await phone.post('/logout-everywhere')).body).toEqual({ ended: 2 })
    expect((await farewell)[0]).toBe('event: signed-out\ndata: ""\n\n')
  } finally {
    server.close().closeAllConnections()
  }
})

it('nestjs counts, and logs out', async () => {
  const file = path.join(__dirname, '../../examples/nestjs.ts')
  const compilerOptions = {
    ...{ experimentalDecorators: true, emitDecoratorMetadata: true, esModuleInterop: true },
    ...{ module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 }
  }
  const { outputText } = ts.transpileModule(readFileSync(file, 'utf8'), { compilerOptions })
  const exported: any = {}
  const load = (name: string) => (name === 'silverback' ? require('../../lib/index') : require(name))
  new Function('require', 'exports', 'module', outputText)(load, exported, {})
  const app = await exported.create()
  await app.init()
  const agent = request.agent(app.getHttpServer())
  expect((await agent.get('/')).body).toEqual({ views: 1 })
  expect((await agent.get('/')).body).toEqual({ views: 2 })
  await agent.post('/logout')
  expect((await agent.get('/')).body).toEqual({ views: 1 })
  await app.close()
})

it('lambda counts in the cookie', async () => {
  const { handler } = require('../../examples/lambda')
  const call = async (cookie?: string) => {
    const headers = { 'x-forwarded-proto': 'https', ...(cookie === undefined ? {} : { cookie }) }
    return handler({ httpMethod: 'GET', path: '/', headers, requestContext: {} }, {})
  }
  const first = await call()
  const [cookie] = first.multiValueHeaders['set-cookie']
  expect([first.body, cookie]).toEqual(['{"views":1}', expect.stringContaining('; Secure')])
  expect((await call(cookie.split(';')[0])).body).toBe('{"views":2}')
})

it('proxy sends its cookie where the proxy says HTTPS', async () => {
  const { app } = require('../../examples/proxy')
  const res = await request(app).get('/').set('X-Forwarded-Proto', 'https')
  expect(res.body).toEqual({ views: 1, secure: true })
  expect(res.headers['set-cookie']![0]).toMatch(/^__Host-sid=.*; Secure/)
  expect((await request(app).get('/')).headers['set-cookie']).toBeUndefined()
})

it('container answers its probe without Redis, and stops when the last response is out', async () => {
  const redis = await RedisServer.start()
  process.env.REDIS_URL = `redis://127.0.0.1:${redis.port}`
  const { app, client, stop } = require('../../examples/container')
  const server: Server = app.listen(0, '127.0.0.1')
  try {
    expect((await request(server).get('/healthz')).text).toBe('ok')
    await client.connect()
    const agent = request.agent(server)
    expect((await agent.get('/')).body).toEqual({ views: 1 })
    expect((await agent.get('/')).body).toEqual({ views: 2 })
    await stop(server)
    expect([server.listening, client.isOpen]).toEqual([false, false])
  } finally {
    delete process.env.REDIS_URL
    await redis.stop()
  }
})

it('one-domain shares the login, and keeps the cart to the shop', async () => {
  const agent = request.agent(require('../../examples/one-domain').app)
  await agent.post('/accounts/login/ann')
  const res = await agent.post('/shop/cart/pear')
  expect(res.body).toEqual({ user: 'ann', items: ['pear'] })
  expect(res.headers['set-cookie']![0]).toMatch(/^cart=.*; Path=\/shop/)
})

it('prom-client shows the sessions among its own numbers, on another port', async () => {
  const { app, internal } = require('../../examples/prom-client')
  await request(app).get('/')
  const res = await request(internal).get('/metrics')
  expect(res.headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/)
  expect(res.text).toMatch(/^process_cpu_seconds_total /m)
  expect(res.text).toMatch(/^silverback_session_events_total\{.*event="created".*\} 1$/m)
  expect((await request(app).get('/metrics')).status).toBe(404)
})

describe('opentelemetry', () => {
  const { context, trace } = require('@opentelemetry/api')
  const { AsyncLocalStorageContextManager } = require('@opentelemetry/context-async-hooks')
  const { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } = require('@opentelemetry/sdk-trace-base')
  const exporter = new InMemorySpanExporter()
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })

  beforeAll(() => {
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
    trace.setGlobalTracerProvider(provider)
  })

  afterAll(() => {
    trace.disable()
    context.disable()
  })

  it('has the spans of the store within that of the request, and the code of a failure', async () => {
    const { app } = require('../../examples/opentelemetry')
    const served = (req: IncomingMessage, res: ServerResponse) =>
      provider.getTracer('the server').startActiveSpan('request', (span: any) => {
        res.on('finish', () => span.end())
        app(req, res)
      })
    await request(served).get('/')
    const store = faultyStore()
    store.fail('set', Object.assign(new Error('SET sess:1 {"user":"ann"}'), { code: 'ECONNRESET' }))
    const failing = sessions<{ user: string }>({ secret: process.env.SESSION_SECRET!, store })
    await expect(failing.create({ user: 'ann' })).rejects.toMatchObject({ code: 'ERR_SESSION_STORE' })

    const spans = exporter.getFinishedSpans()
    const named = (name: string) => spans.filter((span: any) => span.name === name)
    const [[around], [stored, failed]] = [named('request'), named('session set')]
    expect(stored.parentSpanContext.spanId).toBe(around.spanContext().spanId)
    expect(stored.attributes).toEqual({ 'silverback.store': 'MemoryStore', 'silverback.operation': 'set' })
    expect(failed).toMatchObject({ status: { code: 2 }, attributes: { 'error.type': 'ECONNRESET' } })
    expect(JSON.stringify([failed.attributes, failed.status, failed.events])).not.toContain('ann')
  })
})

it('audit-log says who was signed out where, by whom and why, and no session ID', async () => {
  const log = jest.spyOn(console, 'log').mockImplementation(() => undefined)
  try {
    const { app } = require('../../examples/audit-log')
    const [root, phone, laptop] = [request.agent(app), request.agent(app), request.agent(app)]
    await root.post('/login/root').set('User-Agent', 'Desk')
    const cookies = await Promise.all([
      phone.post('/login/ann').set('User-Agent', 'Phone'),
      laptop.post('/login/ann').set('User-Agent', 'Laptop')
    ])
    expect((await phone.post('/admin/sign-out/ann')).status).toBe(401)
    await phone.post('/logout')
    expect((await root.post('/admin/sign-out/ann').send({ why: 'stolen laptop' })).body).toEqual({ ended: 1 })
    expect((await laptop.post('/logout')).status).toBe(401)
    const lines = log.mock.calls.map(([line]) => line as string)
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      { at: expect.any(String), what: 'signed out', user: 'ann', device: 'Phone', by: 'ann', why: 'logout' },
      { at: expect.any(String), what: 'signed out', user: 'ann', device: 'Laptop', by: 'root', why: 'stolen laptop' }
    ])
    const ids = cookies.map((res) => decodeURIComponent(res.headers['set-cookie']![0]!).split(/[=;]/)[1]!)
    for (const id of ids) expect(lines.join()).not.toContain(id.replace(/^s:/, '').split('.')[0])
  } finally {
    log.mockRestore()
  }
})
