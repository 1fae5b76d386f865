import { deferred } from './helpers/app'
import { exchange, get, serving } from './helpers/raw'
import { appWith, secret } from './helpers/app'
import session, { MemoryStore, sessions } from '../lib/index'

// Demand: a redirect finds its own session, however quick the browser is, and no handler calls save().

const REDIRECTS = 1000

/** Asynchronous, like any store across a network: it answers some turns of the event loop later, never at once. */
class DistantStore extends MemoryStore {
  release: Promise<void> | undefined

  override set(id: string, record: any, done?: any): any {
    const reply = () => setImmediate(() => super.set(id, record, done))
    void (this.release ?? Promise.resolve()).then(reply)
  }
}

/** What the middleware may use of a store that only knows the contract. */
const plain = (store: MemoryStore) => ({
  get: (id: string, done: any) => store.get(id, done),
  set: (id: string, record: any, done: any) => store.set(id, record, done),
  destroy: (id: string, done: any) => store.destroy(id, done)
})

const DOORS = {
  'session()': (store: object) => session({ secret, store: store as never, resave: false, saveUninitialized: false }),
  'sessions()': (store: object) => sessions({ secret, store: store as never })
}

const routes = {
  '/login': (req: any, res: any) => {
    req.session.user = 'ann'
    req.session._flash = ['Welcome.']
    res.redirect('/home')
  },
  '/home': (req: any, res: any) => {
    const { user = null, _flash: flashes } = req.session
    delete req.session._flash
    res.json({ user, flashes })
  }
}

describe.each(Object.entries(DOORS))('behind %s', (_name, door) => {
  it('no byte of a redirect leaves before the store has answered', async () => {
    const store = new DistantStore()
    const held = deferred()
    store.release = held.promise
    await serving(appWith(door(plain(store)), routes), async (port) => {
      let seen = 0
      const answer = exchange(port, get('/login'), (chunk) => (seen += chunk.length))
      // Other requests are served from beginning to end meanwhile.
      await exchange(port, get('/nowhere'))
      await exchange(port, get('/nowhere'))
      expect(seen).toBe(0)
      held.resolve()
      expect(String(await answer)).toMatch(/^HTTP\/1.1 302 .*set-cookie: .*Redirecting to \/home/is)
    })
  })

  it(`a browser that follows at the first byte finds user and flash, ${REDIRECTS} times of ${REDIRECTS}`, async () => {
    await serving(appWith(door(plain(new DistantStore())), routes), async (port) => {
      const follow = async () => {
        let page: Promise<Buffer> | undefined
        await exchange(port, get('/login'), (chunk) => {
          const cookie = /set-cookie: ([^;]+)/i.exec(String(chunk))?.[1]
          page ??= exchange(port, get('/home', { Cookie: cookie! }))
        })
        return String(await page).split('\r\n\r\n')[1]
      }
      const pages: (string | undefined)[] = []
      while (pages.length < REDIRECTS) pages.push(...(await Promise.all(Array.from({ length: 20 }, follow))))
      expect(new Set(pages)).toEqual(new Set(['{"user":"ann","flashes":["Welcome."]}']))
    })
  })
})
