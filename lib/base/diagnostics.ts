import { AsyncLocalStorage } from 'node:async_hooks'
import { createHash, randomBytes } from 'node:crypto'
import { channel, tracingChannel, type Channel } from 'node:diagnostics_channel'
import { debuglog } from 'node:util'
import { SessionError } from './errors'
import { isPromise, type MaybePromise, type Milliseconds } from './time'

/** What happens to sessions, as published on `node:diagnostics_channel` under `silverback:<event>`. */
export const EVENTS = [
  ...(['created', 'loaded', 'saved', 'touched', 'destroyed', 'expired', 'rejected'] as const),
  ...(['withheld', 'dropped', 'conflict', 'error'] as const)
]

export type SessionEvent = (typeof EVENTS)[number]

/** The message of every event. Never a session ID in clear: `session` is a salted hash that lives as long as the process. */
export interface SessionEventMessage {
  /** Cookie name. */
  name: string
  /** Tells sessions apart within this process. */
  session?: string
  /** Why: an error code, or a short word. */
  reason?: string
  error?: unknown
  /** On `created`: the first key that made the session necessary. */
  key?: string
}

/** Counters since the middleware was set up. */
export interface SessionStats {
  created: number
  loaded: number
  saved: number
  touched: number
  destroyed: number
  expired: number
  rejected: number
  withheld: number
  dropped: number
  conflicts: number
  errors: number
  /** Live sessions: as the store counts them if it can at once (MemoryStore), else made minus ended in this process. */
  active: number
  /**
   * The main session's secrets, newest first: when each last verified a cookie in this process (ms since 1970), `null`
   * for not yet. A secret may go when it verified nothing for as long as a session lives.
   */
  keys: { lastUsedAt: Milliseconds | null }[]
  /** When the store last finished a sweep (ms since 1970); `null`: it does not sweep, or has not yet. */
  lastCleanup: number | null
}

/** How often something happened for one reason: an error code, or a short word. There are few of them. */
export interface ReasonCount {
  event: SessionEvent
  reason: string
  count: number
}

const channels = Object.fromEntries(EVENTS.map((event) => [event, channel(`silverback:${event}`)])) as Record<
  SessionEvent,
  Channel
>
let salt: Buffer | undefined

/** Counts and publishes the life of one middleware's sessions. */
export class Monitor {
  readonly #counts = Object.fromEntries(EVENTS.map((event) => [event, 0])) as Record<SessionEvent, number>
  readonly #reasons = new Map<string, ReasonCount>()

  note(event: SessionEvent, name: string, id?: string, details?: Omit<SessionEventMessage, 'name' | 'session'>): void {
    this.#counts[event]++
    if (details !== undefined) this.#countReason(event, details)
    requests?.getStore()?.push([name, inWords(event, details)])
    const target = channels[event]
    if (!target.hasSubscribers) return
    const message: SessionEventMessage = { name, ...details }
    // A genid may have returned anything.
    if (typeof id === 'string') message.session = pseudonym(id)
    target.publish(message)
  }

  /** Whether anything listens to an event. */
  tells(event: SessionEvent): boolean {
    return channels[event].hasSubscribers
  }

  /** Since set-up, of the events that have one. */
  get reasons(): ReasonCount[] {
    return [...this.#reasons.values()].map((count) => ({ ...count }))
  }

  #countReason(event: SessionEvent, { reason, error }: Omit<SessionEventMessage, 'name'>): void {
    const why = reason ?? (event === 'error' ? codeOf(error) : undefined)
    if (why === undefined) return
    const key = `${event} ${why}`
    const known = this.#reasons.get(key)
    if (known === undefined) this.#reasons.set(key, { event, reason: why, count: 1 })
    else known.count++
  }

  stats(keys: SessionStats['keys'], lastCleanup: number | null, live?: number): SessionStats {
    const { conflict, error, ...counts } = this.#counts
    const active = live ?? Math.max(0, counts.created - counts.destroyed - counts.expired)
    return { ...counts, conflicts: conflict, errors: error, active, keys, lastCleanup }
  }
}

