import { hasMethods, must } from '../base/errors'
import { randomId } from '../base/ids'
import { MINUTE, type MaybePromise } from '../base/time'
import { Cookie } from '../cookie/cookie'
import type { StoreContract } from '../store/contract'
import { ask, CONTRACT, kept, within, type Check, type Ground } from './checks'
import { FAULTS } from './faults'
import { RACES } from './races'

/** Makes a store. Called again it makes one on the same sessions, as another process has it, if that can be. */
export type MakeStore = () => MaybePromise<object>

/** What a test runner offers: jest's and vitest's globals, or those that `node:test` and vitest export. */
export interface Runner {
  describe(title: string, body: () => void): unknown
  it(title: string, body: () => Promise<void>): unknown
}

export interface SuiteOptions {
  /** Writes over a session, by its ID, what cannot be one; without it that is not asked. */
  spoil?: ((id: string) => unknown) | undefined
  /**
   * Whether the promises across processes are asked as well: they need conditional writes, which express-session's
   * contract does not have.
   * @default false
   */
  acrossProcesses?: boolean
  /** Promises, by their words, that the store does not claim. */
  except?: readonly string[]
}

const CHECKS: readonly Check[] = [...CONTRACT, ...RACES, ...FAULTS]

/** @throws {TypeError} for what is no store */
async function storesOf(make: MakeStore): Promise<[StoreContract, StoreContract]> {
  const stores: [unknown, unknown] = [await make(), await make()]
  for (const store of stores) {
    const isStore = hasMethods(store, 'get', 'set', 'destroy')
    must(isStore, 'What makes the store', 'giving one with get, set and destroy', store)
  }
  return stores as [StoreContract, StoreContract]
}

async function prepare(stores: readonly [StoreContract, StoreContract], spoil: Ground['spoil']): Promise<Ground> {
  const [store, other] = stores
  if (store === other) return { store, other: undefined, spoil }
  const id = randomId()
  await ask(store, 'set', id, { cookie: new Cookie({ maxAge: MINUTE }), own: id })
  const shares = (await kept(other, id))?.own === id
  await ask(store, 'destroy', id)
  return { store, other: shares ? other : undefined, spoil }
}

/**
 * Declares the tests of a store under jest, vitest or `node:test`: express-session's contract, races and faults.
 *
 * @example storeSuite(() => new MyStore(), require('node:test'))
 */
export function storeSuite(make: MakeStore, options: SuiteOptions & Partial<Runner> = {}): void {
  const { describe, it } = options.describe === undefined ? (globalThis as unknown as Partial<Runner>) : options
  if (typeof describe !== 'function' || typeof it !== 'function') {
    throw new TypeError('storeSuite() needs describe and it: import them from your test runner, and pass them along')
  }
  let ground: Promise<Ground> | undefined
  const prepared = () => (ground ??= storesOf(make).then((stores) => prepare(stores, options.spoil)))
  for (const group of new Set(CHECKS.map((check) => check.group))) {
    if (group === 'two processes' && options.acrossProcesses !== true) continue
    describe(group, () => {
      for (const { promise, run, group: of } of CHECKS) {
        if (of !== group || options.except?.includes(promise)) continue
        it(promise, async () => void (await run(await prepared())))
      }
    })
  }
}

/** Whether a store keeps one promise. */
export interface Score {
  group: Check['group']
  promise: string
  /** `undefined`: it cannot be asked. */
  holds: boolean | undefined
  /** What broke it. */
  error?: unknown
}

/** The promises that hold on a store; as text, a table. */
export class Scorecard {
  /** Use `scorecard()`. */
  constructor(readonly scores: readonly Score[]) {}

  /** A table in Markdown. */
  toString(): string {
    const held = (holds: boolean | undefined) => (holds === undefined ? '-' : holds ? 'yes' : 'no')
    const rows = this.scores.map(({ group, promise, holds }) => [group, promise, held(holds)])
    const head = ['', 'promise', 'holds']
    const widths = head.map((_, at) => Math.max(...[head, ...rows].map((row) => row[at]!.length)))
    const table = [head, widths.map((width) => '-'.repeat(width)), ...rows]
    return table.map((row) => `| ${row.map((cell, at) => cell.padEnd(widths[at]!)).join(' | ')} |\n`).join('')
  }
}

/**
 * Finds out which promises hold on a store, one after the other; it takes some seconds, for sessions have to run out.
 *
 * Rejects with the error of `make`, and with a TypeError for what is no store.
 *
 * @example console.log(String(await scorecard(() => new MyStore())))
 */
export async function scorecard(make: MakeStore, options: Pick<SuiteOptions, 'spoil'> = {}): Promise<Scorecard> {
  // One that does not keep a first session keeps no promise, and is not waited for each time.
  const ground = prepare(await storesOf(make), options.spoil)
  await ground.catch(() => undefined)
  const scores: Score[] = []
  for (const { group, promise, run } of CHECKS) {
    const score: Score = { group, promise, holds: undefined }
    try {
      if ((await within(ground.then(run), promise, 60_000)) !== false) score.holds = true
    } catch (error) {
      Object.assign(score, { holds: false, error })
    }
    scores.push(score)
  }
  return new Scorecard(scores)
}
