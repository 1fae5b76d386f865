import { must } from '../base/errors'
import { hashOf } from '../base/hash'
import { isTraced, traced } from '../base/diagnostics'
import { chain, isPromise, MINUTE, type MaybePromise, type Milliseconds } from '../base/time'
import { decodeRecord, encodeRecord } from '../record/record'
import { CARRIER, nativeVerbs, POWERS, type Carrier, type EXPIRED, type Found, type Life } from './contract'
import type { Listed, LockPower, NativeVerbs, PowerfulStore, Powers, StoreContract, Write, Written } from './contract'
import { AdaptedPowers } from './adapter'
import { versionOf, isForwarding } from './record-cache'
import { CallDeadlines } from './deadlines'

/** A session's ID as its store sees it: hashed, where the option `hashIds` says so. */
export type StoreKey = string & { readonly [KEY]: true }
declare const KEY: unique symbol

/** One write, by the key of the session. */
export interface PortWrite extends Write {
  readonly id: StoreKey
}

type Asked = 'read' | 'load' | 'write' | 'extend' | 'remove'
type Given<Name extends Asked> = Parameters<NonNullable<Powers[Name]>>
type Answered<Name extends Asked> = ReturnType<NonNullable<Powers[Name]>>

/** Longest that a request takes to move a record under the hash of its ID. */
const MOVING_MAX: Milliseconds = 5 * MINUTE

interface PortOptions {
  storeTimeout: Milliseconds
  hashIds: boolean
}

/**
 * A store as the engine uses it, put together at set-up: its own powers or those of the adapter, a deadline on every
 * call, IDs hashed if so configured.
 */
export class StorePort {
  readonly store: StoreContract
  readonly carrier: Carrier | undefined
  /** The store's own powers: in use while it is `native`. */
  readonly own: Powers | undefined
  /** How long one call may take. */
  readonly timeout: Milliseconds
  /** Whether the store sees hashes of IDs. */
  readonly hashesIds: boolean
  readonly #deadlines: CallDeadlines
  readonly #verbs: NativeVerbs
  readonly #adapter: AdaptedPowers
  /** Records that move under the hash of their IDs. */
  readonly #moving = new Map<StoreKey, Promise<Found | null>>()

  constructor(store: StoreContract, { storeTimeout, hashIds }: PortOptions) {
    // With a bare ID for a cookie (redisstore), what a dump of the store shows would open sessions all the same.
    const isShared = store.tokens?.newId !== undefined
    must(!hashIds || !isShared, 'hashIds', 'false for a store whose IDs another program knows', hashIds)
    this.store = store
    this.carrier = (store as Partial<{ [CARRIER]: Carrier }>)[CARRIER]
    this.timeout = storeTimeout
    this.#deadlines = new CallDeadlines(storeTimeout)
    // What opens a session that its cookie carries is the cookie: its ID is no secret.
    this.hashesIds = hashIds && this.carrier === undefined
    this.own = (store as Partial<PowerfulStore>)[POWERS]
    this.#verbs = nativeVerbs(store)
    this.#adapter = new AdaptedPowers(store, this.#deadlines)
  }

  /** Whether the store's own powers are in use; not while its verbs are replaced (a subclass, a spy, a wrapper). */
  get native(): boolean {
    if (this.own === undefined) return false
    const { store } = this
    const verbs = this.#verbs
    return (
      this.carrier !== undefined ||
      (store.get === verbs.get &&
        store.set === verbs.set &&
        store.destroy === verbs.destroy &&
        store.touch === verbs.touch)
    )
  }

  /** Whether it answers at once. */
  get sync(): boolean {
    return this.own?.sync === true && this.native
  }

  /** Reached over a network. */
  get remote(): boolean {
    return this.own?.remote === true && this.native
  }

  /** Whether a lifetime can be extended without writing the record. */
  get touches(): boolean {
    return this.native || typeof this.store.touch === 'function'
  }

  /** Whether the time of last use inside the records of a foreign store is up to date, so that idling can be judged by it. */
  get tellsLastUse(): boolean {
    return this.#adapter.tellsLastUse
  }

  /** Whether the end that a record of a foreign store tells is known to be up to date. */
  get knowsEnd(): boolean {
    return !this.native && this.#adapter.tellsEnd === true
  }

  /** Whether the end that a record tells is up to date; where that is not known yet, finding out may touch the session. */
  tellsEnd(id: string, found: Found, life: Life): MaybePromise<boolean> {
    const known = this.native || this.#adapter.tellsEnd
    if (known !== undefined) return known
    return this.#guarded('touch', () => this.#adapter.probeEnd(this.keyOf(id), found, life))
  }

  keyOf(id: string): StoreKey {
    return (this.hashesIds ? hashOf('sha256', id, 'base64url') : id) as StoreKey
  }

