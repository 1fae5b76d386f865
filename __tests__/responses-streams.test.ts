import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import net from 'node:net'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import express from 'express'
import { gunzipSync } from 'node:zlib'
import request from 'supertest'
import session, { sessions } from '../lib/index'
import { deferred, secret } from './helpers/app'
import { exchange, get, serving } from './helpers/raw'
import { GUARDS, play, type Respond } from './helpers/responses'

const compression = require('compression')

const PART = Buffer.from('0123456789abcdef'.repeat(4096))
const PARTS = 200

function* parts(): Generator<Buffer> {
  for (let i = 0; i < PARTS; i++) yield PART
}

/** Writes as a well-behaved stream does, and notes how much was waiting to be sent at most. */
async function writeAll(res: any): Promise<{ refused: number; drained: number; waiting: number }> {
  const seen = { refused: 0, drained: 0, waiting: 0 }
  for (const part of parts()) {
    const flowing = res.write(part)
    seen.waiting = Math.max(seen.waiting, res.writableLength ?? res.stream.writableLength)
    if (flowing) continue
    seen.refused++
    await once(res, 'drain')
    seen.drained++
  }
  res.end()
  return seen
}

const STREAMS: Record<string, Respond> = {
  'a pipe': (res) => Readable.from(parts()).pipe(res),
  'a pipe of text': (res) => Readable.from(['a', 'b'.repeat(100_000), '\u00e9']).pipe(res),
  'a pipe of known length': (res) => {
    res.setHeader('Content-Length', PART.length * 2)
    Readable.from([PART, PART]).pipe(res)
  },
  'events, one on each turn': async (res) => {
    res.writeHead(200, { 'Content-Type': 'text/event-stream' })
    res.flushHeaders()
    for (let i = 0; i < 20; i++) {
      res.write(`data: ${i}\n\n`)
      await new Promise(setImmediate)
    }
    res.end()
  }
}

describe.each(Object.entries(GUARDS))('a stream behind %s', (_guard, open) => {
  /** Answers as `respond` does, with a session that was written to. */
  const guarded = (respond: Respond) => {
    const guard = open()
    return (req: any, res: any) =>
      guard(req, res, () => {
        req.session.user = 'ann'
        respond(res, () => undefined, req)
      })
  }

  it.each(Object.entries(STREAMS))('sends the same bytes as without sessions: %s', async (_name, respond) => {
    const plain = await play(undefined, respond)
    const played = await play(open(), respond)
    expect(played.cookies).toBe(1)
    expect(played.log).toEqual(plain.log)
    expect(played.text === plain.text).toBe(true)
    expect(plain.text).toMatch(/^HTTP\/1\.1 200/)
  })

  it('makes the writer wait for a slow reader', async () => {
    const written = deferred<Awaited<ReturnType<typeof writeAll>>>()
    await serving(
      guarded((res) => void writeAll(res).then(written.resolve)),
      async (port) => {
        const socket = net.connect(port, '127.0.0.1', () => socket.write(get('/')))
        let received = 0
        for await (const chunk of socket) {
          received += chunk.length
          await new Promise(setImmediate)
        }
        expect(received).toBeGreaterThan(PART.length * PARTS)
        const { refused, drained, waiting } = await written.promise
        expect([refused > 0, drained]).toEqual([true, refused])
        // One part and its frame, not a backlog of them.
        expect(waiting).toBeLessThan(PART.length * 2)
      }
    )
  })

  it('lets each event through before the next is written', async () => {
    const seen: string[] = []
    let arrived = deferred()
    const listener = guarded(async (res) => {
      res.writeHead(200, { 'Content-Type': 'text/event-stream' })
      for (const name of ['one', 'two', 'three']) {
        arrived = deferred()
        res.write(`data: ${name}\n\n`)
        await arrived.promise
      }
      res.end()
    })
    const all = await serving(listener, (port) =>
      exchange(port, get('/'), (chunk) => {
        for (const [, name] of String(chunk).matchAll(/data: (\w+)/g)) {
          seen.push(name!)
          arrived.resolve()
        }
      })
    )
    expect(seen).toEqual(['one', 'two', 'three'])
    expect(String(all)).toMatch(/set-cookie: (sid|connect\.sid)=[^]*data: one/i)
  })

  it.each(['before', 'after'])('leaves what is compressed as it is, compression mounted %s it', async (place) => {
    const layers = [compression({ threshold: 0 }), open()]
    const appOf = (used: any[]) => {
      const app = express()
      for (const layer of used) app.use(layer)
      app.use((req: any, res: any) => {
        res.type('text')
        if (req.session !== undefined) req.session.user = 'ann'
        if (req.path === '/sent') res.send('sent at once. '.repeat(1000))
        else Readable.from(parts()).pipe(res)
      })
      return app
    }
    const plain = appOf([compression({ threshold: 0 })])
    const app = appOf(place === 'before' ? layers : layers.reverse())
    for (const path of ['/sent', '/piped']) {
      const [expected, res] = [await request(plain).get(path), await request(app).get(path)]
      expect(res.text === expected.text).toBe(true)
      expect(res.headers).toMatchObject({ 'content-encoding': 'gzip', 'set-cookie': [expect.stringMatching(/sid=/)] })
      expect(res.headers['content-type']).toBe(expected.headers['content-type'])
    }
  })
})

