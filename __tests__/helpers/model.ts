import { AsyncLocalStorage } from 'node:async_hooks'
import diagnostics from 'node:diagnostics_channel'
import fc from 'fast-check'
import { CookieStore, sessions } from '../../lib/index'
import { POWERS, type Powers } from '../../lib/store/contract'
import { secret } from './app'
import { requestOf } from './direct'
import { Scheduler, scheduled } from './scheduler'

const GRACE = 60_000
/** Of these the session goes on with another ID, without the keys that requests write. */
const KEPT = ['mark', 'user', 'n']

/** What a request does with its session. */
export type Action =
  | 'write'
  | 'save'
  | 'update'
  | 'rotate'
  | 'rotate with grace'
  | 'rotate a part'
  | 'regenerate'
  | 'destroy'
  | 'unset'
  | 'revoke'

/** A request, of the process that it reaches, and of whose cookie it brings: the first, or the latest that was sent. */
export interface Plan {
  readonly process: number
  readonly latest: boolean
  readonly actions: readonly Action[]
}

export interface Schedule {
  readonly plans: readonly Plan[]
  readonly choices: readonly number[]
}

const ENDS: readonly Action[] = ['regenerate', 'destroy', 'unset', 'revoke']
const MOVES: readonly Action[] = ['rotate', 'rotate with grace', 'rotate a part']

/** Schedules of two to four requests; `without` names what the store cannot do. */
export function schedules(without: readonly Action[] = []): fc.Arbitrary<Schedule> {
  const all: Action[] = ['write', 'save', 'update', ...MOVES, ...ENDS]
  // Writes and rotations meet more often than what ends everything.
  const weighed = all
    .filter((action) => !without.includes(action))
    .map((action) => ({ arbitrary: fc.constant(action), weight: ENDS.includes(action) ? 1 : 3 }))
  return fc.record({
    plans: fc.array(
      fc.record({
        process: fc.nat(1),
        latest: fc.boolean(),
        actions: fc.array(fc.oneof(...weighed), { minLength: 1, maxLength: 3 })
      }),
      { minLength: 2, maxLength: 4 }
    ),
    choices: fc.array(fc.nat(11), { minLength: 0, maxLength: 60, size: 'max' })
  })
}

/** Two processes on one backing: two store objects, and a middleware on each. */
export interface World {
  readonly processes: readonly ReturnType<typeof sessions<any>>[]
  /** Whether it can list the sessions of a user. */
  readonly lists: boolean
  scheduler: Scheduler | undefined
}

const VERBS = ['read', 'load', 'write', 'extend', 'remove', 'list']

/** On the powers of a store of ours. Without `others` both processes share one of them, as two would share a server. */
export function worldOf(stores: readonly { [POWERS]: Powers }[]): World {
  const world: World = { processes: [], lists: true, scheduler: undefined }
  const processes = [0, 1].map((i) => {
    const powers = stores[i % stores.length]![POWERS]
    const wrapped = Object.create(
      scheduled(powers, () => world.scheduler, VERBS),
      {
        sync: { value: false },
        remote: { value: powers.remote }
      }
    ) as Powers
    const unused = () => undefined
    const store = { get: unused, set: unused, destroy: unused, touch: unused, [POWERS]: wrapped }
    return middlewareOn(store)
  })
  return Object.assign(world, { processes })
}

/** On a store that only knows the contract: one process, in which two middlewares use it. */
export function foreignWorldOf(store: object): World {
  const world: World = { processes: [], lists: false, scheduler: undefined }
  const verbs = ['get', 'set', 'destroy', 'touch']
  const wrapped = scheduled(promised(store, verbs), () => world.scheduler, verbs)
  return Object.assign(world, { processes: [0, 1].map(() => middlewareOn(wrapped, false)) })
}

