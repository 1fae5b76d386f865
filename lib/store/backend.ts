import {
  CARRIER,
  type EXPIRED,
  nativeVerbs,
  POWERS,
  type Carrier,
  type Found,
  type Life,
  type Listed,
  type LockPower,
  type NativeVerbs,
  type PowerfulStore,
  type Powers,
  type StoreContract,
  type Write,
  type Written
} from './contract'
import { hashOf } from '../base/hash'
import { ForeignPowers } from './foreign'
import { decodeRecord } from '../record/record'
import { chain, isPromise, type MaybePromise, type Milliseconds } from '../base/time'
import { failureOf, Waiting } from './waiting'

interface BackendOptions {
  storeTimeout: Milliseconds
  hashIds: boolean
}

/** A store as the engine uses it: one calling style, a deadline on every call, IDs hashed if so configured. */
export class Backend {
  readonly store: StoreContract
  readonly carrier: Carrier | undefined
  readonly #waiting: Waiting
  readonly #hashIds: boolean
  readonly #native: Powers | undefined
  readonly #verbs: NativeVerbs
  readonly #foreign: ForeignPowers

  constructor(store: StoreContract, { storeTimeout, hashIds }: BackendOptions) {
    this.store = store
    this.carrier = (store as Partial<{ [CARRIER]: Carrier }>)[CARRIER]
    this.#waiting = new Waiting(storeTimeout)
    this.#hashIds = hashIds
    this.#native = (store as Partial<PowerfulStore>)[POWERS]
    this.#verbs = nativeVerbs(store)
    this.#foreign = new ForeignPowers(store, this.#waiting)
  }

  /** Whether the store's own powers are in use; not while its verbs are replaced (a subclass, a spy, a wrapper). */
  get native(): boolean {
    if (this.#native === undefined) return false
    if (this.carrier !== undefined) return true
    const { store } = this
    const verbs = this.#verbs
    return (
      store.get === verbs.get &&
      store.set === verbs.set &&
      store.destroy === verbs.destroy &&
      store.touch === verbs.touch
    )
  }

  get sync(): boolean {
    return this.#powers.sync && !(this.#native === undefined)
  }

  get remote(): boolean {
    return this.native && this.#native!.remote
  }

  /** Whether a lifetime can be extended by reading alone. */
  get touches(): boolean {
    return this.native || typeof this.store.touch === 'function'
  }

  read(id: string): MaybePromise<Found | null> {
    const key = this.keyOf(id)
    this.#waiting.admit(key)
    const found = this.#guard('get', () => this.#powers.read(key), key)
    return this.#hashIds ? chain(found, (hit) => hit ?? this.#adoptPlain(id, key)) : found
  }

  /** Reads for a request: extends, and tells a session that has expired from one that never was, where that is known. */
  load(id: string): MaybePromise<Found | typeof EXPIRED | null> {
    const key = this.keyOf(id)
    this.#waiting.admit(key)
    const powers = this.#powers
    const load = () => (powers.load === undefined ? powers.read(key) : powers.load(key))
    const found = this.#guard('get', load, key)
    return this.#hashIds ? chain(found, (hit) => hit ?? this.#adoptPlain(id, key)) : found
  }

  write(write: Write): MaybePromise<Written> {
    return this.#guard('set', () => this.#powers.write({ ...write, id: this.keyOf(write.id) }))
  }

  extend(id: string, life: Life, live?: () => object): MaybePromise<boolean> {
    return this.#guard('touch', () => this.#powers.extend(this.keyOf(id), life, live))
  }

  remove(id: string, user?: string): MaybePromise<boolean> {
    return this.#guard('destroy', () => this.#powers.remove(this.keyOf(id), user))
  }

  /** Removes by the ID as the store sees it, which is what `list` gives. */
  removeKey(key: string, user?: string): MaybePromise<boolean> {
    return this.#guard('destroy', () => this.#powers.remove(key, user))
  }

  extendKey(key: string, life: Life): MaybePromise<boolean> {
    return this.#guard('touch', () => this.#powers.extend(key, life))
  }

  /** Reads by the ID as the store sees it. */
  readKey(key: string): MaybePromise<Found | null> {
    return this.#guard('get', () => this.#powers.read(key))
  }

  /** `undefined` when the store keeps no index of users. */
  list(user: string): MaybePromise<Listed[] | undefined> {
    return this.#guard('list', () => this.#native?.list?.(user))
  }

  get locks(): LockPower | undefined {
    const lock = this.native ? this.#native!.lock : undefined
    return lock && this.#guardLock(lock)
  }

  /** The ID as the store sees it. */
  keyOf(id: string): string {
    return this.#hashIds ? hashOf('sha256', id, 'base64url') : id
  }

  get #powers(): Powers {
    return this.native ? this.#native! : this.#foreign
  }

  // A record from before `hashIds` was switched on moves under its hash the first time it is asked for.
  #adoptPlain(id: string, key: string): MaybePromise<Found | null> {
    return chain(
      this.#guard('get', () => this.#powers.read(id)),
      (found) => {
        if (found === null) return null
        const life = { usedAt: found.usedAt ?? Date.now(), expiresAt: found.expiresAt ?? null }
        const owner = decodeRecord(found.text)?.meta?.i
        const user = owner === undefined ? undefined : { from: undefined, to: owner }
        const live = found.record === undefined ? undefined : () => found.record as object
        return chain(
          this.#guard('set', () => this.#powers.write({ id: key, text: found.text, expected: null, life, user, live })),
          () =>
            chain(
              this.#guard('destroy', () => this.#powers.remove(id)),
              () => found
            )
        )
      }
    )
  }

  #guardLock(lock: LockPower): LockPower {
    return {
      acquire: (...args) => this.#guard('acquire', () => lock.acquire(...args)),
      renew: (...args) => this.#guard('renew', () => lock.renew(...args)),
      release: (...args) => this.#guard('release', () => lock.release(...args))
    }
  }

  #guard<T>(verb: string, call: () => MaybePromise<T>, load?: string): MaybePromise<T> {
    let result: MaybePromise<T>
    try {
      result = call()
    } catch (err) {
      throw failureOf(err, verb)
    }
    return isPromise(result) ? this.#waiting.until(result, verb, load) : result
  }
}
