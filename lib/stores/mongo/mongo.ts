import { demand, hasMethods, isAboveZero } from '../../base/errors'
import { isPromise, SECOND, type MaybePromise } from '../../base/time'
import { warnOnce } from '../../base/warnings'
import { FLAG, checkOptions, optional, type Rule } from '../option-rules'
import { RecordStore } from '../record-store'
import { ACKNOWLEDGED, isAcknowledged, type MongoCollection } from './collection'
import { Objects, TEXTS } from './format'
import { mongoPowers } from './powers'

const TWO_WEEKS_IN_SECONDS = 14 * 86_400
const METHODS = ['findOne', 'find', 'updateOne', 'findOneAndDelete', 'deleteOne', 'countDocuments', 'createIndex']

export interface MongoStoreOptions {
  /** A collection of `mongodb` 6 or later, or a promise of one; for sessions alone, and with acknowledged writes. */
  collection: MaybePromise<MongoCollection>
  /**
   * Whether sessions are kept as JSON text, as with connect-mongo. `false`: as documents, in which Dates, ObjectIds and
   * other BSON types stay what they are.
   * @default true
   */
  stringify?: boolean
  /**
   * Seconds to keep a session whose cookie has no expiry, and that has no idle time either, as with connect-mongo.
   * @default 1209600
   */
  ttl?: number
  /**
   * Makes the indexes at first use if they are missing: connect-mongo's, by which MongoDB removes what is over, one for
   * locks, and one for the sessions of a user.
   * @default true
   */
  createIndexes?: boolean
}

const RULES: Record<keyof MongoStoreOptions, Rule> = {
  collection: [
    `a collection of mongodb 6 or later (client.db().collection("sessions")), or a promise of one, ${ACKNOWLEDGED}`,
    (collection) => isPromise(collection) || (hasMethods(collection, ...METHODS) && isAcknowledged(collection))
  ],
  stringify: FLAG,
  ttl: optional('seconds above 0', isAboveZero),
  createIndexes: FLAG
}

/**
 * Sessions in MongoDB: connect-mongo's documents, with conditional writes.
 *
 * connect-mongo instances may use the same collection at the same time, with the same `stringify`, and without
 * `crypto`, `serialize` and `transformId`.
 *
 * @example
 * const client = new MongoClient(process.env.MONGODB_URL)
 * const store = new MongoStore({ collection: client.db().collection('sessions') })
 * app.use(sessions({ secret, store }))
 * @throws {OptionError} when an option cannot work.
 */
export class MongoStore extends RecordStore {
  /** Documents keep the types of BSON. */
  readonly keepsTypes: boolean

  constructor(options: MongoStoreOptions) {
    const given = checkOptions('MongoStore', options, RULES)
    const { collection, stringify = true, ttl = TWO_WEEKS_IN_SECONDS, createIndexes = true } = given
    // A rejection reaches whoever uses the store.
    if (isPromise(collection)) collection.catch?.(() => undefined)
    let opened: Promise<MongoCollection> | undefined
    const open = () => (opened ??= opening(collection, createIndexes))
    super(mongoPowers(open, stringify ? TEXTS : new Objects(), ttl * SECOND))
    this.keepsTypes = !stringify
  }
}

async function opening(given: MaybePromise<MongoCollection>, indexes: boolean): Promise<MongoCollection> {
  const collection = await given
  demand(isAcknowledged(collection), 'MongoStore', 'collection', `one ${ACKNOWLEDGED}`, collection)
  // Not waited for: sessions are found by their ID, and what is over is refused, whether it is removed or not.
  if (indexes) void makeIndexes(collection).catch(warnOfIndexes)
  return collection
}

async function makeIndexes(collection: MongoCollection): Promise<void> {
  const atDate = { expireAfterSeconds: 0 }
  // The very index of connect-mongo.
  await collection.createIndex({ expires: 1 }, { background: true, ...atDate })
  await collection.createIndex({ 'silverback.until': 1 }, { ...atDate, sparse: true })
  await collection.createIndex({ 'silverback.user': 1 }, { sparse: true })
}

function warnOfIndexes(err: unknown): void {
  const { codeName, message } = (err ?? {}) as { codeName?: string; message?: string }
  warnOnce(
    'SILVERBACK_MONGO_INDEXES',
    `MongoStore could not make its indexes (${codeName ?? message}): make them by hand, as docs/stores.md tells, and ` +
      'set createIndexes: false. Until then MongoDB does not remove what is over.'
  )
}
