import net from 'node:net'
import { sessions } from '../../lib/index'
import { RedisStore } from '../../lib/stores/redis/redis'
import { sessionCookie } from '../../lib/testing'
import { appWith, secret } from '../helpers/app'
import { exchange, get, serving } from '../helpers/raw'
import { CLIENTS } from '../helpers/redis-clients'
import { RedisServer } from '../helpers/redis-server'

const ROUNDS = 25
const ABORTED = 80
const PATIENT = 20

/** Sends a request and leaves: at once, a little later, or when the answer begins. */
function leave(port: number, text: string, when: number): Promise<void> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1')
    socket.on('error', () => undefined)
    socket.on('close', () => resolve())
    socket.write(text, () => {
      if (when === 0) socket.destroy()
      else if (when === 1) setImmediate(() => socket.destroy())
      else socket.once('data', () => socket.destroy())
    })
  })
}

describe.each(['node-redis 6', 'ioredis'])('clients of an application on %s', (name) => {
  it(`leave ${ROUNDS * ABORTED} times while commands are in flight; those who stay get their own`, async () => {
    const server = await RedisServer.start()
    const { client, close } = await CLIENTS[name]!(server.url)
    const faults: unknown[] = []
    const note = (err: unknown) => void faults.push(err)
    process.on('unhandledRejection', note)
    // Due at every request, so that reading runs a script; and a deadline that no loaded machine reaches.
    const auth = sessions({ secret, store: new RedisStore({ client }), touchAfter: 0, storeTimeout: 60_000 })
    const app = appWith(auth, {
      '/read': (req, res) => res.json(req.session.user),
      '/write': (req, res) => {
        req.session.n = (req.session.n ?? 0) + 1
        res.json(req.session.user)
      },
      '/leave': async (req, res) => {
        await req.session.regenerate({ keep: true })
        res.json(req.session.user)
      }
    })
    const users = Array.from({ length: PATIENT }, (_, i) => `user-${i}-`)
    const cookies = await Promise.all(users.map((user) => sessionCookie(auth, { user })))
    const passing = await Promise.all(users.map(() => sessionCookie(auth, { user: 'passer-by' })))
    try {
      await serving(app, async (port) => {
        for (let round = 0; round < ROUNDS; round++) {
          const gone = Array.from({ length: ABORTED }, (_, i) => {
            const path = ['/read', '/write', '/leave', '/write'][i % 4]!
            const cookie = path === '/leave' ? passing[i % PATIENT]! : cookies[i % PATIENT]!
            return leave(port, get(path, { Cookie: cookie }), (i + round) % 3)
          })
          const answers = await Promise.all(
            cookies.map((Cookie, i) => exchange(port, get(i % 2 ? '/read' : '/write', { Cookie })))
          )
          answers.forEach((answer, i) => expect(String(answer)).toMatch(new RegExp(`\\r\\n\\r\\n"${users[i]}"$`)))
          await Promise.all(gone)
        }
      })
      expect(faults).toEqual([])
      expect(auth.stats().errors).toBe(0)
    } finally {
      process.off('unhandledRejection', note)
      close()
      await server.stop()
    }
  })
})
