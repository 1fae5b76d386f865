import type { Callback, Found, Life, Powers, SessionRecord, StoreContract, Write, Written } from './contract'
import { reviveCookie } from '../cookie/cookie'
import { leadsOn } from './found'
import { decodeObject, decodeRecord, META } from '../record/record'
import { chain, HOUR, isPromise, type MaybePromise, type Milliseconds } from '../base/time'
import { StoreTurns } from './turns'
import type { Waiting } from './waiting'

/** Longest that a request may hold a session which somebody else removes meanwhile. */
const REQUEST_MAX = HOUR
const REMOVED_MAX = 100_000
// Every middleware on a store knows of the others' work.
const turns = new StoreTurns()
// When sessions were removed, in that order: some stores touch by writing, and would bring them back.
const removals = new WeakMap<object, Map<string, Milliseconds>>()
/** What Redis and memcached clients reply to a write; stores hand it on to their callback, and it is no cookie value. */
const STATUS_REPLIES = new Set(['OK', 'QUEUED', 'STORED'])

/**
 * Calls a method of any calling style: direct answer, promise, or Node callback.
 *
 * The first answer counts. A method that declares the callback is waited for, whatever it returns beside a session
 * or a promise: many return what their client returned. Of one that does not declare it, what it returns is the answer.
 * One that takes whatever comes stands for another, unknown one: its promise is the answer, and so is `null`.
 */
export function callStore<T>(store: object, method: (...args: any[]) => unknown, args: unknown[]): MaybePromise<T> {
  let settled: { err?: unknown; value?: T } | undefined
  let resolve: ((value: T) => void) | undefined
  let reject: ((err: unknown) => void) | undefined
  const callback: Callback<T> = (err, value) => {
    if (resolve === undefined) settled ??= { err, value: value as T }
    else if (err) reject!(err)
    else resolve(value as T)
  }
  const returned = method.call(store, ...args, callback)
  const callbackIs = declarationOf(method, args.length)
  if (settled !== undefined) {
    if (isPromise(returned)) returned.then(undefined, () => undefined)
    if (settled.err) throw settled.err
    return settled.value as T
  }
  if (!isPromise(returned)) {
    const answered = callbackIs === 'absent' || isRecord(returned) || (callbackIs === 'possible' && returned === null)
    if (answered) return returned as T
  }
  return new Promise<T>((res, rej) => {
    resolve = res
    reject = rej
    if (!isPromise(returned)) return
    returned.then((value) => {
      if (value !== undefined || callbackIs !== 'declared') res(value as T)
    }, rej)
  })
}

function isRecord(returned: unknown): boolean {
  return typeof (returned as { cookie?: unknown } | null | undefined)?.cookie === 'object'
}

/** Whether a method names the callback, may take it with `...rest` or `arguments` (a wrapper, a spy), or does neither. */
type Declaration = 'declared' | 'possible' | 'absent'

const declarations = new WeakMap<object, Declaration>()

function declarationOf(method: (...args: any[]) => unknown, before: number): Declaration {
  // A test double of jest or vitest takes whatever comes, and tells what it runs.
  const asked = (method as { getMockImplementation?: () => typeof method }).getMockImplementation?.() ?? method
  if (asked.length > before) return 'declared'
  let declaration = declarations.get(asked)
  if (declaration === undefined) {
    declaration = declarationIn(Function.prototype.toString.call(asked), before)
    declarations.set(asked, declaration)
  }
  return declaration
}

