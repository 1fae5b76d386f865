import { advise } from '../base/advice'
import { SessionError, type SessionErrorCode } from '../base/errors'
import { hashOf } from '../base/hash'
import { checkGeneratedId, randomId } from '../base/ids'
import { KeyRing } from '../cookie/keys'
import { Latest } from '../base/latest'
import { Monitor } from './monitor'
import type { Settings } from '../options/options'
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
  readonly extended = new Latest<string, Milliseconds>(EXTENDED_MAX)
  /** Follows the store's `connect` and `disconnect`. */
  ready = true
  #previousId: string | undefined

  constructor(settings: Settings) {
    this.settings = settings
    for (const { store } of this.backends()) {
      store.on?.('disconnect', () => (this.ready = false))
      store.on?.('connect', () => (this.ready = true))
    }
  }

  *backends(): Iterable<Settings['backend']> {
    yield this.settings.backend
    for (const named of this.settings.named.values()) {
      if (named.backend !== this.settings.backend) yield named.backend
    }
  }

  /** Whoever waits for the end of a session in this process hears of it at once. */
  readonly watchers = new Map<string, Set<() => void>>()

  ended(id: string): void {
    const watching = this.watchers.get(id)
    if (watching !== undefined) for (const notify of [...watching]) notify()
  }

  /** An ID for a new session: of `genid`, checked unless express-session's door takes what it gets, or our own. */
  newId({ genid, classic }: Settings, req: any): MaybePromise<string> {
    if (genid === undefined) return randomId()
    return chain(genid(req), (id) => {
      if (classic) return id
      const checked = checkGeneratedId(id, this.#previousId)
      this.#previousId = checked
      return checked
    })
  }

  /** The keys in force; express-session's door falls back on cookie-parser's `req.secret`. */
  keysFor(settings: Settings, req: any): KeyRing | undefined {
    if (settings.keys !== undefined) return settings.keys
    return req.secret ? new KeyRing(req.secret) : undefined
  }

  /** Counts a refusal, and makes the reason why a visitor's session was not accepted. */
  reject(settings: Settings, code: SessionErrorCode, id?: string): () => SessionError {
    if (code === 'ERR_SESSION_SIGNATURE' && !settings.production) advise('SIGNATURE', settings.name)
    const expired = code === 'ERR_SESSION_EXPIRED'
    this.monitor.note(expired ? 'expired' : 'rejected', settings.name, id, { reason: code })
    return () => reasonOf(code)
  }

  /** Counts a change that came too late: the session is gone, and nothing brings it back. */
  drop(settings: Settings, id: string): void {
    this.monitor.note('dropped', settings.name, id, { reason: 'ERR_SESSION_DESTROYED' })
  }

  /** A cookie that cannot be sent: counted always, and outside production said once for each cause. */
  withhold(settings: Settings, id: string | undefined, reason: string, remedy: string): void {
    this.monitor.note('withheld', settings.name, id, { reason })
    if (!isProduction()) warnOnce(`SILVERBACK_${reason}`, remedy, `${reason} ${settings.name}`)
  }
}

const MARKS_MAX = 10_000

const marks = new Latest<string, string>(MARKS_MAX)

/** The mark of a session ID. Those of late are remembered: a record is checked against its own at every request. */
export function markOfId(id: string): string {
  let mark = marks.get(id)
  if (mark === undefined) marks.set(id, (mark = markOf(id)))
  return mark
}

/** A short one-way mark of a value that must not be stored in clear. */
export function markOf(value: string): string {
  return hashOf('sha256', value, 'base64url').slice(0, 22)
}
