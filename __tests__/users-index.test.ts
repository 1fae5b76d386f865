import { FileStore, MemoryStore, sessions } from '../lib/index'
import { RedisStore } from '../lib/redis'
import { secret } from './helpers/app'
import { TestFolder } from './helpers/folder'
import { CLIENTS } from './helpers/redis-clients'
import { RedisServer } from './helpers/redis-server'
import { SECOND } from './helpers/times'

// An index that cannot rot. Sessions come, go, expire and change hands; the list is exact all along.

const MANY = 10_000
// Every one is several files; what is proven is the same.
const FILES = 2000

interface Place {
  store: any
  /** What the store keeps beside the sessions themselves. */
  index(): Promise<unknown[]>
  close(): Promise<void>
}

const PLACES: Record<string, () => Promise<Place>> = {
  memory: async () => {
    const store = new MemoryStore({ max: 2 * MANY })
    return { store, index: async () => [], close: async () => store.close() }
  },

  files: async () => {
    const folder = new TestFolder()
    const store = new FileStore({ path: folder.at('s') })
    const { readdirSync } = require('node:fs')
    const index = async () => readdirSync(folder.at('s', 'users'))
    return { store, index, close: async () => store.close().then(() => folder.remove()) }
  },

  Redis: async () => {
    const server = await RedisServer.start()
    const { client, close } = await CLIENTS['node-redis 6']!(server.url)
    const index = async () => (await server.cli('keys', '*')).split('\n').filter(Boolean)
    return {
      store: Object.assign(new RedisStore({ client }), { server }),
      index,
      close: async () => {
        close()
        await server.stop()
      }
    }
  }
}

/** Work on many things, some at a time. */
async function each<T, R>(list: T[], work: (item: T, n: number) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  for (let at = 0; at < list.length; at += 100) {
    results.push(...(await Promise.all(list.slice(at, at + 100).map((item, n) => work(item, at + n)))))
  }
  return results
}

describe.each(Object.entries(PLACES))('on %s', (name, open) => {
  const count = name === 'files' ? FILES : MANY

  it(`lists ${count} sessions by user exactly, revokes without looking at others`, async () => {
    const { store, index, close } = await open()
    const options = { idle: 3600 * SECOND, userId: (session: any) => session.user }
    // A hundred writes at once on a disk that others use as well.
    const auth = sessions<any>({ secret, store, storeTimeout: 60 * SECOND, ...options })
    try {
      const numbers = Array.from({ length: count }, (_, n) => n)
      // One in ten is Ann's.
      const made = await each(numbers, (n) => {
        const user = n % 10 === 0 ? 'ann' : `user${n % 90}`
        return auth.create({ user, n }, { userId: user })
      })
      const ann = made.filter((_, n) => n % 10 === 0)
      const rest = made.filter((_, n) => n % 10 !== 0)
      expect((await auth.list('ann')).map(({ id }) => id).sort()).toEqual(ann.map(({ id }) => id).sort())

      const [kept] = ann
      const before = await server(store)?.counts()
      expect(await auth.revoke('ann', { except: kept!.id })).toBe(count / 10 - 1)
      const after = await server(store)?.counts()
      for (const command of ['scan', 'keys']) expect(after?.[command] ?? 0).toBe(before?.[command] ?? 0)
      expect((await auth.list('ann')).map(({ id }) => id)).toEqual([kept!.id])

      await each(rest, ({ id }) => auth.destroy(id))
      await auth.destroy(kept!.id)
      for (const user of ['ann', 'user1', 'user89']) expect(await auth.list(user)).toEqual([])
      expect(await index()).toEqual([])
    } finally {
      await close()
    }
  })
})

function server(store: { server?: RedisServer }): RedisServer | undefined {
  return store.server
}
