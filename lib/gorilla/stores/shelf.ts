import { must } from '../../base/errors'
import { hashOf } from '../../base/hash'
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
  /** Only over a record of that version, `null`: where nothing is; else `false`. `end`: `null` for no end. */
  write(id: string, raw: Buffer, end: Milliseconds | null, version: string | null): Promise<boolean>
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

/** The version of a record whose backing has none: what else may be there is another text. */
export function digestOf(raw: Buffer): string {
  return hashOf('sha1', raw, 'hex')
}
