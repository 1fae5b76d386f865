import { CookieStore, FileStore, MemoryStore, type SessionsOptions } from '../../lib/index'
import { RedisStore } from '../../lib/stores/redis/redis'
import { SqliteStore } from '../../lib/sqlite'
import { Clock } from './clock'
import { TestFolder } from './folder'
import { CLIENTS, type Connected } from './redis-clients'
import { RedisServer } from './redis-server'
import { MINUTE } from './times'

type AnyStore = NonNullable<SessionsOptions['store']>

/** A store that only knows the contract. */
export const FOREIGN = "express-session's MemoryStore"

const serializer = { parse: (text: string) => JSON.parse(text), stringify: (record: any) => JSON.stringify(record) }

/** Stores over which a test file lets time pass, empty for every test, with the hooks that they need. */
export class TimedStores {
  clock!: Clock
  #folder!: TestFolder
  #server!: RedisServer
  #connected!: Connected

  readonly #makers: Record<string, () => AnyStore> = {
    MemoryStore: () => new MemoryStore(),
    FileStore: () => new FileStore({ path: this.#folder.path }),
    SqliteStore: () => new SqliteStore({ path: this.#folder.at('sessions.db') }),
    RedisStore: () => new RedisStore({ client: this.#connected.client }),
    'RedisStore with a serializer': () => new RedisStore({ client: this.#connected.client, serializer }),
    CookieStore: () => new CookieStore(),
    [FOREIGN]: () => new (require('express-session').MemoryStore)()
  }

  constructor() {
    beforeAll(async () => {
      this.#server = await RedisServer.start()
      this.#connected = await CLIENTS['node-redis 6']!(this.#server.url)
    })
    afterAll(async () => {
      this.#connected.close()
      await this.#server.stop()
    })
    beforeEach(() => {
      this.#folder = new TestFolder()
      // Near the true time: Redis counts by its own clock.
      this.clock = new Clock(new Date().valueOf())
    })
    afterEach(async () => {
      this.clock.restore()
      this.#folder.remove()
      await this.#server.cli('flushall')
    })
  }

  open(name: string): AnyStore {
    return this.#makers[name]!()
  }

  /**
   * Lets time pass for the application and for Redis, whose clock is its own, and goes on: what lives by the clock of the
   * application is kept for as long as a test may take, and what is over by it is refused by what its record says.
   */
  async forward(ms: number): Promise<void> {
    this.clock.forward(ms)
    const keys = (await this.#server.cli('keys', '*')).split('\n').filter((key) => key !== '')
    for (const key of keys) {
      const left = Number(await this.#server.cli('pttl', key)) - ms
      // A time of 0 or less removes the key, as the time itself would.
      await this.#server.cli('pexpire', key, String(left > 0 ? left + MINUTE : left))
    }
  }
}
