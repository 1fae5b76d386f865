export { SqliteStore, type SqliteStoreOptions } from './stores/sql/sqlite'
