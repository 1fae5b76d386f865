import assert from 'node:assert/strict'
import { within, type Check } from './checks'
import { codeOf, Process, type Open } from './process'

/** A request of one process is about to write when another one comes; both may be of the same process. */
interface Race {
  readonly here: Process
  readonly there: Process
  /** Lets the other one finish, where it does not stand behind the late one, and then that. */
  overtake(verb: 'set' | 'touch', requests: Record<'late' | 'other', () => Promise<unknown>>): Promise<unknown>
}

function race(here: Process, there: Process): Race {
  return {
    here,
    there,
    async overtake(verb, requests) {
      const { entered, letGo } = here.store.hold(verb)
      const late = Promise.allSettled([requests.late()])
      await within(entered, 'a write')
      const other = requests.other()
      if (here !== there) await within(Promise.allSettled([other]), 'the other process')
      letGo()
      await within(Promise.allSettled([late, other]), 'a write')
      return other
    }
  }
}

const PROMISES: Record<string, (race: Race) => Promise<unknown>> = {
  'keeps what parallel requests change': async ({ here, there, overtake }) => {
    const cookie = await here.begin({ user: 'ann' })
    const [one, two] = [await here.open(cookie), await there.open(cookie)]
    Object.assign(one, { one: 1 })
    Object.assign(two, { two: 2 })
    await overtake('set', { late: () => one.save(), other: () => two.save() })
    assert.deepEqual(await there.data(cookie), { user: 'ann', one: 1, two: 2 })
  },
  'keeps a logout final, whoever writes late': async ({ here, there, overtake }) => {
    const cookie = await here.begin({ user: 'ann' })
    const [late, other] = [await here.open(cookie), await there.open(cookie)]
    late.late = true
    await overtake('set', { late: () => late.save(), other: () => other.destroy() })
    assert.deepEqual(await there.data(cookie), {}, 'a slow request has brought the session back')
  },
  'keeps a logout final, whoever extends late': async ({ here, there, overtake }) => {
    if (typeof here.store.touch !== 'function') return false
    const cookie = await here.begin({ user: 'ann' })
    const other = await there.open(cookie)
    await overtake('touch', { late: () => here.extend(other.id), other: () => other.destroy() })
    return assert.deepEqual(await there.data(cookie), {}, 'a slow request has brought the session back')
  },
  'loses no update()': async ({ here, there, overtake }) => {
    const cookie = await here.begin({ n: 0 })
    const [one, two] = [await here.open(cookie), await there.open(cookie)]
    const add = (session: Open) => session.update((latest: Open) => void (latest.n as number)++)
    await overtake('set', { late: () => add(one), other: () => add(two) })
    assert.deepEqual(await there.data(cookie), { n: 2 })
  },
  'lets one in of those who lock()': async ({ here, there }) => {
    const cookie = await here.begin({})
    const [one, two] = [await here.open(cookie), await there.open(cookie)]
    const during = one.lock(() => two.lock(() => 'in', { wait: 0 }).catch(codeOf))
    assert.equal(await within(during, 'lock()'), 'ERR_SESSION_LOCK_TIMEOUT', 'two were in at once')
    const after = two.lock(() => 'in')
    assert.equal(await within(after, 'lock()'), 'in')
  },
  'ends the old ID of a regenerated session': async ({ here, there }) => {
    const cookie = await here.begin({ user: 'ann' })
    const session = await here.open(cookie)
    await within(session.regenerate({ keep: true }), 'regenerate()')
    assert.deepEqual(await there.data(cookie), {}, 'the old ID leads to the session')
  }
}

/** What `sessions()` promises on a store: within one process, and across two where their stores share sessions. */
export const RACES: readonly Check[] = [
  ...Object.entries(PROMISES).map(([promise, run]): Check => ({
    group: 'one process',
    promise,
    run: ({ store }) => {
      const process = new Process(store)
      return run(race(process, process))
    }
  })),
  ...Object.entries(PROMISES).map(([promise, run]): Check => ({
    group: 'two processes',
    promise,
    run: async ({ store, other }) => other !== undefined && run(race(new Process(store), new Process(other)))
  }))
]
