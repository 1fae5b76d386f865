import { getHeapStatistics } from 'node:v8'
import { POWERS } from '../../store/contract'
import { OptionError, quote } from '../../base/errors'
import { RecordStore } from '../../store/record-store'
import { MINUTE, type Milliseconds } from '../../base/time'
import { Entries } from './entries'
import { MemoryPowers } from './powers'
import { factsOf } from './record'
import { NONE } from './slots'
import { Sweeper } from './sweeper'
import { compact } from './text'
import { viewOf } from './view'

export interface MemoryStoreOptions {
  /**
   * Most sessions to hold: beyond it the least recently used goes.
   *
   * A positive integer, or `Infinity`.
   * @default 1_000_000
   */
  max?: number
  /**
   * Most bytes of session JSON to hold: beyond it the least recently used goes. Each session takes some 160 bytes
   * more, 250 if it has a user.
   *
   * A positive integer, or `Infinity`. A session that exceeds it alone is refused with `ERR_SESSION_TOO_LARGE`.
   * @default a quarter of the heap that the process may use
   */
  maxBytes?: number
  /**
   * Span between two sweeps that free expired sessions (a sweep works in slices of about a millisecond).
   *
   * 1 to 2^31 - 1.
   * @default 60_000
   */
  sweepEvery?: Milliseconds
}

const MAX_TIMER = 2 ** 31 - 1

/**
 * Keeps sessions in this process: synchronous, bounded, swept. They end with the process and are not shared.
 *
 * Every verb answers directly, or, given a Node callback, on a later turn as express-session's MemoryStore does.
 *
 * @example
 * app.use(sessions({ secret, store: new MemoryStore({ max: 100_000 }) }))
 */
export class MemoryStore extends RecordStore<true> {
  readonly [POWERS]: MemoryPowers
  readonly #entries: Entries
  readonly #sweeper: Sweeper
  #view: Record<string, string> | undefined

  /** @throws {OptionError} for an option out of its limits. */
  constructor(options: MemoryStoreOptions = {}) {
    super()
    const { max = 1_000_000, maxBytes = Math.floor(getHeapStatistics().heap_size_limit / 4) } = options
    const { sweepEvery = MINUTE } = options
    checkBound('max', max)
    checkBound('maxBytes', maxBytes)
    if (!(typeof sweepEvery === 'number' && sweepEvery >= 1 && sweepEvery <= MAX_TIMER)) {
      throw new OptionError(`sweepEvery must be milliseconds from 1 to ${MAX_TIMER}, got ${quote(sweepEvery)}`)
    }
    this.#sweeper = new Sweeper(sweepEvery, (from) => this.#entries.sweep(from))
    this.#entries = new Entries({ max, maxBytes, onMortal: () => this.#sweeper.arm() })
    this[POWERS] = new MemoryPowers(this.#entries)
  }

  /** When the last sweep ended. */
  get lastCleanup(): Milliseconds | undefined {
    return this.#sweeper.finishedAt
  }

  /** The JSON of each live session by ID, to read and to write: express-session's undocumented property. */
  get sessions(): Record<string, string> {
    return (this.#view ??= viewOf({
      read: (id) => this.#textOf(id),
      write: (id, text) => this.#keep(id, text),
      ids: () => this.ids()
    }))
  }

  set sessions(texts: Record<string, string>) {
    const entries = Object.entries(texts)
    this.clear()
    for (const [id, text] of entries) this.sessions[id] = text
  }

  /** Stops sweeping, for good. What is kept stays, and expired sessions are still never answered. */
  close(): void {
    this.#sweeper.close()
  }

  #textOf(id: string): string | undefined {
    const slot = this.#entries.find(id)
    return slot === NONE ? undefined : this.#entries.text(slot)
  }

  #keep(id: string, text: string | undefined): void {
    if (text === undefined) return this.destroy(id)
    const { usedAt, expiresAt, user } = factsOf(text)
    this[POWERS].put(id, compact(text), { usedAt, expiresAt: expiresAt ?? null }, user)
  }
}

function checkBound(name: string, value: unknown): void {
  if (value === Infinity || (Number.isInteger(value) && (value as number) >= 1)) return
  throw new OptionError(`${name} must be a positive integer or Infinity, got ${quote(value)}`)
}
