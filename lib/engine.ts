import { createHash } from 'node:crypto'
import { SessionError, type SessionErrorCode } from './errors'
import { KeyRing } from './keys'
import { Monitor } from './monitor'
import type { Settings } from './options'
import { StoreTurns } from './turns'
import { isProduction, warnOnce } from './warnings'

const REASONS: Partial<Record<SessionErrorCode, string>> = {
  ERR_SESSION_SIGNATURE:
    'The session cookie is not one that this application made: forged, damaged, or of another key.',
  ERR_SESSION_EXPIRED: 'The session has expired.',
  ERR_SESSION_MISSING: 'The session cookie is authentic, but the store does not know the session (any more).',
  ERR_SESSION_CORRUPT: 'What the store holds under this session ID is not a session; it was left alone.',
  ERR_SESSION_BINDING: 'The session was used from elsewhere than it is bound to.',
  ERR_SESSION_AMBIGUOUS: 'The request carries two authentic cookies of different sessions; neither is believed.',
  ERR_SESSION_SCHEMA: 'The stored data does not fit the schema; the record was left alone.'
}

const updates = new StoreTurns()

/** What one middleware shares between its requests. */
export class Engine {
  readonly settings: Settings
  readonly monitor = new Monitor()
  /** Follows the store's `connect` and `disconnect`. */
  ready = true
  previousId: string | undefined

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

  /** Runs the updates of one session one after the other within this process: only other processes can be faster. */
  async serialize<T>(store: object, id: string, work: () => Promise<T>): Promise<T> {
    return updates.take(store, id, work)
  }

  /** The keys in force; express-session's door falls back on cookie-parser's `req.secret`. */
  keysFor(settings: Settings, req: any): KeyRing | undefined {
    if (settings.keys !== undefined) return settings.keys
    return req.secret ? new KeyRing(req.secret) : undefined
  }

  /** Counts a refusal, and makes the reason why a visitor's session was not accepted. */
  reject(settings: Settings, code: SessionErrorCode, id?: string): () => SessionError {
    const expired = code === 'ERR_SESSION_EXPIRED'
    this.monitor.note(expired ? 'expired' : 'rejected', settings.name, id, { reason: code })
    return () => new SessionError(code, REASONS[code] ?? 'The session was refused.')
  }

  /** A cookie that cannot be sent: counted always, and outside production said once for each cause. */
  withhold(settings: Settings, id: string | undefined, reason: string, remedy: string): void {
    this.monitor.note('withheld', settings.name, id, { reason })
    if (!isProduction()) warnOnce(`SILVERBACK_${reason}`, remedy, `${reason} ${settings.name}`)
  }
}

/** A short one-way mark of a value that must not be stored in clear. */
export function markOf(value: string): string {
  return createHash('sha256').update(value).digest('base64url').slice(0, 22)
}
