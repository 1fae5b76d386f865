import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { io, type Socket } from 'socket.io-client'
import request from 'supertest'
import { WebSocket } from 'ws'
import { cookieOf } from '../helpers/app'

const before = process.env.SESSION_SECRET
process.env.SESSION_SECRET = 'a secret for the examples, 32 bytes or more'

const ws = require('../../examples/ws')
const socketIo = require('../../examples/socket-io')

afterAll(() => {
  if (before === undefined) delete process.env.SESSION_SECRET
  else process.env.SESSION_SECRET = before
})

async function start(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

async function login(app: any): Promise<string> {
  return cookieOf(await request(app).post('/login/ann'))!
}

describe('the ws example', () => {
  let port: number
  beforeAll(async () => void (port = await start(ws.server)))
  afterAll(() => ws.server.close().closeAllConnections())

  const connect = (cookie: string) => new WebSocket(`ws://127.0.0.1:${port}`, { headers: { cookie } })

  async function say(socket: WebSocket, text: string): Promise<unknown> {
    const answer = once(socket, 'message')
    socket.send(text)
    return JSON.parse(String((await answer)[0]))
  }

  it('turns away who is not signed in', async () => {
    for (const cookie of ['', 'sid=forged']) {
      const [, response] = (await once(connect(cookie), 'unexpected-response')) as [unknown, { statusCode: number }]
      expect(response.statusCode).toBe(401)
    }
  })

  it('knows the user, and what other connections wrote', async () => {
    const cookie = await login(ws.app)
    const [a, b] = [connect(cookie), connect(cookie)]
    await Promise.all([once(a, 'open'), once(b, 'open')])
    expect(await say(a, 'hello')).toEqual({ user: 'ann', text: 'hello', messages: 1 })
    expect(await say(b, 'hi')).toEqual({ user: 'ann', text: 'hi', messages: 2 })
    a.close()
    b.close()
  })

  it.each([
    ['logs out', (cookie: string) => request(ws.app).post('/logout').set('Cookie', cookie)],
    ['is signed out by somebody else', (cookie: string) => ws.auth.destroy(cookie.slice(4).split('.')[0])]
  ])('closes when the user %s', async (_how, end) => {
    const cookie = await login(ws.app)
    const socket = connect(cookie)
    await once(socket, 'open')
    const closed = once(socket, 'close')
    await end(cookie)
    const [code] = await closed
    expect(code).toBe(4401)
    await once(connect(cookie), 'unexpected-response')
  })
})

describe('the socket-io example', () => {
  let port: number
  beforeAll(async () => void (port = await start(socketIo.server)))
  afterAll(() => socketIo.io.close())

  const connect = (cookie: string, transports: string[]): Socket =>
    io(`http://127.0.0.1:${port}`, { extraHeaders: { cookie }, transports, reconnection: false, forceNew: true })

  const heard = <T>(socket: Socket, event: string) => new Promise<T>((resolve) => socket.once(event, resolve))

  it('turns away who is not signed in', async () => {
    expect(await heard(connect('sid=forged', ['websocket']), 'connect_error')).toMatchObject({
      message: 'not signed in'
    })
  })

  it.each([[['websocket']], [['polling']], [['polling', 'websocket']]])(
    'knows the user over %j, and disconnects at logout',
    async (transports) => {
      const cookie = await login(socketIo.app)
      const socket = connect(cookie, transports)
      const upgraded =
        transports.length === 1 ? undefined : new Promise((resolve) => socket.io.engine.once('upgrade', resolve))
      await heard(socket, 'connect')
      await upgraded
      expect(await socket.emitWithAck('say', 'hello')).toEqual({ user: 'ann', text: 'hello', messages: 1 })
      const gone = heard(socket, 'disconnect')
      await request(socketIo.app).post('/logout').set('Cookie', cookie)
      await gone
      expect(socket.connected).toBe(false)
    }
  )
})
