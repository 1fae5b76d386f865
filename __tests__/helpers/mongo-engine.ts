import { MongoClient, type Collection } from 'mongodb'
import { MongoStore } from '../../lib/mongo'
import { SPOILT, type OpenStore } from './npm-stores'

let count = 0

/** The server that scripts/mongo.sh starts, and names. */
export function mongoUrl(): string {
  const url = process.env.MONGODB_URL
  if (url === undefined) throw new Error('These tests need a server that speaks MongoDB: run them by scripts/mongo.sh')
  return url
}

/** A client, and a collection that nobody has used before. */
export async function openCollection(name = newName()): Promise<{ client: MongoClient; collection: Collection<any> }> {
  const client = await new MongoClient(mongoUrl(), { serverSelectionTimeoutMS: 5000 }).connect()
  return { client, collection: client.db('silverback').collection(name) }
}

export function newName(): string {
  return `s${process.pid}x${Date.now().toString(36)}x${++count}`
}

export async function openMongoStore(options: object = {}): Promise<OpenStore & { collection: Collection<any> }> {
  const { client, collection } = await openCollection()
  return {
    store: new MongoStore({ collection, ...options }),
    collection,
    spoil: (id) => collection.updateOne({ _id: id }, { $set: { session: SPOILT } }),
    close: async () => {
      await collection.drop().catch(() => undefined)
      await client.close()
    }
  }
}
