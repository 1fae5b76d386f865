import { advise } from '../base/advice'
import { SessionError, type SessionErrorCode } from '../base/errors'
import { hashOf } from '../base/hash'
import { BoundedMap } from '../base/maps'
import { EmptyRequest, type HttpRequest } from '../base/http'
import { Monitor } from '../base/diagnostics'
import type { Settings } from '../options/settings'
import { chain, type MaybePromise, type Milliseconds } from '../base/time'
import { isProduction, warnOnce } from '../base/warnings'

const REASONS: Partial<Record<SessionErrorCode, string>> = {
  ERR_SESSION_SIGNATURE:
    'The session cookie is not one that this application made: forged, damaged, or of a key that is not listed. After ' +
    'a key change, keep the old secret behind the new one.',
  ERR_SESSION_EXPIRED: 'The session has expired: the options idle and absolute say when. Let the visitor log in again.',
  ERR_SESSION_MISSING:
    'The session cookie is authentic, but the store does not know the session (any more): it ended, or the store was ' +
    'emptied or is another one. Let the visitor log in again.',
  ERR_SESSION_CORRUPT:
    'What the store holds under this session ID is not a session; it was left alone, or moved to quarantine by a ' +
    'FileStore. See who else writes there.',
  ERR_SESSION_BINDING:
    'The session was used from elsewhere than it is bound to by the option bind. Let the visitor log in again.',
  ERR_SESSION_AMBIGUOUS:
    'The request carries two authentic cookies of different sessions; neither is believed, and both are expired. ' +
    'Use a name with the prefix __Host- where subdomains are not trusted.',
  ERR_SESSION_SCHEMA:
    'The stored data does not fit the schema; the record was left alone. Let the schema migrate what older releases kept.'
}

/** Why a session is not accepted, in words. */
export function reasonOf(code: SessionErrorCode): SessionError {
  return new SessionError(code, REASONS[code] ?? 'The session was refused.')
}

const EXTENDED_MAX = 50_000

/** What one middleware shares between its requests. */
export class Engine {
  readonly settings: Settings
  readonly monitor = new Monitor()
  /**
   * When this process last extended a session, for records that do not tell: those without metadata, and those of
   * stores from npm, which prolong a key and leave the record as it is. What is forgotten is extended once too often.
   */
  readonly extended = new BoundedMap<string, Milliseconds>(EXTENDED_MAX)
  /** What wants to know of the end of a session, by its ID. */
  readonly watchers = new Map<string, Set<() => void>>()
  /** Whether the store has said no `disconnect` since it answered. */
  connected = true
  #askedAt: Milliseconds = 0
  #failedTouches = 0
  #previousId: string | undefined

  constructor(settings: Settings) {
    this.settings = settings
    for (const { store } of this.ports()) {
      store.on?.('disconnect', () => {
        this.connected = false
        this.#askedAt = Date.now()
      })
      store.on?.('connect', () => (this.connected = true))
    }
  }

  *ports(): Iterable<Settings['port']> {
    yield this.settings.port
    for (const named of this.settings.named.values()) {
      if (named.port !== this.settings.port) yield named.port
    }
  }

