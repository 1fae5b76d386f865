import '../helpers/quiet'
import { infoOf, sessions } from '../../lib/index'
import { appWith, secret } from '../helpers/app'
import { basics, login, visit } from '../helpers/basics'
import { blocksOf, run } from '../helpers/documented'
import type { OpenStore } from '../helpers/npm-stores'
import { OWN_STORES } from '../helpers/own-stores'

// The others cannot tell what they keep, or run with the tests of MongoDB.
const STORES = Object.keys(OWN_STORES).filter((name) => !/Memcached|Mongo/.test(name))
const COPY = blocksOf('docs/deployment.md').find(({ code }) => code.includes('await from.ids()'))!

const open: OpenStore[] = []
beforeAll(async () => void open.push(...(await Promise.all(STORES.map((name) => OWN_STORES[name]!())))))
afterAll(() => Promise.all(open.map(({ close }) => close())))

function applicationOn({ store }: OpenStore) {
  const auth = sessions<any>({ secret, store, userId: ({ user }) => user as string, idle: 60_000 })
  const about = (req: any, res: any) => res.json({ user: req.session.user, ...infoOf(req.session) })
  return { auth, app: appWith(auth, { ...basics, '/about': about }) }
}

describe('sessions moved to another store as documented', () => {
  it('stay logged in, and keep whose they are and when they began', async () => {
    const { move } = (await run(COPY, {})) as { move(from: unknown, to: unknown): Promise<void> }
    const first = applicationOn(open[0]!)
    const cookie = await login(first.app)
    const { body: before } = await visit(first.app, '/about', cookie)
    for (const [i, to] of open.entries()) {
      const from = i === 0 ? undefined : open[i - 1]!.store
      if (from !== undefined) await move(from, to.store)
      const { app, auth } = applicationOn(to)
      const { user, isNew, createdAt } = (await visit(app, '/about', cookie)).body
      const listed = await auth.list('u')
      const expected = { store: STORES[i], user: 'u', isNew: false, createdAt: before.createdAt, listed: 1 }
      expect({ store: STORES[i], user, isNew, createdAt, listed: listed.length }).toEqual(expected)
    }
  })
})