  read(id: string): MaybePromise<Found | null> {
    const key = this.keyOf(id)
    const found = this.#ask('get', 'read', [key], key)
    return this.hashesIds ? chain(found, (hit) => hit ?? this.#adoptPlain(id, key)) : found
  }

  /** Reads for a request: tells a session that has expired from one that never was, where that is known. */
  load(id: string): MaybePromise<Found | typeof EXPIRED | null> {
    const key = this.keyOf(id)
    const found = this.#ask('get', 'load', [key], key)
    return this.hashesIds ? chain(found, (hit) => hit ?? this.#adoptPlain(id, key)) : found
  }

  /** Reads what `list` or the manager has the key of. */
  readKey(key: StoreKey): MaybePromise<Found | null> {
    return this.#ask('get', 'read', [key])
  }

  write(write: PortWrite): MaybePromise<Written> {
    return this.#ask('set', 'write', [write])
  }

  extend(key: StoreKey, life: Life, live?: () => object): MaybePromise<boolean> {
    return this.#ask('touch', 'extend', [key, life, live])
  }

  /** Whether a session that no read has found lives: a store of the contract knows of none that another process removed. */
  lives(key: StoreKey, life: Life): MaybePromise<boolean> {
    return this.native ? this.extend(key, life) : !this.#adapter.hasRemoved(key)
  }

  /** With `expected`, only over that: what is kept instead is answered. `plainId`: from before IDs were hashed. */
  remove(key: StoreKey, user?: string, expected?: string, plainId?: string): MaybePromise<boolean | Found> {
    const remove = () => this.#ask('destroy', 'remove', [key, user, expected])
    if (!this.hashesIds || plainId === undefined || plainId === key) return remove()
    // The record from before goes first: whoever moves it afterwards finds that it is gone.
    const plain = this.#ask('destroy', 'remove', [plainId, user])
    const tells = this.native && this.carrier === undefined
    return chain(plain, (removed) => (tells && removed === true ? this.#removeMoving(key, user) : remove()))
  }

  /** Whether the store keeps an index of users. */
  get lists(): boolean {
    return this.own?.list !== undefined
  }

  /** `undefined` when the store keeps no index of users. */
  list(user: string): MaybePromise<(Listed & { id: StoreKey })[] | undefined> {
    return this.#guarded('list', () => this.own?.list?.(user) as MaybePromise<(Listed & { id: StoreKey })[]>)
  }

  /** `undefined` when the store has no locks. */
  get locks(): LockPower | undefined {
    const lock = this.native ? this.own!.lock : undefined
    if (lock === undefined) return undefined
    return {
      acquire: (...args) => this.#guarded('acquire', () => lock.acquire(...args)),
      renew: (...args) => this.#guarded('renew', () => lock.renew(...args)),
      release: (...args) => this.#guarded('release', () => lock.release(...args))
    }
  }

  // A record from before `hashIds` was switched on moves under its hash the first time it is asked for: whoever makes the
  // new one removes the old one, unless a logout was faster.
  #adoptPlain(id: string, key: StoreKey): MaybePromise<Found | null> {
    const moving = this.#moving.get(key)
    if (moving !== undefined) return moving
    const moved = this.#move(id, key)
    if (!isPromise(moved)) return moved
    const done = () => void this.#moving.delete(key)
    this.#moving.set(key, moved)
    moved.then(done, done)
    return moved
  }

  #move(id: string, key: StoreKey): MaybePromise<Found | null> {
    return chain(this.#ask('get', 'read', [id]), (found) => {
      // It may have been moved since its key was asked for.
      if (found === null) return this.#ask('get', 'read', [key])
      const { text } = found
      const life = { usedAt: found.usedAt ?? Date.now(), expiresAt: found.expiresAt ?? null }
      const owner = decodeRecord(text)?.meta?.i
      const user = owner === undefined ? undefined : { from: undefined, to: owner }
      const live = found.record === undefined ? undefined : () => found.record as object
      const moved = this.#ask('set', 'write', [{ id: key, text, expected: null, life, user, live }])
      return chain(moved, (answer) => {
        // Another request moves it.
        if (answer !== true)
          return typeof answer === 'object' && answer !== null && !isForwarding(answer) ? answer : null
        return chain(this.#ask('destroy', 'remove', [id, owner]), (removed) => {
          if (removed === true) return found
          // A logout was faster: the new record goes, unless it is what the logout has put there.
          return chain(this.remove(key, owner, text), (other) =>
            typeof other !== 'object' || isForwarding(other) ? null : chain(this.remove(key, owner), () => null)
          )
        })
      })
    })
  }

  // A request that has read the old record may be about to write the new one: a forwarding record to nowhere is there first.
  #removeMoving(key: StoreKey, user: string | undefined): MaybePromise<boolean | Found> {
    const end = Date.now() + MOVING_MAX
    const meta = { u: end, c: end, n: '', g: 0 }
    const cookie = JSON.stringify({ originalMaxAge: MOVING_MAX, expires: new Date(end) })
    const life = { usedAt: end, expiresAt: end }
    const written = this.#ask('set', 'write', [
      { id: key, text: encodeRecord(cookie, meta, '{}'), expected: null, life }
    ])
    return chain(written, (answer): MaybePromise<boolean | Found> => {
      if (typeof answer !== 'object' || answer === null) return true
      return this.#ask('destroy', 'remove', [key, user, versionOf(answer)])
    })
  }

  /** @param load the session, where it is asked for by a request: such calls are counted */
  #ask<Name extends Asked>(verb: string, name: Name, given: Given<Name>, load?: string): Answered<Name> {
    const powers: Powers = this.native ? this.own! : this.#adapter
    // What forgets by itself cannot tell what has expired: it has no `load`.
    const power = (powers[name] ?? powers.read) as (...args: Given<Name>) => Answered<Name>
    if (powers.sync && !isTraced()) return power.apply(powers, given)
    if (load !== undefined && !powers.sync) this.#deadlines.admit(load)
    return this.#guarded<unknown>(verb, () => power.apply(powers, given), load) as Answered<Name>
  }

  #guarded<T>(verb: string, work: () => MaybePromise<T>, load?: string): MaybePromise<T> {
    const ask = () => this.#deadlines.ask(verb, work, load)
    return isTraced() ? traced(verb, this, ask) : ask()
  }
}