/** On a store of cookies: one process, in which two middlewares use it, over a store of revocations or none. */
export function cookieWorldOf(revocations?: object): World {
  const world: World = { processes: [], lists: false, scheduler: undefined }
  const verbs = ['get', 'set', 'destroy', 'touch']
  const wrapped = revocations && scheduled(promised(revocations, verbs), () => world.scheduler, verbs)
  const store = new CookieStore({ revocations: wrapped as never })
  return Object.assign(world, { processes: [0, 1].map(() => middlewareOn(store, false)) })
}

/** The methods of a store, answering by promise. */
export function promised(store: any, verbs: string[]): object {
  const methods = verbs.map((verb) => {
    const method = (...args: unknown[]) =>
      new Promise((resolve, reject) => {
        store[verb](...args.slice(0, -1), (err: unknown, value: unknown) =>
          err ? reject(err as Error) : resolve(value)
        )
      })
    return [verb, method]
  })
  return Object.fromEntries(methods) as object
}

function middlewareOn(store: object, lists = true) {
  const userId = (session: any) => session.user as string | undefined
  // A call takes as long as its order has others go before it, on a loaded machine as well.
  return sessions<any>({ secret, store: store as never, storeTimeout: 60_000, ...(lists && { userId }) })
}

/** What a request has found and done. */
class Run {
  readonly plan: Plan
  readonly keys: string[] = []
  /** Keys that were set, and stored neither by `save` nor by the end of the response yet. */
  pending: string[] = []
  cookie: string | undefined
  over = false
  dropped = false

  constructor(plan: Plan) {
    this.plan = plan
  }
}

const running = new AsyncLocalStorage<Run>()
diagnostics.subscribe('silverback:dropped', () => {
  const run = running.getStore()
  if (run !== undefined) run.dropped = true
})

let count = 0

