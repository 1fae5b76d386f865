import { hasMethods, isAboveZero, must, OptionError } from '../base/errors'
import type { MaybePromise, Milliseconds } from '../base/time'
import { callStore, type Method } from '../store/call'
import { answer, CARRIER, declareNative, POWERS } from '../store/contract'
import type { Callback, Powers, StoreContract } from '../store/contract'
import { Store } from '../store/store'
import { MemoryStore } from '../stores/memory/memory'

export type FaultyVerb = 'get' | 'set' | 'touch' | 'destroy' | 'list' | 'lock'

const VERBS: readonly FaultyVerb[] = ['get', 'set', 'touch', 'destroy', 'list', 'lock']

/** A call of the store that something else happens to. */
export interface Interrupted {
  /** Carries it out, with its own arguments or others. */
  call(...args: unknown[]): Promise<any>
  readonly args: readonly any[]
  /** What the store answers when all went well, and there was nothing to tell. */
  readonly done: unknown
  /** What is no session. */
  readonly junk: unknown
}

type Fault = (interrupted: Interrupted) => unknown

const NOTHING = (): void => undefined
const NEVER = () => new Promise<never>(() => undefined)
const down = () => new Error('The store is down, as the test has told it.')

/**
 * A store that can be told to fail: what an application does then is worth a test.
 *
 * It stands before another store, `MemoryStore` unless told otherwise, keeps what that one promises, and behaves as one
 * that is reached over a network: it answers later, and its faults are a 503. A fault lasts until `recover()`.
 *
 * @example const store = faultyStore(); store.fail('set'); store.recover()
 */
export class FaultyStore extends Store {
  readonly [POWERS]?: Powers
  /** What was called, in turn. */
  readonly calls: FaultyVerb[] = []
  readonly #inner: StoreContract
  readonly #faults = new Map<FaultyVerb, Fault>()

  /** Use `faultyStore()`. @throws {TypeError} for what is no store, and sessions in cookies, where none is asked */
  constructor(inner: StoreContract) {
    super()
    must(hasMethods(inner, 'get', 'set', 'destroy'), 'faultyStore()', 'given a store with get, set and destroy', inner)
    if (CARRIER in inner) throw new OptionError('faultyStore() needs a store that is asked: no CookieStore')
    this.#inner = inner
    const powers = (inner as { [POWERS]?: Powers })[POWERS]
    if (powers !== undefined) this[POWERS] = this.#faulty(powers)
    // Their absence is how stores say what they cannot do.
    for (const verb of ['touch', 'all', 'ids', 'length', 'clear'] as const) {
      if (typeof inner[verb] !== 'function') Object.defineProperty(this, verb, { value: undefined })
    }
  }

  /** It fails with the error. */
  fail(verb: FaultyVerb, err: unknown = down()): void {
    this.instead(verb, () => Promise.reject(err))
  }

  /** It never answers. */
  hang(verb: FaultyVerb): void {
    this.instead(verb, NEVER)
  }

  /** It takes so many ms longer. */
  slow(verb: FaultyVerb, ms: Milliseconds): void {
    must(ms === 0 || isAboveZero(ms), 'slow()', 'given a number of ms', ms)
    this.instead(verb, ({ call }) => new Promise((resolve) => setTimeout(resolve, ms)).then(() => call()))
  }

  /** It is carried out, and fails all the same: the answer was lost on its way. */
  die(verb: FaultyVerb, err: unknown = down()): void {
    this.instead(verb, ({ call }) => call().then(() => Promise.reject(err)))
  }

  /** It answers that all is done, and does nothing; `get` finds nothing. */
  lie(verb: FaultyVerb): void {
    this.instead(verb, ({ done }) => done)
  }

  /** `get` answers what is no session. */
  corrupt(): void {
    this.instead('get', ({ junk }) => junk)
  }

  /** `get` answers the session of another ID. */
  swap(id: string): void {
    this.instead('get', ({ call }) => call(id))
  }

  /** `get` answers what was kept before the last write. */
  lag(): void {
    const before = new Map<string, unknown>()
    const read = (id: string) => this.#read(id)
    this.instead('set', async ({ call, args: [given] }) => {
      const id = typeof given === 'string' ? given : (given as { id: string }).id
      before.set(id, await read(id).catch(() => null))
      return call()
    })
    this.instead('get', ({ call, args: [id] }) => (before.has(id as string) ? before.get(id as string) : call()))
  }

