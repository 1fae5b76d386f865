import type { SessionRecord } from '../../store/contract'
import type { Milliseconds } from '../../base/time'

/** A collection of `mongodb`, as far as the store uses it. */
export interface MongoCollection {
  findOne(filter: object, options?: object): Promise<unknown>
  find(filter: object, options?: object): AsyncIterable<unknown>
  updateOne(filter: object, update: object, options?: object): Promise<{ matchedCount: number; upsertedCount: number }>
  findOneAndDelete(filter: object, options?: object): Promise<unknown>
  deleteOne(filter: object): Promise<{ deletedCount: number }>
  deleteMany(filter: object): Promise<unknown>
  countDocuments(filter: object): Promise<number>
  createIndex(keys: any, options?: object): Promise<unknown>
  readonly writeConcern?: { w?: unknown } | undefined
}

/** How documents are read, whatever the client is set to: numbers are numbers, and none a BigInt, which JSON lacks. */
export const PLAIN_NUMBERS = { promoteValues: true, useBigInt64: false }

export const ACKNOWLEDGED = 'whose writes are acknowledged (not of writeConcern { w: 0 })'

/** Otherwise nobody knows what came of a condition: each update would fail, and every lock seem free. */
export function isAcknowledged(collection: unknown): boolean {
  return (collection as MongoCollection).writeConcern?.w !== 0
}

/**
 * A session as connect-mongo 6 keeps it, and what we keep beside it.
 *
 * connect-mongo writes `session` and `expires`, and leaves the rest as it is. It never sees locks: their `expires` is
 * `null`, which is neither absent nor later than now, and no TTL index takes it for a date.
 */
export interface MongoDocument {
  _id: string
  /** JSON of the record, or with `stringify: false` the record itself. */
  session: string | SessionRecord
  /** When the session is over; without it never. The TTL index removes it then. */
  expires?: Date
  silverback?: {
    /** Ms from the last use until `expires`. Whoever moves `expires`, connect-mongo too, moves the last use with it. */
    span?: Milliseconds
    user?: string
  }
}