  /** Whether a request may ask the store after a `disconnect`: one a second, for stores that never say `connect` again. */
  asksAgain(): boolean {
    const now = Date.now()
    if (now - this.#askedAt < ASK_AGAIN) return false
    this.#askedAt = now
    return true
  }

  /** Tells those who wait for the end of a session in this process. */
  ended(id: string): void {
    const watching = this.watchers.get(id)
    if (watching !== undefined) for (const notify of [...watching]) notify()
  }

  /** What `genid` has answered, as the door checks it. */
  generatedId({ door }: Settings, given: MaybePromise<string>): MaybePromise<string> {
    return chain(given, (id) => (this.#previousId = door.checkId(id, this.#previousId)))
  }

  /** Counts a refusal, and makes the reason why a visitor's session was not accepted. */
  reject(settings: Settings, code: SessionErrorCode, id?: string): () => SessionError {
    if (code === 'ERR_SESSION_SIGNATURE' && !settings.production) advise('SIGNATURE', settings.name)
    const expired = code === 'ERR_SESSION_EXPIRED'
    this.monitor.note(expired ? 'expired' : 'rejected', settings.name, id, { reason: code })
    return () => settings.port.store.reasonOf?.(code, id) ?? reasonOf(code)
  }

  /** Counts a change or an extension that is not stored; of a change it says so, outside production, once for each cause. */
  drop(settings: Settings, id: string, reason: DropReason = 'ERR_SESSION_DESTROYED', hasChanges = true): void {
    this.monitor.note('dropped', settings.name, id, { reason })
    if (hasChanges && !settings.production)
      warnOnce('SILVERBACK_DROPPED', DROPPED[reason] ?? DROPPED_BEFORE, `dropped ${reason}`)
  }

  /** A cookie that cannot be sent: counted always, and outside production said once for each cause. */
  withhold(settings: Settings, id: string | undefined, reason: string, remedy: string): void {
    this.monitor.note('withheld', settings.name, id, { reason })
    if (!isProduction()) warnOnce(`SILVERBACK_${reason}`, remedy, `${reason} ${settings.name}`)
  }

  /** Counts a touch, or its failure; one that fails again and again is said aloud. */
  noteTouch({ name }: Settings, id: string, failure?: { error: unknown }): void {
    this.monitor.note(failure === undefined ? 'touched' : 'error', name, id, failure)
    this.#failedTouches = failure === undefined ? 0 : this.#failedTouches + 1
    if (this.#failedTouches === TOUCHES_MAX) warnOnce('SILVERBACK_TOUCH', TOUCH_FAILS, `touch ${name}`)
  }
}

/** What is looked at for one session of one request. */
export interface Visit {
  readonly engine: Engine
  readonly settings: Settings
  readonly req: HttpRequest
}

const ASK_AGAIN: Milliseconds = 1000
const TOUCHES_MAX = 5
const TOUCH_FAILS =
  'The session store fails to extend sessions again and again: they end although they are used. The event ' +
  'silverback:error has the reason.'
const DROPPED_BEFORE =
  'A request changed a session that had meanwhile been destroyed, regenerated or revoked: its data was not stored. ' +
  'Await session.regenerate() and session.destroy(), and write to the new req.session.'

/** Why a change is not stored: a code, or that nobody saved a session which the request does not keep. */
export type DropReason = SessionErrorCode | 'UNREGISTERED'
const DROPPED: Partial<Record<DropReason, string>> = {
  UNREGISTERED:
    'A session of req.sessions.new() was changed and not saved: its data was not stored. Call its save(), or use ' +
    'req.sessions.get().',
  ERR_SESSION_HEADERS_SENT:
    'A request changed its session after it had answered: its data was not stored. Change req.session before ' +
    'res.end(), res.send() or res.redirect(), or call req.session.save() afterwards.',
  ERR_SESSION_OPTION:
    'A request changed its session and set req.sessionID to something that is no ID: its data was not stored.',
  ERR_SESSION_STORE:
    'A request changed the session that stood in for one which the store could not read: its data was not stored.'
}

/** A short one-way mark of a value that must not be stored in clear: of a session ID, say. */
export function markOf(value: string): string {
  return hashOf('sha256', value, 'base64url').slice(0, 22)
}

/**
 * The mark of what a request binds its session to; `undefined` where nothing is to be bound.
 *
 * A request without it (no User-Agent, say) counts as one with an empty text: it opens no session that is bound to
 * something, and its own is opened by no request that has something to show.
 * @throws {SessionError} `ERR_SESSION_OPTION` when the option answers anything but a string or nothing
 */
export function bindingOf({ bind }: Settings, req: HttpRequest): string | undefined {
  if (bind === undefined || req instanceof EmptyRequest) return undefined
  const value: unknown = bind(req) ?? ''
  if (typeof value === 'string') return markOf(value)
  throw new SessionError(
    'ERR_SESSION_OPTION',
    `The option bind must return a string, and returned ${typeof value === 'object' ? 'an object' : `a ${typeof value}`}.`
  )
}

/** What the option `schema` makes of stored data, or what it has against it. */
export function shaped(
  { schema }: Settings,
  data: Record<string, unknown>
): MaybePromise<{ data: Record<string, unknown> } | { issues: readonly unknown[] }> {
  if (schema === undefined) return { data }
  return chain(schema['~standard'].validate(data), (result) =>
    result.issues ? { issues: result.issues } : { data: result.value as Record<string, unknown> }
  )
}
