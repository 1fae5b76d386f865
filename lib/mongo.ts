export { MongoStore, type MongoStoreOptions } from './stores/mongo/mongo'
