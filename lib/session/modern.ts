import { demand, OptionError } from '../base/errors'
import { META, OLD_META } from '../record/record'
import type { SessionData } from './data'
import { knownState } from './info'
import { MODERN, quiet, Session, stateOf } from './session'
import type { LockOptions } from './verbs'

// An assignment to them is none of data: it changes the cookie, or nothing.
const NO_DATA = new Set(['cookie', '__proto__', META, OLD_META])

/**
 * A session of `sessions()`: express-session's members, gorilla's flashes and `isNew`, and verbs for shared writes.
 *
 * Each of them gives way to data of the same name. What else is known of a session is given by `infoOf`.
 */
export class ModernSession extends Session {
  /**
   * Changes the session atomically, whoever else writes to it: `fn` sees the newest data, and runs again when another
   * request was faster. Resolves with what `fn` returned.
   */
  update<T>(fn: (session: this) => T | Promise<T>): Promise<T> {
    return update(this, fn)
  }

  /** Runs `fn` while no other process holds this session's lock. @throws {SessionError} `ERR_SESSION_LOCK_TIMEOUT` */
  lock<T>(fn: (signal: AbortSignal) => T | Promise<T>, options?: LockOptions): Promise<T> {
    return lock(this, fn, options)
  }

  /**
   * Adds a value that lives until it is read once. @see gorilla/sessions AddFlash; the default key is the same
   * @throws {OptionError} for a key under which a session keeps no data, or has other data than a list
   */
  addFlash(value: unknown, key = '_flash'): void {
    demand(!NO_DATA.has(String(key)), 'addFlash()', 'key', 'a name that data can have', key)
    const data = this as unknown as Record<string, unknown>
    const list = Object.hasOwn(data, key) ? data[key] : undefined
    // As in gorilla, which panics: what the application keeps there would be lost.
    if (list != null && !Array.isArray(list)) {
      throw new OptionError('addFlash(): the session has other data than a list under this key; take another key')
    }
    data[key] = [...((list as unknown[] | null | undefined) ?? []), value]
  }

  /** Reads and clears the flashes under a key. */
  flashes(key = '_flash'): unknown[] {
    const data = this as unknown as Record<string, unknown>
    const list = Object.hasOwn(data, key) ? data[key] : undefined
    if (!Array.isArray(list)) return []
    delete data[key]
    return list
  }
}

export interface ModernSession {
  /** `true` until it has been stored and came back: gorilla's `IsNew`. */
  readonly isNew: boolean
}

/** What `sessions()` adds to a session; behind the drop-in door there are `update()`, `lock()` and `infoOf()`. */
export interface RequestVerbs extends Pick<ModernSession, 'isNew' | 'lock' | 'addFlash' | 'flashes'> {
  update<T>(fn: (session: AppSession & Partial<SessionData>) => T | Promise<T>): Promise<T>
}

/**
 * A session as applications see it: of one type for both doors, so that they may narrow the `session` of their requests.
 * Data of the application comes before a verb of the same name, as in JavaScript.
 */
export interface AppSession extends Session, Omit<RequestVerbs, keyof SessionData> {}
export const AppSession = Session as unknown as {
  new (...args: ConstructorParameters<typeof Session>): AppSession
  readonly prototype: AppSession
}

Object.defineProperty(ModernSession.prototype, 'isNew', {
  configurable: true,
  get(this: ModernSession) {
    return stateOf(this)?.isNew
  },
  set(this: ModernSession, value: unknown) {
    Object.defineProperty(this, 'isNew', { configurable: true, enumerable: true, writable: true, value })
  }
})
Object.defineProperty(ModernSession.prototype, MODERN, { value: true })

/** `session.update(fn)` behind both doors, whatever the session's data is called. */
export function update<S extends Session, T>(session: S, fn: (session: S) => T | Promise<T>): Promise<T> {
  return quiet(knownState('update', session).verbs.update(session, fn))
}

/** `session.lock(fn, options)` behind both doors, whatever the session's data is called. */
export function lock<T>(
  session: Session,
  fn: (signal: AbortSignal) => T | Promise<T>,
  options?: LockOptions
): Promise<T> {
  return quiet(knownState('lock', session).verbs.lock(session, fn, options))
}
