import { getHeapStatistics } from 'node:v8'
import { callable } from '../../base/callable'
import { isTimerSpan, must } from '../../base/errors'
import { givenOptions } from '../../base/warnings'
import { MINUTE, TIMER_MAX, type Milliseconds } from '../../base/time'
import { declareNative, POWERS, type Callback, type SessionRecord } from '../../store/contract'
import { RecordStore } from '../record-store'
import { MemoryPowers } from './powers'

export interface MemoryStoreOptions {
  /**
   * Most sessions to hold: beyond it the least recently used goes.
   * A positive integer, or `Infinity`. @default 1_000_000
   */
  max?: number
  /**
   * Most bytes of session JSON to hold: beyond it the least recently used goes. Each session takes some 200 bytes
   * more, 320 if it has a user.
   * A positive integer, or `Infinity`. A session that exceeds it alone is refused with `ERR_SESSION_TOO_LARGE`.
   * @default a quarter of the heap that the process may use; 32 MiB where the platform does not tell it
   */
  maxBytes?: number
  /**
   * Span between two sweeps that free expired sessions, and pack those that were not used since the last one (a sweep
   * works in slices of about a millisecond).
   * 1 to 2^31 - 1. @default 60_000
   */
  sweepEvery?: Milliseconds
}

const DEFAULT_MAX = 1_000_000
/** A quarter of what workerd gives an isolate, whose heap limit reads as 0. */
const DEFAULT_MAX_BYTES = 32 * 1024 * 1024

/**
 * Keeps sessions in this process: synchronous, bounded, swept. They end with the process and are not shared.
 *
 * Every verb answers directly, or, given a Node callback, on a later turn as express-session's MemoryStore does.
 *
 * @example
 * app.use(sessions({ secret, store: new MemoryStore({ max: 100_000 }) }))
 */
class BoundedMemoryStore extends RecordStore<true> {
  declare readonly [POWERS]: MemoryPowers

  static {
    // Not declared: TypeScript would take it for a named export of `session/memory`.
    Object.defineProperty(this, 'name', { configurable: true, value: 'MemoryStore' })
  }

  /** @throws {OptionError} for an option out of its limits. */
  constructor(options?: MemoryStoreOptions) {
    super(new MemoryPowers(checked(options)))
  }

  override get(id: string): SessionRecord | null
  override get(id: string, callback: Callback<any>): void
  override get(id: string, callback?: Callback<unknown>): unknown {
    if (typeof callback !== 'function') return super.get(id)
    // As in express-session, for `session === undefined`.
    return super.get(id, (err: unknown, found: unknown) => callback(err, found ?? undefined))
  }

  /** When the last sweep ended. */
  get lastCleanup(): Milliseconds | undefined {
    return this[POWERS].sweptAt
  }

  /** The JSON of each live session by ID, to read and to write: express-session's undocumented property. */
  get sessions(): Record<string, string> {
    return this[POWERS].texts
  }

  set sessions(texts: Record<string, string>) {
    const copy = { ...texts }
    this.clear()
    Object.assign(this.sessions, copy)
  }

  /** Stops sweeping, for good. What is kept stays, and expired sessions are still never answered. */
  close(): void {
    this[POWERS].close()
  }
}

declareNative(BoundedMemoryStore)

// express-session's can be called without `new`, and stores from npm that inherit from it do.
export const MemoryStore = callable(BoundedMemoryStore)
export type MemoryStore = BoundedMemoryStore

function checked(options: MemoryStoreOptions | undefined): Required<MemoryStoreOptions> {
  const given = givenOptions('MemoryStore', options, ['max', 'maxBytes', 'sweepEvery'])
  const quarter = Math.floor(getHeapStatistics().heap_size_limit / 4)
  const { max = DEFAULT_MAX, maxBytes = quarter || DEFAULT_MAX_BYTES, sweepEvery = MINUTE } = given
  checkBound('max', max)
  checkBound('maxBytes', maxBytes)
  must(isTimerSpan(sweepEvery), 'sweepEvery', `milliseconds from 1 to ${TIMER_MAX}`, sweepEvery)
  return { max, maxBytes, sweepEvery }
}

function checkBound(name: string, value: unknown): void {
  const isBound = value === Infinity || (Number.isInteger(value) && (value as number) >= 1)
  must(isBound, name, 'a positive integer or Infinity', value)
}
