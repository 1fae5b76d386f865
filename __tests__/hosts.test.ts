import { EventEmitter, once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import consumers from 'node:stream/consumers'
import express from 'express'
import session, { MemoryStore, sessions } from '../lib/index'
import { secret } from './helpers/app'
import { Child } from './helpers/child'
import { plainStore } from './helpers/classic'

const finalhandler = require('finalhandler')
const serverless = require('serverless-http')
const vendia = require('@vendia/serverless-express')
const mocks = require('node-mocks-http')

interface Page {
  status: number
  body: string
  cookies: string[]
}

/** Asks an app once, with a cookie or without. */
type Host = (app: any, cookie?: string) => Promise<Page>

const page = (status: number, body: string, cookies: unknown): Page => ({
  status,
  body,
  cookies: [cookies ?? []].flat() as string[]
})

/** The event of an API gateway, as Lambda gets it. */
const eventOf = (cookie?: string) => ({
  httpMethod: 'GET',
  path: '/',
  resource: '/{proxy+}',
  headers: cookie === undefined ? {} : { cookie },
  multiValueHeaders: cookie === undefined ? {} : { cookie: [cookie] },
  requestContext: { stage: 'x' }
})

const requestOf = (cookie?: string) => ({ method: 'GET', url: '/', headers: cookie === undefined ? {} : { cookie } })

const HOSTS: Record<string, Host> = {
  'a response without a socket': (app, cookie) =>
    new Promise((resolve) => {
      const req = Object.assign(new http.IncomingMessage(new net.Socket()), requestOf(cookie))
      const res: any = new http.ServerResponse(req)
      const look = () => {
        if (!res.writableEnded) return setImmediate(look)
        const text = res.outputData.map(({ data }: { data: string }) => data).join('')
        return resolve(page(res.statusCode, text.split('\r\n\r\n')[1], res.getHeader('set-cookie')))
      }
      app(req, res)
      look()
    }),
  'serverless-http': async (app, cookie) => {
    const answer = await serverless(app)(eventOf(cookie), {})
    return page(answer.statusCode, answer.body, answer.multiValueHeaders['set-cookie'])
  },
  '@vendia/serverless-express': async (app, cookie) => {
    const answer = await vendia({ app })(eventOf(cookie), {})
    return page(answer.statusCode, answer.body, answer.multiValueHeaders['set-cookie'])
  },
  'node-mocks-http': (app, cookie) =>
    new Promise((resolve) => {
      const req = mocks.createRequest(requestOf(cookie))
      const res = mocks.createResponse({ req, eventEmitter: EventEmitter })
      res.on('end', () => resolve(page(res.statusCode, res._getData(), res.getHeader('set-cookie'))))
      app(req, res)
    })
}

const STORES: Record<string, () => any> = { 'at once': () => new MemoryStore(), later: () => plainStore() }

const DOORS: Record<string, (store: any) => any> = {
  'sessions()': (store) => sessions({ secret, store }),
  'the drop-in door': (store) => session({ secret, store, resave: false, saveUninitialized: false })
}

const cases = Object.keys(HOSTS).flatMap((host) =>
  Object.keys(DOORS).flatMap((door) => Object.keys(STORES).map((kind) => ({ host, door, kind })))
)

it.each(cases)('$host gets the page and the cookie of $door on a store that answers $kind', async (given) => {
  const ask = HOSTS[given.host]!
  const app = express()
  app.use(DOORS[given.door]!(STORES[given.kind]!()))
  app.get('/', (req: any, res) => {
    req.session.visits = (req.session.visits ?? 0) + 1
    res.send(`visit ${req.session.visits}`)
  })
  const first = await ask(app)
  expect(first).toEqual({ status: 200, body: 'visit 1', cookies: [expect.stringMatching(/^(sid|connect\.sid)=/)] })
  const second = await ask(app, first.cookies[0]!.split(';')[0])
  expect(second).toMatchObject({ status: 200, body: 'visit 2' })
})

// In a process of its own: it changes the prototype of every response of Express, and is an ES module in part.
it.each(Object.keys(STORES))(
  'light-my-request gets the page and the cookie on a store that answers %s',
  async (kind) => {
    const child = await Child.start('inject-child')
    for (const door of ['sessions', 'session']) {
      const [first, second] = await child.call<any>('visits', door, kind)
      expect(first).toEqual([200, 'visit 1', expect.stringMatching(/^(sid|connect\.sid)=/)])
      expect(second.slice(0, 2)).toEqual([200, 'visit 2'])
    }
  }
)

it('a host whose headersSent is never true (@fastify/express) has a session extended once, and none begun too late', async () => {
  const calls: string[] = []
  const store = plainStore({
    touch: (_id: string, _session: object, done: any) => setImmediate(done, null, calls.push('touch'))
  })
  const auth = session({ secret, resave: false, saveUninitialized: false, store, cookie: { maxAge: 60_000 } })
  const visit = async (handler: (req: any, res: any) => void, cookie = '') => {
    const server = http.createServer((req, res) => {
      Object.defineProperty(res, 'headersSent', { configurable: true, get: () => false })
      auth(req as any, res as any, () => handler(req, res))
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const { port } = server.address() as net.AddressInfo
    const answer = await fetch(`http://127.0.0.1:${port}/`, { headers: { cookie } })
    await answer.text()
    server.close()
    return answer.headers.get('set-cookie')?.split(';')[0]
  }
  const cookie = await visit((req, res) => {
    req.session.user = 'ann'
    res.writeHead(200).end('in')
  })
  await visit((_req, res) => res.writeHead(200, { 'X-One': '1' }).end('ann'), cookie)
  expect(calls).toEqual(['touch'])
  const late = await visit((req, res) => {
    res.writeHead(200).write('a')
    req.session.late = true
    res.end('b')
  })
  expect([late, store.texts.size]).toEqual([undefined, 1])
})

describe('a save that fails', () => {
  type Behind = (auth: any, handler: (req: any, res: http.ServerResponse) => void) => http.RequestListener

  const BEHIND: Record<string, Behind> = {
    // koa-connect
    'passes the error over': (auth, handler) => (req, res) =>
      void new Promise<void>((resolve, reject) =>
        auth(req, res, (err?: Error) => (err ? reject(err) : resolve()))
      ).then(() => handler(req, res)),
    // @fastify/middie
    'throws it': (auth, handler) => (req, res) =>
      auth(req, res, (err?: Error) => {
        if (err) throw err
        handler(req, res)
      }),
    // A router of Express by itself
    'passes over what a router gives it': (auth, handler) => {
      const router = express.Router().use(auth, handler as any)
      return (req, res) => router(req as any, res as any, () => undefined)
    },
    'answers it at once': (auth, handler) => (req, res) =>
      auth(req, res, (err?: Error) => (err ? finalhandler(req, res)(err) : handler(req, res))),
    // connect, and an application of Express that another server calls
    'answers it on a later turn': (auth, handler) => {
      const router = express.Router().use(auth)
      return (req, res) =>
        router(req as any, res as any, (err: unknown) => (err ? finalhandler(req, res)(err) : handler(req, res)))
    }
  }

  const failing = () =>
    plainStore({ set: (_id: string, _session: object, done: any) => setImmediate(done, new Error('store down')) })

  /** Sends a form in two halves: the second one when the server reads on, which finalhandler has it do. */
  async function visit(behind: string, door: any) {
    const auth = door({
      ...{ secret, store: failing(), resave: false, saveUninitialized: false },
      storeTimeout: behind.startsWith('passes') ? 100 : undefined
    })
    const listener = BEHIND[behind]!(auth, (req, res) => {
      req.session.user = 'ann'
      res.end('in')
    })
    const server = http.createServer(listener)
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const { port } = server.address() as net.AddressInfo
    const form = http.request({ port, host: '127.0.0.1', method: 'POST', headers: { 'Content-Length': 2 } })
    server.once('request', (req) => req.once('resume', () => setImmediate(setImmediate, () => form.end('b'))))
    form.write('a')
    const [res] = (await once(form, 'response')) as [http.IncomingMessage]
    const text = await consumers.text(res)
    form.destroy()
    server.close()
    return [res.statusCode, text.includes('Error') ? 'error page' : text, res.headers['set-cookie']]
  }

  it.each(Object.keys(BEHIND))('is answered where the application %s', async (behind) => {
    const thrown: unknown[] = []
    const { nextTick } = process
    jest.spyOn(process, 'nextTick').mockImplementation((call: any, ...args: unknown[]) =>
      nextTick(() => {
        try {
          call(...args)
        } catch (err) {
          thrown.push(err)
        }
      })
    )
    const isAnswered = behind.startsWith('answers')
    expect(await visit(behind, sessions)).toEqual([500, isAnswered ? 'error page' : '', undefined])
    const ours = behind.includes('router') ? [500, '', undefined] : [200, 'in', undefined]
    expect(await visit(behind, session)).toEqual(isAnswered ? [500, 'error page', undefined] : ours)
    expect(thrown.length).toBe(behind === 'throws it' ? 2 : 0)
    jest.restoreAllMocks()
  })

  it.each(Object.keys(DOORS))('is answered with the status that its error page chooses (%s)', async (door) => {
    const pages: Record<string, (res: http.ServerResponse) => number | Promise<number>> = {
      '/own': () => 503,
      '/reason': (res) => {
        res.statusMessage = 'Store Down'
        return 503
      },
      '/theirs': (res) => (res.statusCode < 400 ? 500 : res.statusCode),
      '/late': async (res) => {
        const isSent = res.headersSent
        for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate)
        if (!isSent) res.setHeader('X-Late', '1')
        return 502
      }
    }
    const auth = DOORS[door]!(failing())
    const server = http.createServer((req: any, res) =>
      auth(req, res, async (err?: Error) => {
        const status = err === undefined ? 404 : pages[req.url]!(res)
        res.statusCode = typeof status === 'number' ? status : await status
        if (err !== undefined) return res.end('sorry')
        req.session.user = 'ann'
        res.statusMessage = 'Gone Fishing'
        res.end('in')
      })
    )
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const { port } = server.address() as net.AddressInfo
    const seen = []
    for (const path of Object.keys(pages)) {
      const res = await fetch(`http://127.0.0.1:${port}${path}`)
      seen.push([res.status, res.statusText, await res.text()])
    }
    server.close()
    expect(seen).toEqual([
      [503, 'Service Unavailable', 'sorry'],
      [503, 'Store Down', 'sorry'],
      [500, 'Internal Server Error', 'sorry'],
      [502, 'Bad Gateway', 'sorry']
    ])
  })

  it('leaves the response sent for who does not answer the error', async () => {
    const auth = session({ secret, store: failing(), resave: false, saveUninitialized: false })
    const said: unknown[] = []
    const server = http.createServer((req: any, res) =>
      auth(req, res, (err?: Error) => {
        // restify
        if (err) return void setImmediate(() => res.headersSent)
        req.session.user = 'ann'
        res.end('in')
        const ask = () => {
          said.push(res.headersSent)
          try {
            res.setHeader('X-Late', '1')
          } catch (err: any) {
            said.push(err.code)
          }
          if (!res.writableFinished) setImmediate(ask)
        }
        ask()
      })
    )
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const { port } = server.address() as net.AddressInfo
    const res = await fetch(`http://127.0.0.1:${port}`)
    server.close()
    expect([res.status, await res.text(), new Set(said)]).toEqual([200, 'in', new Set([true, 'ERR_HTTP_HEADERS_SENT'])])
  })
})