/** Plays a schedule, and tells what became of the promises in words; empty when all were kept. */
export async function play(world: World, { plans, choices }: Schedule): Promise<string[]> {
  const mark = `m${++count}`
  const user = `user of ${mark}`
  const broken: string[] = []
  const first = await visit(world, 0, '', async (req) => void Object.assign(req.session, { mark, user, n: 0 }))
  const cookies = [first.cookie!]
  const acknowledged = new Set<string>()
  let updates = 0
  let ended = false
  let endBegun = false
  let moveBegun = false
  let partBegun = false
  const dead = new Set<string>()
  const sentToUs = new Set<string>()

  const isOurs = (req: any) => req.session?.mark === mark

  const act = async (run: Run, action: Action, req: any, auth: any, name: string) => {
    const ours = isOurs(req)
    const move = (keep: true | string[], grace: number) => async () => {
      moveBegun ||= ours
      if (keep !== true) partBegun ||= ours
      const before = run.cookie
      const { id } = req.session
      await req.session.regenerate({ keep, grace })
      if (ours && grace === 0 && before !== undefined && req.session.id !== id) dead.add(before)
      if (ours && keep !== true) run.pending = []
    }
    const verbs: Record<Action, () => Promise<void> | void> = {
      write: () => {
        req.session[name] = true
        if (ours) run.pending.push(name)
      },
      save: async () => {
        await req.session.save()
        for (const key of run.pending.splice(0)) acknowledged.add(key)
      },
      update: async () => {
        let counted = false
        await req.session.update((session: any) => {
          counted = session.mark === mark
          if (counted) session.n++
        })
        if (counted) updates++
        for (const key of run.pending.splice(0)) acknowledged.add(key)
      },
      rotate: move(true, 0),
      'rotate with grace': move(true, GRACE),
      'rotate a part': move(KEPT, 0),
      regenerate: () => req.session.regenerate(),
      destroy: () => req.session.destroy(),
      unset: () => void (req.session = null),
      revoke: async () => void (await auth.revoke(user))
    }
    const ends = ENDS.includes(action) && (ours || action === 'revoke')
    if (action !== 'revoke' && req.session == null) return
    if (ends) endBegun = true
    try {
      await verbs[action]()
    } catch (err: any) {
      if (err.code !== 'ERR_SESSION_DESTROYED') broken.push(`${action} failed: ${err.code} ${err.message}`)
      return
    }
    // What the end of the response does, it acknowledges.
    if (ends && action !== 'unset') ended = true
    if (ends) run.pending = []
  }

  const runs = plans.map((plan) => new Run(plan))
  const scheduler = new Scheduler()
  world.scheduler = scheduler
  const requests = runs.map((run, i) =>
    running.run(run, async () => {
      await scheduler.step()
      run.cookie = run.plan.latest ? cookies.at(-1) : cookies[0]
      const wasEnded = ended
      const wasDead = dead.has(run.cookie!)
      let unset = false
      let found = false
      const answer = await visit(world, run.plan.process, run.cookie!, async (req, auth) => {
        found = isOurs(req)
        if (isOurs(req) && wasEnded) broken.push(`request ${i} found a session that had been ended`)
        if (isOurs(req) && wasDead) broken.push(`request ${i} came in with an ID that had been rotated away`)
        for (const [at, action] of run.plan.actions.entries()) {
          await scheduler.step()
          if (action === 'unset' && isOurs(req)) unset = true
          await act(run, action, req, auth, `k${i}.${at}`)
        }
        await scheduler.step()
      })
      if (answer.err !== undefined) broken.push(`request ${i} failed: ${answer.err.code} ${answer.err.message}`)
      else if (!run.dropped) for (const key of run.pending) acknowledged.add(key)
      else if (!moveBegun && !endBegun) broken.push(`request ${i} lost its changes, and nothing had ended`)
      if (unset) ended = true
      if (answer.cookie !== undefined) cookies.push(answer.cookie)
      if (answer.cookie !== undefined && found) sentToUs.add(answer.cookie)
      run.over = true
    })
  )
  const all = Promise.all(requests)
  await scheduler.run(choices, () => runs.every(({ over }) => over))
  await all
  world.scheduler = undefined

  const live = new Map<string, any>()
  for (const cookie of cookies) {
    await visit(world, 1, cookie, async (req) => {
      if (isOurs(req)) live.set(req.session.id, { ...req.session })
      else if (!endBegun && sentToUs.has(cookie) && !req.session.isNew) {
        broken.push('another session has taken the place of the one a request had')
      }
    })
  }
  if (ended && live.size > 0) broken.push('a session that had been ended is alive')
  if (world.lists) {
    const listed = (await world.processes[0]!.list(user)).map(({ id }) => id)
    if (ended && listed.length > 0) broken.push('the user of the ended session has sessions')
    if (listed.sort().join() !== [...live.keys()].sort().join())
      broken.push(`${listed.length} sessions are listed, and ${live.size} can be reached`)
  }
  if (endBegun) return broken
  if (live.size !== 1) return [...broken, `${live.size} sessions are alive`]
  const [[, data]] = live as unknown as [[string, any]]
  if (data.n !== updates) broken.push(`${updates} updates have made ${data.n}`)
  const lost = [...acknowledged].filter((key) => data[key] !== true)
  if (lost.length > 0 && !partBegun) broken.push(`lost: ${lost.join(', ')}`)
  return broken
}

interface Answer {
  readonly err: any
  readonly cookie: string | undefined
}

function visit(
  { processes }: World,
  process: number,
  cookie: string,
  handler: (req: any, auth: any) => Promise<void>
): Promise<Answer> {
  const auth = processes[process]!
  const { req, res } = requestOf(cookie)
  return new Promise((resolve) => {
    const failed = (err: any) => resolve({ err, cookie: undefined })
    res.once('finish', () => {
      const sent = [res.getHeader('set-cookie') ?? []].flat() as string[]
      const value = sent.map((text) => text.split(';')[0]!).find((pair) => pair !== 'sid=')
      resolve({ err: undefined, cookie: value })
    })
    auth(req, res as never, (err?: unknown) => {
      if (err !== undefined && err !== null) return failed(err)
      handler(req, auth).then(() => res.end(), failed)
    })
  })
}