const DOORS: Record<string, (options: any) => any> = { sessions, session }

// When the store says that it has failed; `ended` is settled when the handler has called end().
const MOMENTS: Record<string, (fail: () => void, ended: Promise<void>) => unknown> = {
  'at once': (fail) => fail(),
  'on a tick': (fail) => process.nextTick(fail),
  'on the next turn': (fail) => setImmediate(fail),
  'after the end': (fail, ended) => ended.then(() => setImmediate(() => setImmediate(fail)))
}

const BODY = 'hello'.repeat(500)

const SENT: Record<string, Respond> = {
  'at once': (res) => void res.setHeader('Content-Type', 'text/plain').end(BODY),
  'in parts': async (res) => {
    res.setHeader('Content-Type', 'text/plain')
    for (let i = 0; i < BODY.length; i += 500) {
      res.write(BODY.slice(i, i + 500))
      await new Promise(setImmediate)
    }
    res.end()
  }
}

type Page = (res: any) => unknown

const PAGES: Record<string, Page> = {
  'at once': (res) => {
    res.statusCode = 500
    res.end('sorry')
  },
  'by end() alone': (res) => res.end('sorry'),
  'on a later turn': (res) => {
    res.statusCode = 500
    setImmediate(() => res.end('sorry'))
  },
  'in parts, waiting to be drained': async (res) => {
    res.statusCode = 500
    if (!res.write('so')) await once(res, 'drain')
    res.end('rry')
  }
}

/** Compression behind the sessions, before a response that cannot be saved. */
function compressing(door: string, moment: string, respond: Respond, page: Page, inExpress: boolean): any {
  const ended = deferred()
  const set = (_id: string, _data: unknown, done: (err: Error) => void) =>
    void MOMENTS[moment]!(() => done(new Error('disk full')), ended.promise)
  const get = (_id: string, done: (err: unknown, data: null) => void) => done(null, null)
  const store = { get, set, destroy: (_id: string, done: () => void) => done() }
  const guard = DOORS[door]!({ secret, store, resave: false, saveUninitialized: false })
  const layers = [guard, compression({ threshold: 0 })]
  const handler = (req: any, res: any) => {
    if (req.url === '/next') return void res.end('next')
    req.session.user = 'ann'
    void Promise.resolve(respond(res, () => undefined, req)).then(() => ended.resolve())
  }
  if (inExpress) {
    const app = express()
    for (const layer of layers) app.use(layer)
    app.use(handler)
    return app.use((_err: any, _req: any, res: any, _next: any) => void page(res))
  }
  return (req: any, res: any) => {
    const next = (at: number, err?: unknown): void => {
      if (err !== undefined) return void page(res)
      if (at === layers.length) handler(req, res)
      else layers[at](req, res, (err: unknown) => next(at + 1, err))
    }
    next(0)
  }
}

/** Asks twice on one connection: for what cannot be saved, and then for what needs no session. */
async function askTwice(port: number): Promise<{ status: number | undefined; headers: any; body: string }[]> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  const answers = []
  for (const path of ['/', '/next']) {
    const req = http.get({ port, path, agent, headers: { 'Accept-Encoding': 'gzip' } })
    const [res] = (await once(req, 'response')) as [http.IncomingMessage]
    const bytes = await buffer(res)
    const body = res.headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes
    answers.push({ status: res.statusCode, headers: res.headers, body: body.toString() })
    if (path === '/next') expect(req.reusedSocket).toBe(true)
    await new Promise(setImmediate)
  }
  agent.destroy()
  return answers
}

describe.each(Object.keys(DOORS))('%s() before compression, and a save that fails', (door) => {
  const refused = [
    expect.objectContaining({ status: 500, body: 'sorry' }),
    expect.objectContaining({ status: 200, body: 'next' })
  ]
  const cases = Object.keys(MOMENTS).flatMap((moment) =>
    Object.keys(SENT).flatMap((sent) =>
      ['Express', 'node:http'].map((server) => ({ moment, sent, inExpress: server === 'Express', server }))
    )
  )

  it.each(cases)(
    '$moment: the error page and nothing else, $server, sent $sent',
    async ({ moment, sent, inExpress }) => {
      for (const [name, page] of Object.entries(PAGES)) {
        // A handler that goes on writing by then writes into the page.
        if (sent === 'in parts' && name === 'on a later turn') continue
        const answers = await serving(compressing(door, moment, SENT[sent]!, page, inExpress), askTwice)
        expect(answers).toEqual(refused)
        expect(answers[0]!.headers).not.toHaveProperty('content-encoding')
        expect(answers[0]!.headers).not.toHaveProperty('set-cookie')
      }
    }
  )
})