// `length` ends at the first default or rest parameter (`set(id, session, cb = noop)`), so the source is asked too.
function declarationIn(source: string, before: number): Declaration {
  // Not of `id => get(id, 1)`, whose first parenthesis is a call's.
  const list = withoutNested(/^[^(=]*\(([^]*?)\)\s*(?:=>|\{)/.exec(source)?.[1] ?? '')
  const [named, rest] = list.split('...') as [string, string?]
  if (named.split(',').filter((name) => name.trim() !== '').length > before) return 'declared'
  return rest !== undefined || /\barguments\b/.test(source) ? 'possible' : 'absent'
}

// A list of parameters whose commas are between parameters: no comments, and nothing of patterns and defaults.
function withoutNested(list: string): string {
  let rest = list.replace(/\/\*[^]*?\*\/|\/\/.*/g, '')
  for (let before = ''; before !== rest;) {
    before = rest
    rest = rest.replace(/\{[^{}]*\}|\[[^[\]]*\]|\([^()]*\)/g, '_')
  }
  return rest
}

/**
 * Gives a store that only knows the contract the powers the middleware works with, within this process: writes of
 * one session are serialised, compared with what was read, and checked against a session that is gone.
 */
export class ForeignPowers implements Powers {
  readonly sync = false
  readonly remote = false
  readonly #store: StoreContract
  readonly #waiting: Waiting
  readonly #removed: Map<string, Milliseconds>

  constructor(store: StoreContract, waiting: Waiting) {
    this.#store = store
    this.#waiting = waiting
    let removed = removals.get(store)
    if (removed === undefined) removals.set(store, (removed = new Map()))
    this.#removed = removed
  }

  read(id: string): MaybePromise<Found | null> {
    const store = this.#store
    const wasRemoved = this.#removed.has(id)
    const found = (record: unknown): Found | null => {
      if (!record) return null
      const hit = { text: '', record: withoutDeadline(record) }
      // Somebody else has made it anew.
      if (wasRemoved && !leadsOn(hit)) this.#removed.delete(id)
      return hit
    }
    try {
      const record = callStore<unknown>(store, store.get, [id])
      return isPromise(record) ? record.then(found, unlessFault) : found(record)
    } catch (err) {
      return unlessFault(err)
    }
  }

  write({ id, text, expected, life, live }: Write): MaybePromise<Written> {
    if (expected === null) this.#removed.delete(id)
    return this.#inTurn('set', id, () => {
      const set = () => this.#set(id, withDeadline(live?.() ?? revive(text), life))
      if (expected === null) return set()
      const wasRemoved = this.#removed.has(id)
      return chain(this.read(id), (current) => {
        if (current === null) return null
        // A store that keeps sessions in their cookies finds what was removed as before.
        if (wasRemoved && !leadsOn(current)) {
          this.#remember(id)
          return null
        }
        if (dataOf(current) !== expected) return current
        // What only leads on to another session must not be touched either.
        if (leadsOn({ text })) this.#remember(id)
        return set()
      })
    })
  }

  extend(id: string, life: Life, live?: () => object): MaybePromise<boolean> {
    const { touch } = this.#store
    if (typeof touch !== 'function') return true
    const touched = (session: object) =>
      chain(callStore<unknown>(this.#store, touch, [id, withDeadline(session, life)]), () => true)
    return this.#inTurn('touch', id, () => {
      if (this.#removed.has(id)) return false
      if (live !== undefined) return touched(live())
      return chain(this.read(id), (found) => (found === null ? false : touched(found.record as object)))
    })
  }

  remove(id: string): MaybePromise<boolean> {
    return this.#inTurn('destroy', id, () =>
      chain(callStore(this.#store, this.#store.destroy, [id]), () => {
        this.#remember(id)
        return true
      })
    )
  }

  // A call that is never answered must not keep its turn for ever.
  #inTurn<T>(verb: string, id: string, work: () => MaybePromise<T>): MaybePromise<T> {
    return turns.take(this.#store, id, () => {
      const result = work()
      return isPromise(result) ? this.#waiting.until(result, verb) : result
    })
  }

  #set(id: string, live: object): MaybePromise<true | string> {
    const store = this.#store
    return chain(callStore<unknown>(store, store.set, [id, live]), (value) =>
      typeof value === 'string' && value !== id && !STATUS_REPLIES.has(value) ? value : true
    )
  }

  #remember(id: string): void {
    const now = Date.now()
    this.#removed.delete(id)
    this.#removed.set(id, now)
    for (const [oldest, at] of this.#removed) {
      if (at + REQUEST_MAX > now && this.#removed.size <= REMOVED_MAX) break
      this.#removed.delete(oldest)
    }
  }
}

/** The data text a found record is compared by, whichever way the store hands it out. */
function dataOf(current: Found): string {
  return current.record === undefined ? current.text : (decodeObject(current.record)?.dataText ?? '')
}

function unlessFault(err: unknown): Found | null {
  const { code, name } = (err ?? {}) as { code?: unknown; name?: unknown }
  // express-session's rule: a file store whose file is missing has no session, not a fault.
  if (code === 'ENOENT') return null
  // Their parser has met what is no JSON.
  if (name === 'SyntaxError') return { text: '', unreadable: err }
  throw err
}

// Stores of the contract keep a session as long as its cookie. One that ends with the browser says nothing of that, and
// neither does one that outlives the session: what the store is given tells when the session itself ends.
function withDeadline(session: any, { expiresAt }: Life): object {
  const { cookie } = session
  if (expiresAt === null || !cookie || Number(cookie.expires) === expiresAt) return session
  const until = reviveCookie({ ...(cookie.data ?? cookie), expires: new Date(expiresAt) })
  // With metadata it is a copy already; without, the request's own session.
  return Object.hasOwn(session, META) ? Object.assign(session, { cookie: until }) : { ...session, cookie: until }
}

// The way back: no cookie but such a one has an end without a span.
function withoutDeadline(record: any): unknown {
  const cookie = record.cookie?.data ?? record.cookie
  if (!cookie || cookie.originalMaxAge !== null || !cookie.expires || record[META] === undefined) return record
  return { ...record, cookie: { ...cookie, expires: null } }
}

function revive(text: string): SessionRecord {
  const { cookie, meta, data } = decodeRecord(text)!
  return { cookie: reviveCookie(cookie), ...(meta && { [META]: meta }), ...data }
}
