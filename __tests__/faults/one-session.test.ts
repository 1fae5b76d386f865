import { createClient } from 'redis'
import { sessions } from '../../lib/index'
import { RedisStore } from '../../lib/stores/redis/redis'
import { sessionCookie } from '../../lib/testing'
import { secret } from '../helpers/app'
import { pass } from '../helpers/direct'
import { HeldStore } from '../helpers/held-store'
import { RedisServer } from '../helpers/redis-server'

// Far beyond what any test takes: a loaded machine must not fail one.
jest.setTimeout(120_000)

describe('10,000 requests at once that write to one session', () => {
  async function writeAll(auth: any): Promise<void> {
    const cookie = await sessionCookie(auth, { n: 0 })
    const outcomes = await Promise.all(
      Array.from({ length: 10_000 }, (_, i) =>
        pass(auth, cookie, (req, res) => {
          req.session.n = i
          req.session[`key${i % 20}`] = true
          res.end('done')
        })
      )
    )
    expect(outcomes.filter(({ err }) => err !== undefined).map(({ err }) => err.code)).toEqual([])
    const { req } = await pass(auth, cookie, (_req, res) => res.end())
    expect(Object.keys(req.session).filter((key) => key.startsWith('key'))).toHaveLength(20)
  }

  it('are all saved by Redis', async () => {
    const server = await RedisServer.start()
    // By itself it gives a command up that could not be sent within 5 s, which a loaded machine may well need.
    const client = createClient({ url: server.url, commandOptions: { timeout: 60_000 } })
    await client.connect()
    try {
      await writeAll(sessions({ secret, store: new RedisStore({ client }), storeTimeout: 60_000 }))
    } finally {
      client.destroy()
      await server.stop()
    }
  })

  it('are all saved by a store that only knows the contract', async () => {
    const store = new HeldStore()
    store.goOn()
    await writeAll(sessions({ secret, store: store as never, storeTimeout: 60_000 }))
  })
})
