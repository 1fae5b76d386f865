import assert from 'node:assert/strict'
import { randomId } from '../base/ids'
import { HOUR, type Milliseconds } from '../base/time'
import { Cookie } from '../cookie/cookie'
import { callStore, type Method } from '../store/call'
import type { StoreContract } from '../store/contract'

/** Longest that a store may take to answer, and that a check waits for what must come. */
export const PATIENCE: Milliseconds = 15_000
/** A short life: a store that counts in seconds takes up to one off for the rest of a second, and one for its clock. */
const SHORT: Milliseconds = 3000

/** What a check is made on. */
export interface Ground {
  readonly store: StoreContract
  /** The same sessions as another process has them; `undefined` where only one object can know them. */
  readonly other: StoreContract | undefined
  /** Writes over a record what cannot be one. */
  readonly spoil: ((id: string) => unknown) | undefined
}

/** One promise, and how it is found out. */
export interface Check {
  readonly group: 'the contract' | 'one process' | 'two processes' | 'faults'
  readonly promise: string
  /** Rejects where the promise is broken; resolves with `false` where it cannot be asked. */
  run(ground: Ground): Promise<unknown>
}

const DATA = { user: 'ann', cart: [{ n: 1.5, tags: ['x', null] }, true], text: 'h\u00e9 \u6f22 \u{1f600} "\\' }

/** Waits for what must come, and no longer. */
export async function within<T>(answer: Promise<T>, what: string, ms = PATIENCE): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new assert.AssertionError({ message: `${what} was never answered` })), ms)
  })
  return Promise.race([answer, late]).finally(() => clearTimeout(timer))
}

type Verb = 'get' | 'set' | 'touch' | 'destroy'

/** Calls a verb in whatever style the store has. */
export async function ask(store: StoreContract, verb: Verb, ...args: unknown[]): Promise<unknown> {
  const call = async (): Promise<unknown> => callStore(store, store[verb] as Method, args)
  return within(call(), `${verb}()`)
}

/** What is kept, without its cookie; `null`: nothing. */
export async function kept(store: StoreContract, id: string): Promise<Record<string, unknown> | null> {
  let found: unknown
  try {
    found = await ask(store, 'get', id)
  } catch (err) {
    // express-session's rule, which stores of files rely on.
    if ((err as NodeJS.ErrnoException).code !== 'ENOENT') throw err
  }
  return (found ?? null) as Record<string, unknown> | null
}

/** A session as the middleware hands it to `set`. */
function sessionWith(data: object, maxAge = HOUR): object {
  return { cookie: new Cookie({ maxAge }), ...data }
}

async function stored(store: StoreContract, data: object, maxAge?: Milliseconds): Promise<string> {
  const id = randomId()
  await ask(store, 'set', id, sessionWith(data, maxAge))
  return id
}

/** Takes turns until something is so. */
export async function until(isSo: () => Promise<boolean>, what: string, ms = 3 * SHORT): Promise<void> {
  for (const end = performance.now() + ms; !(await isSo());) {
    if (performance.now() > end) throw new assert.AssertionError({ message: what })
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

const contract = (promise: string, run: (store: StoreContract, ground: Ground) => Promise<unknown>): Check => ({
  group: 'the contract',
  promise,
  run: (ground) => run(ground.store, ground)
})

/** What every store of sessions promises by itself, ours or not. */
export const CONTRACT: readonly Check[] = [
  contract('finds nothing under an ID that it has never seen', async (store) => {
    assert.equal(await kept(store, randomId()), null)
  }),

  contract('gives back what it was given, and each time the last', async (store) => {
    const id = await stored(store, DATA)
    const { cookie, ...data } = (await kept(store, id)) ?? {}
    for (const [key, value] of Object.entries(DATA)) assert.deepEqual(plain(data[key]), value, `${key} has changed`)
    assert.equal((plain(cookie) as { path?: unknown } | undefined)?.path, '/', 'the cookie has changed')
    await ask(store, 'set', id, sessionWith({ only: 'this' }))
    const again = await kept(store, id)
    assert.deepEqual([again?.only, again?.user], ['this', undefined])
  }),

  contract('destroys one session, and does nothing where there is none', async (store) => {
    const [one, two] = [await stored(store, {}), await stored(store, DATA)]
    await ask(store, 'destroy', one)
    await ask(store, 'destroy', one)
    await ask(store, 'destroy', randomId())
    assert.equal(await kept(store, one), null, 'it is still there')
    assert.equal((await kept(store, two))?.user, 'ann', 'another one is gone')
  }),

  contract('answers every call, and a callback once', async (store) => {
    const id = randomId()
    const session = sessionWith({ n: 1 })
    const calls: [Verb, ...unknown[]][] = [
      ['set', id, session],
      ['touch', id, session],
      ['get', id],
      ['destroy', id]
    ]
    for (const [verb, ...args] of calls) {
      const method = store[verb] as Method | undefined
      // Without a callback among its parameters it answers by what it returns.
      if (method === undefined || (method.length > 0 && method.length <= args.length)) continue
      let answers = 0
      const answered = new Promise<void>((resolve) => {
        method.call(store, ...args, () => resolve(void answers++))
      })
      await within(answered, `${verb}()`)
      for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
      assert.equal(answers, 1, `${verb}() has called back ${answers} times`)
    }
  }),

  contract('touches without changing the data', async (store) => {
    if (typeof store.touch !== 'function') return false
    const id = await stored(store, { n: 1 })
    await ask(store, 'touch', id, sessionWith({ n: 2 }))
    return assert.equal((await kept(store, id))?.n, 1, 'the data of touch() has replaced what was kept')
  }),

  contract('touches nothing into being', async (store) => {
    if (typeof store.touch !== 'function') return false
    const id = await stored(store, {})
    await ask(store, 'destroy', id)
    await ask(store, 'touch', id, sessionWith({})).catch(() => undefined)
    return assert.equal(await kept(store, id), null, 'touch() has brought a destroyed session back')
  }),

  contract('lets a session go when its time is over, unless it was touched', async (store) => {
    const touches = typeof store.touch === 'function'
    let [touched, short]: (string | undefined)[] = []
    let lives = false
    for (let started = -Infinity; performance.now() - started > SHORT / 3;) {
      // Only what was touched while it lived is to live on.
      started = performance.now()
      touched = touches ? await stored(store, {}, SHORT) : undefined
      if (touched !== undefined) await ask(store, 'touch', touched, sessionWith({}))
      short = await stored(store, {}, SHORT)
      lives = (await kept(store, short)) !== null
    }
    assert.ok(lives, 'it was gone at once')
    await until(async () => (await kept(store, short!)) === null, 'a session is still there whose time is over')
    if (touched !== undefined) assert.notEqual(await kept(store, touched), null, 'a touched session is gone')
  }),

  contract('takes a spoilt record for none', async (store, { spoil }) => {
    if (spoil === undefined) return false
    const id = await stored(store, {})
    await spoil(id)
    const found: unknown = await kept(store, id).catch((err: Error) =>
      err.name === 'SyntaxError' ? null : Promise.reject(err)
    )
    const isRecord = typeof (found as { cookie?: unknown } | null)?.cookie === 'object'
    return assert.equal(isRecord, false, 'it was taken for a session')
  })
]

function plain(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value))
}
