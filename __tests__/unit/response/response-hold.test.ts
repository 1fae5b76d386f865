import http from 'node:http'
import type { CommitHook, HeldResponse } from '../../../lib/response/commit-hook'
import { ResponseHold } from '../../../lib/response/response-hold'
import { deferred } from '../../helpers/app'

/** A hook that notes what it is told, and adds a cookie. */
function hookOf(name: string, log: string[], commit: () => Promise<void> | undefined): CommitHook {
  return {
    commit: () => (log.push(`${name} commits`), commit()),
    head: (res) => {
      log.push(`${name} adds its headers`)
      res.setHeader('Set-Cookie', [res.getHeader('Set-Cookie') ?? [], `${name}=1`].flat() as string[])
    },
    hasHead: true,
    refuse: () => log.push(`${name} refuses`) > 0,
    abandon: () => void log.push(`${name} abandons`),
    report: () => void log.push(`${name} reports`),
    lenient: false,
    patience: undefined,
    done: () => void log.push(`${name} is done`)
  }
}

/** A response of Node's without a socket, which keeps what it would have sent. */
function makeResponse(): http.ServerResponse & { sent(): string } {
  const res: any = new http.ServerResponse({ method: 'GET', httpVersionMajor: 1, httpVersionMinor: 1 } as never)
  res.sent = () => res.outputData.map(({ data }: { data: string | Buffer }) => String(data)).join('')
  return res
}

const turn = () => new Promise(setImmediate)

describe('a response that is held', () => {
  it('is passed through at once where the commit is done at once', () => {
    const log: string[] = []
    const res = makeResponse()
    const hold = new ResponseHold(
      res,
      hookOf('a', log, () => undefined)
    )
    expect(hold.headCommitted).toBe(false)
    res.end('body')
    expect(log).toEqual(['a commits', 'a adds its headers', 'a is done'])
    expect(res.sent()).toMatch(/^HTTP\/1\.1 200 OK\r\nSet-Cookie: a=1\r\n[^]*body$/)
    expect(hold.headCommitted).toBe(true)
  })

  // As in Bun, where assigning `_header` has no effect on `headersSent`.
  it('looks sent where its state is out of reach, and has its members back afterwards', async () => {
    const saved = deferred()
    const res = makeResponse()
    let own = false
    const headersSent = { configurable: true, get: () => own }
    Object.defineProperty(res, 'headersSent', headersSent)
    new ResponseHold(
      res,
      hookOf('a', [], () => saved.promise)
    )
    res.end('body')
    expect([res.headersSent, res.writableEnded]).toEqual([true, false])
    for (const verb of ['setHeader', 'appendHeader', 'removeHeader'] as const) {
      expect(() => res[verb]('X-Late', '1')).toThrow(expect.objectContaining({ code: 'ERR_HTTP_HEADERS_SENT' }))
    }
    res.statusCode = 500
    saved.resolve()
    await turn()
    expect(res.sent()).toMatch(/^HTTP\/1\.1 200 OK\r\nSet-Cookie: a=1\r\n[^]*body$/)
    expect(Object.getOwnPropertyDescriptor(res, 'headersSent')).toMatchObject(headersSent)
    expect(Object.hasOwn(res, 'setHeader')).toBe(false)
    own = true
  })

  it('is committed by both hooks of a response that has two, and gets the headers of the second last', async () => {
    const log: string[] = []
    const res = makeResponse()
    const first = new ResponseHold(
      res,
      hookOf('a', log, () => Promise.resolve())
    )
    const second = new ResponseHold(
      res,
      hookOf('b', log, () => Promise.resolve())
    )
    expect(second).toBe(first)
    res.end('body')
    await turn()
    expect(log.slice(0, 4)).toEqual(['a commits', 'b commits', 'a adds its headers', 'b adds its headers'])
    expect(res.sent()).toMatch(/Set-Cookie: a=1\r\nSet-Cookie: b=1\r\n/)
  })

  it('hands a failure to the hook that failed', async () => {
    const log: string[] = []
    const res = makeResponse()
    new ResponseHold(
      res,
      hookOf('a', log, () => Promise.reject(new Error('full')))
    )
    new ResponseHold(
      res,
      hookOf('b', log, () => undefined)
    )
    res.end('body')
    await turn()
    expect(log).toEqual(['a commits', 'a refuses'])
    expect([res.sent(), res.headersSent, res.statusCode]).toEqual(['', false, 500])
  })

  it('lets middleware before it that keeps the body send a part by itself meanwhile', async () => {
    const saved = deferred()
    const commits = [undefined, saved.promise]
    const res = makeResponse()
    const { write, end } = res
    const parts: string[] = []
    res.write = ((chunk: string) => parts.push(chunk) > 0) as never
    res.end = ((chunk: string) => end.call(res, chunk, 'latin1')) as never
    const hold = new ResponseHold(
      res as HeldResponse,
      hookOf('a', [], () => commits.shift())
    )
    res.write('kept ')
    expect([res.headersSent, hold.headCommitted]).toEqual([false, false])
    res.end('ended')
    expect([res.headersSent, hold.headCommitted]).toEqual([true, false])
    write.call(res, parts[0]!, 'latin1')
    expect(hold.headCommitted).toBe(true)
    saved.resolve()
    await turn()
    expect(res.sent()).toMatch(/^HTTP\/1\.1 200 OK\r\nSet-Cookie: a=1\r\n[^]*kept [^]*ended/)
  })
})