it.each(Object.keys(MOMENTS))(
  'what is compressed goes out whole where nobody answers that the save has failed %s',
  async (moment) => {
    for (const respond of Object.values(SENT)) {
      const answers = await serving(
        compressing('session', moment, respond, () => undefined, false),
        askTwice
      )
      expect(answers.map(({ status, body }) => [status, body])).toEqual([
        [200, BODY],
        [200, 'next']
      ])
      expect(answers[0]!.headers).toMatchObject({ 'content-encoding': 'gzip' })
    }
  }
)

interface Answer {
  headers: Record<string, unknown>
  hints: unknown[]
  trailers: unknown[]
  body: string
}

/** Asks an HTTP/2 server once; `read` may take its time over the body. */
async function ask(listener: any, method = 'GET', read: (stream: Readable) => Promise<Buffer> = buffer) {
  const server = http2.createServer(listener)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const client = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  try {
    const stream = client.request({ ':path': '/', ':method': method })
    const answer: Answer = { headers: {}, hints: [], trailers: [], body: '' }
    stream.on('headers', (headers) => answer.hints.push({ ...headers }))
    stream.on('trailers', (headers) => answer.trailers.push({ ...headers }))
    const responding = once(stream, 'response')
    stream.end()
    const [headers] = await responding
    answer.headers = { ...headers }
    answer.body = (await read(stream)).toString('latin1')
    return answer
  } finally {
    client.close()
    server.close()
  }
}

/** An answer less what is ours to add. */
function withoutOurs({ headers, ...rest }: Answer): Answer {
  const { date: _date, 'cache-control': _control, vary: _vary, ...others } = headers
  const list = (headers['set-cookie'] ?? []) as string[]
  const cookies = list.filter((text) => !/^(sid|connect\.sid)=/.test(text))
  return { headers: { ...others, 'set-cookie': cookies }, ...rest }
}

const OVER_HTTP2: Record<string, Respond> = {
  'end()': (res) => res.end(),
  "end('x')": (res) => res.end('x'),
  'end(Uint8Array)': (res) => res.end(new Uint8Array([0, 255])),
  'writes, then end()': (res) => {
    res.write('a')
    res.write(Buffer.from('b'))
    res.end()
  },
  'writeHead with an object': (res) => res.writeHead(201, { 'X-A': '1', 'Set-Cookie': ['a=1', 'b=2'] }).end('x'),
  'writeHead with a flat array': (res) => res.writeHead(200, ['X-A', '1', 'X-B', '2']).end('x'),
  'writeHead with an undefined reason': (res) => res.writeHead(200, undefined, { 'Set-Cookie': 'a=1' }).end('x'),
  'writeHead with a null reason': (res) => res.writeHead(200, null, { 'Set-Cookie': 'a=1' }).end('x'),
  'writeHead beside setHeader': (res) => {
    res.setHeader('X-A', 'overwritten')
    res.setHeader('X-B', 'kept')
    res.writeHead(200, { 'X-A': '1' }).end('x')
  },
  204: (res) => res.writeHead(204).end(),
  304: (res) => res.writeHead(304, { ETag: '"x"' }).end(),
  'a status': (res) => {
    res.statusCode = 404
    res.end('x')
  },
  'early hints': (res) => {
    res.writeEarlyHints({ link: '</a.css>; rel=preload; as=style' })
    res.end('x')
  },
  trailers: (res) => {
    res.addTrailers({ 'x-sum': '1' })
    res.write('x')
    res.end()
  },
  ...STREAMS
}

describe.each(Object.entries(GUARDS))('over HTTP/2, %s', (_guard, open) => {
  const answering =
    (guard: any, respond: Respond) =>
    (req: any, res: any): void => {
      const note = () => undefined
      if (guard === undefined) return void respond(res, note, req)
      guard(req, res, () => {
        req.session.user = 'ann'
        respond(res, note, req)
      })
    }

  it.each(Object.entries(OVER_HTTP2))(
    'sends the same as without sessions, and the cookie: %s',
    async (name, respond) => {
      for (const method of name in STREAMS ? ['GET'] : ['GET', 'HEAD']) {
        const plain = await ask(answering(undefined, respond), method)
        const answer = await ask(answering(open(), respond), method)
        const [expected, ours] = [withoutOurs(plain), withoutOurs(answer)]
        expect({ ...ours, body: ours.body.length }).toEqual({ ...expected, body: expected.body.length })
        expect(ours.body === expected.body).toBe(true)
        expect(answer.headers['set-cookie']).toContainEqual(expect.stringMatching(/^(sid|connect\.sid)=/))
      }
    }
  )

  it('makes the writer wait for a slow reader', async () => {
    const written = deferred<Awaited<ReturnType<typeof writeAll>>>()
    const respond: Respond = (res) => void writeAll(res).then(written.resolve)
    const { body } = await ask(answering(open(), respond), 'GET', async (stream) => {
      const chunks: Buffer[] = []
      for await (const chunk of stream) {
        chunks.push(chunk)
        await new Promise(setImmediate)
      }
      return Buffer.concat(chunks)
    })
    expect(body === PART.toString('latin1').repeat(PARTS)).toBe(true)
    const { refused, drained, waiting } = await written.promise
    expect([refused > 0, drained]).toEqual([true, refused])
    expect(waiting).toBeLessThan(PART.length * 2)
  })
})
