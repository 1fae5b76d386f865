import { BSON } from 'mongodb'

interface Document {
  _id: string
  [key: string]: unknown
}

type Filter = Record<string, unknown>

/**
 * Stands in, within CI, for the client and the collection of a MongoDB server, which no package manager that we test
 * with offers: the calls that connect-mongo and MongoStore make, answered as MongoDB documents them, and no more. The
 * same tests and more run on a server by scripts/mongo.sh.
 *
 * Documents go in and out as BSON, and what has expired stays, as with a TTL index, which is swept once a minute.
 */
export class MongoDouble {
  readonly documents = new Map<string, Document>()

  db(): { collection(): MongoDouble } {
    return { collection: () => this }
  }

  async createIndex(): Promise<string> {
    return 'expires_1'
  }

  async findOne(filter: object): Promise<Document | null> {
    const [found] = this.#matching(filter as Filter)
    return found === undefined ? null : copyOf(found)
  }

  async *find(filter: object): AsyncGenerator<Document> {
    for (const document of this.#matching(filter as Filter)) yield copyOf(document)
  }

  async updateOne(filter: object, update: { $set?: object; $unset?: object }, { upsert = false } = {}) {
    let [document] = this.#matching(filter as Filter)
    const existed = document !== undefined
    if (document === undefined) {
      if (!upsert) return { matchedCount: 0, upsertedCount: 0 }
      const { _id } = filter as Document
      if (this.documents.has(_id)) throw Object.assign(new Error('E11000 duplicate key error'), { code: 11_000 })
      document = { _id }
    }
    const changed = copyOf(document)
    for (const [path, value] of Object.entries(update.$set ?? {})) put(changed, path, value)
    for (const path of Object.keys(update.$unset ?? {})) put(changed, path, undefined)
    this.documents.set(changed._id, copyOf(changed))
    return { matchedCount: existed ? 1 : 0, upsertedCount: existed ? 0 : 1 }
  }

  async findOneAndDelete(filter: object): Promise<Document | null> {
    const [found] = this.#matching(filter as Filter)
    if (found !== undefined) this.documents.delete(found._id)
    return found ?? null
  }

  async deleteOne(filter: object) {
    return { deletedCount: (await this.findOneAndDelete(filter)) === null ? 0 : 1 }
  }

  async deleteMany(filter: object = {}) {
    for (const { _id } of this.#matching(filter as Filter)) this.documents.delete(_id)
  }

  async countDocuments(filter: object = {}): Promise<number> {
    return this.#matching(filter as Filter).length
  }

  async close(): Promise<void> {}

  #matching(filter: Filter): Document[] {
    return [...this.documents.values()].filter((document) => matches(document, filter))
  }
}

function copyOf(document: Document): Document {
  return BSON.deserialize(BSON.serialize(document)) as Document
}

function put(document: Record<string, any>, path: string, value: unknown): void {
  const [first, ...rest] = path.split('.') as [string, ...string[]]
  if (rest.length > 0) put((document[first] ??= {}), rest.join('.'), value)
  else if (value === undefined) delete document[first]
  else document[first] = value
}

function at(document: any, path: string): unknown {
  return path.split('.').reduce((value, key) => value?.[key], document)
}

function matches(document: Document, filter: Filter): boolean {
  return Object.entries(filter).every(([path, condition]) =>
    path === '$or'
      ? (condition as Filter[]).some((each) => matches(document, each))
      : holds(at(document, path), condition)
  )
}

function holds(value: unknown, condition: unknown): boolean {
  if (condition instanceof RegExp) return typeof value === 'string' && condition.test(value)
  const operators = Object.entries((condition ?? {}) as object).filter(([key]) => key.startsWith('$'))
  if (operators.length === 0 || condition instanceof Date) return isEqual(value, condition)
  return operators.every(([operator, operand]) => {
    if (operator === '$exists') return (value !== undefined) === operand
    if (operator === '$eq') return isEqual(value, operand)
    if (operator === '$not') return !holds(value, operand)
    // A date is compared with dates alone.
    if (!(value instanceof Date)) return false
    return operator === '$gt' ? value > operand : value <= operand
  })
}

// Byte by byte: the same fields, of the same types, in the same order.
function isEqual(a: unknown, b: unknown): boolean {
  return a !== undefined && Buffer.compare(BSON.serialize({ a }), BSON.serialize({ a: b })) === 0
}
