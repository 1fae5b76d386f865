import type { Action } from './scenarios-actions'

/** Ways to answer: every form that a response can take, most of them with a session that changed. */
export const RESPONSES: Record<string, Action> = {
  'another cookie before': (req, res) => {
    res.cookie('first', '1')
    if (req.session) req.session.a = 1
    res.send('cookies')
  },
  'another cookie as text': (req, res) => {
    res.setHeader('Set-Cookie', 'first=1')
    if (req.session) req.session.a = 1
    res.send('cookies')
  },
  'cookies in writeHead': (req, res) => {
    if (req.session) req.session.a = 1
    res.writeHead(201, { 'Set-Cookie': ['first=1', 'second=2'], 'Content-Type': 'text/plain' })
    res.end('made')
  },
  'writeHead with a list': (req, res) => {
    if (req.session) req.session.a = 1
    res.writeHead(200, ['X-One', '1', 'X-Two', '2'])
    res.end('list')
  },
  'writeHead with pairs': (req, res) => {
    if (req.session) req.session.a = 1
    res.writeHead(200, 'Fine', [
      ['X-One', '1'],
      ['X-Two', '2']
    ])
    res.end('pairs')
  },
  'writeHead with a list that repeats a name': (_req, res) => {
    res.writeHead(200, ['X-One', '1', 'X-One', '2'])
    res.end('list')
  },
  'writeHead with a reason': (req, res) => {
    if (req.session) req.session.a = 1
    res.writeHead(202, 'Taken', { 'X-One': '1' })
    res.end()
  },
  redirect: (req, res) => {
    if (req.session) req.session.a = 1
    res.redirect('/elsewhere')
  },
  'status 204': (req, res) => {
    if (req.session) req.session.a = 1
    res.status(204).end()
  },
  'status 304': (req, res) => {
    if (req.session) req.session.a = 1
    res.status(304).end()
  },
  'end with bytes': (req, res) => {
    if (req.session) req.session.a = 1
    res.setHeader('Content-Length', '5')
    res.end(Buffer.from('bytes'))
  },
  'end in another encoding': (req, res) => {
    if (req.session) req.session.a = 1
    res.end('c3bc', 'hex')
  },
  'end twice': (_req, res) => {
    res.end('once')
    res.end('twice')
  },
  'write, then end': (req, res) => {
    if (req.session) req.session.a = 1
    res.write('one,')
    res.end('two')
  },
  'stream, then change': (req, res) => {
    res.write('one,')
    if (req.session) req.session.a = 1
    res.end('two')
  },
  'flushHeaders first': (req, res) => {
    if (req.session) req.session.a = 1
    res.flushHeaders()
    res.end('late')
  }
}
