import { MongoClient } from 'mongodb'
import { MongoStore } from '../../lib/mongo'
import { describeCommands } from '../helpers/command-line'
import { mongoUrl, newName } from '../helpers/mongo-engine'

describe('on a store of mongodb:', () =>
  describeCommands(async () => {
    const url = new URL(mongoUrl())
    url.pathname = newName()
    const client = await new MongoClient(url.href).connect()
    const store = new MongoStore({ collection: client.db().collection<any>('sessions') })
    return { url: url.href, store, close: () => client.close() }
  }))
