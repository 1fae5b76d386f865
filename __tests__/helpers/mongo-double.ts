interface Document {
  _id: string
  expires?: Date
  [key: string]: unknown
}

/**
 * Stands in for the client of a MongoDB server, which no package manager that we test with offers: the calls that
 * connect-mongo makes, answered as MongoDB's driver documents them, and no more. Documents go in and out as copies,
 * and what has expired stays until somebody asks for it, as with a TTL index, which is swept once a minute.
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
    for (const document of this.documents.values()) if (matches(document, filter)) return structuredClone(document)
    return null
  }

  async *find(filter: object): AsyncGenerator<Document> {
    for (const document of this.documents.values()) if (matches(document, filter)) yield structuredClone(document)
  }

  async updateOne({ _id }: { _id: string }, { $set }: { $set: object }, { upsert = false } = {}) {
    const found = this.documents.get(_id)
    if (found === undefined && !upsert) return { matchedCount: 0, upsertedCount: 0 }
    this.documents.set(_id, structuredClone({ ...found, ...$set, _id }))
    return { matchedCount: found ? 1 : 0, upsertedCount: found ? 0 : 1 }
  }

  async deleteOne({ _id }: { _id: string }) {
    return { deletedCount: Number(this.documents.delete(_id)) }
  }

  async deleteMany() {
    this.documents.clear()
  }

  async countDocuments(): Promise<number> {
    return this.documents.size
  }

  async close(): Promise<void> {}
}

// The two filters in use: by _id, and "without an end, or not over".
function matches(document: Document, { _id, $or }: { _id?: string; $or?: any[] }): boolean {
  if (_id !== undefined && document._id !== _id) return false
  const bound = $or?.find((each) => each.expires.$gt !== undefined)?.expires.$gt as Date | undefined
  return document.expires === undefined || bound === undefined || document.expires > bound
}
