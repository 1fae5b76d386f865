import { must } from '../../base/errors'
import type { Milliseconds } from '../../base/time'
import type { LockPower } from '../../store/contract'

/** A record of Go's as a backing keeps it. */
export interface Shelved {
  readonly raw: Buffer
  /** Tells it from every other record that was or will be there. */
  readonly version: string
  /** When the backing lets go of it, or calls it over; `null`: never. Missing where it does not tell. */
  readonly expiresAt?: Milliseconds | null
  /** When it was written, where the backing tells. */
  readonly modifiedAt?: Milliseconds
}

/** Where Go's records are kept: each verb at most one of the backing's own, or as close to it as that has them. */
export interface Shelf {
  /** Reached over a network. */
  readonly remote: boolean
  read(id: string): Promise<Shelved | null>
  /** Keeps what nobody keeps yet. `false` when something is there. `end`: `null` for no end. */
  create(id: string, raw: Buffer, end: Milliseconds | null): Promise<boolean>
  /** `false` when it is gone, or no longer of that version. */
  replace(id: string, raw: Buffer, end: Milliseconds | null, version: string): Promise<boolean>
  /** `false` when it was gone, or no longer of that version. */
  remove(id: string, version?: string): Promise<boolean>
  /** The version of what was just written; `undefined` where only reading tells. */
  versionOf(raw: Buffer): string | undefined
  readonly lock?: LockPower
}

/** @throws {OptionError} unless a backing is what a format needs */
export function demandBacking(holds: boolean, format: string, what: string, got: unknown): asserts holds {
  must(holds, `gorillaSessions: the backing of ${format}`, what, got)
}
