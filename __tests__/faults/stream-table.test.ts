import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream, writeFileSync } from 'node:fs'
import http from 'node:http'
import { pipeline, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { gunzipSync } from 'node:zlib'
import express from 'express'
import { MemoryStore, sessions } from '../../lib/index'
import { deferred, secret } from '../helpers/app'
import { plainStore } from '../helpers/classic'
import { TestFolder } from '../helpers/folder'
import { serving } from '../helpers/raw'

const compression = require('compression')
const livereload = require('connect-livereload')

interface Given {
  /** A body in three parts of one size. */
  parts: Buffer[]
  file: string
  /** Notes what should be the same without sessions. */
  log: (what: unknown) => void
}

/** Every way to stream. */
const WAYS: Record<string, (res: any, given: Given) => unknown> = {
  'end(chunk)': (res, { parts }) => res.end(Buffer.concat(parts)),
  'end(text, callback)': (res, { parts, log }) => res.end(parts.join(''), () => log('ended')),
  'writes in one turn': (res, { parts, log }) => {
    for (const part of parts) res.write(part, 'latin1', () => log('written'))
    res.end()
  },
  'writes, each on a turn': async (res, { parts }) => {
    for (const part of parts) {
      res.write(part)
      await new Promise(setImmediate)
    }
    res.end()
  },
  'writes that wait for drain': async (res, { parts }) => {
    for (const part of parts) if (!res.write(part)) await once(res, 'drain')
    res.end()
  },
  // As readable-stream 2 and 3 pipe.
  'writes with a listener for drain from the beginning': (res, { parts }) => {
    const rest = [...parts]
    const go = () => {
      while (rest.length > 0) if (!res.write(rest.shift()) && rest.length > 0) return
      res.off('drain', go)
      res.end()
    }
    res.on('drain', go)
    go()
  },
  'writeHead, then writes': async (res, { parts }) => {
    res.writeHead(200, { 'X-Way': 'head' })
    for (const part of parts) if (!res.write(part)) await once(res, 'drain')
    res.end()
  },
  'flushHeaders, then a pipe': (res, { parts }) => {
    res.flushHeaders()
    Readable.from(parts).pipe(res)
  },
  'writes, each flushed': (res, { parts }) => {
    for (const part of parts) {
      res.write(part)
      res.flush?.()
    }
    res.end()
  },
  'writes that are corked': (res, { parts }) => {
    res.cork()
    for (const part of parts) res.write(part)
    process.nextTick(() => {
      res.uncork()
      res.end()
    })
  },
  'a pipe': (res, { parts }) => Readable.from(parts).pipe(res),
  'a pipe of known length': (res, { parts }) => {
    res.setHeader('Content-Length', parts.length * parts[0]!.length)
    Readable.from(parts).pipe(res)
  },
  'pipeline()': (res, { parts, log }) => pipeline(Readable.from(parts), res, (err: unknown) => log(err ?? 'piped')),
  'pipeline() of a generator': (res, { parts, log }) =>
    pipeline(
      () => parts,
      res,
      (err: unknown) => log(err ?? 'piped')
    ),
  'a file that is piped': (res, { file }) => createReadStream(file).pipe(res),
  'sendFile()': (res, { file, log }) =>
    res.sendFile(file, { lastModified: false, cacheControl: false }, (err: unknown) => log(err ?? 'sent'))
}

/** What may stand before the sessions or behind them, and keep a body, a head or listeners to itself. */
const WRAPPERS: Record<string, () => any> = {
  compression: () => compression({ threshold: 1024 }),
  'a keeper of the body': () => livereload({ port: 35729 })
}

// Around each buffer on the way: compression's threshold, Node's and zlib's streams, a file's.
const SIZES = [1024, 16 * 1024, 64 * 1024].flatMap((size) => [size - 1, size, size + 1])

const partsOf = (size: number) => ['a', 'b', 'c'].map((letter) => Buffer.alloc(size, letter))

interface Played {
  log: unknown[]
  closed: ReturnType<typeof deferred>
}

/** Asks once; what came, and what happened to the response meanwhile. */
async function ask(port: number, way: string, size: number, played: Map<string, Played>) {
  const key = `${way}, 3 x ${size}`
  const place = `/${SIZES.indexOf(size)}/${Object.keys(WAYS).indexOf(way)}`
  const req = http.get({ port, path: place, agent, headers })
  req.setTimeout(60_000, () => req.destroy(new Error(`${key} hangs`)))
  const [res] = (await once(req, 'response')) as [http.IncomingMessage]
  const bytes = await buffer(res)
  const encoding = res.headers['content-encoding']
  const body = encoding === 'gzip' ? gunzipSync(bytes) : bytes
  const { date: _date, 'set-cookie': cookies = [], ...others } = res.headers
  const { log, closed } = played.get(place)!
  await closed.promise
  return {
    key,
    body: `${body.length} ${createHash('sha1').update(body).digest('hex')}`,
    headers: others,
    cookies: cookies.length,
    // Each of them once; a file is read on another thread, so their order is not always the same.
    log: log.sort()
  }
}

const agent = new http.Agent({ keepAlive: true })
const headers = { Accept: 'text/html', 'Accept-Encoding': 'gzip' }
afterAll(() => agent.destroy())

const files = new TestFolder()
afterAll(() => files.remove())
beforeAll(() => {
  for (const size of SIZES) writeFileSync(files.at(`${size}.txt`), Buffer.concat(partsOf(size)))
})

/** Plays the whole table behind some layers. */
async function playAll(layers: any[]) {
  const app = express()
  const played = new Map<string, Played>()
  app.disable('etag')
  for (const layer of layers) app.use(layer)
  app.get('/:size/:way', async (req: any, res) => {
    const size = SIZES[req.params.size]!
    const answer: Played = { log: [], closed: deferred() }
    const log = (what: unknown) => void answer.log.push(what)
    played.set(req.path, answer)
    for (const event of ['prefinish', 'finish']) res.on(event, () => log(event))
    res.on('close', answer.closed.resolve)
    if (req.session) req.session.user = 'ann'
    res.type('text')
    const parts = partsOf(size)
    await Object.values(WAYS)[req.params.way]!(res, { parts, file: files.at(`${size}.txt`), log })
  })
  return serving(app, async (port) => {
    const all = []
    for (const size of SIZES) {
      for (const way of Object.keys(WAYS)) all.push(await ask(port, way, size, played))
    }
    return all
  })
}

const alone = new Map<string, ReturnType<typeof playAll>>()

/** The table without sessions, behind one wrapper or none; played once. */
function playedAlone(name = ''): ReturnType<typeof playAll> {
  const playing = alone.get(name) ?? playAll(name === '' ? [] : [WRAPPERS[name]!()])
  alone.set(name, playing)
  return playing
}

const STORES: Record<string, () => unknown> = { 'at once': () => new MemoryStore(), later: () => plainStore() }

describe.each(Object.keys(STORES))('every way to stream, on a store that answers %s', (kind) => {
  const guard = () => sessions({ secret, store: STORES[kind]!() as never, cacheGuard: false })

  it.each([
    ['no wrapper', []],
    ...Object.keys(WRAPPERS).flatMap((name): [string, string[]][] => [
      [`${name} before the sessions`, [name, 'sessions']],
      [`${name} behind the sessions`, ['sessions', name]]
    ])
  ])('sends the same bytes and tells the same as without sessions: %s', async (_name, order) => {
    const stack = order.length > 0 ? order : ['sessions']
    const bare = await playedAlone()
    const plain = await playedAlone(stack.find((name) => name !== 'sessions'))
    const guarded = await playAll(stack.map((name) => (name === 'sessions' ? guard() : WRAPPERS[name]!())))
    expect(guarded).toEqual(plain.map((answer) => ({ ...answer, cookies: 1 })))
    expect(guarded.map(({ key, body }) => [key, body])).toEqual(bare.map(({ key, body }) => [key, body]))
  })
})
