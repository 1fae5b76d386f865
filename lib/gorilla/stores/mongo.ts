import { OptionError, quote, SessionError } from '../../base/errors'
import { hashOf } from '../../base/hash'
import type { Milliseconds } from '../../base/time'
import type { Shelf, Shelved } from './shelf'

/** A document of mongostore. */
interface MongoRecord {
  _id: unknown
  data?: unknown
  modified?: unknown
}

/** A collection of `mongodb`. */
export interface MongoCollection {
  findOne(filter: object): Promise<MongoRecord | null>
  insertOne(document: object): Promise<unknown>
  updateOne(filter: object, update: object): Promise<{ matchedCount: number }>
  deleteOne(filter: object): Promise<{ deletedCount?: number }>
}

const DUPLICATE_KEY = 11_000
const ID = /^[0-9a-f]{24}$/

/** Whether a text is an ObjectId, as mongostore takes them. */
export function isObjectId(text: string): boolean {
  return ID.test(text)
}

/** Records as documents of mongostore: `_id`, `data`, `modified`. */
export class MongoShelf implements Shelf {
  readonly remote = true
  readonly #collection: MongoCollection
  readonly #objectId: (hex: string) => unknown

  /** @param objectId makes an ObjectId */
  constructor(collection: unknown, objectId: (hex: string) => unknown) {
    if (typeof (collection as Partial<MongoCollection> | null)?.findOne !== 'function') {
      throw new OptionError(
        `gorillaSessions: the backing of mongostore must be a collection of mongodb, got ${quote(collection)}`
      )
    }
    this.#collection = collection as MongoCollection
    this.#objectId = objectId
  }

  async read(id: string): Promise<Shelved | null> {
    const found = await this.#find(id)
    if (typeof found?.data !== 'string') return null
    const raw = Buffer.from(found.data, 'latin1')
    const modified = new Date(found.modified as Date).valueOf()
    return { raw, version: this.versionOf(raw), ...(!Number.isNaN(modified) && { modifiedAt: modified }) }
  }

  async create(id: string, raw: Buffer): Promise<boolean> {
    if (!isObjectId(id)) throw notAnId()
    try {
      const document = { _id: this.#objectId(id), data: raw.toString('latin1'), modified: new Date() }
      await this.#ask(() => this.#collection.insertOne(document))
      return true
    } catch (err) {
      if (((err as Error).cause as { code?: unknown } | undefined)?.code !== DUPLICATE_KEY) throw err
      return false
    }
  }

  async replace(id: string, raw: Buffer, _end: Milliseconds | null, version: string): Promise<boolean> {
    const found = await this.#find(id)
    if (typeof found?.data !== 'string' || this.versionOf(Buffer.from(found.data, 'latin1')) !== version) return false
    const filter = { _id: found._id, data: found.data }
    const update = { $set: { data: raw.toString('latin1'), modified: new Date() } }
    return (await this.#ask(() => this.#collection.updateOne(filter, update))).matchedCount > 0
  }

  async remove(id: string, version?: string): Promise<boolean> {
    if (!isObjectId(id)) return false
    const found = version === undefined ? undefined : await this.#find(id)
    if (version !== undefined && (!found || this.versionOf(Buffer.from(String(found.data), 'latin1')) !== version))
      return false
    const filter = { _id: this.#objectId(id), ...(found && { data: found.data }) }
    const removed = await this.#ask(() => this.#collection.deleteOne(filter))
    return Number(removed.deletedCount) > 0
  }

  versionOf(raw: Buffer): string {
    return hashOf('sha1', raw, 'hex')
  }

  async #find(id: string): Promise<MongoRecord | null> {
    return isObjectId(id) ? this.#ask(() => this.#collection.findOne({ _id: this.#objectId(id) })) : null
  }

  async #ask<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask()
    } catch (cause) {
      throw new SessionError('ERR_SESSION_STORE', 'MongoDB did not answer, or refused a command.', {
        cause,
        status: 503
      })
    }
  }
}

function notAnId(): SessionError {
  return new SessionError(
    'ERR_SESSION_OPTION',
    'mongostore takes ObjectIds alone: leave the option genid out, or let it return 24 hexadecimal digits.'
  )
}
