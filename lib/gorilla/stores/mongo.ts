import { randomBytes } from 'node:crypto'
import { hasMethods, SessionError, unavailable } from '../../base/errors'
import { ACKNOWLEDGED, isAcknowledged, type MongoCollection } from '../../stores/mongo/collection'
import { ask, unlessThere } from '../../stores/mongo/errors'
import { demandBacking, digestOf, type Shelf } from './shelf'
import type { Ids } from './tokens'

interface MongoRecord {
  _id: unknown
  data?: unknown
  modified?: unknown
}

type Collection = MongoCollection & { insertOne(document: object): Promise<unknown> }

export const OBJECT_IDS: Ids = {
  generate: () => randomBytes(12).toString('hex'),
  isId: (text) => /^[0-9a-f]{24}$/.test(text)
}

/** Records as documents of mongostore: `_id`, `data`, `modified`. */
export function mongoShelf(given: unknown): Shelf {
  const isCollection = hasMethods(given, 'findOne') && isAcknowledged(given)
  demandBacking(isCollection, 'mongostore', `a collection of mongodb ${ACKNOWLEDGED}`, given)
  const collection = given as Collection
  const find = async (id: string): Promise<MongoRecord | null> => {
    if (!OBJECT_IDS.isId(id)) return null
    return (await ask('find', () => collection.findOne({ _id: objectId(id) }))) as MongoRecord | null
  }
  // The document as it was read, if that is the version.
  const filterOf = async (id: string, version: string): Promise<MongoRecord | undefined> => {
    const found = await find(id)
    if (found === null || digestOf(rawOf(found)) !== version) return undefined
    return { _id: found._id, data: found.data }
  }
  const create = async (id: string, content: object): Promise<boolean> => {
    if (!OBJECT_IDS.isId(id)) {
      throw new SessionError(
        'ERR_SESSION_OPTION',
        'mongostore takes ObjectIds alone: leave the option genid out, or let it return 24 hexadecimal digits.'
      )
    }
    const insert = () => collection.insertOne({ _id: objectId(id), ...content }).then(() => true)
    return unlessThere(ask('insert', insert))
  }
  return {
    remote: true,
    async read(id) {
      const found = await find(id)
      if (typeof found?.data !== 'string') return null
      const raw = rawOf(found)
      const modified = new Date(found.modified as Date).valueOf()
      return { raw, version: digestOf(raw), ...(!Number.isNaN(modified) && { modifiedAt: modified }) }
    },
    async write(id, raw, _end, version) {
      const content = { data: raw.toString('latin1'), modified: new Date() }
      if (version === null) return create(id, content)
      const filter = await filterOf(id, version)
      if (filter === undefined) return false
      return (await ask('update', () => collection.updateOne(filter, { $set: content }))).matchedCount > 0
    },
    async remove(id, version) {
      if (!OBJECT_IDS.isId(id)) return false
      const filter = version === undefined ? { _id: objectId(id) } : await filterOf(id, version)
      if (filter === undefined) return false
      return (await ask('delete', () => collection.deleteOne(filter))).deletedCount > 0
    },
    versionOf: digestOf
  }
}

function rawOf({ data }: MongoRecord): Buffer {
  return Buffer.from(String(data), 'latin1')
}

// The driver is the application's; it is here because the collection is. Within `try`, bundlers let it be missing.
function objectId(hex: string): unknown {
  try {
    const { ObjectId } = require('mongodb') as { ObjectId: new (hex: string) => unknown }
    return new ObjectId(hex)
  } catch (cause) {
    throw unavailable('The package mongodb cannot be loaded from here.', cause)
  }
}
