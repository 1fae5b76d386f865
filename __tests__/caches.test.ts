import http from 'node:http'
import { Socket } from 'node:net'
import request from 'supertest'
import { sessions } from '../lib/index'
import { appWith, secret } from './helpers/app'
import { basics } from './helpers/basics'

describe('caches', () => {
  it('keep no response that sets a session cookie, and tell apart those that read one', async () => {
    jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const app = appWith(sessions({ secret }), {
      ...basics,
      '/public': (req: any, res: any) => {
        req.session.x = 1
        res.set('Cache-Control', 'public, max-age=60').send('x')
      }
    })
    const res = await request(app).get('/public')
    jest.restoreAllMocks()
    expect(res.headers['cache-control']).toBe('private, no-store')
    expect((await request(app).get('/read')).headers.vary).toBe('Cookie')
    expect((await request(app).get('/nothing')).headers.vary).toBeUndefined()
  })

  it.each([
    'CDN-Cache-Control',
    'Cloudflare-CDN-Cache-Control',
    'Netlify-CDN-Cache-Control',
    'Vercel-CDN-Cache-Control',
    'Edge-Control',
    'Surrogate-Control'
  ])('that go by %s keep no response that sets a session cookie either', async (name) => {
    const app = appWith(sessions({ secret }), {
      '/cdn': (req: any, res: any) => {
        if (req.query.begin) req.session.x = 1
        res.set(name, 'max-age=60').send('x')
      }
    })
    expect((await request(app).get('/cdn')).headers[name.toLowerCase()]).toBe('max-age=60')
    expect((await request(app).get('/cdn?begin=1')).headers[name.toLowerCase()]).toBe('no-store')
  })
})

describe('a response of node:http without a header of its own', () => {
  const middleware = sessions({ secret })
  /** Answers what `respond` makes of a request that has read its session. */
  const serve = (respond: (req: any, res: http.ServerResponse) => void) =>
    request(
      http.createServer((req: any, res) => {
        middleware(req, res, () => {
          void req.session.user
          respond(req, res)
        })
      })
    ).get('/')

  it.each<[string, (req: any, res: http.ServerResponse) => void]>([
    ['its end alone', (_, res) => res.end('ok')],
    ['a status', (_, res) => res.writeHead(202).end('ok')],
    ['a reason', (_, res) => res.writeHead(202, 'Fine').end('ok')],
    ['no reason', (_, res) => res.writeHead(202, undefined).end('ok')],
    ['headers', (_, res) => res.writeHead(202, { 'X-One': '1' }).end('ok')],
    ['a list of headers', (_, res) => res.writeHead(202, ['X-One', '1']).end('ok')],
    ['its first byte', (_, res) => (res.write('o'), res.end('k'))],
    ['its head', (_, res) => (res.flushHeaders(), res.end('ok'))]
  ])('varies with the cookie once it is sent by %s', async (_by, respond) => {
    const res = await serve(respond)
    expect([res.headers.vary, res.text, res.headers['x-one']]).toEqual([
      'Cookie',
      'ok',
      /X-One/.test(String(respond)) ? '1' : undefined
    ])
  })

  it('varies as well after Node has refused its status', async () => {
    const res = await serve((_, res) => {
      expect(() => res.writeHead(99)).toThrow('Invalid status code')
      res.writeHead(500).end('failed')
    })
    expect([res.status, res.headers.vary, res.text]).toEqual([500, 'Cookie', 'failed'])
  })

  it('shows a cookie, and what else goes with it, to whoever looks at it afterwards', async () => {
    const seen: unknown[] = []
    const res = await serve((req, res) => {
      req.session.user = 'ann'
      res.once('finish', () =>
        seen.push(res.getHeader('Set-Cookie'), res.getHeader('Vary'), res.getHeader('Cache-Control'))
      )
      res.end('ok')
    })
    expect(seen).toEqual([res.headers['set-cookie'], 'Cookie', 'private, no-store'])
  })

  it('sets its headers where somebody watches them being set', async () => {
    const seen: unknown[] = []
    const res = await serve((_, res) => {
      const { setHeader } = res
      res.setHeader = (name, value) => (seen.push(name, value), setHeader.call(res, name, value))
      res.end('ok')
    })
    expect([seen, res.headers.vary]).toEqual([['Vary', 'Cookie'], 'Cookie'])
  })

  it('has its headers to show where it was made by hand, and never goes over a connection', () => {
    const req: any = Object.assign(new http.IncomingMessage(new Socket()), { url: '/' })
    const res = new http.ServerResponse(req)
    middleware(req, res as never, () => {
      void req.session.user
      res.end('ok')
    })
    expect(res.getHeaders()).toEqual({ vary: 'Cookie' })
  })
})
