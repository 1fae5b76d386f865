import { hasMethods, SessionError, unavailable } from '../../base/errors'
import { hashOf } from '../../base/hash'
import type { Milliseconds } from '../../base/time'
import type { MongoCollection } from '../../stores/mongo/collection'
import { demandBacking, type Shelf, type Shelved } from './shelf'

/** A document of mongostore. */
interface MongoRecord {
  _id: unknown
  data?: unknown
  modified?: unknown
}

/** A collection of `mongodb`. */
type Collection = MongoCollection & { insertOne(document: object): Promise<unknown> }

const DUPLICATE_KEY = 11_000
const ID = /^[0-9a-f]{24}$/

/** Whether a text is an ObjectId, as mongostore takes them. */
export function isObjectId(text: string): boolean {
  return ID.test(text)
}

/** Records as documents of mongostore: `_id`, `data`, `modified`. */
export class MongoShelf implements Shelf {
  readonly remote = true
  readonly #collection: Collection

  constructor(collection: unknown) {
    demandBacking(hasMethods(collection, 'findOne'), 'mongostore', 'a collection of mongodb', collection)
    this.#collection = collection as Collection
  }

  async read(id: string): Promise<Shelved | null> {
    const found = await this.#find(id)
    if (typeof found?.data !== 'string') return null
    const raw = rawOf(found)
    const modified = new Date(found.modified as Date).valueOf()
    return { raw, version: this.versionOf(raw), ...(!Number.isNaN(modified) && { modifiedAt: modified }) }
  }

  async create(id: string, raw: Buffer): Promise<boolean> {
    if (!isObjectId(id)) throw notAnId()
    try {
      const document = { _id: objectId(id), data: raw.toString('latin1'), modified: new Date() }
      await this.#ask(() => this.#collection.insertOne(document))
      return true
    } catch (err) {
      if (((err as Error).cause as { code?: unknown } | undefined)?.code !== DUPLICATE_KEY) throw err
      return false
    }
  }

  async replace(id: string, raw: Buffer, _end: Milliseconds | null, version: string): Promise<boolean> {
    const filter = await this.#filterOf(id, version)
    if (filter === undefined) return false
    const update = { $set: { data: raw.toString('latin1'), modified: new Date() } }
    return (await this.#ask(() => this.#collection.updateOne(filter, update))).matchedCount > 0
  }

  async remove(id: string, version?: string): Promise<boolean> {
    if (!isObjectId(id)) return false
    const filter = version === undefined ? { _id: objectId(id) } : await this.#filterOf(id, version)
    if (filter === undefined) return false
    return (await this.#ask(() => this.#collection.deleteOne(filter))).deletedCount > 0
  }

  versionOf(raw: Buffer): string {
    return hashOf('sha1', raw, 'hex')
  }

  async #find(id: string): Promise<MongoRecord | null> {
    if (!isObjectId(id)) return null
    return (await this.#ask(() => this.#collection.findOne({ _id: objectId(id) }))) as MongoRecord | null
  }

  // The document as it was read, if that is the version.
  async #filterOf(id: string, version: string): Promise<MongoRecord | undefined> {
    const found = await this.#find(id)
    if (found === null || this.versionOf(rawOf(found)) !== version) return undefined
    return { _id: found._id, data: found.data }
  }

  async #ask<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask()
    } catch (cause) {
      throw unavailable('MongoDB did not answer, or refused a command.', cause)
    }
  }
}

function rawOf({ data }: MongoRecord): Buffer {
  return Buffer.from(String(data), 'latin1')
}

// The driver is the application's; it is here because the collection is.
function objectId(hex: string): unknown {
  const { ObjectId } = require('mongodb') as { ObjectId: new (hex: string) => unknown }
  return new ObjectId(hex)
}

function notAnId(): SessionError {
  return new SessionError(
    'ERR_SESSION_OPTION',
    'mongostore takes ObjectIds alone: leave the option genid out, or let it return 24 hexadecimal digits.'
  )
}
