import { channel, type Channel } from 'node:diagnostics_channel'
import { createHash, randomBytes } from 'node:crypto'
import { SessionError } from '../base/errors'
import type { Milliseconds } from '../base/time'
import { explains, noteDecision } from './decisions'

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
    if (explains) noteDecision(name, inWords(event, details))
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