function codeOf(error: unknown): string {
  return error instanceof SessionError ? error.code : 'ERR_SESSION_STORE'
}

function inWords(event: SessionEvent, { reason, error, key }: Omit<SessionEventMessage, 'name'> = {}): string {
  const why = reason ?? (error === undefined ? key && `for ${key}` : codeOf(error))
  return why === undefined ? event : `${event} (${why})`
}

/** Tells sessions apart in this process, and leads back to none. */
export function pseudonym(id: string): string {
  // Not while the module is loaded: workerd has no random bytes then.
  salt ??= randomBytes(16)
  return createHash('sha256').update(salt).update(id).digest('base64url').slice(0, 12)
}

const log = debuglog('silverback')

/** Whether `NODE_DEBUG=silverback` asks why each request has got what it got. */
export const explains = log.enabled

// What has happened in a request so far: the name of the session, and the event with its reason.
const requests = explains ? new AsyncLocalStorage<[name: string, what: string][]>() : undefined

/** Serves a request; what is returned prints a line, which is told what has happened to a session by then. */
export function serveExplained(
  serve: () => void
): (line: (happened: (of: { settings: { name: string } }) => string[]) => string) => void {
  const noted: [string, string][] = []
  requests!.run(noted, serve)
  const happened = ({ settings }: { settings: { name: string } }) =>
    noted.filter(([name]) => name === settings.name).map(([, what]) => what)
  // What an application names by visitors' texts ends no line, and commands no terminal.
  return (line) => log('%s', line(happened).replace(/\p{Cc}/gu, '?'))
}

/**
 * One operation of a middleware on its store, as told on the tracing channel `silverback:store`.
 *
 * It holds neither data nor session IDs. An `error` is the store's own: what some clients put into theirs (the arguments
 * of the command) may name a session.
 */
export interface StoreCall {
  /** `get`, `set`, `touch`, `destroy`, `list`, or of a lock `acquire`, `renew`, `release`. */
  readonly operation: string
  /** Class of the store. */
  readonly store: string
  /** ms until it answered; set before `end` of what is answered at once, before `asyncStart` of all else. */
  duration?: Milliseconds
  /** What it failed with. */
  error?: unknown
}

const { start, end, asyncStart, asyncEnd, error } = tracingChannel('silverback:store')
const origins = new WeakMap<object, object>()

/** Whether anything listens: before 20.13 Node's channel does not tell. */
export function isTraced(): boolean {
  return (
    end.hasSubscribers ||
    asyncEnd.hasSubscribers ||
    start.hasSubscribers ||
    asyncStart.hasSubscribers ||
    error.hasSubscribers
  )
}

/** The port of a call that a channel has told of. */
export function portOf(call: unknown): object | undefined {
  return origins.get(call as object)
}

/** Tells of an operation. Unlike `tracePromise` it leaves an answer that is there at once as it is, and tells none. */
export function traced<T>(operation: string, port: { store: object }, work: () => MaybePromise<T>): MaybePromise<T> {
  const call: StoreCall = { operation, store: port.store.constructor?.name ?? 'Object' }
  origins.set(call, port)
  const began = performance.now()
  const over = () => void (call.duration = performance.now() - began)
  const failed = (err: unknown) => {
    over()
    call.error = err
    error.publish(call)
  }
  return start.runStores(call, () => {
    let result: MaybePromise<T>
    try {
      result = work()
      if (!isPromise(result)) over()
    } catch (err) {
      failed(err)
      throw err
    } finally {
      end.publish(call)
    }
    if (!isPromise(result)) return result
    return result.then(
      (value) => {
        over()
        asyncStart.publish(call)
        asyncEnd.publish(call)
        return value
      },
      (err) => {
        failed(err)
        asyncStart.publish(call)
        asyncEnd.publish(call)
        throw err
      }
    )
  })
}
