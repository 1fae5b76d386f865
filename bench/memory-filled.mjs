// What is done with a store in memory: fill it, read all of it, ask for sessions by request, by user, let it expire.
import { bare } from './contenders.mjs'
import { cookiesOf, exchange } from './exchange.mjs'
import { dataOf, LIFETIME, MEMORY_CONTENDERS } from './memory-contenders.mjs'
import { median } from './statistics.mjs'

const REQUESTS = 1000
const ROUNDS = 15
const BATCH = 50
const ID_BYTES = 32

let passed = 0
const now = Date.now
Date.now = () => now() + passed

export class Filled {
  #name
  #size
  #watch
  #ids
  #contender
  #cookies = []

  /** `ids`: room for them, outside the heap and there before anything is measured. */
  constructor(name, ids, watch) {
    this.#name = name
    this.#ids = ids
    this.#size = ids.length / ID_BYTES
    this.#watch = watch
    this.#contender = MEMORY_CONTENDERS[name]()
  }

  static idsFor(size) {
    return Buffer.alloc(size * ID_BYTES)
  }

  get left() {
    return this.#contender.size()
  }

  get textLength() {
    return this.#contender.textOf(this.#id(this.#size - 1)).length
  }

  insert() {
    const every = Math.ceil(this.#size / REQUESTS)
    return this.#each(async (i) => {
      const id = i % every === 0 ? await this.#login(i) : await this.#contender.insert(dataOf(i))
      this.#ids.write(id, i * ID_BYTES, 'latin1')
    })
  }

  read() {
    return this.#each(async (i) => {
      if ((await this.#contender.read(this.#id(i)))?.seen !== i) throw new Error(`${this.#name} lost session ${i}`)
    })
  }

  /** us per request that reads its session, over one without sessions. */
  async request() {
    let seen = 0
    const handlers = [bare().run(() => {}), this.#serve((req) => (seen += req.session.userId ? 1 : 0))]
    const times = handlers.map(() => [])
    for (let round = -2; round < ROUNDS; round++) {
      for (const [which, handler] of handlers.entries()) {
        const start = performance.now()
        for (const cookie of this.#cookies) await exchange(handler, { cookie })
        if (round >= 0) times[which].push(((performance.now() - start) * 1000) / this.#cookies.length)
      }
    }
    if (seen !== (ROUNDS + 2) * this.#cookies.length) throw new Error(`${this.#name} did not find its sessions`)
    return median(times[1]) - median(times[0])
  }

  /** us to list, and to revoke, the sessions of one user among them all; `undefined` without an index. */
  async users() {
    const { list, revoke } = this.#contender
    if (list === undefined) return undefined
    const chosen = Array.from({ length: Math.min(REQUESTS, this.#size) }, (_, i) => dataOf(this.#size - 1 - i).userId)
    const time = async (work) => {
      const start = performance.now()
      let sessions = 0
      for (const user of chosen) sessions += await work(user)
      if (sessions !== chosen.length) throw new Error(`${sessions} sessions of ${chosen.length} users`)
      return ((performance.now() - start) * 1000) / chosen.length
    }
    return { list: await time(list), revoke: await time(revoke) }
  }

  async expire() {
    this.#watch.restart()
    await this.#contender.expire(
      () => (passed += 2 * LIFETIME),
      () => this.#watch.turn()
    )
    return this.#watch.longest()
  }

  #id(i) {
    return this.#ids.toString('latin1', i * ID_BYTES, (i + 1) * ID_BYTES)
  }

  async #each(work) {
    this.#watch.restart()
    for (let i = 0; i < this.#size; i++) {
      await work(i)
      if (i % BATCH === BATCH - 1) await this.#watch.turn()
    }
    return this.#watch.longest()
  }

  #serve(work) {
    return (req, res, fail) =>
      this.#contender.middleware(req, res, (err) => {
        if (err) return fail(err)
        work(req)
        res.end('ok')
      })
  }

  async #login(i) {
    let id
    const handler = this.#serve((req) => {
      Object.assign(req.session, dataOf(i))
      id = req.sessionID
    })
    this.#cookies.push(cookiesOf(await exchange(handler, {})))
    return id
  }
}
