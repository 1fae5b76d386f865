import assert from 'node:assert/strict'
import { within, type Check } from './checks'
import { codeOf, Process, type Open } from './process'

/** A request of one process is about to write when another one comes; both may be of the same process. */
interface Race {
  readonly here: Process
  readonly there: Process
  /** Lets the other one finish, where it does not stand behind the first, and then the first. */
  overtake<T>(verb: 'set' | 'touch', first: () => Promise<unknown>, other: () => Promise<T>): Promise<T>
}

function race(here: Process, there: Process): Race {
  return {
    here,
    there,
    async overtake(verb, first, other) {
      const { entered, letGo } = here.store.hold(verb)
      const late = first().catch((err: unknown) => err)
      await within(entered, 'a write')
      const result = other()
      if (here !== there)
        await within(
          result.catch(() => undefined),
          'the other process'
        )
      letGo()
      await within(Promise.allSettled([late, result]), 'a write')
      return result
    }
  }
}

const PROMISES: [promise: string, run: (race: Race) => Promise<unknown>][] = [
  [
    'keeps what parallel requests change',
    async ({ here, there, overtake }) => {
      const cookie = await here.begin({ user: 'ann' })
      const [one, two] = [await here.open(cookie), await there.open(cookie)]
      Object.assign(one, { one: 1 })
      Object.assign(two, { two: 2 })
      await overtake(
        'set',
        () => one.save(),
        () => two.save()
      )
      assert.deepEqual(await there.data(cookie), { user: 'ann', one: 1, two: 2 })
    }
  ],
  [
    'keeps a logout final, whoever writes late',
    async ({ here, there, overtake }) => {
      const cookie = await here.begin({ user: 'ann' })
      const [late, other] = [await here.open(cookie), await there.open(cookie)]
      late.late = true
      await overtake(
        'set',
        () => late.save(),
        () => other.destroy()
      )
      assert.deepEqual(await there.data(cookie), {}, 'a slow request has brought the session back')
    }
  ],
  [
    'keeps a logout final, whoever extends late',
    async ({ here, there, overtake }) => {
      if (typeof here.store.touch !== 'function') return false
      const cookie = await here.begin({ user: 'ann' })
      const other = await there.open(cookie)
      await overtake(
        'touch',
        () => here.extend(other.id),
        () => other.destroy()
      )
      return assert.deepEqual(await there.data(cookie), {}, 'a slow request has brought the session back')
    }
  ],
  [
    'loses no update()',
    async ({ here, there, overtake }) => {
      const cookie = await here.begin({ n: 0 })
      const [one, two] = [await here.open(cookie), await there.open(cookie)]
      const add = (session: Open) => session.update((latest: Open) => void (latest.n as number)++)
      await overtake(
        'set',
        () => add(one),
        () => add(two)
      )
      assert.deepEqual(await there.data(cookie), { n: 2 })
    }
  ],
  [
    'lets one in of those who lock()',
    async ({ here, there }) => {
      const cookie = await here.begin({})
      const [one, two] = [await here.open(cookie), await there.open(cookie)]
      const second = await within(
        one.lock(() => two.lock(() => 'in', { wait: 0 }).catch(codeOf)),
        'lock()'
      )
      assert.equal(second, 'ERR_SESSION_LOCK_TIMEOUT', 'two were in at once')
      assert.equal(
        await within(
          two.lock(() => 'in'),
          'lock()'
        ),
        'in'
      )
    }
  ],
  [
    'ends the old ID of a regenerated session',
    async ({ here, there }) => {
      const cookie = await here.begin({ user: 'ann' })
      const session = await here.open(cookie)
      await within(session.regenerate({ keep: true }), 'regenerate()')
      assert.deepEqual(await there.data(cookie), {}, 'the old ID leads to the session')
    }
  ]
]

/** What `sessions()` promises on a store: within one process, and across two where their stores share sessions. */
export const RACES: readonly Check[] = [
  ...PROMISES.map(([promise, run]): Check => ({
    group: 'one process',
    promise,
    run: ({ store }) => {
      const process = new Process(store)
      return run(race(process, process))
    }
  })),
  ...PROMISES.map(([promise, run]): Check => ({
    group: 'two processes',
    promise,
    run: async ({ store, other }) => other !== undefined && run(race(new Process(store), new Process(other)))
  }))
]