  /** The next call waits: `entered` resolves when it comes, `letGo()` has it carried out. Later ones do not wait. */
  hold(verb: FaultyVerb): { entered: Promise<void>; letGo(): void } {
    let [enter, letGo] = [NOTHING, NOTHING]
    const entered = new Promise<void>((resolve) => (enter = resolve))
    const released = new Promise<void>((resolve) => (letGo = resolve))
    this.instead(verb, ({ call }) => {
      this.recover(verb)
      enter()
      return released.then(() => call())
    })
    return { entered, letGo }
  }

  /** Something else happens than the call. @throws {TypeError} for what is no verb: such a fault would never come */
  instead(verb: FaultyVerb, fault: Fault): void {
    must(VERBS.includes(verb), 'A verb of faultyStore()', `one of ${VERBS.join(', ')}`, verb)
    this.#faults.set(verb, fault)
  }

  /** Ends the fault of one verb, or all. */
  recover(verb?: FaultyVerb): void {
    if (verb === undefined) this.#faults.clear()
    else this.#faults.delete(verb)
  }

  get(id: string, callback?: Callback<any>): any {
    return this.#storeCall('get', 'get', [id], callback)
  }

  set(id: string, session: object, callback?: Callback<any>): any {
    return this.#storeCall('set', 'set', [id, session], callback)
  }

  destroy(id: string, callback?: Callback<any>): any {
    return this.#storeCall('destroy', 'destroy', [id], callback)
  }

  // What it calls is named so that it counts as one that may make a record, as that of the other store may.
  override touch(id: string, session: object, callback?: Callback<any>): any {
    return this.#storeCall('touch', 'touch', [id, session], callback)
  }

  override all(callback?: Callback<any>): any {
    return this.#storeCall('list', 'all', [], callback)
  }

  ids(callback?: Callback<any>): any {
    return this.#storeCall('list', 'ids', [], callback)
  }

  override length(callback?: Callback<any>): any {
    return this.#storeCall('list', 'length', [], callback)
  }

  override clear(callback?: Callback<any>): any {
    return this.#storeCall('destroy', 'clear', [], callback)
  }

  #storeCall(verb: FaultyVerb, name: string, args: unknown[], callback?: Callback<any>): unknown {
    const inner = this.#inner
    const call = (...given: unknown[]) =>
      callStore<unknown>(inner, (inner as unknown as Record<string, Method>)[name]!, given)
    const answers = { done: verb === 'get' ? null : undefined, junk: 42 }
    return answer<any>(() => this.#interrupt(verb, args, call, answers), callback)
  }

  #read(id: string): Promise<unknown> {
    const powers = (this.#inner as { [POWERS]?: Powers })[POWERS]
    return (async () => (powers === undefined ? callStore(this.#inner, this.#inner.get, [id]) : powers.read(id)))()
  }

  async #interrupt(
    verb: FaultyVerb,
    args: readonly unknown[],
    work: (...args: any[]) => MaybePromise<any>,
    answers: Pick<Interrupted, 'done' | 'junk'>
  ): Promise<any> {
    this.calls.push(verb)
    const call = async (...others: unknown[]): Promise<any> => work(...(others.length === 0 ? args : others))
    const fault = this.#faults.get(verb)
    return fault === undefined ? call() : fault({ call, args, ...answers })
  }

  #faulty(own: Powers): Powers {
    const faulty =
      (verb: FaultyVerb, name: keyof Powers, done: unknown) =>
      (...args: unknown[]): Promise<any> =>
        this.#interrupt(verb, args, (own[name] as Method).bind(own), { done, junk: { text: '{"cookie":' } })
    const { lock } = own
    const onLock =
      (name: keyof NonNullable<typeof lock>, done: unknown) =>
      (...args: unknown[]) =>
        this.#interrupt('lock', args, (lock![name] as Method).bind(lock), { done, junk: undefined })
    return {
      sync: false,
      remote: true,
      read: faulty('get', 'read', null),
      ...(own.load && { load: faulty('get', 'load', null) }),
      write: faulty('set', 'write', true),
      extend: faulty('touch', 'extend', true),
      remove: faulty('destroy', 'remove', true),
      ...(own.list && { list: faulty('list', 'list', []) }),
      ...(lock && {
        lock: { acquire: onLock('acquire', true), renew: onLock('renew', true), release: onLock('release', undefined) }
      })
    }
  }
}

declareNative(FaultyStore)

/** Makes a store that can be told to fail. @param store what keeps the sessions, a new `MemoryStore` by default */
export function faultyStore(store: object = new MemoryStore()): FaultyStore {
  return new FaultyStore(store as StoreContract)
}
