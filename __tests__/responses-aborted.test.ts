import { once } from 'node:events'
import net from 'node:net'
import request from 'supertest'
import session, { sessions } from '../lib/index'
import { appWith, cookieOf, deferred, secret } from './helpers/app'
import { plainStore } from './helpers/classic'
import { exchange, get, serving } from './helpers/raw'

const DOORS: Record<string, (store: unknown) => any> = {
  'sessions()': (store) => sessions({ secret, store: store as never }),
  'the drop-in door': (store) =>
    session({ secret, store: store as never, name: 'sid', resave: false, saveUninitialized: false })
}

/** A store that tells of each write, and waits with it until it is let go. */
function watchedStore() {
  const store = plainStore()
  const { set } = store
  const watch = { writes: 0, begun: deferred(), goOn: deferred() }
  store.set = (id: string, record: object, done: any) => {
    watch.writes++
    watch.begun.resolve()
    void watch.goOn.promise.then(() => set(id, record, done))
  }
  return { store, watch }
}

/** A client that can leave, as a browser does whose tab is closed. */
async function visit(port: number, cookie: string): Promise<net.Socket> {
  const socket = net.connect(port, '127.0.0.1', () => socket.write(get('/slow', { Cookie: cookie })))
  socket.on('error', () => undefined)
  return socket
}

describe.each(Object.entries(DOORS))('with %s, a client that leaves', (_door, open) => {
  const faults: unknown[] = []
  const note = (err: unknown) => void faults.push(err)

  beforeEach(() => {
    process.on('unhandledRejection', note)
    process.on('uncaughtException', note)
  })

  afterEach(async () => {
    // Where nobody has handled a rejection, Node tells after this turn.
    await new Promise(setImmediate)
    process.off('unhandledRejection', note)
    process.off('uncaughtException', note)
    expect(faults.splice(0)).toEqual([])
  })

  function setUp(answer: (res: any) => void) {
    const { store, watch } = watchedStore()
    const [entered, left, answered, finish] = [deferred(), deferred(), deferred(), deferred()]
    const app = appWith(open(store), {
      '/login': (req, res) => {
        req.session.user = 'ann'
        res.send('in')
      },
      '/read': (req, res) => res.json([req.session.user, req.session.n ?? 0]),
      '/slow': async (req, res) => {
        void req.session.user
        res.once('close', () => left.resolve())
        entered.resolve()
        await finish.promise
        req.session.n = 1
        answer(res)
        answered.resolve()
      }
    })
    const login = async (port: number) => {
      watch.goOn.resolve()
      const cookie = cookieOf(await request(`http://127.0.0.1:${port}`).get('/login'))!
      Object.assign(watch, { writes: 0, begun: deferred(), goOn: deferred() })
      return cookie
    }
    const read = async (port: number, cookie: string) =>
      (await request(`http://127.0.0.1:${port}`).get('/read').set('Cookie', cookie)).body
    return { app, watch, entered, left, answered, finish, login, read }
  }

  const answers: [string, (res: any) => void][] = [
    ['sent', (res) => res.send('done')],
    ['streamed', (res) => (res.write('a'), res.end('b'))],
    ['redirected', (res) => res.redirect('/')]
  ]

  it.each(answers)('while the handler runs, whose answer is %s: saved once', async (_how, answer) => {
    const { app, watch, entered, left, answered, finish, login, read } = setUp(answer)
    await serving(app, async (port) => {
      const cookie = await login(port)
      const socket = await visit(port, cookie)
      await entered.promise
      socket.destroy()
      await left.promise
      finish.resolve()
      await answered.promise
      await watch.begun.promise
      watch.goOn.resolve()
      expect(await read(port, cookie)).toEqual(['ann', 1])
      expect(watch.writes).toBe(1)
    })
  })

  it.each(answers)('while the store saves, and the answer is %s: saved once', async (_how, answer) => {
    const { app, watch, entered, left, finish, login, read } = setUp(answer)
    await serving(app, async (port) => {
      const cookie = await login(port)
      const socket = await visit(port, cookie)
      await entered.promise
      finish.resolve()
      await watch.begun.promise
      socket.resetAndDestroy()
      await left.promise
      watch.goOn.resolve()
      expect(await read(port, cookie)).toEqual(['ann', 1])
      expect(watch.writes).toBe(1)
    })
  })

  it.each(answers)('half of the connection while the store saves, is %s all of the answer', async (_how, answer) => {
    const { app, watch, entered, finish, login } = setUp(answer)
    await serving(app, async (port) => {
      const cookie = await login(port)
      const chunks: Buffer[] = []
      const half = net.connect({ port, allowHalfOpen: true }, () => half.end(get('/slow', { Cookie: cookie })))
      half.on('data', (chunk) => void chunks.push(chunk))
      const ended = once(half, 'end')
      await entered.promise
      finish.resolve()
      await watch.begun.promise
      // The server has seen that nothing more will come.
      await exchange(port, get('/read'))
      watch.goOn.resolve()
      await ended
      half.destroy()
      expect(Buffer.concat(chunks).toString()).toMatch(
        /^HTTP\/1\.1 (200|302) [^]*(done|b\r\n0\r\n\r\n|Redirecting to \/)$/
      )
    })
  })

  it('while the store saves and fails: no error that nobody hears', async () => {
    const { store } = watchedStore()
    const [saving, fail, left, told] = [deferred(), deferred(), deferred(), deferred<unknown>()]
    store.set = (_id: string, _record: object, done: any) => {
      saving.resolve()
      void fail.promise.then(() => done(new Error('down')))
    }
    const app = appWith(
      (req: any, res: any, next: any) => {
        res.once('close', () => left.resolve())
        open(store)(req, res, (err: unknown) => (err === undefined ? next() : (told.resolve(err), next(err))))
      },
      {
        '/slow': (req, res) => {
          req.session.n = 1
          res.send('done')
        }
      }
    )
    await serving(app, async (port) => {
      const socket = await visit(port, '')
      await saving.promise
      socket.resetAndDestroy()
      await left.promise
      fail.resolve()
      expect(String(await told.promise)).toMatch(/down|store/)
    })
    expect([...store.texts.keys()]).toEqual([])
  })
})
