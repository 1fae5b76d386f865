export { MongoStore } from './stores/mongo/mongo'
